"""The list of runs, as rows for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from l2liq.lake import Lake
from l2liq.lake.runs import Run

HEADLINE = ("liquidated_accounts", "bad_debt_usd")


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run: ``effects`` of the headline metrics, alternative minus control."""

    run_id: str
    series_id: str
    created_at: str
    market: str
    title: str
    changes: tuple[str, ...]
    window_s: tuple[int, int]
    effects: dict[str, float | None]


def run_rows(lake: Lake) -> list[RunRow]:
    """All runs, newest first. Manifests of another version show what they share with this one."""
    return [_row(run) for run in lake.runs()]


def _row(run: Run) -> RunRow:
    manifest: dict[str, Any] = dict(run.manifest)
    window = manifest.get("window", {})
    effects = {effect.get("metric"): effect.get("effect") for effect in manifest.get("effects", [])}
    return RunRow(
        run.run_id,
        str(manifest.get("series_id", "")),
        str(manifest.get("created_at", "")),
        str(manifest.get("market", "")),
        str(manifest.get("title", "")),
        tuple(manifest.get("changes", ())),
        (int(window.get("from_s", 0)), int(window.get("to_s", 0))),
        {metric: effects.get(metric) for metric in HEADLINE},
    )

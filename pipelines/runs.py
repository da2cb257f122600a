"""The list of runs, as rows for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from l2liq.lake import Lake
from l2liq.lake.runs import REMEDY, Run
from l2liq.market import NullTest
from l2liq.report.reading import MARKS, verdict
from pipelines.bundle import comparison
from pipelines.manifest import EffectOfMetric

HEADLINE = ("liquidated_accounts", "bad_debt_usd")


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run.

    Attributes
    ----------
    effects : of the headline metrics, alternative minus control
    readings : what they are not certain by, empty where they are
    null_test_fails : the data contradicts itself
    """

    run_id: str
    series_id: str
    created_at: str
    market: str
    title: str
    changes: tuple[str, ...]
    window_s: tuple[int, int]
    effects: dict[str, float | None]
    readings: dict[str, str]
    null_test_fails: bool


def run_rows(lake: Lake) -> tuple[list[RunRow], list[str]]:
    """All runs, newest first, and a sentence on each folder that holds none any more.

    Manifests of another version show what they share with this one.
    """
    rows, broken = [], [f"{path}: {reason}" for path, reason in lake.broken_runs()]
    for run in lake.runs():
        try:
            rows.append(_row(run))
        except (TypeError, ValueError, AttributeError, KeyError):
            broken.append(f"{run.path}: its manifest is damaged. {REMEDY}")
    return rows, broken


def _row(run: Run) -> RunRow:
    manifest: dict[str, Any] = dict(run.manifest)
    window = manifest.get("window", {})
    effects = {effect.get("metric"): effect for effect in manifest.get("effects", [])}
    null_test = manifest.get("null_test")
    return RunRow(
        run.run_id,
        str(manifest.get("series_id", "")),
        str(manifest.get("created_at", "")),
        str(manifest.get("market", "")),
        str(manifest.get("title", "")),
        tuple(manifest.get("changes", ())),
        (int(window.get("from_s", 0)), int(window.get("to_s", 0))),
        {metric: effects[metric]["effect"] if metric in effects else None for metric in HEADLINE},
        {metric: _reading(effects[metric]) for metric in HEADLINE if metric in effects},
        null_test is not None and not NullTest(**null_test).exact,
    )


def _reading(effect: Mapping[str, Any]) -> str:
    """``within model error``, ``interval includes zero``, or nothing; nothing also where another version wrote it."""
    try:
        found = verdict(comparison(EffectOfMetric.model_validate(effect)))
    except ValueError:
        return ""
    return found if found in MARKS else ""

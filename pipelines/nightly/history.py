"""A market's journal: for every series of runs its nights, and what became of the last one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from l2liq.lake import Lake
from l2liq.lake.runs import Run

MOST_NIGHTS = 400
"""Nights that a journal remembers per series."""


class _Kept(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Night(_Kept):
    """One run of a series.

    Attributes
    ----------
    asked : what it was computed from: scenario, window, code, data up to the window's end
    metrics : metric to ``actual``, ``control``, ``alternative``, ``effect``, ``model_error``, ``gross_error``
    data : root of what the lake held up to the window's end
    """

    night: date
    from_s: int
    to_s: int
    run_id: str
    version: str
    made_at: str
    asked: str
    data: str
    metrics: dict[str, dict[str, float | None]]
    validity: dict[str, float | None]


class Series(_Kept):
    """The same scenario on moving windows, oldest night first; ``superseded``: runs of nights that were run again."""

    title: str
    file: str
    changes: list[str] = Field(default_factory=list)
    nights: list[Night] = Field(default_factory=list)
    superseded: list[str] = Field(default_factory=list)


class Result(_Kept):
    """What became of one scenario on a night. ``state``: done, reused, not_run or failed."""

    file: str
    title: str
    state: str
    series_id: str | None = None
    run_id: str | None = None
    reason: str | None = None


class Journal(_Kept):
    """Everything that nightly runs know of a market."""

    market: str = ""
    night: date | None = None
    made_at: str = ""
    covered_until_s: int | None = None
    results: list[Result] = Field(default_factory=list)
    series: dict[str, Series] = Field(default_factory=dict)


def read_journal(lake: Lake, slug: str) -> Journal:
    """A market's journal; an empty one before its first night."""
    return Journal.model_validate(lake.nights().journal(slug))


def write_journal(lake: Lake, slug: str, journal: Journal) -> None:
    """Keep a journal. Only for who holds the market's nightly lock."""
    lake.nights().write_journal(slug, journal.model_dump(mode="json"))


def journals(lake: Lake) -> dict[str, Journal]:
    """All journals by slug."""
    return {slug: Journal.model_validate(content) for slug, content in lake.nights().journals().items()}


def night_of(run: Run, night: date, asked: str, data: str) -> Night:
    """What is remembered of a run."""
    manifest: Mapping[str, Any] = run.manifest
    numbers = ("actual", "control", "alternative", "effect", "model_error", "gross_error")
    return Night(
        night=night,
        from_s=manifest["window"]["from_s"],
        to_s=manifest["window"]["to_s"],
        run_id=run.run_id,
        version=f"{manifest['version']['package']}+{manifest['version']['code']}",
        made_at=now(),
        asked=asked,
        data=data,
        metrics={effect["metric"]: {name: effect[name] for name in numbers} for effect in manifest["effects"]},
        validity=dict(manifest["validity"]),
    )


def remember(series: Series, one: Night) -> None:
    """Put a night in its place; the former run of the same window or night is superseded."""
    same = [old for old in series.nights if old.night == one.night or (old.from_s, old.to_s) == (one.from_s, one.to_s)]
    gone = {old.run_id for old in same} - {one.run_id}
    series.superseded = sorted({*series.superseded, *gone} - {one.run_id})
    kept = [old for old in series.nights if old not in same]
    series.nights = sorted([*kept, one], key=lambda each: each.night)
    dropped = series.nights[:-MOST_NIGHTS]
    series.superseded += [old.run_id for old in dropped]
    series.nights = series.nights[-MOST_NIGHTS:]


def breaks(nights: Iterable[Night]) -> dict[date, str]:
    """Nights from which on numbers are not those of the same question any more, and why."""
    found: dict[date, str] = {}
    before: Night | None = None
    for one in nights:
        if before is not None:
            reasons = []
            if one.version != before.version:
                reasons.append(f"code {one.version}")
            days, former = _days(one), _days(before)
            if days != former:
                reasons.append(f"window of {days} days instead of {former}")
            if reasons:
                found[one.night] = ", ".join(reasons)
        before = one
    return found


def _days(one: Night) -> int:
    """Length of the window; block times do not meet midnight exactly."""
    return round((one.to_s - one.from_s) / 86_400)


def now() -> str:
    """The time, UTC, as journals write it."""
    return datetime.now(UTC).isoformat(timespec="seconds")

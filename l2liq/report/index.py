"""The page that lists runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from l2liq.metrics.catalogue import METRIC
from l2liq.report.render import environment


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One run on the index page.

    ``link`` is relative to the page; ``effect`` the report's first sentence, ``caution`` what to be careful about.
    """

    run_id: str
    created_s: int
    market: str
    title: str
    window_s: tuple[int, int]
    effect: str
    caution: str | None
    link: str


@dataclass(frozen=True, slots=True)
class NightRow:
    """What became of one scenario on the last night of its market.

    ``state``: done, reused, not_run or failed; ``report`` and ``history``: links relative to the page, None where there
    is nothing to see; ``metrics``: metric to its numbers, empty without a run.
    """

    market: str
    title: str
    night: str
    state: str
    reason: str
    report: str | None
    history: str | None
    alert: bool
    metrics: Mapping[str, Mapping[str, float | None]]


NIGHTLY = (METRIC["liquidated_accounts"], METRIC["bad_debt_usd"])
"""Metrics that the list of the last night shows."""


def render_index(
    rows: Sequence[IndexRow],
    nights: Sequence[NightRow] = (),
    alerts: Sequence[str] = (),
    left_out: Sequence[str] = (),
    quality: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The last night and all runs as HTML, newest first, those of a sweep together.

    ``left_out`` says which runs could not be read, and why; ``quality`` has the pages about each market's data.
    """
    newest = sorted(rows, key=lambda row: (-row.created_s, row.run_id))
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            groups=_groups(newest), nights=nights, alerts=alerts, nightly=NIGHTLY, left_out=left_out, quality=quality
        )
    )


def _groups(rows: Sequence[IndexRow]) -> list[tuple[str, list[tuple[str, IndexRow]]]]:
    """Rows by what their titles begin with: a sweep calls its runs ``name: what distinguishes them``.

    Each group with its name, empty for a run that stands alone, and its rows with what to call them there.
    """
    groups: dict[tuple[str, str, tuple[int, int]], list[IndexRow]] = {}
    for row in rows:
        groups.setdefault((row.title.partition(": ")[0], row.market, row.window_s), []).append(row)
    found = []
    for (name, _, _), members in groups.items():
        if len(members) == 1 or any(": " not in row.title for row in members):
            found += [("", [(row.title, row)]) for row in members]
        else:
            found.append((name, [(row.title.partition(": ")[2], row) for row in members]))
    return found

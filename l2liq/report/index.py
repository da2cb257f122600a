"""The page that lists runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from l2liq.metrics.catalogue import METRIC
from l2liq.report.render import environment


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One run on the index page.

    ``link`` is relative to the page; ``effect`` the report's first sentence.
    """

    run_id: str
    created_s: int
    market: str
    title: str
    window_s: tuple[int, int]
    effect: str
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


def render_index(rows: Sequence[IndexRow], nights: Sequence[NightRow] = (), alerts: Sequence[str] = ()) -> str:
    """The last night and all runs as HTML, newest first."""
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            rows=sorted(rows, key=lambda row: (-row.created_s, row.run_id)),
            nights=nights,
            alerts=alerts,
            nightly=NIGHTLY,
        )
    )

"""After the markets' nights: alerts, a page per series, and the index that links them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2liq.lake import Lake
from l2liq.metrics.catalogue import METRIC
from l2liq.report.history import SHOWN, HistoryPage, Point, render_history
from pipelines.nightly.alerts import Alert, alerts_of, raise_alerts
from pipelines.nightly.config import Nightly
from pipelines.nightly.history import Journal, Series, breaks, journals
from pipelines.report import write_index


@dataclass(frozen=True, slots=True)
class Published:
    """The index page, pages of series, and every alert that stands."""

    index: Path
    pages: tuple[str, ...]
    alerts: tuple[Alert, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"index": str(self.index), "pages": list(self.pages), "alerts": [one.words for one in self.alerts]}


def publish_nights(nightly: Nightly) -> Published:
    """Write alerts, history pages and the index from the journals. Doing it twice changes nothing."""
    lake = Lake.create(nightly.lake)
    with lake.nights().publishing():
        found = journals(lake)
        alerts = raise_alerts(lake, alerts_of(found, nightly.alerts, nightly.history), nightly.alerts)
        runs = {run.run_id for run in lake.runs()}
        pages: list[str] = []
        for journal in found.values():
            for series_id, series in journal.series.items():
                mine = [one.words for one in alerts if one.subject == series_id]
                page = _page(journal, series_id, series, runs, mine, nightly.history)
                pages.append(lake.nights().write_page(series_id, render_history(page)))
        return Published(write_index(lake), tuple(pages), tuple(alerts))


def _page(
    journal: Journal, series_id: str, series: Series, runs: set[str], alerts: list[str], history: int
) -> HistoryPage:
    """The last night beside ``history`` former ones."""
    nights = series.nights[-history - 1 :]
    points = [
        Point(
            night=one.night,
            window_s=(one.from_s, one.to_s),
            run_id=one.run_id,
            link=f"../{one.run_id}/report.html" if one.run_id in runs else None,
            version=one.version,
            metrics=one.metrics,
            validity=one.validity,
        )
        for one in nights
    ]
    return HistoryPage(
        series_id=series_id,
        market=journal.market,
        title=series.title,
        changes=tuple(series.changes),
        points=tuple(points),
        breaks=breaks(nights),
        metrics=tuple(METRIC[name] for name in SHOWN),
        alerts=tuple(alerts),
    )

"""The last night of every market as rows of the index page."""

from __future__ import annotations

from l2liq.lake import Lake
from l2liq.lake.nights import FOLDER
from l2liq.report.index import NightRow
from pipelines.nightly.alerts import read
from pipelines.nightly.history import Journal, journals


def night_rows(lake: Lake) -> list[NightRow]:
    """What became of each scenario on its market's last night, markets in alphabetical order."""
    worrying = {one.subject for one in read(lake.nights().alerts())}
    return [row for journal in journals(lake).values() for row in _rows(journal, worrying)]


def alert_words(lake: Lake) -> list[str]:
    """Every alert that stands, a sentence each."""
    return [one.words for one in read(lake.nights().alerts())]


def _rows(journal: Journal, worrying: set[str]) -> list[NightRow]:
    rows = []
    for result in journal.results:
        series_id = result.series_id or ""
        nights = journal.series[series_id].nights if series_id in journal.series else []
        tonight = next((one for one in nights if one.run_id == result.run_id), None)
        rows.append(
            NightRow(
                market=journal.market,
                title=result.title,
                night=str(journal.night),
                state=result.state,
                reason=result.reason or "",
                report=f"{result.run_id}/report.html" if result.run_id else None,
                history=f"{FOLDER}/{series_id}.html" if nights else None,
                alert=series_id in worrying,
                metrics=tonight.metrics if tonight else {},
            )
        )
    return rows

"""The page that lists runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def render_index(rows: Sequence[IndexRow]) -> str:
    """All runs as HTML, newest first."""
    return (
        environment()
        .get_template("index.html.j2")
        .render(rows=sorted(rows, key=lambda row: (-row.created_s, row.run_id)))
    )

"""The page about a market's data: what was judged, what was found, and where the Data Docs are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from l2liq.report.render import environment


@dataclass(frozen=True, slots=True)
class Judged:
    """One suite about one batch: how many expectations are met, of how many; ``link`` is relative to the page."""

    suite: str
    batch: str
    met: int
    total: int
    link: str


@dataclass(frozen=True, slots=True)
class QualityPage:
    """A judgement. ``findings``: severity and sentence; ``docs``: address of the Data Docs, relative to the page."""

    market: str
    made_s: int
    blocked: bool
    segments: int
    known: int
    findings: Sequence[tuple[str, str]]
    notes: Sequence[str]
    judged: Sequence[Judged]
    docs: str


def render_quality(page: QualityPage) -> str:
    """The page as HTML that needs nothing from elsewhere."""
    return environment().get_template("quality.html.j2").render(page=page)

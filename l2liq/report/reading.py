"""What a reader may conclude from an effect, and which effects come first. Page, text and terminal agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from l2liq.report import words
from l2liq.report.bundle import Comparison

WITHIN_ERROR = "within model error"
INCLUDES_ZERO = "interval includes zero"
MARKS = {WITHIN_ERROR: "*", INCLUDES_ZERO: "°"}
"""How a table without room for words marks an effect that is not certain."""

_MOST_MOVED = 3


class Row(Protocol):
    """What is needed of a compared metric."""

    @property
    def metric(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def effect(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def within_error(self) -> bool: ...
    @property
    def lower_is_better(self) -> bool | None: ...


def moves(row: Row) -> bool:
    """Whether there is an effect that can be seen in words: sums in another order differ in their last digits."""
    return row.effect is not None and words.change(row.effect, row.unit) != words.NO_CHANGE


def verdict(row: Row) -> str:
    """What a reader may conclude from one row."""
    if row.effect is None:
        return ""
    if not moves(row):
        return "no change"
    if row.within_error:
        return WITHIN_ERROR
    if row.low is not None and row.high is not None and row.low <= 0 <= row.high:
        return INCLUDES_ZERO
    if row.lower_is_better is None:
        return "changed"
    return "better" if (row.effect < 0) == row.lower_is_better else "worse"


def marked_change(row: Row) -> str:
    """An effect with the mark of what it is not certain by."""
    return words.change(row.effect, row.unit) + MARKS.get(verdict(row), "")


def legend(rows: Sequence[Row]) -> str:
    """What the marks in these rows mean; empty where there are none."""
    found = {verdict(row) for row in rows}
    return "".join(f"{sign} {meaning}. " for meaning, sign in MARKS.items() if meaning in found).rstrip()


def seen_first(rows: Sequence[Row], usual: Sequence[str]) -> list[str]:
    """Metrics to show first: the usual ones, and where none of them moves those that do."""
    names = [row.metric for row in rows if row.metric in usual]
    if any(moves(row) for row in rows if row.metric in usual):
        return names
    return names + [row.metric for row in rows if row.metric not in usual and moves(row)][:_MOST_MOVED]


def instead(comparisons: Iterable[Comparison], told: Mapping[str, str]) -> list[str]:
    """``bad debt was $40 k instead of $10 k`` for each metric that the change moved; ``told``: metric to its words."""
    of = {row.metric: row for row in comparisons}
    values = {
        what: (words.number(row.alternative, row.unit), words.number(row.control, row.unit))
        for metric, what in told.items()
        if (row := of.get(metric)) is not None
    }
    return [f"{what} {new} instead of {old}" for what, (new, old) in values.items() if new != old]

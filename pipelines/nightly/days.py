"""Complete UTC days by block timestamp: what the lake covers of a market in time, and the windows of a night."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from l2liq.errors import InputError
from l2liq.lake import BLOCK_DATA, Coverage, Lake, Span, Status
from l2liq.report import words

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Covered:
    """What was looked at without a hole, from the market's first block on.

    Attributes
    ----------
    span : its blocks
    begin_s, end_s : timestamps of the first and the last known block in it
    number, timestamp_s : the blocks whose time is known, shape (n,)
    """

    span: Span
    begin_s: int
    end_s: int
    number: npt.NDArray[np.int64] = field(repr=False)
    timestamp_s: npt.NDArray[np.int64] = field(repr=False)

    @property
    def last_day(self) -> date:
        """The last day that is over: a block of the next one was seen."""
        return day_of(self.end_s) - timedelta(days=1)

    def until(self, end_s: int) -> Span:
        """The blocks from the first one to the last before ``end_s``, as far as is known."""
        place = int(np.searchsorted(self.timestamp_s, end_s))
        stop = int(self.number[place]) if place < len(self.number) else self.span.stop
        return Span(self.span.start, max(stop, self.span.start + 1))


def covered(lake: Lake, market: str) -> Covered:
    """What the lake covers of a market. InputError where that is nothing, or no block's time is known."""
    span = _unbroken(lake.coverage(market))
    blocks = lake.read(BLOCK_DATA, market, span) if span is not None else None
    if span is None or blocks is None or not blocks.num_rows:
        raise InputError(
            f"{market}: the lake {lake.name} covers no block of it whose time is known. Fetch its logs with "
            f"`l2liq ingest SOURCE --market {market}`."
        )
    number, seconds = blocks["number"].to_numpy(), blocks["timestamp_s"].to_numpy()
    return Covered(span, int(seconds[0]), int(seconds[-1]), number, seconds)


def covered_if_any(lake: Lake, market: str) -> Covered | None:
    """As :func:`covered`; None where that is nothing."""
    try:
        return covered(lake, market)
    except InputError:
        return None


def _unbroken(coverage: Coverage) -> Span | None:
    """From the first block to the first hole; files that are complete for no range do not count."""
    spans = sorted(one.span for one in coverage.segments if one.status is not Status.AS_FOUND)
    if not spans:
        return None
    stop = spans[0].start
    for one in spans:
        if one.start > stop:
            break
        stop = max(stop, one.stop)
    return Span(spans[0].start, stop)


def start_s(day: date) -> int:
    """First second of a day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def end_s(day: date) -> int:
    """First second after a day."""
    return start_s(day) + DAY_S


def day_of(timestamp_s: int) -> date:
    """The day of a moment."""
    return datetime.fromtimestamp(timestamp_s, UTC).date()


def yesterday() -> date:
    """The last complete day by the clock."""
    return datetime.now(UTC).date() - timedelta(days=1)


def parse_day(text: str) -> date:
    """``2026-03-11``. InputError for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text[:40]}: no date. Write it as in 2026-03-11.") from None


def shortfall(found: Covered, begin_s: int | None, stop_s: int | None) -> str | None:
    """Why a window cannot be run on what is covered; None where it can. None for an open edge."""
    if stop_s is not None and found.end_s < stop_s:
        return f"coverage ends at {words.moment(found.end_s)}, the window at {words.moment(stop_s)}"
    if begin_s is not None and begin_s < found.begin_s:
        return f"coverage begins at {words.moment(found.begin_s)}, the window at {words.moment(begin_s)}"
    return None

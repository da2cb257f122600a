"""Values that hold for a time: what an upgrade changed, and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise, zip_longest
from typing import Generic, TypeVar

Value = TypeVar("Value", covariant=True)


@dataclass(frozen=True, slots=True)
class Span(Generic[Value]):
    """A value that holds in [``from_s``, ``until_s``); ``until_s`` None = to this day."""

    from_s: int
    until_s: int | None
    value: Value

    def holds_at(self, timestamp_s: int) -> bool:
        return self.from_s <= timestamp_s and (self.until_s is None or timestamp_s < self.until_s)


@dataclass(frozen=True, slots=True)
class Dated(Generic[Value]):
    """Spans in order of time that do not overlap; there may be gaps, in which nothing is known."""

    spans: tuple[Span[Value], ...] = ()

    def at(self, timestamp_s: int) -> Value | None:
        """The value that holds at a time; None where none does."""
        return next((span.value for span in self.spans if span.holds_at(timestamp_s)), None)

    def within(self, first_s: int, last_s: int) -> Iterator[Span[Value]]:
        """Spans that hold at some time in [first_s, last_s]."""
        return (s for s in self.spans if s.from_s <= last_s and (s.until_s is None or first_s < s.until_s))

    def first_gap(self, first_s: int, last_s: int) -> int | None:
        """First second of [first_s, last_s] at which nothing holds; None where something always does."""
        at = first_s
        for span in self.within(first_s, last_s):
            if span.from_s > at:
                return at
            if span.until_s is None or span.until_s > last_s:
                return None
            at = span.until_s
        return at


def dated(spans: Sequence[Span[Value]], not_before_s: int) -> Dated[Value]:
    """Spans as a whole; one without an end holds until the next begins.

    Raises ValueError for one that begins before ``not_before_s``, ends before it begins, or overlaps the one before.
    """
    ordered = sorted(spans, key=lambda span: span.from_s)
    for span in ordered:
        if span.from_s < not_before_s:
            raise ValueError(f"a span begins {_day(span.from_s)}, before the chain's genesis {_day(not_before_s)}.")
        if span.until_s is not None and span.until_s <= span.from_s:
            raise ValueError(f"a span begins {_day(span.from_s)} and ends {_day(span.until_s)}. Give an end after it.")
    for one, following in pairwise(ordered):
        if one.from_s == following.from_s or (one.until_s is not None and one.until_s > following.from_s):
            raise ValueError(f"two spans overlap {_day(following.from_s)}. Let the first one end there.")
    ends: list[int | None] = [following.from_s for following in ordered[1:]]
    closed = [
        Span(span.from_s, span.until_s if span.until_s is not None else end, span.value)
        for span, end in zip_longest(ordered, ends)
    ]
    return Dated(tuple(closed))


def _day(timestamp_s: int) -> str:
    return datetime.fromtimestamp(timestamp_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""A price over time, exact: what an oracle model reads and what it makes of it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Path:
    """A right-continuous step function of time.

    Attributes
    ----------
    times_s : increasing; several prices of one second are the last of them
    prices : as many [base currency]
    """

    times_s: tuple[int, ...] = field(repr=False)
    prices: tuple[int, ...] = field(repr=False)

    def at(self, time_s: int) -> int | None:
        """Price at a time; None before the first."""
        step = bisect_right(self.times_s, time_s) - 1
        return None if step < 0 else self.prices[step]

    def within(self, first_s: int, last_s: int) -> Path:
        """The part in [first_s, last_s], beginning with the price that holds at ``first_s``."""
        start = max(bisect_right(self.times_s, first_s) - 1, 0)
        stop = bisect_right(self.times_s, last_s)
        times = [max(time_s, first_s) for time_s in self.times_s[start:stop]]
        return Path(tuple(times), self.prices[start:stop])

"""The parameter timeline: a protocol's parameters as governance changed them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class ParameterTimeline(Generic[P]):
    """Piecewise constant parameters.

    Attributes
    ----------
    keys : position from which each set holds, strictly increasing
    timestamps_s : time of each
    sets : the protocol's immutable parameter sets, one per key
    """

    keys: tuple[int, ...]
    timestamps_s: tuple[int, ...]
    sets: tuple[P, ...]

    def at(self, key: int) -> P:
        """Parameters in force after everything at or before ``key``. IndexError before the first."""
        found = bisect_right(self.keys, key) - 1
        if found < 0:
            raise IndexError(f"no parameters at or before key {key}")
        return self.sets[found]

    def regime_at(self, key: int) -> int:
        """Index of the set in force at ``key``; -1 before the first."""
        return bisect_right(self.keys, key) - 1

    def changed(self, key: int, timestamp_s: int, change: Callable[[P], P]) -> ParameterTimeline[P]:
        """The timeline in which every set from ``key`` on is ``change`` of what it was."""
        keys, times, sets = list(self.keys), list(self.timestamps_s), list(self.sets)
        if key not in keys:
            place = bisect_right(keys, key)
            keys.insert(place, key)
            times.insert(place, timestamp_s)
            sets.insert(place, sets[place - 1])
        return ParameterTimeline(
            tuple(keys), tuple(times), tuple(change(s) if k >= key else s for k, s in zip(keys, sets, strict=True))
        )

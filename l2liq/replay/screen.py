"""The screen: which accounts might be liquidatable, and when first. Floats; it may say too much, never too little."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from l2liq.protocols.interface import Moment, ScreenTable, ScreenWeights
from l2liq.replay import kernels

DUST_SHARE = 0.01
"""Where rounding may come to more than this share of an account's value, rounding decides about its health."""

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Lens:
    """Weights with a guard worked into them.

    A hit is where the sum of weight * quantity * value is below ``base`` plus ``entry`` of each entry with a weight.
    """

    weight: Floats = field(repr=False)
    base: float
    entry: Floats = field(repr=False)

    @staticmethod
    def of(weights: ScreenWeights) -> Lens:
        """Hits where an account may be liquidatable under a protocol's weights."""
        guarded = np.where(weights.weight > 0.0, weights.weight - weights.guard_share, weights.weight)
        return Lens(np.ascontiguousarray(guarded), weights.guard_base, weights.guard_entry)

    @staticmethod
    def of_recovery(weights: ScreenWeights) -> Lens:
        """Hits where a liquidatable account may be safe again."""
        guarded = np.where(weights.weight > 0.0, weights.weight + weights.guard_share, weights.weight)
        return Lens(np.ascontiguousarray(-guarded), weights.guard_base, weights.guard_entry)


@dataclass(frozen=True)
class Holding:
    """Entries of one account as if it held them for the whole window: ``spans`` of (start, stop, regime), ticks."""

    spans: Sequence[tuple[int, int, int]]
    columns: Ints
    quantities: Floats


class Screen:
    """A screen table, ready to be scanned under any number of lenses."""

    def __init__(self, table: ScreenTable, keys_of_sets: Sequence[int]) -> None:
        """``keys_of_sets``: keys of the timeline that the table's regimes number."""
        self.table = table
        self.values = np.ascontiguousarray(table.values)
        self._low, self._high = kernels.ranges_of_values(self.values)
        self._tile_low, self._tile_high = kernels.ranges_of_blocks(self._low, self._high)
        self.accounts, self._place_first = np.unique(table.account, return_index=True)
        self._first_segment = np.append(self._place_first, len(table.account)).astype(np.int64)
        self._regime_of = {regime: number for number, regime in enumerate(table.regimes)}
        self._set_of_tick = np.searchsorted(np.asarray(keys_of_sets, dtype=np.int64), table.key, side="right") - 1
        numbered = np.unique([number for number, _ in table.regimes])
        place = np.searchsorted(numbered, self._set_of_tick, side="right") - 1
        self._regime_set_of_tick = numbered[np.maximum(place, 0)]

    @property
    def ticks(self) -> int:
        return len(self.table.key)

    @cached_property
    def account_ticks(self) -> int:
        """(account, tick) pairs that one pass answers for."""
        return int((self.table.stop.astype(np.int64) - self.table.start).sum())

    def moment(self, tick: int) -> Moment:
        """The moment of a tick."""
        return Moment(int(self.table.key[tick]), int(self.table.timestamp_s[tick]))

    def tick_at(self, moment: Moment) -> int:
        """Last tick at or before a moment; -1 = none."""
        keys, times = self.table.key, self.table.timestamp_s
        start, stop = (int(np.searchsorted(keys, moment.key, side=side)) for side in ("left", "right"))
        return start + int(np.searchsorted(times[start:stop], moment.timestamp_s, side="right")) - 1

    def first_key_from(self, key: int) -> int:
        """Key of the first tick at or after ``key``; ``key`` itself where none is."""
        found = int(np.searchsorted(self.table.key, key))
        return int(self.table.key[found]) if found < self.ticks else key

    def first_hits(
        self, lenses: Sequence[Lens], *, from_tick: int = 0, skip: bool = True, threads: int = 1
    ) -> npt.NDArray[np.int32]:
        """First hit of every account under every lens, in one pass.

        Parameters
        ----------
        lenses : Sequence[Lens]
            K of them.
        from_tick : int
            Ticks before it are not looked at.
        skip : bool
            Leave out blocks that cannot hold a hit; the answer is the same without.
        threads : int
            Accounts are dealt to so many threads.

        Returns
        -------
        int32, shape (K, A)
            First ticks, accounts as in ``accounts``; -1 = never.
        """
        edges = np.linspace(0, len(self.accounts), threads + 1).astype(np.int64)
        parts = [self._first_segment[a : b + 1] for a, b in pairwise(edges)]

        def scan(first_segment: npt.NDArray[np.int64]) -> Any:
            return self._scan(first_segment, self.table, lenses, from_tick, skip)

        with ThreadPoolExecutor(threads) as pool:
            return np.concatenate(list(pool.map(scan, parts)), axis=1)

    def first_hit_of(self, account: int, lens: Lens, from_tick: int) -> int:
        """First hit of one account at or after a tick, in the states of its history; -1 = never."""
        place = int(np.searchsorted(self.accounts, account))
        if place == len(self.accounts) or self.accounts[place] != account:
            return -1
        runs = self._first_segment[place : place + 2]
        return int(self._scan(runs, self.table, [lens], max(from_tick, 0), True)[0, 0])

    def first_hit(self, holding: Holding, lens: Lens, from_tick: int) -> int:
        """First hit at or after a tick for entries of its own; -1 = never."""
        spans = np.array(holding.spans, dtype=np.int32).reshape(-1, 3)
        count = len(holding.columns)
        rows = _Rows(
            start=np.ascontiguousarray(spans[:, 0]),
            stop=np.ascontiguousarray(spans[:, 1]),
            regime=np.ascontiguousarray(spans[:, 2]),
            offset=np.arange(len(spans) + 1, dtype=np.int64) * count,
            column=np.tile(holding.columns.astype(np.int32), len(spans)),
            quantity=np.tile(holding.quantities.astype(np.float64), len(spans)),
        )
        runs = np.array([0, len(spans)], dtype=np.int64)
        return int(self._scan(runs, rows, [lens], max(from_tick, 0), True)[0, 0])

    def holding(self, kind: int, columns: Ints, quantities: Floats, from_tick: int) -> Holding | None:
        """Entries of an account of class ``kind`` from a tick on; None where the table has no weights for it."""
        sets = self._regime_set_of_tick
        edges = [max(from_tick, 0), *(e for e in self._regime_edges if e > from_tick), self.ticks]
        spans = []
        for start, stop in pairwise(edges):
            if start < stop:
                regime = self._regime_of.get((int(sets[start]), kind))
                if regime is None:
                    return None
                spans.append((start, stop, regime))
        return Holding(spans, columns, quantities)

    def next_move(self, columns: Ints, tick: int, share: float, stop: int | None = None) -> int:
        """First tick after ``tick`` at which a column is off its value at ``tick`` by more than ``share``; or ``stop``.

        ``stop`` None: the next tick with another parameter set, at most the number of ticks.
        """
        found = min((e for e in self._set_edges if e > tick), default=self.ticks) if stop is None else stop
        before = self.values[columns, max(tick, 0), None]
        start, step = tick + 1, 1 << 6
        while start < found:
            end = min(start + step, found)
            moved = ~(np.abs(self.values[columns, start:end] - before) <= share * np.abs(before)).all(axis=0)
            if moved.any():
                return start + int(np.argmax(moved))
            start, step = end, min(2 * step, 1 << 14)
        return found

    def set_changes_at(self, tick: int) -> bool:
        """Whether another parameter set holds at ``tick`` than at the tick before."""
        return tick > 0 and self._set_of_tick[tick] != self._set_of_tick[tick - 1]

    def moved(self, columns: Ints, tick: int, share: float) -> bool:
        """Whether a column moved by more than ``share`` from the tick before."""
        return tick > 0 and self.next_move(columns, tick - 1, share, stop=tick + 1) == tick

    @cached_property
    def _regime_edges(self) -> list[int]:
        return (np.flatnonzero(np.diff(self._regime_set_of_tick)) + 1).tolist()

    @cached_property
    def _set_edges(self) -> list[int]:
        return (np.flatnonzero(np.diff(self._set_of_tick)) + 1).tolist()

    def is_dust(self, columns: Ints, quantities: Floats, lens: Lens, tick: int) -> bool:
        """Whether the guard against rounding is more than :data:`DUST_SHARE` of what the entries are worth."""
        worth = float(self.values[columns, max(tick, 0)] @ quantities)
        return not lens.base + float(lens.entry[columns].sum()) <= DUST_SHARE * worth

    def _scan(self, runs: Any, rows: Any, lenses: Sequence[Lens], from_tick: int, skip: bool) -> Any:
        return kernels.first_hits(
            self.values,
            self._low,
            self._high,
            self._tile_low,
            self._tile_high,
            runs,
            rows.start,
            rows.stop,
            rows.regime,
            rows.offset,
            rows.column,
            rows.quantity,
            np.stack([lens.weight for lens in lenses]),
            np.array([lens.base for lens in lenses]),
            np.stack([lens.entry for lens in lenses]),
            from_tick,
            skip,
        )


@dataclass(frozen=True, slots=True)
class _Rows:
    """Segments in the form of the screen table."""

    start: Ints
    stop: Ints
    regime: Ints
    offset: npt.NDArray[np.int64]
    column: Ints
    quantity: Floats

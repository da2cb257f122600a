"""Compiled inner loops of the screen.

A margin is a sum of coefficient * value over an account's entries. Blocks of ticks are skipped where the worst
combination within them (collateral at its minimum, debt at its maximum) is still safe. Values that are missing, not
finite or not positive make their tick a hit: they are marked by NaN in the ranges and looked at one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

SMALL_BITS = 6
TILE_BITS = 12

Floats = npt.NDArray[np.float64]


@njit(cache=True, nogil=True)
def ranges_of_values(values: Floats) -> Any:
    """Minimum and maximum per column and block of 64 ticks; NaN where a value is not finite and positive."""
    columns, ticks = values.shape
    blocks = (ticks + 63) >> SMALL_BITS
    low, high = np.empty((columns, blocks)), np.empty((columns, blocks))
    for c in range(columns):
        for b in range(blocks):
            least, most, good = np.inf, 0.0, True
            for t in range(b << SMALL_BITS, min((b + 1) << SMALL_BITS, ticks)):
                v = values[c, t]
                good &= (v > 0.0) & (v < np.inf)
                least, most = min(least, v), max(most, v)
            low[c, b], high[c, b] = (least, most) if good else (np.nan, np.nan)
    return low, high


@njit(cache=True, nogil=True)
def ranges_of_blocks(low: Floats, high: Floats) -> Any:
    """Minimum and maximum of 64 blocks each; NaN where one of them has it."""
    columns, blocks = low.shape
    tiles = (blocks + 63) >> SMALL_BITS
    tile_low, tile_high = np.empty((columns, tiles)), np.empty((columns, tiles))
    for c in range(columns):
        for b in range(tiles):
            least, most, good = np.inf, 0.0, True
            for i in range(b << SMALL_BITS, min((b + 1) << SMALL_BITS, blocks)):
                good &= not np.isnan(low[c, i])
                least, most = min(least, low[c, i]), max(most, high[c, i])
            tile_low[c, b], tile_high[c, b] = (least, most) if good else (np.nan, np.nan)
    return tile_low, tile_high


@njit(cache=True, nogil=True)
def _worst(low: Floats, high: Floats, block: int, columns: Any, factors: Floats, count: int) -> float:
    """Smallest margin that a block can hold; NaN where a value in it is bad."""
    total = 0.0
    for i in range(count):
        factor = factors[i]
        total += factor * (low[columns[i], block] if factor > 0.0 else high[columns[i], block])
    return total


@njit(cache=True, nogil=True)
def _careful(values: Floats, columns: Any, factors: Floats, count: int, base: float, start: int, stop: int) -> int:
    """First tick in [start, stop) below ``base`` or with a bad value; -1 = none."""
    for t in range(start, stop):
        total = 0.0
        for i in range(count):
            v = values[columns[i], t]
            if not (v > 0.0 and v < np.inf):
                return t
            total += factors[i] * v
        if not total >= base:
            return t
    return -1


@njit(cache=True, nogil=True)
def _any_below(values: Floats, columns: Any, factors: Floats, count: int, base: float, start: int, stop: int) -> bool:
    """Whether a margin in [start, stop) is below ``base``; all values are good. Branch-free, so that it vectorises."""
    below = 0
    if count == 2:
        a, b = values[columns[0], start:stop], values[columns[1], start:stop]
        fa, fb = factors[0], factors[1]
        for t in range(stop - start):
            below |= fa * a[t] + fb * b[t] < base
    elif count == 3:
        a, b, c = values[columns[0], start:stop], values[columns[1], start:stop], values[columns[2], start:stop]
        fa, fb, fc = factors[0], factors[1], factors[2]
        for t in range(stop - start):
            below |= fa * a[t] + fb * b[t] + fc * c[t] < base
    else:
        total = np.zeros(stop - start)
        for i in range(count):
            a, fa = values[columns[i], start:stop], factors[i]
            for t in range(stop - start):
                total[t] += fa * a[t]
        for t in range(stop - start):
            below |= total[t] < base
    return below != 0


@njit(cache=True, nogil=True)
def _first_in_tile(
    values: Floats,
    low: Floats,
    high: Floats,
    marked: bool,
    columns: Any,
    factors: Floats,
    count: int,
    base: float,
    start: int,
    stop: int,
    skip: bool,
) -> int:
    """First hit in [start, stop), all in one tile; ``marked``: the tile has bad values."""
    if not skip:
        if marked or _any_below(values, columns, factors, count, base, start, stop):
            return _careful(values, columns, factors, count, base, start, stop)
        return -1
    t = start
    while t < stop:
        block = t >> SMALL_BITS
        end = min((block + 1) << SMALL_BITS, stop)
        if not _worst(low, high, block, columns, factors, count) >= base:
            found = _careful(values, columns, factors, count, base, t, end)
            if found >= 0:
                return found
        t = end
    return -1


@njit(cache=True, nogil=True)
def _gather(
    begin: int, end: int, column: Any, quantity: Floats, weight: Floats, entry: Floats, columns: Any, factors: Floats
) -> Any:
    """Write a segment's entries that have a weight into ``columns`` and ``factors``: their number, and their guard."""
    count, guard = 0, 0.0
    for e in range(begin, end):
        factor = weight[column[e]] * quantity[e]
        if factor != 0.0:
            columns[count], factors[count] = column[e], factor
            guard += entry[column[e]]
            count += 1
    return count, guard


@njit(cache=True, nogil=True)
def first_hits(
    values: Floats,
    low: Floats,
    high: Floats,
    tile_low: Floats,
    tile_high: Floats,
    first_segment: npt.NDArray[np.int64],
    start: npt.NDArray[np.int32],
    stop: npt.NDArray[np.int32],
    regime: npt.NDArray[np.int32],
    offset: npt.NDArray[np.int64],
    column: npt.NDArray[np.int32],
    quantity: Floats,
    weight: Floats,
    base: Floats,
    entry: Floats,
    from_tick: int,
    skip: bool,
) -> npt.NDArray[np.int32]:
    """First hit per scenario and account; -1 = none.

    Accounts are runs of segments: ``first_segment`` shape (A + 1,); ``weight`` shape (K, R, V), ``base`` shape (K,),
    ``entry`` shape (K, V).
    Goes tile by tile, so that values stay in the cache while all accounts pass over them.
    """
    scenarios, accounts, ticks = weight.shape[0], len(first_segment) - 1, values.shape[1]
    found = np.full((scenarios, accounts), -1, np.int32)
    cursor = first_segment[:-1].copy()
    widest = 1
    for s in range(len(start)):
        widest = max(widest, offset[s + 1] - offset[s])
    columns, factors = np.empty(widest, np.int32), np.empty(widest)
    for tile in range(from_tick >> TILE_BITS, (ticks + (1 << TILE_BITS) - 1) >> TILE_BITS):
        lower = max(tile << TILE_BITS, from_tick)
        upper = min((tile + 1) << TILE_BITS, ticks)
        for account in range(accounts):
            s, end = cursor[account], first_segment[account + 1]
            while s < end and stop[s] <= lower:
                s += 1
            cursor[account] = s
            while s < end and start[s] < upper:
                for k in range(scenarios):
                    begin, limit = max(start[s], lower), min(stop[s], upper)
                    if found[k, account] >= 0:
                        limit = min(limit, found[k, account])
                    if begin >= limit:
                        continue
                    count, least = _gather(
                        offset[s], offset[s + 1], column, quantity, weight[k, regime[s]], entry[k], columns, factors
                    )
                    least += base[k]
                    worst = _worst(tile_low, tile_high, tile, columns, factors, count)
                    if not (skip and worst >= least):
                        marked = np.isnan(worst)
                        hit = _first_in_tile(
                            values, low, high, marked, columns, factors, count, least, begin, limit, skip
                        )
                        if hit >= 0:
                            found[k, account] = hit
                s += 1
    return found

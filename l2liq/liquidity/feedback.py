"""Oracles that follow what liquidators' sales do to a price: a market whose prices bear a share of displacements."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.events.raw import to_raw
from l2liq.events.words import words_of
from l2liq.liquidity.selling import recovering
from l2liq.market import PRICE, Clock, Market, Series

LOOKS_PER_HALF_LIFE = 16
"""How often an oracle tells of a recovery: each time about 4 % of what is left are gone."""

TELLING = 5e-5
"""Share of a price below which a displacement is not told any more: half a basis point."""

_MOST = 1 - 1e-12
_SCALE = 1 << 48


@dataclass(frozen=True, slots=True)
class Displaced:
    """A sale and what it left behind: ``share`` of the asset's price that is missing just after it."""

    block: int
    timestamp_s: int
    share: float


@dataclass(frozen=True, slots=True)
class Following:
    """The sales of an asset in order of time, and the time in which half of what they moved comes back [s]."""

    sales: tuple[Displaced, ...]
    half_life_s: int | None


def following_market(market: Market, sold: Mapping[int, Following], share: float) -> Market:
    """The market with oracles that tell a share of the displacements.

    An oracle tells of a sale from the next known block on, and of the recovery every sixteenth of the half-life; no
    price falls below one unit.

    Parameters
    ----------
    market : Market
        With the prices that its oracles would show without sales.
    sold : Mapping[int, Following]
        Asset to its sales.
    share : float
        Of a displacement, between 0 and 1.
    """
    series = dict(market.series)
    for asset, following in sold.items():
        before = series.get((PRICE, asset))
        if before is not None and following.sales and share:
            series[PRICE, asset] = _followed(before, list(_told(following, share, market.clock)))
    return replace(market, series=series)


@dataclass(frozen=True, slots=True)
class _Step:
    """From a key on, a price is so many times what it would be."""

    key: int
    timestamp_s: int
    factor: float


def _told(following: Following, share: float, clock: Clock) -> Iterator[_Step]:
    """The factor over time, in order of key."""
    sales = [*_one_per_block(following.sales), None]
    for sale, then in pairwise(sales):
        assert sale is not None
        begin = _next_block(sale.block, clock)
        end = _next_block(then.block, clock) if then is not None else None
        if begin is None:
            return
        for timestamp_s in _looks(sale, begin[1], following.half_life_s, share):
            key = begin[0] if timestamp_s == begin[1] else key_of(clock.last_block_at(timestamp_s), END_OF_BLOCK)
            if end is not None and key >= end[0]:
                break
            missing = share * _left(sale, timestamp_s, following.half_life_s)
            yield _Step(key, timestamp_s, 1 - missing if missing > TELLING else 1.0)


def _one_per_block(sales: Iterable[Displaced]) -> Iterable[Displaced]:
    """The last sale of each block, which tells what all of them left."""
    return {sale.block: sale for sale in sales}.values()


def _next_block(block: int, clock: Clock) -> tuple[int, int] | None:
    """Key and time of the first known block after one; None where there is none."""
    place = int(np.searchsorted(clock.number, block, side="right"))
    if place == len(clock.number):
        return None
    return key_of(int(clock.number[place]), 0), int(clock.timestamp_s[place])


def _looks(sale: Displaced, begin_s: int, half_life_s: int | None, share: float) -> Iterator[int]:
    """Times at which the oracle tells of a sale, until there is nothing to tell."""
    yield begin_s
    if half_life_s is None:
        return
    every = max(half_life_s // LOOKS_PER_HALF_LIFE, 1)
    at_s = begin_s
    while share * _left(sale, at_s, half_life_s) > TELLING:
        at_s += every
        yield at_s


def _left(sale: Displaced, timestamp_s: int, half_life_s: int | None) -> float:
    """Share of the price that is missing at a time after a sale."""
    moved = recovering(math.log1p(-min(sale.share, _MOST)), timestamp_s - sale.timestamp_s, half_life_s)
    return max(-math.expm1(moved), 0.0)


def _followed(before: Series, steps: Sequence[_Step]) -> Series:
    """A series with the factor in force at every step of either."""
    factor_keys = np.array([step.key for step in steps], np.int64)
    keys = np.unique(np.r_[before.key, factor_keys[factor_keys >= before.key[0]]])
    times = dict(zip(before.key.tolist(), before.timestamp_s.tolist(), strict=True))
    own = {step.key: step for step in steps}
    places = np.searchsorted(factor_keys, keys, side="right") - 1
    prices, told = [], []
    for key, place in zip(keys.tolist(), places.tolist(), strict=True):
        price = before.at(key)
        assert price is not None
        factor = 1.0 if place < 0 else steps[place].factor
        prices.append(price if factor == 1.0 or price <= 0 else max(price * round(factor * _SCALE) // _SCALE, 1))
        told.append(times[key] if key in times else own[key].timestamp_s)
    return Series(before.kind, before.asset, keys, np.array(told, np.int64), words_of(to_raw(prices)))

"""Prices that follow sales: the share that is asked for, from the next block on, until nothing is left of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2liq.events.log import block_of, key_of
from l2liq.events.raw import to_raw
from l2liq.events.words import words_of
from l2liq.liquidity.feedback import TELLING, Displaced, Following, following_market
from l2liq.market import PRICE, Market, Series
from tests.small_market import BLOCK_S, FIRST_BLOCK, LAST_BLOCK, START_S, small_market

blocks = st.integers(FIRST_BLOCK + 1, LAST_BLOCK - 1)
shares = st.floats(0.0, 0.9)
half_lives = st.integers(60, 200_000) | st.none()


def at_block(number: int) -> int:
    return START_S + (number - FIRST_BLOCK) * BLOCK_S


@st.composite
def markets(draw: st.DrawFn) -> Market:
    steps = sorted(draw(st.sets(blocks, max_size=6)) | {FIRST_BLOCK})
    prices = [draw(st.integers(10**6, 10**13)) for _ in steps]
    keys, times = [key_of(n, 3) for n in steps], [at_block(n) for n in steps]
    series = Series(PRICE, 0, np.array(keys), np.array(times), words_of(to_raw(prices)))
    return replace(small_market(), series={(PRICE, 0): series})


sales = st.lists(st.tuples(blocks, st.floats(1e-4, 0.8)), min_size=1, max_size=5, unique_by=lambda one: one[0]).map(
    lambda found: tuple(Displaced(block, at_block(block), share) for block, share in sorted(found))
)


def seen(market: Market, sold: tuple[Displaced, ...], half_life: int | None, share: float) -> Series:
    return following_market(market, {0: Following(sold, half_life)}, share).series[PRICE, 0]


@given(markets(), sales, half_lives, shares)
def test_prices_bear_the_share_of_the_last_sale_that_is_left(
    market: Market, sold: tuple[Displaced, ...], half_life: int | None, share: float
) -> None:
    found, world = seen(market, sold, half_life, share), market.series[PRICE, 0]
    for block in range(FIRST_BLOCK, LAST_BLOCK + 1, 7):
        key = key_of(block, (1 << 24) - 1)
        price, recorded = found.at(key), world.at(key)
        assert price is not None and recorded is not None
        before = [one for one in sold if one.block < block]
        if not before:
            assert price == recorded
            continue
        age = at_block(block) - before[-1].timestamp_s
        left = before[-1].share if half_life is None else 1 - (1 - before[-1].share) ** 2 ** (-age / half_life)
        steps_old = 0 if half_life is None else 2 ** (max(half_life // 16, BLOCK_S) / half_life) - 1
        slack = (TELLING + share * left * min(steps_old, 1.0) + 2e-9) * recorded + 1
        assert recorded * (1 - share * left) - slack <= price <= recorded * (1 - share * left) + slack
        assert price <= recorded


@given(markets(), sales, half_lives)
def test_oracles_that_follow_nothing_show_what_was_recorded(
    market: Market, sold: tuple[Displaced, ...], half_life: int | None
) -> None:
    assert seen(market, sold, half_life, 0.0) is market.series[PRICE, 0]
    assert seen(market, (), half_life, 0.5) is market.series[PRICE, 0]


@given(markets(), sales, half_lives, shares)
def test_what_a_market_sees_is_a_series_in_order(
    market: Market, sold: tuple[Displaced, ...], half_life: int | None, share: float
) -> None:
    found = seen(market, sold, half_life, share)
    assert all(one < other for one, other in pairwise(found.key.tolist()))
    assert all(one <= other for one, other in pairwise(found.timestamp_s.tolist()))
    assert set(market.series[PRICE, 0].key.tolist()) <= set(found.key.tolist())
    first = sold[0].block
    assert all(block_of(key) > first for key in found.key.tolist() if key not in market.series[PRICE, 0].key)
    assert min(found.values) >= 1


@given(markets(), sales, half_lives, shares)
def test_a_small_change_of_the_share_makes_a_small_change_of_prices(
    market: Market, sold: tuple[Displaced, ...], half_life: int | None, share: float
) -> None:
    one, other = (seen(market, sold, half_life, share * scale) for scale in (1.0, 1.0 + 1e-6))
    for key in range(key_of(FIRST_BLOCK, 3), key_of(LAST_BLOCK, 0), 11 << 24):
        price, close = one.at(key), other.at(key)
        assert price is not None and close is not None
        assert close == pytest.approx(price, rel=2 * TELLING, abs=1)

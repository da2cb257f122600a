"""Oracles against brute force, and Uniswap's ticks against its published bounds and their own definition."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2liq.numeric import WAD
from l2liq.numeric.ticks import MAX_TICK, MIN_TICK, mean_tick, sqrt_price_at_tick, tick_at_sqrt_price
from l2liq.oracles.models import (
    ArithmeticMean,
    Capped,
    Delayed,
    GeometricMean,
    Median,
    Published,
    Rated,
    price_at,
    tick_of,
)
from l2liq.oracles.path import Path

prices = st.integers(10**4, 10**14)
steps = st.lists(st.tuples(st.integers(1, 200), prices), min_size=1, max_size=12)


def path_of(found: list[tuple[int, int]]) -> Path:
    now, times = 1_000, []
    for gap, _ in found:
        now += gap
        times.append(now)
    return Path(tuple(times), tuple(price for _, price in found))


def window(path: Path) -> tuple[int, int]:
    return path.times_s[0] + 50, path.times_s[-1] + 300


paths = steps.map(path_of)


@given(paths, st.integers(0, 500))
def test_a_delayed_price_is_the_one_of_a_delay_ago(path: Path, delay_s: int) -> None:
    first, last = window(path)
    seen = Delayed(delay_s).seen(path, first, last)
    for time_s in range(max(first, path.times_s[0] + delay_s), last + 1, 7):
        assert seen.at(time_s) == path.at(time_s - delay_s)


@given(paths, st.integers(1, 900), st.integers(1, 90))
def test_an_arithmetic_mean_is_the_mean_of_every_second(path: Path, window_s: int, every_s: int) -> None:
    first, last = window(path)
    seen = ArithmeticMean(window_s, every_s).seen(path, first, last)
    for time_s in range(first, last + 1, every_s):
        seconds = range(max(time_s - window_s, path.times_s[0]), time_s)
        expected = sum(path.at(second) or 0 for second in seconds) // len(seconds)
        assert seen.at(time_s) == expected


@given(paths, st.integers(1, 900), st.integers(1, 90))
def test_a_geometric_mean_is_the_price_at_the_mean_tick_of_every_second(
    path: Path, window_s: int, every_s: int
) -> None:
    first, last = window(path)
    seen = GeometricMean(window_s, every_s).seen(path, first, last)
    tick = {price: tick_of(price) for price in path.prices}
    for time_s in range(first, last + 1, every_s):
        seconds = range(max(time_s - window_s, path.times_s[0]), time_s)
        total = sum(tick[path.at(second) or 0] for second in seconds)
        assert seen.at(time_s) == price_at(math.floor(Fraction(total, len(seconds))))


@given(paths, st.integers(1, 900))
def test_the_geometric_mean_does_not_exceed_the_arithmetic_one(path: Path, window_s: int) -> None:
    first, last = window(path)
    high = ArithmeticMean(window_s, 30).seen(path, first, last)
    low = GeometricMean(window_s, 30).seen(path, first, last)
    for time_s in range(first, last + 1, 30):
        assert (low.at(time_s) or 0) <= (high.at(time_s) or 0) + 1


@given(paths, st.integers(10, 600), st.integers(1, 3_000))
def test_what_is_published_is_never_further_away_nor_older_than_promised(
    path: Path, heartbeat_s: int, deviation_bps: int
) -> None:
    first, last = window(path)
    seen = Published(heartbeat_s, deviation_bps).seen(path, first, last)
    for time_s in sorted({*path.within(first, last).times_s, *range(first, last + 1, heartbeat_s)}):
        published, true = seen.at(time_s), path.at(time_s)
        assert published is not None
        assert true is not None
        assert abs(true - published) * 10_000 < deviation_bps * published or true == published
    assert all(later - earlier <= 2 * heartbeat_s for earlier, later in pairwise(seen.times_s))


@given(st.lists(paths, min_size=3, max_size=3), st.integers(0, 90))
def test_with_three_sources_one_of_them_does_not_move_the_median_out_of_the_others_range(
    found: list[Path], delay_s: int
) -> None:
    path = found[0]
    first, last = window(path)
    models = (Delayed(0), Delayed(delay_s), ArithmeticMean(300, 30))
    honest = [model.seen(path, first, last) for model in models[:2]]
    median = Median(models).seen(path, first, last)
    for time_s in median.times_s:
        known = [price for one in honest if (price := one.at(time_s)) is not None]
        if len(known) == 2 and models[2].seen(path, first, last).at(time_s) is not None:
            assert min(known) <= (median.at(time_s) or 0) <= max(known)


@given(paths, st.integers(0, 5_000))
def test_a_cap_grows_from_the_price_at_the_start_and_only_lowers(path: Path, growth_bps: int) -> None:
    first, last = window(path)
    start = path.at(first) or 0
    seen = Capped(growth_bps, 30).seen(path, first, last)
    for time_s in range(first, last + 1, 30):
        cap = Fraction(start) * (1 + Fraction(growth_bps, 10_000) * Fraction(time_s - first, 365 * 86_400))
        assert seen.at(time_s) == min(path.at(time_s) or 0, cap.numerator // cap.denominator)


rates = st.lists(st.tuples(st.integers(1, 400), st.integers(WAD // 2, 2 * WAD)), min_size=1, max_size=6).map(path_of)


@given(paths, paths, rates, st.one_of(st.none(), st.integers(0, 10_000)), st.integers(1, 90))
def test_a_rated_price_is_the_adapters_at_every_second_it_is_read(
    path: Path, base: Path, given: Path, growth_bps: int | None, every_s: int
) -> None:
    """CAPO: base * min(rate, snapshot + (snapshot * yearly growth / 1e4 / a year) * elapsed) / 10^decimals."""
    first, last = window(path)
    seen = Rated(base, "WETH", given, growth_bps, every_s).seen(path, first, last)
    snapshot = given.at(first) or given.prices[0]
    moves = {*base.times_s, *given.times_s}
    cadence = range(first, last + 1, every_s)
    for time_s in sorted({*cadence, *(t for t in moves if first <= t <= last)}):
        if base.at(time_s) is None:
            assert seen.at(time_s) is None
            continue
        rate = given.at(time_s) or given.prices[0]
        if growth_bps is not None:
            rate = min(rate, snapshot + snapshot * growth_bps // 10_000 // (365 * 86_400) * (time_s - first))
        assert seen.at(time_s) == base.at(time_s) * rate // WAD


@given(paths, paths)
def test_the_recorded_rate_gives_the_recorded_price_back_when_it_moves(path: Path, base: Path) -> None:
    base = base.within(path.times_s[0], path.times_s[-1] + 10**6)
    base = Path((path.times_s[0], *base.times_s[1:]), base.prices)
    seen = Rated(base, "WETH", None, None, 60).seen(path, path.times_s[0], path.times_s[-1])
    for time_s in path.times_s:
        assert seen.at(time_s) == path.at(time_s)


def test_ticks_have_uniswaps_bounds() -> None:
    assert sqrt_price_at_tick(MIN_TICK) == 4_295_128_739
    assert sqrt_price_at_tick(MAX_TICK) == 1_461_446_703_485_210_103_287_273_052_203_988_822_378_723_970_342
    assert sqrt_price_at_tick(0) == 1 << 96
    for tick in (MIN_TICK - 1, MAX_TICK + 1):
        with pytest.raises(ValueError, match="outside"):
            sqrt_price_at_tick(tick)


@settings(max_examples=200)
@given(st.integers(MIN_TICK, MAX_TICK - 1))
def test_a_tick_is_the_greatest_whose_price_is_not_above(tick: int) -> None:
    price = sqrt_price_at_tick(tick)
    assert tick_at_sqrt_price(price) == tick
    assert tick_at_sqrt_price(sqrt_price_at_tick(tick + 1) - 1) == tick


@given(st.integers(MIN_TICK, MAX_TICK - 1))
def test_prices_of_neighbouring_ticks_differ_by_one_ten_thousandth(tick: int) -> None:
    """Within the precision of the smallest prices, whose square roots have some thirty bits."""
    low, high = sqrt_price_at_tick(tick), sqrt_price_at_tick(tick + 1)
    assert abs(Fraction(high, low) ** 2 - Fraction(10_001, 10_000)) < Fraction(1, 10**8)


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_mean_ticks_round_toward_negative_infinity(cumulative: int, seconds: int) -> None:
    found = mean_tick(cumulative, seconds)
    assert found * seconds <= cumulative < (found + 1) * seconds

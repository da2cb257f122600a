"""Outlets against the mathematics they stand for, and what one world's sales do to each other."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from l2liq.events.log import END_OF_BLOCK, block_of, key_of
from l2liq.liquidators import Immediate
from l2liq.liquidity import DEEP, ConstantProduct, DepthCurve, Liquidity, Markets, Outlet, Sale, Selling, Thinner
from l2liq.liquidity.curves import amount_out
from l2liq.liquidity.selling import recovering
from l2liq.liquidity.uniswap_v3 import FEE_UNIT, HIGHEST, LOWEST, price_after, swap_step
from l2liq.market import Market
from l2liq.numeric.ticks import Q96
from l2liq.outcome.schema import World
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.protocols.interface import Moment
from l2liq.replay import Plan, replay
from tests.property.markets import Shape, grow

reserves = st.integers(1, 2**112)
fees_bps = st.integers(0, 300)
sizes = st.floats(1, 1e8)
moves = st.floats(-1.0, 0.0)
half_lives = st.integers(1, 100_000)


def sale(usd: float) -> Sale:
    return Sale(round(usd * 10**6), usd, 0, lambda asset: 1e-6)


@st.composite
def outlets(draw: st.DrawFn, fee: st.SearchStrategy[int] = fees_bps) -> Outlet:
    depth, half_life = draw(st.floats(1e3, 1e9)), draw(half_lives)
    if draw(st.booleans()):
        return ConstantProduct("p", depth, draw(fee), half_life)
    return DepthCurve("p", depth, draw(st.integers(1, 9_000)), draw(st.floats(0.3, 2.0)), draw(fee), half_life)


def proceeds(outlet: Outlet, usd: float, displacement: float = 0.0) -> float:
    sold = outlet.sell(sale(usd), displacement)
    assert sold is not None
    return sold.proceeds_usd


@given(st.integers(0, 2**112), reserves, reserves, fees_bps)
def test_a_pool_never_gives_more_than_its_product_allows_and_at_most_one_unit_less(
    paid_in: int, held: int, other: int, fee: int
) -> None:
    out = amount_out(paid_in, held, other, fee)
    exact = other - Fraction(held * other, 1) / (held + Fraction(paid_in * (10_000 - fee), 10_000))
    assert exact - 1 < out <= exact
    assert (held + paid_in) * (other - out) >= held * other


@pytest.mark.parametrize(("paid_in", "held", "other", "out"), [(10**18, 5 * 10**18, 10**19, 1_662_497_915_624_478_906)])
def test_a_pool_gives_what_uniswaps_router_tests_say(paid_in: int, held: int, other: int, out: int) -> None:
    assert amount_out(paid_in, held, other, 30) == out


@given(st.floats(1e3, 1e8), st.integers(1, 9_000), st.floats(0.3, 2.0), st.floats(0, 0.5), st.floats(0.01, 2.0))
def test_a_depth_curve_yields_the_area_under_its_price(
    depth: float, move: int, exponent: float, displaced: float, share: float
) -> None:
    curve = DepthCurve("p", depth, move, exponent, 0, None)
    size = depth * share
    at_depth = -math.log(1 - move / 10_000)
    start = depth * (displaced / at_depth) ** (1 / exponent)
    assume(start < 1e3 * depth)
    grid = start + size * (np.arange(200_000) + 0.5) / 200_000
    expected = float(np.exp(-at_depth * (grid / depth) ** exponent).mean()) * size
    assert proceeds(curve, size, -displaced) == pytest.approx(expected, rel=1e-4)
    sold = curve.sell(sale(size), -displaced)
    assert sold.displacement == pytest.approx(-at_depth * ((start + size) / depth) ** exponent, rel=1e-9)


@given(outlets(), moves, sizes, st.floats(1.0, 10.0))
def test_more_brings_more_at_no_better_a_price(outlet: Outlet, moved: float, usd: float, times: float) -> None:
    small, large = proceeds(outlet, usd, moved), proceeds(outlet, usd * times, moved)
    slack = 1e-7 + 1e-9 * usd * times
    assert large >= small - slack
    assert large <= small * times + slack * times
    assert small <= usd


@given(outlets(), moves, moves, sizes)
def test_a_lower_price_brings_less(outlet: Outlet, one: float, other: float, usd: float) -> None:
    low, high = sorted((one, other))
    assert proceeds(outlet, usd, low) <= proceeds(outlet, usd, high) + 1e-7 + 1e-9 * usd


@given(outlets(), sizes)
def test_a_small_change_of_size_makes_a_small_change_of_proceeds(outlet: Outlet, usd: float) -> None:
    more = proceeds(outlet, usd * (1 + 1e-6)) - proceeds(outlet, usd)
    assert -1e-7 - 1e-9 * usd <= more <= 1e-6 * usd + 1e-7 + 1e-9 * usd


@given(st.floats(1e3, 1e9), fees_bps, sizes)
def test_a_small_change_of_depth_makes_a_small_change_of_proceeds(depth: float, fee: int, usd: float) -> None:
    for make in (
        lambda deep: ConstantProduct("p", deep, fee, None),
        lambda deep: DepthCurve("p", deep, 200, 0.6, fee, None),
    ):
        change = proceeds(make(depth * (1 + 1e-6)), usd) - proceeds(make(depth), usd)
        assert -1e-7 - 1e-9 * usd <= change <= 3e-6 * usd + 1e-7


@given(st.floats(1e3, 1e8), fees_bps, st.integers(1, 5), sizes, moves)
def test_a_thinner_pool_is_one_of_a_fraction_of_the_depth(
    depth: float, fee: int, times: int, usd: float, moved: float
) -> None:
    thin = ConstantProduct("p", depth / times, fee, 60)
    assert proceeds(Thinner(ConstantProduct("p", depth, fee, 60), times), usd, moved) == pytest.approx(
        proceeds(thin, usd, moved), rel=1e-6, abs=1e-6
    )


@given(outlets(fee=st.just(0)), st.floats(1, 1e7), st.floats(1, 1e7))
def test_two_sales_of_a_block_yield_what_one_of_both_does(outlet: Outlet, one: float, other: float) -> None:
    selling = Selling(Markets(DEEP, Liquidity(((0, outlet),))), World.ALTERNATIVE, 0)
    first, second = (selling.sell(0, sale(usd), 1_000) for usd in (one, other))
    assert first is not None and second is not None
    both = proceeds(outlet, one + other)
    assert first.proceeds_usd + second.proceeds_usd == pytest.approx(both, rel=1e-6, abs=1e-6)
    assert second.proceeds_usd <= proceeds(outlet, other) + 1e-6
    assert second.displacement <= first.displacement


@given(outlets(), st.floats(1e3, 1e6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_what_sales_moved_comes_back(outlet: Outlet, usd: float, one: int, other: int) -> None:
    soon, late = sorted((one, other))
    selling = Selling(Markets(DEEP, Liquidity(((0, outlet),))), World.ALTERNATIVE, 0)
    selling.sell(0, sale(usd), 0)
    waiting = [selling.quote(0, sale(usd), after_s) for after_s in (soon, late, 10**9)]
    found = [sold.proceeds_usd for sold in waiting if sold is not None]
    assert found[0] <= found[1] + 1e-7 + 1e-9 * usd
    assert found[2] == pytest.approx(proceeds(outlet, usd), rel=1e-9)


@given(outlets(), st.lists(sizes, min_size=1, max_size=4), st.integers(0, 10**4))
def test_sales_that_a_reorganisation_undoes_leave_nothing_behind(outlet: Outlet, usds: list[float], gap: int) -> None:
    once, twice = (Selling(Markets(DEEP, Liquidity(((0, outlet),))), World.ALTERNATIVE, 0) for _ in range(2))
    for selling in (once, twice):
        selling.sell(0, sale(1_000.0), 0)
    for usd in usds:
        twice.sell(0, sale(usd), gap)
    for _ in usds:
        twice.undo()
    assert twice.quote(0, sale(500.0), 2 * gap) == once.quote(0, sale(500.0), 2 * gap)


@given(moves, st.integers(0, 10**6), st.integers(0, 10**6), half_lives)
def test_recovery_does_not_depend_on_when_somebody_looks(moved: float, one: int, other: int, half_life: int) -> None:
    at_once = recovering(moved, one + other, half_life)
    assert recovering(recovering(moved, one, half_life), other, half_life) == pytest.approx(at_once, rel=1e-9)
    assert recovering(moved, half_life, half_life) == moved / 2
    assert recovering(moved, one, None) == moved


@given(sizes, st.integers(0, 10))
def test_depth_without_end_is_the_worlds_price(usd: float, at_s: int) -> None:
    deep = Selling(Markets(), World.ALTERNATIVE, 0)
    for _ in range(3):
        sold = deep.sell(0, sale(usd), at_s)
        assert sold is not None
        assert (sold.proceeds_usd, sold.displacement) == (usd, 0.0)
    for outlet in (ConstantProduct("p", 1e18, 0, None), DepthCurve("p", 1e18, 100, 1.0, 0, None)):
        assert proceeds(outlet, usd) == pytest.approx(usd, rel=1e-8, abs=1e-7)


@given(outlets(), sizes)
def test_liquidity_holds_from_the_change_on_and_in_its_own_world(outlet: Outlet, usd: float) -> None:
    markets, early, late = Markets(DEEP, Liquidity(((0, outlet),))), sale(usd), Sale(1, usd, 7, lambda asset: None)
    for world, begun, expected in (
        (World.CONTROL, late, usd),
        (World.ALTERNATIVE, early, usd),
        (World.ALTERNATIVE, late, proceeds(outlet, usd)),
    ):
        sold = Selling(markets, world, 7).sell(0, begun, 0)
        assert sold is not None and sold.proceeds_usd == expected


prices = st.integers(LOWEST, HIGHEST)
liquidities = st.integers(1, 2**96)
amounts = st.integers(1, 2**112)
fees = st.integers(0, 10_000)


@given(prices, prices, liquidities, amounts, fees)
def test_a_swap_step_rounds_in_the_pools_favour(price: int, target: int, liquidity: int, amount: int, fee: int) -> None:
    step = swap_step(price, target, liquidity, amount, fee)
    low, high = sorted((price, step.sqrt_price))
    token0 = Fraction((liquidity << 96) * (high - low), high * low)
    token1 = Fraction(liquidity * (high - low), Q96)
    paid, given_out = (token0, token1) if price >= target else (token1, token0)
    assert paid <= step.paid_in < paid + 2
    assert given_out - 2 < step.out <= given_out
    assert step.paid_in + step.fee <= amount or step.sqrt_price == target
    assert (step.paid_in + step.fee) * fee <= step.fee * FEE_UNIT + FEE_UNIT
    assert min(price, target) <= step.sqrt_price <= max(price, target)


@given(prices, liquidities, amounts, st.booleans())
def test_no_price_moves_further_than_what_is_paid_in_moves_it(
    price: int, liquidity: int, amount: int, zero_for_one: bool
) -> None:
    after = price_after(price, liquidity, amount, zero_for_one=zero_for_one)
    if zero_for_one:
        exact = Fraction((liquidity << 96) * price, (liquidity << 96) + amount * price)
        assert exact <= after <= price
    else:
        exact = price + Fraction(amount << 96, liquidity)
        assert exact - 1 < after <= exact


@cache
def grown() -> Market:
    return grow(8, Shape("3.0.2", 8, 3, 60, 0.15, liquidations=True, parameter_changes=0))


def replayed(market: Market, depth: float) -> list[dict[str, Any]]:
    """Liquidations of the alternative where every asset has a pool of a depth."""
    pools = Liquidity(tuple((n, ConstantProduct(str(n), depth, 30, 3_600)) for n in range(len(market.assets))))
    keys = market.ledger.table["key"].to_numpy()
    first = Moment(int(keys[len(keys) // 3]), int(market.clock.time_of(block_of(int(keys[len(keys) // 3])))))
    plan = Plan(
        first=first,
        last=Moment(key_of(market.last_block, END_OF_BLOCK), market.clock.time_of(market.last_block)),
        actual=market.parameters,
        alternative=market.parameters,
        change=first,
        liquidator=Immediate(),
        heartbeat_s=3_600,
        liquidity=Markets(DEEP, pools),
    )
    outcomes = replay(partial(AaveVenue, market), market, plan, (World.ALTERNATIVE,), accounts=False).outcomes
    return [row for row in outcomes.to_pylist() if row["kind"] == "liquidation"]


@settings(max_examples=8, deadline=None)
@given(st.floats(10.0, 1e6))
def test_a_small_change_of_depth_makes_a_small_change_of_a_worlds_slippage_and_more_depth_less(depth: float) -> None:
    one, close, deeper = (replayed(grown(), depth * times) for times in (1.0, 1.0 + 1e-6, 2.0))
    assert len(one) == len(close) == len(deeper) > 2
    lost, near, less = (sum(row["slippage_usd"] for row in rows) for rows in (one, close, deeper))
    worth = sum(row["collateral_market_usd"] for row in one)
    assert 0 < lost <= worth and less < lost
    assert abs(near - lost) <= 1e-5 * worth

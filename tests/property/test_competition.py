"""Several liquidators on synthetic markets: what does not depend on them, what they share, and what they can spend."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from l2liq.chains.rollup import Ordering
from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.liquidators import (
    Auction,
    Competition,
    Constant,
    Contestant,
    Immediate,
    LatencySeconds,
    LogNormal,
    Order,
    Profitable,
    ToHealth,
    Trial,
    TwoStep,
    synthetic_address,
)
from l2liq.market import Market, quantity
from l2liq.numeric import WAD, mul_div_ceil
from l2liq.outcome.schema import World
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.protocols.interface import Liquidated, Moment, Request
from l2liq.replay import Infeasible
from tests.property.market_dice import Shape
from tests.property.markets import grow, markets
from tests.property.test_replay_brute_force import LIQUIDATORS, Case, cases
from tests.property.test_replay_worlds import of, run

DOLLAR = 10**8
ORDERS = (
    Order(),
    Order(Ordering.PRIORITY_FEE, block_ms=2_000),
    Order(Ordering.EXPRESS_LANE, lane="b", lane_delay_ms=200),
)


def contestant(
    name: str, median: float, dollars: int | None = None, recycle_s: int = 0, bid_bps: int = 0
) -> Contestant:
    capital = None if dollars is None else dollars * DOLLAR
    model = LatencySeconds(LogNormal(median, 1.0))
    return Contestant(model, name, synthetic_address(name), capital, recycle_s, bid_bps)


busy = st.builds(
    lambda seed, version: grow(seed, Shape(version, accounts=10, blocks=50, volatility=0.12, liquidations=False)),
    st.integers(0, 2**32 - 1),
    st.sampled_from(("3.0.2", "3.3.0", "3.6.0")),
)
"""Markets in which accounts fall short."""

THREE = (
    contestant("a", 300, 400, 3_600, bid_bps=500),
    contestant("b", 310, 5_000, 600, bid_bps=2_000),
    contestant("c", 900),
)
fields = st.builds(
    lambda order, auction, sizing: Competition(THREE, order, sizing=sizing, auction=auction),
    st.sampled_from(ORDERS),
    st.sampled_from((None, Auction(6_000, 5, 0.5))),
    st.sampled_from((Competition(THREE).sizing, TwoStep(), ToHealth(105 * WAD // 100))),
)


@settings(deadline=None, max_examples=25)
@given(markets(max_blocks=30), cases, st.sampled_from(LIQUIDATORS), st.sampled_from(ORDERS))
def test_one_contestant_with_endless_capital_and_no_bid_is_the_plain_model(
    market: Market, case: Case, liquidator: object, order: Order
) -> None:
    plan = replace(case.plan(market), liquidator=liquidator)
    sole = Competition((Contestant(liquidator, "b"),), order)
    plain, competing = run(market, plan), run(market, replace(plan, liquidator=sole))
    assert competing.outcomes.equals(plain.outcomes)
    assert competing.accounts.equals(plain.accounts)


@settings(deadline=None, max_examples=15)
@given(busy, cases, fields)
def test_the_order_in_which_contestants_are_written_says_nothing(
    market: Market, case: Case, field: Competition
) -> None:
    plan = case.plan(market)
    results = [
        run(market, replace(plan, liquidator=replace(field, contestants=written)), worlds=(World.CONTROL,))
        for written in permutations(THREE)
    ]
    assert all(result.outcomes.equals(results[0].outcomes) for result in results)


@settings(deadline=None, max_examples=40)
@given(busy, cases, fields)
def test_nobody_ever_has_more_lent_out_than_its_capital(market: Market, case: Case, field: Competition) -> None:
    plan = replace(case.plan(market), liquidator=field)
    for world in (World.CONTROL, World.ALTERNATIVE):
        out: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
        for row in of(run(market, plan, worlds=(world,)).outcomes, world):
            if row["kind"] != "liquidation":
                continue
            one = next(one for one in THREE if one.address == row["liquidator"])
            spent = mul_div_ceil(quantity(row["debt_amount_raw"]), row["debt_price_base"], unit_of(market, row))
            out[one.address].append((row["timestamp_s"], spent))
            if one.capital_base is not None:
                since = row["timestamp_s"] - max(one.recycle_s, 1)
                assert sum(usd for at, usd in out[one.address] if at > since) <= one.capital_base


def unit_of(market: Market, row: dict[str, object]) -> int:
    return next(one.unit for one in market.assets if one.address == row["debt_asset"])


@settings(deadline=None, max_examples=30)
@given(busy, cases)
def test_what_several_take_at_one_moment_adds_up_to_what_the_account_loses(market: Market, case: Case) -> None:
    poor = tuple(contestant(name, 60, dollars) for name, dollars in (("a", 300), ("b", 900), ("c", 20_000)))
    together = tuple(replace(one, model=LatencySeconds(Constant(60))) for one in poor)
    plan = replace(case.plan(market), liquidator=Competition(together))
    rows = of(run(market, plan, worlds=(World.CONTROL,)).outcomes, World.CONTROL)
    taken = [row for row in rows if row["kind"] == "liquidation"]
    for one, following in pairwise(taken):
        if (one["account"], one["timestamp_s"]) != (following["account"], following["timestamp_s"]):
            continue
        assert one["health_after_wad"] == following["health_before_wad"]
        paid = price_of(one["debt_price_base"], market, one["debt_asset"])
        repaid = quantity(one["debt_amount_raw"]) * paid
        lost = int(one["account_debt_base"] - following["account_debt_base"])
        assert abs(lost - repaid) <= 2 * paid + 2
        got = price_of(one["collateral_price_base"], market, one["collateral_asset"])
        seized = quantity(one["collateral_amount_raw"]) + quantity(one["protocol_fee_amount_raw"])
        gone = int(one["account_collateral_base"] - following["account_collateral_base"])
        assert abs(gone - seized * got) <= 3 * got + 2 or following["account_collateral_base"] == 0


def price_of(price_base: object, market: Market, asset: bytes) -> Fraction:
    """Worth of one base unit [base currency]."""
    return Fraction(int(price_base)) / next(one.unit for one in market.assets if one.address == asset)


def liquidatable(market: Market) -> list[tuple[Trial, Request]]:
    """The best request for every account that is liquidatable at the end of a block."""
    venue, found = AaveVenue(market, market.parameters), []
    for number in market.clock.number.tolist():
        now = Moment(key_of(number, END_OF_BLOCK), market.clock.time_of(number))
        if now.key < market.parameters.keys[0]:
            continue
        situation = venue.at(now)
        for account in range(len(market.addresses)):
            state = market.ledger.state(account, now.key)
            if situation.health(state).liquidatable and situation.gate(state) is None:
                trial = Trial(
                    situation,
                    lambda who, state=state, account=account: state if who == account else {},
                    lambda asset: 10**40,
                    lambda asset: market.assets[asset].unit,
                )
                found += [(trial, request) for request in situation.requests(account, state, -1)[:1]]
    return found


def test_two_steps_never_yield_less_and_the_first_is_the_largest_that_leaves_an_account_liquidatable() -> None:
    stepped = 0
    for seed in range(40):
        version = ("3.0.2", "3.3.0", "3.6.0")[seed % 3]
        market = grow(seed, Shape(version, accounts=8, blocks=30, volatility=0.05, liquidations=False))
        for trial, request in liquidatable(market):
            if not isinstance(trial.liquidate(request), Liquidated):
                continue
            first, *rest = TwoStep().amounts(request, trial, None, again=False)
            at_once, in_steps = (
                sum(trial.gain(*one) for one in trial.rounds(replace(request, amount=amount)))
                for amount in (None, first)
            )
            assert in_steps >= at_once
            if first is None:
                continue
            stepped += 1
            assert rest == [None]
            assert in_steps > at_once
            done = trial.liquidate(replace(request, amount=first))
            assert isinstance(done, Liquidated)
            assert done.health_after.liquidatable
            more = trial.liquidate(replace(request, amount=first + 1))
            assert not isinstance(more, Liquidated) or not more.health_after.liquidatable
    assert stepped > 10


def test_just_enough_restores_health_and_a_unit_less_does_not() -> None:
    sized = 0
    for seed in range(40):
        version = ("3.0.2", "3.3.0", "3.6.0")[seed % 3]
        market = grow(seed, Shape(version, accounts=8, blocks=30, volatility=0.05, liquidations=False))
        for health in (WAD, 105 * WAD // 100):
            for trial, request in liquidatable(market):
                whole = trial.liquidate(request)
                (amount,) = ToHealth(health).amounts(request, trial, None, again=False)
                if amount is None:
                    continue
                sized += 1
                assert isinstance(whole, Liquidated)
                assert amount < whole.debt_repaid
                done, less = (trial.liquidate(replace(request, amount=one)) for one in (amount, amount - 1))
                assert isinstance(done, Liquidated)
                assert done.health_after.factor_wad >= health
                assert not isinstance(less, Liquidated) or less.health_after.factor_wad < health
    assert sized > 20


def test_who_wants_nothing_and_who_has_nothing_never_try() -> None:
    wants_nothing = Contestant(Profitable(Immediate(), least_usd=1e12), "a", synthetic_address("a"))
    has_nothing = Contestant(LatencySeconds(Constant(600)), "b", synthetic_address("b"), capital_base=0)
    others = (contestant("c", 60), contestant("d", 90))
    failed = 0
    for seed in range(12):
        market = grow(seed, Shape(accounts=10, blocks=50, volatility=0.12, liquidations=False))
        plan = Case(0.1, 0.0, 0, Competition((wants_nothing, has_nothing, *others)), Infeasible.SKIP).plan(market)
        rows = of(run(market, plan, worlds=(World.CONTROL,)).outcomes, World.CONTROL)
        tried = {row["liquidator"] for row in rows if row["kind"] in ("liquidation", "failed_attempt")}
        assert tried <= {one.address for one in others}
        failed += sum(row["kind"] == "failed_attempt" for row in rows)
    assert failed > 5


@settings(deadline=None, max_examples=10)
@given(markets(max_blocks=30), cases)
def test_a_plain_model_that_is_told_to_take_the_most_is_the_plain_model(market: Market, case: Case) -> None:
    plan = replace(case.plan(market), liquidator=Immediate())
    asked = replace(plan, liquidator=Competition((Contestant(Immediate()),)))
    assert run(market, plan).outcomes.equals(run(market, asked).outcomes)

"""A bonus found by auction: its formula, its bounds, both modes, and that whoever waits for it looks again."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2liq.liquidators import Immediate, Profitable
from l2liq.market import Market, ParameterTimeline
from l2liq.numeric import BPS, WAD
from l2liq.outcome.schema import World
from l2liq.protocols.aave_v3.auction import paid_bonus_bps
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.pool import open_pool
from l2liq.protocols.aave_v3.record import SeriesRecord
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.protocols.aave_v3.versions import VERSIONS, rule_set
from l2liq.protocols.interface import Call, Liquidated, Receipt
from l2liq.replay import Ground, Plan
from l2liq.replay.resolve import resolve
from tests.property.markets import Shape, grow
from tests.property.naive_replay import Naive
from tests.property.test_aave_screen import span
from tests.property.test_replay_brute_force import at_block, said

starts = st.integers(0, BPS)
depths = st.integers(0, WAD - 1)
bonuses = st.integers(BPS + 1, 20_000)
healths = st.one_of(st.integers(0, 2 * WAD), st.integers(9 * WAD // 10, WAD))


def auctioned(start_bps: int, full_at_wad: int, before: AaveParameters | None = None) -> AaveParameters:
    before = before or AaveParameters(rule_set("3.0.2"), ())
    return replace(before, bonus_auction_start_bps=start_bps, bonus_auction_full_at_wad=full_at_wad)


def everywhere(timeline: ParameterTimeline[AaveParameters], start: int, full: int) -> ParameterTimeline[AaveParameters]:
    return replace(timeline, sets=tuple(auctioned(start, full, before) for before in timeline.sets))


@given(bonuses, healths, starts, depths)
def test_the_premium_is_the_whole_ones_share_rounded_down(bonus: int, health: int, start: int, full: int) -> None:
    fallen = min(max(Fraction(WAD - health, WAD - full), Fraction(0)), Fraction(1))
    share = Fraction(start, BPS) + (1 - Fraction(start, BPS)) * fallen
    assert paid_bonus_bps(bonus, health, auctioned(start, full)) == BPS + floor((bonus - BPS) * share)


@given(bonuses, healths, healths, starts, depths)
def test_less_health_never_pays_less_and_never_more_than_the_bonus(
    bonus: int, one: int, other: int, start: int, full: int
) -> None:
    low, high = sorted((one, other))
    parameters = auctioned(start, full)
    assert paid_bonus_bps(bonus, high, parameters) <= paid_bonus_bps(bonus, low, parameters) <= bonus
    assert paid_bonus_bps(bonus, min(low, full), parameters) == bonus


@given(bonuses, healths, st.integers(0, BPS - 1), depths, st.integers(1, 50))
def test_a_small_change_of_the_start_pays_a_little_more(
    bonus: int, health: int, start: int, full: int, more: int
) -> None:
    more = min(more, BPS - start)
    paid, moved = (paid_bonus_bps(bonus, health, auctioned(s, full)) for s in (start, start + more))
    assert 0 <= moved - paid <= (bonus - BPS) * more // BPS + 1


@given(st.integers(0, 20_000), st.one_of(st.none(), healths), depths)
def test_a_start_of_100_percent_is_no_auction(bonus: int, health: int | None, full: int) -> None:
    assert paid_bonus_bps(bonus, health, auctioned(BPS, full)) == bonus


@pytest.mark.parametrize("version", VERSIONS)
def test_both_modes_pay_the_same_and_never_more_than_without(version: str) -> None:
    """One liquidation account by account and in the whole pool, for everybody who is short somewhere."""
    done = less = 0
    for seed, start in ((2, 0), (8, 2_500), (13, 0), (15, 5_000)):
        market = grow(seed, Shape(version, 8, 3, 60, 0.15, liquidations=False, parameter_changes=0))
        timeline = everywhere(market.parameters, start, WAD // 2)
        for part in (0.4, 0.6, 0.8, 1.0):
            opening, _ = span(market, part)
            venue, plain = (AaveVenue(market, one).at(opening) for one in (timeline, market.parameters))
            for account in range(len(market.addresses)):
                pool = open_pool(market, timeline, SeriesRecord(market), opening.key)
                state, money = pool.state(account), (lambda _: 10**25)
                if not venue.health(state).liquidatable:
                    continue
                for request in venue.requests(account, state, -1)[:1]:
                    for reserve in pool.reserves:
                        reserve.cash += 10**25
                    single = venue.liquidate(pool.state, request, cash=money)
                    whole = plain.liquidate(pool.state, request, cash=money)
                    receipt = pool.execute((Call(opening, request),))
                    if not isinstance(single, Liquidated):
                        assert receipt == single
                        continue
                    assert isinstance(receipt, Receipt)
                    assert receipt.done[0] is not None
                    assert told(receipt.done[0]) == told(single)
                    done += 1
                    if isinstance(whole, Liquidated) and whole.debt_repaid == single.debt_repaid:
                        assert single.collateral_to_liquidator <= whole.collateral_to_liquidator
                        less += single.collateral_to_liquidator < whole.collateral_to_liquidator
    assert done > 5
    assert less


def told(done: Liquidated) -> list[object]:
    names = ("debt_repaid", "collateral_to_liquidator", "protocol_fee", "deficits", "health_after")
    return [getattr(done, name) for name in names]


def waits(market: Market, least_usd: float) -> Plan:
    first = at_block(market, 0.1)
    return Plan(
        first=first,
        last=at_block(market, 1.0),
        actual=market.parameters,
        alternative=everywhere(market.parameters, 0, 85 * WAD // 100),
        change=first,
        liquidator=Profitable(Immediate(), slippage_bps=50, transaction_usd=0.2, least_usd=least_usd),
        heartbeat_s=3_600,
        dust_share=0.0,
    )


@pytest.mark.parametrize("seed", [2, 5, 8, 9, 13, 15])
def test_an_account_left_alone_is_taken_the_moment_its_bonus_pays(seed: int) -> None:
    """Brute force tries at every tick; prices of these markets move by more than a look may pass over."""
    version = "3.3" if seed % 2 else "3.0.2"
    market = grow(seed, Shape(version, 8, 3, 60, 0.15, liquidations=False, parameter_changes=0))
    plan = waits(market, 50.0)
    ground = Ground.of(lambda t: AaveVenue(market, t), market, plan)
    course, _ = resolve(ground, plan, World.ALTERNATIVE, AaveVenue(market, plan.alternative), {}, None)
    naive = Naive(market, AaveVenue(market, plan.alternative), plan).run()
    story = said(course, market)
    assert sorted(map(str, story)) == sorted(map(str, naive.happened))
    left = {event[4] for event in story if event[3] == "blocked" and event[-1] == "unprofitable"}
    assert left & {event[4] for event in story if event[3] == "liquidation"}, "somebody waited and was taken later"

"""A rollup that stands still, censors, delays messages and reverts blocks, against a replay without cleverness."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from l2liq.chains.outages import Outage
from l2liq.chains.standstill import market_through
from l2liq.events.log import log_index_of
from l2liq.liquidators import Constant, Immediate, LatencySeconds
from l2liq.market import Market, quantity
from l2liq.outcome.schema import World
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.protocols.interface import Moment
from l2liq.replay import (
    Censorship,
    Disruption,
    Ground,
    Infeasible,
    Messages,
    Plan,
    Reversal,
    Standstill,
    Users,
    replay,
)
from l2liq.replay.course import Course
from l2liq.replay.detours import Detours, Stretch, detours
from l2liq.replay.resolve import resolve
from tests.property.market_dice import Shape
from tests.property.markets import grow, markets
from tests.property.naive_replay import Naive
from tests.property.test_replay_brute_force import at_block, lowered, said

LIQUIDATORS = (Immediate(), LatencySeconds(Constant(45)))
WAD = 10**18


@dataclass(frozen=True)
class Trouble:
    """What fails, in shares of the window."""

    outage: tuple[float, float] | None
    users: Users
    users_after_s: int
    censored: tuple[float, float] | None
    forced_after_s: int | None
    message_delays_s: tuple[int, int] | None
    reversal: tuple[float, float] | None
    again: Users

    def built(self, market: Market) -> Disruption:
        def span(shares: tuple[float, float]) -> tuple[int, int]:
            first_s, last_s = int(market.clock.timestamp_s[0]), int(market.clock.timestamp_s[-1])
            begin, end = (first_s + int(share * (last_s - first_s)) for share in sorted(shares))
            return begin, max(end, begin + 1)

        some = frozenset(market.address(account) for account in range(0, len(market.addresses), 2))
        return Disruption(
            Standstill((Outage(*span(self.outage)),) if self.outage else (), self.users, self.users_after_s),
            (Censorship(some, *span(self.censored)),) if self.censored else (),
            self.forced_after_s,
            Messages(0.7, 3 * WAD, Constant(self.message_delays_s[0]), Constant(self.message_delays_s[1]))
            if self.message_delays_s
            else None,
            (Reversal(*span(self.reversal), self.again),) if self.reversal else (),
        )


shares = st.floats(0.05, 0.95)
spans = st.none() | st.tuples(shares, shares)
troubles = st.builds(
    Trouble,
    outage=spans,
    users=st.sampled_from(Users),
    users_after_s=st.sampled_from((0, 30, 4_000)),
    censored=spans,
    forced_after_s=st.none() | st.sampled_from((20, 3_600)),
    message_delays_s=st.none() | st.tuples(st.sampled_from((0, 600, 7_200)), st.sampled_from((0, 60, 900, 40_000))),
    reversal=spans,
    again=st.sampled_from(Users),
)


def plan_of(market: Market, trouble: Trouble | None, liquidator: object, bps: int, infeasible: Infeasible) -> Plan:
    first, last = at_block(market, 0.0), at_block(market, 1.0)
    return Plan(
        first=first,
        last=last,
        actual=market.parameters,
        alternative=lowered(market.parameters, first, bps) if bps else market.parameters,
        change=first,
        liquidator=liquidator,
        infeasible=infeasible,
        heartbeat_s=3_600,
        dust_share=0.0,
        disruption=None if trouble is None else trouble.built(market),
    )


def through(market: Market, plan: Plan) -> Market:
    assert plan.disruption is not None
    outages = plan.disruption.standstill.outages
    return market_through(market, outages, 0) if outages else market


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(
    markets(max_blocks=30),
    troubles,
    st.sampled_from(LIQUIDATORS),
    st.sampled_from((0, 100)),
    st.sampled_from(Infeasible),
)
def test_engine_and_brute_force_agree_on_whatever_fails(
    market: Market, trouble: Trouble, liquidator: object, bps: int, infeasible: Infeasible
) -> None:
    plan = plan_of(market, trouble, liquidator, bps, infeasible)
    seen = through(market, plan)
    ground = Ground.of(lambda t: AaveVenue(seen, t), seen, plan, AaveVenue(market, plan.actual))
    assume(
        all(ground.recorded(group) is not None for group in map(ground.chronicle.group, detours_of(plan, ground).moved))
    )
    course, _ = resolve(ground, plan, World.ALTERNATIVE, AaveVenue(seen, plan.alternative), {}, None)
    found = detours_of(plan, ground)
    naive = Naive(seen, AaveVenue(seen, plan.alternative), plan, detours=found).run()
    event(f"moved {min(len(found.moved), 3)}, undone {bool(found.stretches)}")

    assert sorted(map(str, said(course, seen))) == sorted(map(str, naive.happened))
    for account in ground.borrowers.tolist():
        assert course.state(account, plan.last.key) == naive.states[account]
    assert money_of(course, ground, seen) == {
        place: change
        for place in {*naive.wallet, *history(ground)}
        if (change := naive.wallet[place] - history(ground)[place]) and place[0] in ground.borrowers
    }


def money_of(course: Course, ground: Ground, market: Market) -> dict[tuple[int, int], int]:
    """By how much wallets of borrowers differ from history's, what was spent without being there included."""
    asset = {found.address: index for index, found in enumerate(market.assets)}
    money = defaultdict(int, course.wallet)
    for row in course.rows.table().to_pylist():
        if row["kind"] == "unfunded":
            money[market.account_of[row["account"]], asset[row["debt_asset"]]] -= quantity(row["debt_amount_raw"])
    return {place: change for place, change in money.items() if change and place[0] in ground.borrowers}


def history(ground: Ground) -> dict[tuple[int, int], int]:
    """What recorded transactions of the window moved in and out of wallets."""
    moved: dict[tuple[int, int], int] = defaultdict(int)
    for transaction in ground.chronicle.codes_in(ground.first, ground.last):
        run = ground.recorded(ground.chronicle.group(transaction))
        for place, change in run.wallet.items() if run is not None else ():
            moved[place] += change
    return moved


def detours_of(plan: Plan, ground: Ground) -> Detours:
    return detours(plan.disruption, ground, plan.seed)


@settings(deadline=None, max_examples=30)
@given(markets(max_blocks=25))
def test_margin_that_comes_earlier_was_on_its_way_and_is_paid_for(market: Market) -> None:
    plan = plan_of(market, None, Immediate(), 0, Infeasible.SKIP)
    early = Disruption(messages=Messages(1.0, 10 * WAD, Constant(7_200), Constant(0)))
    plan = replace(plan, disruption=early)
    ground = Ground.of(lambda t: AaveVenue(market, t), market, plan)
    found = replay(lambda t: AaveVenue(market, t), market, plan, (World.ALTERNATIVE,), ground=ground).outcomes
    moved = detours(early, ground, plan.seed).moved
    messages = {
        (log_index_of(action.moment.key), market.address(action.account), moment.timestamp_s)
        for transaction, moment in moved.items()
        for action in ground.chronicle.group(transaction).actions
        if moment is not None
    }
    unfunded = {
        (row["log_index"], row["account"], row["timestamp_s"]) for row in found.to_pylist() if row["kind"] == "unfunded"
    }
    assert not messages & unfunded


def test_a_stretch_holds_its_first_moment_and_not_its_last() -> None:
    before, at = Moment(100, 1_000), Moment(200, 2_000)
    stretch = Stretch(before, at, Users.LOST)
    assert [stretch.holds(moment) for moment in (Moment(100, 999), before, Moment(200, 1_999), at)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_censorship_begins_with_its_first_second_and_ends_before_its_last() -> None:
    market = grow(3, Shape(blocks=30))
    plan = plan_of(market, None, Immediate(), 0, Infeasible.SKIP)
    ground = Ground.of(lambda t: AaveVenue(market, t), market, plan)
    group = next(g for g in map(ground.chronicle.group, ground.chronicle.codes_in(plan.first, plan.last)) if g.actions)
    second, everyone = group.last.timestamp_s, frozenset(map(market.address, range(len(market.addresses))))

    def moved(from_s: int, to_s: int) -> bool:
        return (
            group.transaction in detours(Disruption(censorships=(Censorship(everyone, from_s, to_s),)), ground, 0).moved
        )

    assert moved(second, second + 100)
    assert not moved(second - 100, second)
    assert not moved(second + 1, second + 100)

"""Screen and resolve against a replay that looks at every account at every tick."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from l2liq.events.log import END_OF_BLOCK, block_of, key_of
from l2liq.liquidators import Constant, Immediate, LatencyBlocks, LatencySeconds, LogNormal
from l2liq.market import Market, ParameterTimeline, quantity
from l2liq.outcome.schema import World
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.protocols.interface import Moment
from l2liq.replay import Ground, Infeasible, Plan
from l2liq.replay.course import Course
from l2liq.replay.resolve import resolve
from l2liq.scenario.window import opening
from tests.property.markets import markets
from tests.property.naive_replay import Naive

LIQUIDATORS = (
    Immediate(),
    LatencyBlocks(Constant(3)),
    LatencySeconds(Constant(45)),
    LatencySeconds(LogNormal(600, 1.0)),
)


def at_block(market: Market, share: float) -> Moment:
    number = int(market.clock.number[int(share * (len(market.clock.number) - 1))])
    moment = Moment(key_of(number, END_OF_BLOCK), market.clock.time_of(number))
    return max(moment, Moment(market.parameters.keys[0], market.parameters.timestamps_s[0]), key=lambda m: m.key)


def lowered(timeline: ParameterTimeline[AaveParameters], at: Moment, bps: int) -> ParameterTimeline[AaveParameters]:
    """Every threshold and LTV lower by ``bps`` from a moment on."""

    def change(before: AaveParameters) -> AaveParameters:
        reserves = tuple(
            replace(
                reserve,
                liquidation_threshold_bps=max(0, reserve.liquidation_threshold_bps - bps),
                ltv_bps=min(max(0, reserve.ltv_bps - bps), max(0, reserve.liquidation_threshold_bps - bps)),
            )
            if reserve and reserve.liquidation_threshold_bps
            else reserve
            for reserve in before.reserves
        )
        emodes = {
            number: replace(
                mode, liquidation_threshold_bps=mode.liquidation_threshold_bps - bps, ltv_bps=mode.ltv_bps - bps
            )
            for number, mode in before.emodes.items()
        }
        return replace(before, reserves=reserves, emodes=emodes)

    return timeline.changed(at.key, at.timestamp_s, change)


@dataclass(frozen=True)
class Case:
    start: float
    change: float
    bps: int
    liquidator: object
    infeasible: Infeasible

    def plan(self, market: Market) -> Plan:
        first, last = at_block(market, self.start), at_block(market, 1.0)
        change = max(first, opening(market, block_of(at_block(market, self.change).key)), key=lambda m: m.key)
        return Plan(
            first=first,
            last=last,
            actual=market.parameters,
            alternative=lowered(market.parameters, change, self.bps),
            change=change,
            liquidator=self.liquidator,
            infeasible=self.infeasible,
            heartbeat_s=3_600,
            dust_share=0.0,
        )


cases = st.builds(
    Case,
    start=st.sampled_from((0.0, 0.1, 0.3)),
    change=st.sampled_from((0.0, 0.4, 0.7)),
    bps=st.sampled_from((0, 100, 1_500, -300)),
    liquidator=st.sampled_from(LIQUIDATORS),
    infeasible=st.sampled_from(Infeasible),
)


def said(course: Course, market: Market) -> list[tuple[object, ...]]:
    """The engine's outcome in the words of the naive replay; money matters apart."""
    account = market.account_of
    asset = {found.address: index for index, found in enumerate(market.assets)}
    words = []
    for row in course.rows.table().to_pylist():
        head = (row["block_number"], row["log_index"], row["timestamp_s"], row["kind"], account[row["account"]])
        if row["kind"] == "liquidation":
            amounts = ("debt_amount_raw", "collateral_amount_raw", "protocol_fee_amount_raw")
            pair = (asset[row["collateral_asset"]], asset[row["debt_asset"]])
            words.append((*head, *pair, *(quantity(row[name]) for name in amounts)))
        elif row["kind"] == "blocked":
            words.append((*head, row["cause"]))
        elif row["kind"] in ("rejected", "clipped"):
            words.append((*head, row["action"], quantity(row["debt_amount_raw"]), row["cause"]))
        elif row["kind"] == "margin_call":
            words.append(head)
        elif row["kind"] == "reverted" and row["action"].split()[0] not in ("deficit", "unfunded"):
            words.append((*head, row["action"].split()[0]))
    return words


@settings(deadline=None, max_examples=60)
@given(markets(max_blocks=30), cases, st.sampled_from((World.CONTROL, World.ALTERNATIVE)))
def test_engine_and_brute_force_tell_the_same_story(market: Market, case: Case, world: World) -> None:
    plan = case.plan(market)
    timeline = plan.actual if world is World.CONTROL else plan.alternative
    ground = Ground.of(lambda t: AaveVenue(market, t), market, plan)
    course, _ = resolve(ground, plan, world, AaveVenue(market, timeline), {}, None)
    naive = Naive(market, AaveVenue(market, timeline), replace(plan, alternative=timeline)).run()

    assert sorted(map(str, said(course, market))) == sorted(map(str, naive.happened))
    for account in ground.borrowers.tolist():
        assert course.state(account, plan.last.key) == naive.states[account]

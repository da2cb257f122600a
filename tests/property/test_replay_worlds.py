"""What holds of the three worlds whatever the market."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import example, given, settings
from hypothesis import strategies as st

from l2liq.events.log import END_OF_BLOCK, block_of, key_of
from l2liq.liquidators import Immediate, LatencySeconds, LogNormal, at_second
from l2liq.market import Market
from l2liq.outcome.schema import ACCOUNTS, OUTCOMES, World
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.protocols.interface import Moment
from l2liq.replay import AtStart, Ground, Infeasible, Plan, Result, replay, replay_recorded
from l2liq.replay.chronicle import Chronicle
from l2liq.replay.looks import later
from tests.property.markets import Shape, grow, markets
from tests.property.test_replay_brute_force import Case, at_block, cases, lowered


def run(market: Market, plan: Plan, **more: object) -> Result:
    return replay(lambda timeline: AaveVenue(market, timeline), market, plan, **more)


def of(table: pa.Table, world: World, without: tuple[str, ...] = ("world",)) -> list[dict[str, object]]:
    return table.filter(pc.equal(table["world"], world.value)).drop_columns(list(without)).to_pylist()


@settings(deadline=None, max_examples=40)
@given(markets(max_blocks=40))
def test_recorded_liquidations_leave_every_account_as_on_chain(market: Market) -> None:
    start, end = at_block(market, 0.1), at_block(market, 1.0)
    found = replay_recorded(AaveVenue(market, market.parameters), start, end)
    assert found.discrepancies == ()
    assert found.equal == found.accounts
    inside = [key for key in market.liquidations["key"].to_pylist() if start.key < key <= end.key]
    assert found.liquidations == len(inside)


@settings(deadline=None, max_examples=25)
@given(markets(max_blocks=30), cases)
def test_unchanged_parameters_make_control_and_alternative_one(market: Market, case: object) -> None:
    plan = case.plan(market)
    result = run(market, replace(plan, alternative=plan.actual, change=None))
    for table in (result.outcomes, result.accounts):
        assert of(table, World.CONTROL) == of(table, World.ALTERNATIVE)
    assert result.counters[World.CONTROL] == result.counters[World.ALTERNATIVE]


@settings(deadline=None, max_examples=15)
@given(markets(max_blocks=30), cases)
def test_the_same_plan_gives_the_same_tables(market: Market, case: object) -> None:
    plan = case.plan(market)
    first, second = run(market, plan), run(market, plan)
    assert first.outcomes.equals(second.outcomes)
    assert first.accounts.equals(second.accounts)
    assert first.outcomes.schema == OUTCOMES
    assert first.accounts.schema == ACCOUNTS


@settings(deadline=None, max_examples=15)
@given(markets(max_blocks=30), cases)
def test_a_shared_ground_changes_no_result(market: Market, case: object) -> None:
    plan = case.plan(market)
    other = replace(plan, alternative=lowered(plan.actual, plan.change, 700), infeasible=Infeasible.CLIP)
    ground = Ground.of(lambda timeline: AaveVenue(market, timeline), market, plan)
    ground.screen_all([plan.actual, plan.alternative, other.alternative])
    for each in (plan, other):
        assert run(market, each, ground=ground).outcomes.equals(run(market, each).outcomes)


@settings(deadline=None, max_examples=25)
@given(markets(max_blocks=40))
def test_the_actual_world_tells_what_was_recorded(market: Market) -> None:
    plan = Plan(at_block(market, 0.1), at_block(market, 1.0), market.parameters, market.parameters, None, Immediate())
    rows = of(run(market, plan, worlds=(World.ACTUAL,)).outcomes, World.ACTUAL)
    told = [
        (key_of(r["block_number"], r["log_index"]), r["debt_amount_raw"], r["collateral_amount_raw"])
        for r in rows
        if r["kind"] == "liquidation"
    ]
    recorded = [
        (r["key"], r["debt_raw"], r["collateral_raw"])
        for r in market.liquidations.to_pylist()
        if plan.first.key < r["key"] <= plan.last.key
    ]
    assert told == recorded
    assert all(r["health_before_wad"] < 10**18 for r in rows if r["kind"] in ("liquidation", "margin_call"))
    assert all(r["liquidatable_since_s"] <= r["timestamp_s"] for r in rows if r["kind"] == "liquidation")
    lost = [r["debt_amount_raw"] for r in rows if r["kind"] == "deficit"]
    inside = [r for r in market.deficits.to_pylist() if plan.first.key < r["key"] <= plan.last.key]
    assert lost == [r["amount_raw"] for r in inside]


@settings(deadline=None, max_examples=25)
@given(markets(max_blocks=40))
def test_the_actual_worlds_accounts_end_as_the_ledger_has_them(market: Market) -> None:
    plan = Plan(at_block(market, 0.1), at_block(market, 1.0), market.parameters, market.parameters, None, Immediate())
    situation = AaveVenue(market, market.parameters).at(plan.last)
    rows = of(run(market, plan, worlds=(World.ACTUAL,)).accounts, World.ACTUAL)
    for row in rows:
        state = market.ledger.state(market.account_of[row["account"]], plan.last.key)
        data, backing = situation.account_data(state), situation.backing(state)
        assert (row["collateral_base"], row["debt_base"]) == (data.collateral_base, data.debt_base)
        assert row["bad_debt_base"] == max(0, data.debt_base - data.collateral_base)
        assert (row["borrowable_base"], row["repayable_base"]) == (backing.borrowable_base, backing.repayable_base)
        assert max(0, row["borrowable_base"] - row["debt_base"]) == data.available_borrows_base
    accounts = range(len(market.addresses))
    owing = [a for a in accounts if situation.health(market.ledger.state(a, plan.last.key)).debt_base]
    assert {market.address(account) for account in owing} <= {row["account"] for row in rows}


@settings(deadline=None, max_examples=25)
@given(markets(max_blocks=30), cases)
def test_a_row_names_the_log_of_what_was_recorded_and_none_for_what_a_model_decided(
    market: Market, case: object
) -> None:
    actions = {(r["key"], r["kind"], market.address(r["account"])) for r in market.actions.to_pylist()}
    taken, lost = (set(table["key"].to_pylist()) for table in (market.liquidations, market.deficits))
    for row in run(market, case.plan(market)).outcomes.to_pylist():
        recorded, log = row["world"] == "actual", row["log_index"]
        if row["kind"] in ("rejected", "clipped", "unfunded"):
            assert (key_of(row["block_number"], log), row["action"], row["account"]) in actions
        elif recorded and row["kind"] in ("liquidation", "deficit"):
            assert key_of(row["block_number"], log) in (taken if row["kind"] == "liquidation" else lost)
        else:
            assert log is None


def test_an_actual_episode_lasts_until_the_account_is_safe_however_often_it_is_liquidated() -> None:
    """Two liquidations of an account share their episode exactly where no moment between them finds it safe."""
    shared = [same for seed in range(25) for same in pairs_that_share(seed)]
    assert True in shared
    assert False in shared


def pairs_that_share(seed: int) -> list[bool]:
    market = grow(seed, Shape(accounts=10, blocks=80, volatility=0.12))
    nothing = Plan(at_block(market, 0), at_block(market, 1.0), market.parameters, market.parameters, None, Immediate())
    plan = replace(nothing, heartbeat_s=3_600, dust_share=0.0)
    venue, chronicle = AaveVenue(market, market.parameters), Chronicle(market)
    table = venue.screen_table(plan.first, plan.last, heartbeat_s=plan.heartbeat_s)
    ticks = [Moment(k, t) for k, t in zip(table.key.tolist(), table.timestamp_s.tolist(), strict=True)]
    rows = of(run(market, plan, worlds=(World.ACTUAL,)).outcomes, World.ACTUAL)
    begun = [(r["account"], r["timestamp_s"], r["cause"]) for r in rows if r["kind"] == "margin_call"]
    found = []
    for account in {row["account"] for row in rows if row["kind"] == "liquidation"}:
        number = market.account_of[account]
        own = [later(chronicle.end_of(k), Moment(k, chronicle.time_of(k))) for k in chronicle.trail(number).keys]
        taken = [row for row in rows if row["kind"] == "liquidation" and row["account"] == account]
        for row in taken:
            assert (account, row["liquidatable_since_s"], row["cause"]) in begun
        for a, b in pairwise(taken):
            start, stop = (key_of(row["block_number"], row["log_index"]) for row in (a, b))
            moments = [m for m in (*ticks, *own) if start < m.key < stop] + [Moment(start, a["timestamp_s"])]
            safe = any(not venue.at(m).health(chronicle.state(number, m.key)).liquidatable for m in moments)
            between = rows[a["sequence"] : b["sequence"]]
            assert safe == any(row["kind"] == "margin_call" and row["account"] == account for row in between)
            assert safe or (a["liquidatable_since_s"], a["cause"]) == (b["liquidatable_since_s"], b["cause"])
            found.append(not safe)
    return found


@settings(deadline=None, max_examples=25)
@given(markets(max_blocks=30), cases)
@example(
    grow(3, Shape("3.0.0", 4, 2, 18, 0.0, parameter_changes=1)), Case(0.0, 0.4, 1_500, Immediate(), Infeasible.SKIP)
)
def test_whom_the_change_itself_makes_liquidatable_can_be_left_out(market: Market, case: object) -> None:
    plan = replace(case.plan(market), at_start=AtStart.EXCLUDE_UNDERWATER)
    as_is, without = run(market, replace(plan, at_start=AtStart.AS_IS)), run(market, plan)
    assert set(as_is.changed_itself) == set(without.excluded)
    for row in without.outcomes.to_pylist():
        assert row["cause"] != "change"
        if row["world"] != "actual" and row["account"] in without.excluded:
            change = (block_of(plan.change.key), plan.change.timestamp_s)
            assert (row["block_number"], row["timestamp_s"]) <= change
    ends = {row["account"] for row in without.accounts.to_pylist() if row["world"] != "actual"}
    assert not ends & set(without.excluded)


@settings(deadline=None, max_examples=25)
@given(markets(max_blocks=30, liquidations=False), cases)
def test_grandfathered_accounts_meet_the_change_only_after_acting(market: Market, case: object) -> None:
    plan = replace(case.plan(market), at_start=AtStart.GRANDFATHER)
    venue = AaveVenue(market, plan.actual)
    result = run(market, plan)
    assert result.changed_itself == ()
    control = {(r["account"], r["block_number"], r["timestamp_s"]) for r in calls(result, World.CONTROL)}
    for row in calls(result, World.ALTERNATIVE):
        account = market.account_of[row["account"]]
        moment = key_of(row["block_number"], END_OF_BLOCK)
        acted = any(a.account == account for a in venue.actions_of(account, plan.change.key, moment))
        assert acted or (row["account"], row["block_number"], row["timestamp_s"]) in control


def calls(result: Result, world: World) -> list[dict[str, object]]:
    """First margin call of every account."""
    first = {}
    for row in of(result.outcomes, world):
        if row["kind"] == "margin_call":
            first.setdefault(row["account"], row)
    return list(first.values())


@settings(deadline=None, max_examples=40)
@given(markets(max_blocks=30), cases, st.sampled_from((3_600, 86_400)))
def test_after_an_anchor_the_world_is_as_if_it_started_there(market: Market, case: object, every_s: int) -> None:
    plan = replace(case.plan(market), liquidator=Immediate())
    anchors = range(plan.first.timestamp_s + every_s, plan.last.timestamp_s, every_s)
    moments = [at_second(second, plan.first, market.clock) for second in anchors]
    fresh = [moment for moment in moments if moment.key >= plan.change.key]
    if not fresh:
        return
    anchored = run(market, replace(plan, reanchor_s=every_s), worlds=(World.ALTERNATIVE,))
    started = run(market, replace(plan, first=fresh[-1], change=fresh[-1]), worlds=(World.ALTERNATIVE,))
    without = ("world", "sequence", "cause", "liquidatable_since_s")
    whole, part = (
        [row for row in of(result.outcomes, World.ALTERNATIVE, without) if row["kind"] != "blocked"]
        for result in (anchored, started)
    )
    before = len(whole) - len(part)
    assert whole[before:] == part
    anchor = (block_of(fresh[-1].key), fresh[-1].timestamp_s)
    assert all((row["block_number"], row["timestamp_s"]) <= anchor for row in whole[:before])


@settings(deadline=None, max_examples=25)
@given(markets(max_blocks=30), st.integers(0, 2**32))
def test_a_later_liquidator_draws_the_same_delays(market: Market, seed: int) -> None:
    """First margin calls do not depend on the delay, and each waits in proportion to the median."""
    last, first = at_block(market, 1.0), at_block(market, 0.1)
    plans = [
        Plan(first, last, market.parameters, market.parameters, None, LatencySeconds(LogNormal(median, 1.0)), seed=seed)
        for median in (300.0, 300.1)
    ]
    one, other = (run(market, plan, worlds=(World.CONTROL,)) for plan in plans)
    assert calls(one, World.CONTROL) == calls(other, World.CONTROL)

"""Re-executed interest on the bundled sample, a recorded log of the real contracts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow.compute as pc
import pytest

from l2liq.events.log import block_of
from l2liq.liquidators import Empirical, Immediate, LatencySeconds, Liquidator, LogNormal, Passes
from l2liq.market import PRICE, Market, ParameterTimeline
from l2liq.outcome.schema import World
from l2liq.protocols import protocol
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.pool import RecordedPool, open_pool
from l2liq.protocols.aave_v3.pool.opening import accounts_at
from l2liq.protocols.aave_v3.record import SeriesRecord
from l2liq.protocols.interface import Moment
from l2liq.replay import Ground, Infeasible, Interest, Plan, Result, Script, reexecute, replay, script_of
from l2liq.replay.chronicle import Chronicle
from l2liq.replay.unfolding import Unfolding
from l2liq.scenario.compose import Composition, compose
from l2liq.scenario.load import load_scenarios
from pipelines.plan import plan_of, rules_of
from tests.pipelines.test_replay_sample import sample  # noqa: F401 - the fixture
from tests.property.test_replay_brute_force import at_block, lowered

BOTH = (World.CONTROL, World.ALTERNATIVE)


def plan_for(market: Market, start: float, stop: float = 1.0, bps: int = 0, **others: object) -> Plan:
    first = at_block(market, start)
    return replace(
        Plan(
            first=first,
            last=at_block(market, stop),
            actual=market.parameters,
            alternative=lowered(market.parameters, first, bps),
            change=first if bps else None,
            liquidator=Immediate(),
            heartbeat_s=3_600,
            interest=Interest.REEXECUTED,
        ),
        **others,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("start", [0.0, 0.3, 0.6])
def test_every_recorded_transaction_gives_the_recorded_rates_and_accounts(sample: Market, start: float) -> None:  # noqa: F811
    first, last = at_block(sample, start), at_block(sample, 1.0)
    historian = RecordedPool(open_pool(sample, sample.parameters, SeriesRecord(sample), first.key), sample)
    script = Script.of(historian, Chronicle(sample), first, last)
    assert len(script.transactions) > 400
    assert script.disagreeing == ()
    held = {account: state for account, state in historian.pool.accounts.items() if state}
    assert held == accounts_at(sample, last.key)


def first_liquidation(market: Market) -> Moment:
    row = market.liquidations.slice(0, 1).to_pylist()[0]
    before = block_of(row["key"]) - 1
    return Moment((before << 24) | ((1 << 24) - 1), market.clock.time_of(before))


def test_where_nobody_is_liquidated_history_comes_out_again(sample: Market) -> None:  # noqa: F811
    nobody = LatencySeconds(Empirical((), ()))
    plan = replace(plan_for(sample, 0.0, liquidator=nobody), last=first_liquidation(sample))
    rules = rules_of(sample)
    ground = Ground.of(rules.venue, sample, plan)
    unfolding = Unfolding(
        ground, plan, World.CONTROL, rules.machine(plan.actual, plan.first.key), script_of(rules, ground, plan)
    )
    unfolding.run()
    assert {row["kind"] for row in unfolding.rows.table().to_pylist()} <= {"margin_call"}
    assert unfolding.counters.diverged == 0
    accounts = accounts_at(sample, plan.last.key)
    assert len(accounts) > 150
    assert {account: unfolding.machine.state(account) for account in accounts} == accounts


def without_world(result: Result, world: World) -> list[dict[str, object]]:
    rows = result.outcomes.filter(pc.equal(result.outcomes["world"], world.value)).to_pylist()
    return [{name: value for name, value in row.items() if name != "world"} for row in rows]


def test_an_alternative_that_changes_nothing_is_the_control_world(sample: Market) -> None:  # noqa: F811
    plan = plan_for(sample, 0.4)
    found = reexecute(rules_of(sample), sample, plan, BOTH)
    assert without_world(found, World.CONTROL) == without_world(found, World.ALTERNATIVE) != []
    assert found.counters[World.CONTROL] == found.counters[World.ALTERNATIVE]
    again = reexecute(rules_of(sample), sample, plan, BOTH)
    assert again.outcomes.equals(found.outcomes)
    assert again.accounts.equals(found.accounts)


@pytest.mark.parametrize("liquidator", [Immediate(), LatencySeconds(LogNormal(300, 1.0))], ids=lambda one: one.name)
@pytest.mark.parametrize("infeasible", [Infeasible.SKIP, Infeasible.CLIP])
def test_both_modes_liquidate_the_same_accounts(
    sample: Market,  # noqa: F811
    liquidator: Liquidator,
    infeasible: Infeasible,
) -> None:
    """Interest differs in the last digits only, and no account of the sample lives by those."""
    plan = plan_for(sample, 0.4, bps=400, liquidator=liquidator, infeasible=infeasible, dust_share=0.0)
    rules = rules_of(sample)
    exact = reexecute(rules, sample, plan, BOTH)
    recorded = replay(rules.venue, sample, replace(plan, interest=Interest.RECORDED), BOTH)
    for world in BOTH:
        told = [
            Counter(row["account"] for row in without_world(result, world) if row["kind"] == "liquidation")
            for result in (exact, recorded)
        ]
        assert told[0] == told[1]
        assert told[0]


def test_passes_take_their_time_and_the_order_of_addresses(sample: Market) -> None:  # noqa: F811
    plan = plan_for(sample, 0.4, liquidator=Passes(600, offset_s=37, spacing_s=5))
    found = reexecute(rules_of(sample), sample, plan, (World.CONTROL,))
    rows = [row for row in without_world(found, World.CONTROL) if row["kind"] == "liquidation"]
    assert len(rows) > 50
    times = [row["timestamp_s"] for row in rows]
    assert all(later - earlier >= 5 for earlier, later in pairwise(times))
    passes: dict[int, list[bytes]] = {}
    for row in rows:
        begun, rest = divmod(row["timestamp_s"] - 37, 600)
        if not rest:
            passes[begun] = []
        if rest % 5 == 0 and begun in passes:
            passes[begun].append(row["account"])
    assert any(len(set(accounts)) > 2 for accounts in passes.values())
    for accounts in passes.values():
        assert accounts == sorted(accounts)


def raised_factor(market: Market, at: Moment) -> ParameterTimeline[AaveParameters]:
    def raised(parameters: AaveParameters) -> AaveParameters:
        reserves = (r and replace(r, reserve_factor_bps=5_000) for r in parameters.reserves)
        return replace(parameters, reserves=tuple(reserves))

    return market.parameters.changed(at.key, at.timestamp_s, raised)


def test_a_higher_reserve_factor_leaves_suppliers_less_and_the_treasury_more(sample: Market) -> None:  # noqa: F811
    plan = plan_for(sample, 0.4)
    plan = replace(plan, alternative=raised_factor(sample, plan.first), change=plan.first)
    rules = rules_of(sample)
    ground = Ground.of(rules.venue, sample, plan)
    script = script_of(rules, ground, plan)
    ends = []
    for world, timeline in ((World.CONTROL, plan.actual), (World.ALTERNATIVE, plan.alternative)):
        unfolding = Unfolding(ground, plan, world, rules.machine(timeline, plan.first.key), script)
        unfolding.run()
        ends.append(unfolding.machine)
    before, after = ends
    owed = [asset for asset in range(len(sample.assets)) if before.reserves[asset].borrow_rate_ray]  # type: ignore[attr-defined]
    assert len(owed) > 2
    for asset in owed:
        one, other = before.reserves[asset], after.reserves[asset]  # type: ignore[attr-defined]
        assert other.income_ray(plan.last.timestamp_s) < one.income_ray(plan.last.timestamp_s)
        assert other.accrued_to_treasury > one.accrued_to_treasury


ORACLE = """
name: an hour's mean, and nobody who works at a loss
oracle: {model: twap, window: 1h, every: 5m}
effective_from: 2026-03-07
heartbeat: 10m
liquidator: {model: latency, delay: 2m, profit: {above: $5, slippage: 50bps, transaction: $0.2}}
"""


def test_both_modes_agree_through_another_oracle_and_its_gap_is_told(sample: Market) -> None:  # noqa: F811
    composition = composed(ORACLE, sample)
    rules, seen = rules_of(sample), rules_of(composition.seen)
    plan = replace(plan_of(composition, sample, rules.venue), dust_share=0.0)
    world = Ground.of(rules.venue, sample, plan)
    ground = Ground.of(seen.venue, composition.seen, plan, world.actual)
    script = script_of(rules, world, plan)
    only = (World.ALTERNATIVE,)
    recorded = replay(seen.venue, composition.seen, plan, only, ground=ground)
    exact = reexecute(seen, composition.seen, plan, only, ground=ground, script=script)
    told = [
        [
            (row["kind"], row["timestamp_s"], row["account"], row["cause"], sound_at_the_worlds_prices(row))
            for row in without_world(result, World.ALTERNATIVE)
            if row["kind"] in ("liquidation", "margin_call")
        ]
        for result in (recorded, exact)
    ]
    assert sorted(told[0]) == sorted(told[1])
    taken = [row for row in without_world(exact, World.ALTERNATIVE) if row["kind"] == "liquidation"]
    assert any(row["collateral_market_usd"] != row["collateral_usd"] for row in taken)
    for row in taken:
        assert row["collateral_market_usd"] * 0.995 - row["debt_market_usd"] - 0.2 >= 5
    assert {sound_at_the_worlds_prices(row) for row in taken} == {True, False}
    held = [row for row in without_world(exact, World.ALTERNATIVE) if row["kind"] == "blocked"]
    assert any(row["cause"] == "unprofitable" for row in held)


def sound_at_the_worlds_prices(row: dict[str, object]) -> bool:
    health = row["health_before_market_wad"]
    return health is not None and health >= 10**18


def test_an_oracle_that_shows_what_was_recorded_changes_nothing(sample: Market) -> None:  # noqa: F811
    oracle = "{model: median, of: [{model: recorded}, {model: recorded}]}"
    text = f"name: x\noracle: {oracle}\nliquidator: {{model: latency, delay: 1m}}"
    composition = composed(text, sample)
    rules, seen = rules_of(sample), rules_of(composition.seen)
    plan = plan_of(composition, sample, rules.venue)
    world = Ground.of(rules.venue, sample, plan)
    ground = Ground.of(seen.venue, composition.seen, plan, world.actual)
    control = replay(rules.venue, sample, plan, (World.CONTROL,), ground=world)
    changed = replay(seen.venue, composition.seen, plan, (World.ALTERNATIVE,), ground=ground)
    rows = without_world(changed, World.ALTERNATIVE)
    for row in rows:
        told = row.pop("health_before_market_wad")
        assert told == (row["health_before_wad"] if row["kind"] == "liquidation" else None)
    plain = without_world(control, World.CONTROL)
    assert all(row.pop("health_before_market_wad") is None for row in plain)
    assert rows == plain != []


def test_a_staked_token_is_worth_its_rate_in_another(sample: Market) -> None:  # noqa: F811
    steps = "[{at: 2026-03-05, rate: 1.1}, {at: '2026-03-09T12:00', rate: 1.25}]"
    oracle = f"{{model: ratio, base: WETH, rate: {steps}, growth: 50%, assets: [wstETH]}}"
    composition = composed(f"name: x\noracle: {oracle}\neffective_from: 2026-03-07", sample)
    numbers = {asset.symbol: n for n, asset in enumerate(sample.assets)}
    weth, staked = (composition.seen.series[PRICE, numbers[name]] for name in ("WETH", "wstETH"))
    assert weth is sample.series[PRICE, numbers["WETH"]]
    since_s = composition.steps[0].timestamp_s
    grown = 11 * 10**17 * 5_000 // 10_000 // 31_536_000
    last_of = {time_s: n for n, time_s in enumerate(staked.timestamp_s.tolist()) if time_s > since_s}
    inside = list(last_of.values())
    assert len(inside) > 1_000
    capped = 0
    moves = np.union1d(weth.timestamp_s, [*range(since_s, int(staked.timestamp_s[-1]) + 60, 60), 1_773_057_600])
    for n in inside:
        time_s = int(moves[np.searchsorted(moves, staked.timestamp_s[n], side="right") - 1])
        base = weth.values[int(np.searchsorted(weth.timestamp_s, time_s, side="right")) - 1]
        rate = 11 * 10**17 if time_s < 1_773_057_600 else 125 * 10**16
        most = 11 * 10**17 + grown * (time_s - since_s)
        capped += most < rate
        assert staked.values[n] == base * min(rate, most) // 10**18
    assert capped > 100


def composed(text: str, market: Market) -> Composition:
    aave = protocol("aave-v3")
    (loaded,) = load_scenarios(text, "s.yaml", aave.levers)
    return compose(loaded, market, aave.levers)

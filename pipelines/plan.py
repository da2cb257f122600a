"""From a scenario that was composed with its market to what the replay engine is asked to do."""

from __future__ import annotations

from collections import defaultdict

import pyarrow as pa
import pyarrow.compute as pc

from l2liq.errors import ScenarioError
from l2liq.liquidators import (
    Constant,
    Delays,
    Empirical,
    Immediate,
    LatencyBlocks,
    LatencySeconds,
    Liquidator,
    LogNormal,
    kaplan_meier,
)
from l2liq.market import Market
from l2liq.outcome import Kind, World
from l2liq.replay import AtStart, Infeasible, Plan, VenueOf, replay
from l2liq.scenario.compose import Composition
from l2liq.scenario.quantities import Delay
from l2liq.scenario.window import before_block

DAY_S = 86_400


def plan_of(composition: Composition, market: Market, venue_of: VenueOf) -> Plan:
    """The plan of a scenario. Fitted delays cost a replay of the actual world before the window.

    Raises ScenarioError where delays are to be fitted and there is nothing to fit them from.
    """
    scenario, window = composition.scenario, composition.window
    return Plan(
        first=window.first,
        last=window.last,
        actual=market.parameters,
        alternative=composition.timeline,
        change=None if composition.changes_nothing else composition.steps[0],
        liquidator=_liquidator(composition, market, venue_of),
        infeasible=Infeasible(scenario.infeasible),
        at_start=AtStart(scenario.at_start),
        heartbeat_s=scenario.heartbeat,
        seed=scenario.seed,
        reject_unfunded=scenario.unfunded == "reject",
        reanchor_s=None if scenario.reanchor is None else scenario.reanchor * DAY_S,
    )


def _liquidator(composition: Composition, market: Market, venue_of: VenueOf) -> Liquidator:
    wanted = composition.scenario.liquidator
    if wanted.delay is None:
        return Immediate()
    if wanted.delay == Delay():
        return LatencySeconds(_fitted(composition, market, venue_of))
    if wanted.delay.blocks is not None:
        return LatencyBlocks(_delays(wanted.delay.blocks, wanted.spread))
    assert wanted.delay.ms is not None
    return LatencySeconds(_delays(wanted.delay.ms / 1_000, wanted.spread))


def _delays(median: float, spread: float) -> Delays:
    return LogNormal(median, spread) if spread and median else Constant(median)


def _fitted(composition: Composition, market: Market, venue_of: VenueOf) -> Empirical:
    """Delays of the liquidations recorded before the window, so that no run is judged by what it was fitted on."""
    window = composition.window
    if window.start <= market.first_block:
        raise ScenarioError(
            f"{composition.scenario.name}: delays are fitted on the time before the window, and the window starts "
            "where the data does. Let the window start later, or give a delay such as 30s."
        )
    before = Plan(
        first=before_block(market, market.first_block),
        last=window.first,
        actual=market.parameters,
        alternative=market.parameters,
        change=None,
        liquidator=Immediate(),
        heartbeat_s=composition.scenario.heartbeat,
    )
    outcomes = replay(venue_of, market, before, (World.ACTUAL,), accounts=False).outcomes
    return fit_delays(outcomes, window.first.timestamp_s)


def fit_delays(outcomes: pa.Table, end_s: int) -> Empirical:
    """Delays [s] from the actual world's outcome events up to ``end_s``.

    Every fall below health 1 is one observation. One that was not liquidated counts as open until the account's next
    fall or ``end_s``, which can only make delays longer.
    """
    falls: dict[bytes, list[int]] = defaultdict(list)
    first: dict[tuple[bytes, int], int] = {}
    table = outcomes.filter(pc.equal(outcomes["world"], World.ACTUAL.value))
    for row in table.select(["kind", "account", "timestamp_s", "liquidatable_since_s"]).to_pylist():
        if row["kind"] == Kind.MARGIN_CALL.value:
            falls[row["account"]].append(row["timestamp_s"])
        elif row["kind"] == Kind.LIQUIDATION.value and row["liquidatable_since_s"] is not None:
            first.setdefault((row["account"], row["liquidatable_since_s"]), row["timestamp_s"])
    durations: list[float] = []
    liquidated: list[bool] = []
    for account, times in falls.items():
        for since, until in zip(times, [*times[1:], end_s], strict=True):
            done = first.pop((account, since), None)
            durations.append((until if done is None else done) - since)
            liquidated.append(done is not None)
    for (_, since), at in first.items():
        durations.append(at - since)
        liquidated.append(True)
    return kaplan_meier(durations, liquidated)

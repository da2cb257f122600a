"""From a scenario that was composed with its market to what the replay engine is asked to do."""

from __future__ import annotations

from l2liq.errors import ScenarioError
from l2liq.liquidators import (
    Competition,
    Empirical,
    Immediate,
    LatencyBlocks,
    LatencySeconds,
    Liquidator,
    Passes,
)
from l2liq.market import Market
from l2liq.protocols import protocol
from l2liq.replay import AtStart, Infeasible, Interest, Plan, Rules, VenueOf, fit_latency, fit_rivals
from l2liq.scenario.compose import Composition
from l2liq.scenario.quantities import Delay
from l2liq.scenario.window import before_block
from pipelines.calldata import calldata_of
from pipelines.competing import (
    alone,
    choosy_where_asked,
    competition_of,
    delays_of,
    fitted_contestants,
    given_contestants,
)
from pipelines.disruption import disruption_of
from pipelines.liquidity import markets_of
from pipelines.surroundings import Surroundings, costs_of, spike_of

DAY_S = 86_400
NOTHING_KNOWN = Surroundings()


def rules_of(market: Market) -> Rules:
    """The rules of a market's protocol for this market."""
    found = protocol(market.protocol)
    return Rules(
        venue=lambda timeline: found.venue(market, timeline),
        machine=lambda timeline, key: found.machine(market, timeline, key),
        historian=lambda key: found.historian(market, key),
    )


def plan_of(composition: Composition, market: Market, venue_of: VenueOf, around: Surroundings = NOTHING_KNOWN) -> Plan:
    """The plan of a scenario. Fitted delays cost a replay of the actual world before the window.

    Raises ScenarioError where delays are to be fitted and there is nothing to fit them from, or where fees,
    calldata or a pool's history are asked for that nobody knows.
    """
    scenario, window = composition.scenario, composition.window
    return Plan(
        first=window.first,
        last=window.last,
        actual=market.parameters,
        alternative=composition.timeline,
        change=None if composition.changes_nothing else composition.steps[0],
        liquidator=_liquidator(composition, market, venue_of, around),
        infeasible=Infeasible(scenario.infeasible),
        at_start=AtStart(scenario.at_start),
        heartbeat_s=scenario.heartbeat,
        seed=scenario.seed,
        reject_unfunded=scenario.unfunded == "reject",
        reanchor_s=None if scenario.reanchor is None else scenario.reanchor * DAY_S,
        interest=Interest(scenario.interest),
        clocks=around.rollup.clocks,
        costs=costs_of(composition, market, around),
        spike=spike_of(composition),
        disruption=disruption_of(composition, around.rollup),
        liquidity=markets_of(composition, market, around.pools),
        calldata=calldata_of(composition, market, around.inputs),
    )


def _liquidator(
    composition: Composition, market: Market, venue_of: VenueOf, around: Surroundings
) -> Liquidator | Competition:
    wanted = composition.scenario.liquidator
    if wanted.model != "competition":
        when = _timing(composition, market, venue_of)
        return alone(composition, choosy_where_asked(composition, when, wanted.profit))
    if wanted.contestants is not None:
        return competition_of(composition, given_contestants(composition), around)
    rivals = fit_rivals(venue_of, market, _before(composition, market))
    return competition_of(composition, fitted_contestants(composition, rivals), around)


def _timing(composition: Composition, market: Market, venue_of: VenueOf) -> Liquidator:
    wanted = composition.scenario.liquidator
    if wanted.every is not None:
        return Passes(wanted.every, spacing_s=wanted.spacing or 0)
    if wanted.delay is None:
        return Immediate()
    if wanted.delay == Delay():
        return LatencySeconds(_fitted(composition, market, venue_of))
    if wanted.delay.blocks is not None:
        return LatencyBlocks(delays_of(wanted.delay.blocks, wanted.spread))
    assert wanted.delay.ms is not None
    return LatencySeconds(delays_of(wanted.delay.ms / 1_000, wanted.spread))


def _fitted(composition: Composition, market: Market, venue_of: VenueOf) -> Empirical:
    """Delays of what was recorded before the window, so that no run is judged by what it was fitted on."""
    before = _before(composition, market)
    return fit_latency(venue_of, market, before, before.first, before.last)


def _before(composition: Composition, market: Market) -> Plan:
    """The time before the window, as a plan."""
    window = composition.window
    if window.start <= market.first_block:
        raise ScenarioError(
            f"{composition.scenario.name}: delays are fitted on the time before the window, and the window starts "
            "where the data does. Let the window start later, or give a delay such as 30s."
        )
    return Plan(
        first=before_block(market, market.first_block),
        last=window.first,
        actual=market.parameters,
        alternative=market.parameters,
        change=None,
        liquidator=Immediate(),
        heartbeat_s=composition.scenario.heartbeat,
    )

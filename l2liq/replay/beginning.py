"""What a world has when it begins, in either mode: its calendar, its rows and its counters."""

from __future__ import annotations

from l2liq.outcome.schema import World
from l2liq.replay.detours import Detours, detours
from l2liq.replay.ground import Ground
from l2liq.replay.plan import Plan
from l2liq.replay.result import Counters
from l2liq.replay.rows import Rows


def beginning(ground: Ground, plan: Plan, world: World) -> tuple[Detours, Rows, Counters]:
    """Calendar, rows and counters of a world; only the alternative's rollup may fail."""
    disruption = plan.disruption if world is World.ALTERNATIVE else None
    found, counters = detours(disruption, ground, plan.seed), Counters()
    found.count(counters)
    failures = None if disruption is None else disruption.failures
    prices, costs, selling = ground.prices, plan.costs_in(world), plan.selling(world)
    return found, Rows(ground.market, world, plan.clocks, costs, prices, failures, selling), counters

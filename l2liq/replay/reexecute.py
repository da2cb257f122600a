"""Replay with re-executed interest: the whole market is executed again in control and alternative (DESIGN §9)."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from l2liq.market import LegKind, Market
from l2liq.outcome.schema import ACCOUNTS, OUTCOMES, World
from l2liq.replay.accounts import row_of
from l2liq.replay.course import Position
from l2liq.replay.ground import Ground
from l2liq.replay.plan import Plan, Progress, Rules
from l2liq.replay.result import Counters, Divergence, Result
from l2liq.replay.rows import table_of
from l2liq.replay.script import Script
from l2liq.replay.unfolding import Unfolding
from l2liq.replay.worlds import ALL_WORLDS, replay


def reexecute(
    rules: Rules,
    market: Market,
    plan: Plan,
    worlds: Sequence[World] = ALL_WORLDS,
    *,
    ground: Ground | None = None,
    script: Script | None = None,
    progress: Progress | None = None,
) -> Result:
    """Replay a window of a market in the worlds asked for, every transaction executed again.

    Parameters
    ----------
    rules : Rules
        The protocol's rules for this market.
    market : Market
        What is known of it.
    plan : Plan
        What to do; its ``at_start`` must be ``as_is``, and it does not return to history.
    worlds : Sequence[World]
        Which worlds to emit; the actual one is as recorded.
    ground, script : Ground | None, Script | None
        What replays of one market and window share; made here where they are None.
    progress : Progress | None
        Told how far it is.
    """
    ground = ground or Ground.of(rules.venue, market, plan)
    recorded = replay(
        rules.venue,
        market,
        plan,
        [world for world in worlds if world is World.ACTUAL],
        ground=ground,
        progress=progress,
    )
    modelled = [world for world in (World.ALTERNATIVE, World.CONTROL) if world in worlds]
    if modelled and script is None:
        script = script_of(rules, ground, plan, progress)
    actions, actions_usd = ground.actions_in_window()
    outcomes, accounts = [recorded.outcomes], [recorded.accounts]
    counters: dict[World, Counters] = dict(recorded.counters)
    divergence: dict[World, tuple[Divergence, ...]] = dict(recorded.divergence)
    changed_itself: set[bytes] = set()
    for world in modelled:
        assert script is not None
        timeline = plan.alternative if world is World.ALTERNATIVE else plan.actual
        unfolding = Unfolding(ground, plan, world, rules.machine(timeline, plan.first.key), script)
        unfolding.run(progress)
        unfolding.counters.actions, unfolding.counters.actions_usd = actions, actions_usd
        outcomes.append(unfolding.rows.table())
        accounts.append(_ends(market, plan, unfolding))
        counters[world], divergence[world] = unfolding.counters, tuple(unfolding.samples)
        changed_itself |= {market.address(account) for account in unfolding.changed_itself}
    by_world = [("world", "ascending"), ("sequence", "ascending")]
    return Result(
        outcomes=pa.concat_tables([OUTCOMES.empty_table(), *outcomes]).sort_by(by_world),
        accounts=pa.concat_tables([ACCOUNTS.empty_table(), *accounts]),
        counters=counters,
        divergence=divergence,
        excluded=(),
        changed_itself=tuple(sorted(changed_itself)),
        ticks=ground.screen.ticks,
        account_ticks=recorded.account_ticks,
    )


def script_of(rules: Rules, ground: Ground, plan: Plan, progress: Progress | None = None) -> Script:
    """What users asked for in a plan's window."""
    historian = rules.historian(plan.first.key)
    return Script.of(historian, ground.chronicle, plan.first, plan.last, progress, plan.calldata)


def _ends(market: Market, plan: Plan, unfolding: Unfolding) -> pa.Table:
    """ACCOUNTS of one world, ordered by address: accounts with debt at the end, and those that diverged."""
    machine, situation = unfolding.machine, unfolding.machine.at(plan.last)
    debts = {leg for leg, found in enumerate(market.legs) if found.kind is LegKind.DEBT}
    involved = {account for account, p in unfolding.positions.items() if p.diverged_at_s is not None or p.liquidations}
    rows = []
    for account in sorted(involved | set(machine.owing()), key=market.address):
        state = machine.state(account)
        health = situation.health(state)
        position: Position | None = unfolding.positions.get(account)
        if debts & state.keys() or account in involved:
            rows.append(row_of(unfolding.rows, account, health, situation.backing(state), position, plan.last))
    return table_of(rows, ACCOUNTS)

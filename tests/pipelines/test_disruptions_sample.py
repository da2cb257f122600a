"""A rollup that fails, on the bundled sample with every transaction executed again."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from l2liq.chains.outages import Outage
from l2liq.chains.standstill import market_through
from l2liq.liquidators import Constant, Empirical, Immediate, LatencySeconds
from l2liq.liquidity import ConstantProduct, Liquidity, Markets, Sale
from l2liq.market import Market
from l2liq.outcome.schema import World
from l2liq.protocols.interface import Moment, Receipt
from l2liq.replay import (
    Censorship,
    Disruption,
    Ground,
    Interest,
    Messages,
    Reversal,
    Script,
    Standstill,
    Users,
    reexecute,
    replay,
    script_of,
)
from l2liq.replay.detours import Detours, detours
from l2liq.replay.unfolding import Unfolding, moved_to
from pipelines.plan import rules_of
from tests.pipelines.test_reexecute_sample import plan_for
from tests.pipelines.test_replay_sample import sample  # noqa: F401 - the fixture

NEVER = LatencySeconds(Empirical((1.0,), (0.0,)))
CRASH_S = 1_773_205_000
QUIET_S = CRASH_S - 200_000
"""Busy hours without a liquidation."""


def failing(kind: str, market: Market) -> Disruption:
    some = frozenset(market.address(account) for account in range(0, len(market.addresses), 3))
    return {
        "outage": Disruption(Standstill((Outage(QUIET_S, QUIET_S + 20_000),))),
        "lost": Disruption(Standstill((Outage(QUIET_S, QUIET_S + 20_000),), Users.LOST)),
        "censored": Disruption(censorships=(Censorship(some, QUIET_S, QUIET_S + 90_000),), forced_after_s=30_000),
        "messages": Disruption(messages=Messages(1.0, 2 * 10**18, Constant(3_600), Constant(600))),
        "reverted": Disruption(reversals=(Reversal(QUIET_S, QUIET_S + 20_000),)),
        "again": Disruption(reversals=(Reversal(QUIET_S, QUIET_S + 20_000, Users.QUEUE),)),
        "crash": Disruption(reversals=(Reversal(CRASH_S - 600, CRASH_S + 1_500, Users.QUEUE),)),
    }[kind]


def by_hand(script: Script, found: Detours, machine, last: Moment):  # type: ignore[no-untyped-def]
    """Every transaction when it happens, in order, on a machine of its own; a stretch that is undone never happens."""
    order = []
    for number, transaction in enumerate(script.transactions):
        moment = found.moved.get(transaction.group.transaction, transaction.group.last)
        undone = moment is not None and any(stretch.holds(moment) for stretch in found.stretches)
        again = [stretch.at for stretch in found.stretches if stretch.users is Users.QUEUE]
        if undone:
            moment = again[0] if again else None
        if moment is not None and transaction.calls:
            order.append(((moment.key, moment.timestamp_s), number, moved_to(transaction, moment)))
    done = 0
    for when, _, transaction in sorted(order, key=lambda one: one[:2]):
        if when <= (last.key, last.timestamp_s):
            done += isinstance(machine.execute(transaction.calls), Receipt)
    return machine, done


@pytest.mark.parametrize("kind", ["outage", "lost", "censored", "messages", "reverted", "again", "crash"])
def test_the_market_ends_as_if_every_transaction_had_been_sent_when_it_happens(sample: Market, kind: str) -> None:  # noqa: F811
    plan = replace(plan_for(sample, 0.3, 0.7), liquidator=NEVER, disruption=failing(kind, sample))
    assert plan.disruption is not None
    outages = plan.disruption.standstill.outages
    seen = market_through(sample, outages, 0) if outages else sample
    rules = rules_of(seen)
    ground = Ground.of(rules.venue, seen, plan, rules_of(sample).venue(plan.actual))
    script = script_of(rules_of(sample), ground, plan)
    found = detours(plan.disruption, ground, plan.seed)
    assert len(found.moved) > 5 or found.stretches
    unfolding = Unfolding(ground, plan, World.ALTERNATIVE, rules.machine(plan.alternative, plan.first.key), script)
    unfolding.run()
    machine, done = by_hand(script, found, rules.machine(plan.alternative, plan.first.key), plan.last)
    assert done > 100
    states = {account: state for account, state in unfolding.machine.accounts.items() if state}
    assert states == {account: state for account, state in machine.accounts.items() if state}
    for one, other in zip(unfolding.machine.reserves, machine.reserves, strict=True):
        assert [getattr(one, name) for name in one.__slots__] == [getattr(other, name) for name in other.__slots__]


@pytest.mark.parametrize("interest", Interest)
def test_nothing_is_liquidated_while_no_block_is_made_and_control_is_not_concerned(
    sample: Market,  # noqa: F811
    interest: Interest,
) -> None:
    outage = Outage(CRASH_S - 3_600, CRASH_S + 1_800)
    plan = replace(plan_for(sample, 0.6), liquidator=Immediate(), interest=interest)
    down = replace(plan, disruption=Disruption(Standstill((outage,))), change=plan.first)
    seen = market_through(sample, [outage], 0)
    rules, history = rules_of(seen), rules_of(sample)
    ground = Ground.of(rules.venue, seen, down, history.venue(plan.actual))
    if interest is Interest.RECORDED:
        found = replay(rules.venue, seen, down, (World.ALTERNATIVE,), ground=ground)
        bare = replay(history.venue, sample, plan, (World.CONTROL,))
        control = replay(history.venue, sample, down, (World.CONTROL,))
    else:
        script = script_of(history, Ground.of(history.venue, sample, plan), plan)
        found = reexecute(rules, seen, down, (World.ALTERNATIVE,), ground=ground, script=script)
        bare = reexecute(history, sample, plan, (World.CONTROL,), script=script)
        control = reexecute(history, sample, down, (World.CONTROL,), script=script)
    assert control.outcomes.equals(bare.outcomes)
    times = liquidated(found.outcomes)
    inside = (times >= outage.from_s) & (times < outage.to_s)
    assert not inside.any()
    before = liquidated(bare.outcomes)
    assert ((before >= outage.from_s) & (before < outage.to_s)).sum() > 50
    assert (times == outage.to_s).sum() > 10, "what is far below health 1 is liquidated at the restart"


@pytest.mark.parametrize("interest", Interest)
def test_what_was_sold_in_reverted_blocks_displaces_no_price(sample: Market, interest: Interest) -> None:  # noqa: F811
    pool = ConstantProduct("pool", 300_000.0, 30, None)
    markets = Markets(alternative=Liquidity(tuple((n, pool) for n in range(len(sample.assets)))))
    plan = replace(plan_for(sample, 0.55), interest=interest, liquidity=markets)
    undone = Disruption(reversals=(Reversal(plan.first.timestamp_s, CRASH_S + 900),))
    plan = replace(plan, change=plan.first, disruption=undone)
    rules = rules_of(sample)
    if interest is Interest.RECORDED:
        found = replay(rules.venue, sample, plan, (World.ALTERNATIVE,)).outcomes
    else:
        found = reexecute(rules, sample, plan, (World.ALTERNATIVE,)).outcomes
    sold = [row for row in found.to_pylist() if row["slippage_usd"] is not None]
    reverted = [row for row in sold if row["kind"] == "reverted"]
    standing = [row for row in sold if row["kind"] == "liquidation"]
    assert len(reverted) > 20
    first = standing[0]
    assert first["timestamp_s"] >= CRASH_S + 900, "whatever was sold before is undone"
    fresh = pool.sell(Sale(0, first["collateral_market_usd"], 0, lambda asset: None), 0.0)
    assert fresh is not None
    assert first["proceeds_usd"] == fresh.proceeds_usd


def liquidated(outcomes: pa.Table):  # type: ignore[no-untyped-def]
    return outcomes.filter(pc.equal(outcomes["kind"], "liquidation"))["timestamp_s"].to_numpy()

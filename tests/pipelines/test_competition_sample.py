"""Competing liquidators on the bundled sample, in both modes and as a scenario asks for them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest

from l2liq.chains.rollup import Ordering
from l2liq.liquidators import (
    Auction,
    Competition,
    Contestant,
    LatencySeconds,
    LogNormal,
    Order,
    TwoStep,
    synthetic_address,
)
from l2liq.market import Market
from l2liq.outcome.schema import World
from l2liq.replay import Interest, Plan, reexecute, replay
from pipelines.plan import rules_of
from tests.pipelines.test_reexecute_sample import plan_for, without_world
from tests.pipelines.test_replay_sample import sample  # noqa: F401 - the fixture

DOLLAR = 10**8


def contestant(name: str, median: float, dollars: int | None = None, recycle_s: int = 0) -> Contestant:
    capital = None if dollars is None else dollars * DOLLAR
    model = LatencySeconds(LogNormal(median, 1.0))
    return Contestant(model, name, synthetic_address(name), capital, recycle_s)


def field(median: float = 30.0) -> Competition:
    return Competition(
        (contestant("quick", median, 20_000, 1_800), contestant("rich", 90.0), contestant("slow", 600.0, 50_000, 600))
    )


def outcomes(market: Market, plan: Plan) -> list[dict[str, object]]:
    rules, only = rules_of(market), (World.CONTROL,)
    if plan.interest is Interest.RECORDED:
        return without_world(replay(rules.venue, market, plan, only, accounts=False), World.CONTROL)
    return without_world(reexecute(rules, market, plan, only), World.CONTROL)


def told(market: Market, plan: Plan) -> list[tuple[object, ...]]:
    names = {one.address: one.name for one in field().contestants}
    return [
        (row["kind"], row["timestamp_s"], row["account"], names[row["liquidator"]])
        for row in outcomes(market, plan)
        if row["kind"] in ("liquidation", "failed_attempt")
    ]


BY_FEE = {"order": Order(Ordering.PRIORITY_FEE, block_ms=12_000)}


@pytest.mark.parametrize("changed", [{}, {"sizing": TwoStep()}, BY_FEE], ids=["max", "two_step", "priority_fee"])
def test_both_modes_let_the_same_contestants_win_and_fail(sample: Market, changed: dict[str, object]) -> None:  # noqa: F811
    plan = plan_for(sample, 0.4, liquidator=replace(field(), **changed), dust_share=0.0)
    exact, recorded = (told(sample, replace(plan, interest=interest)) for interest in reversed(Interest))
    assert sorted(exact) == sorted(recorded)
    assert {(kind, name) for kind, _, _, name in exact} >= {
        ("liquidation", "quick"),
        ("liquidation", "rich"),
        ("failed_attempt", "slow"),
    }


def test_both_modes_auction_the_same_updates(sample: Market) -> None:  # noqa: F811
    """Where they agree that an update is to blame: recorded mode blames what an account did in the same block."""
    plan = plan_for(sample, 0.4, liquidator=replace(field(), auction=Auction(6_000, 5, 0.6)), dust_share=0.0)
    exact, recorded = (causes(sample, replace(plan, interest=interest)) for interest in reversed(Interest))
    assert exact.keys() == recorded.keys()
    agreed = [at for at, (cause, _) in exact.items() if cause == recorded[at][0]]
    assert len(exact) - len(agreed) <= 3
    assert all(exact[at] == recorded[at] for at in agreed)
    waits = {tuple(waited) for at in agreed for cause, waited in [exact[at]] if cause == "price" and waited}
    assert (0,) in waits
    assert any(min(waited) >= 5 for waited in waits)


def causes(market: Market, plan: Plan) -> dict[object, tuple[str, list[int]]]:
    """(account, since when) to why it fell short, and how long after that each liquidation came."""
    found: dict[object, tuple[str, list[int]]] = {}
    for row in outcomes(market, plan):
        at = row["account"], row["liquidatable_since_s"]
        if row["kind"] == "margin_call":
            found[at] = row["cause"], []
        elif row["kind"] == "liquidation":
            found[at][1].append(row["timestamp_s"] - row["liquidatable_since_s"])
    return found


def test_a_small_change_of_one_delay_changes_few_outcomes_and_a_large_one_more(sample: Market) -> None:  # noqa: F811
    plan = plan_for(sample, 0.4, interest=Interest.RECORDED)
    base, near, far = (winners(told(sample, replace(plan, liquidator=field(m)))) for m in (30.0, 30.03, 300.0))
    assert len(base) > 50
    assert sum(base.get(at) != near.get(at) for at in base.keys() | near.keys()) <= len(base) // 50
    assert sum(base.get(at) != far.get(at) for at in base.keys() | far.keys()) > len(base) // 10


def winners(rows: list[tuple[object, ...]]) -> dict[object, list[object]]:
    found = defaultdict(list)
    for kind, _, account, name in rows:
        if kind == "liquidation":
            found[account].append(name)
    return found

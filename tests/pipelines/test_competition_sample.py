"""Competing liquidators on the bundled sample, in both modes and as a scenario asks for them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest

from l2liq.liquidators import Competition, Contestant, LatencySeconds, LogNormal, TwoStep, synthetic_address
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


def told(market: Market, plan: Plan) -> list[tuple[object, ...]]:
    rules = rules_of(market)
    only = (World.CONTROL,)
    if plan.interest is Interest.RECORDED:
        result = replay(rules.venue, market, plan, only, accounts=False)
    else:
        result = reexecute(rules, market, plan, only)
    names = {one.address: one.name for one in field().contestants}
    return [
        (row["kind"], row["timestamp_s"], row["account"], names[row["liquidator"]])
        for row in without_world(result, World.CONTROL)
        if row["kind"] in ("liquidation", "failed_attempt")
    ]


@pytest.mark.parametrize("changed", [{}, {"sizing": TwoStep()}], ids=["max", "two_step"])
def test_both_modes_let_the_same_contestants_win_and_fail(sample: Market, changed: dict[str, object]) -> None:  # noqa: F811
    plan = plan_for(sample, 0.4, liquidator=replace(field(), **changed), dust_share=0.0)
    exact, recorded = (told(sample, replace(plan, interest=interest)) for interest in reversed(Interest))
    assert sorted(exact) == sorted(recorded)
    assert {(kind, name) for kind, _, _, name in exact} >= {
        ("liquidation", "quick"),
        ("liquidation", "rich"),
        ("failed_attempt", "slow"),
    }


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

"""Fees that rise for a while in the alternative: nobody works at a loss meanwhile, and all go on when it is over."""

from __future__ import annotations

from functools import cache

import pytest

from l2liq.chains.dated import Dated, Span
from l2liq.chains.fees import Prices, Size
from l2liq.chains.fees.plain import Plain
from l2liq.liquidators import Costs, FixedPrice, Immediate, Profitable, Spike
from l2liq.market import Market
from l2liq.outcome import World
from l2liq.replay import Interest, Plan, reexecute, replay
from pipelines.plan import rules_of
from tests.property.markets import Shape, grow
from tests.property.test_replay_brute_force import at_block

GAS = 400_000
COSTS = Costs(GAS, Size(700), Dated((Span(0, None, Plain()),)), 10**7, Prices(0), FixedPrice(2_000.0))


@cache
def market() -> Market:
    return grow(8, Shape("3.0.2", 8, 3, 60, 0.15, liquidations=False, parameter_changes=0))


def told(interest: Interest) -> tuple[Spike, list[dict[str, object]]]:
    """A spike from the start to the middle of the market, and what happens in the worlds that a model decides."""
    first, middle, last = (at_block(market(), part) for part in (0.2, 0.6, 1.0))
    spike = Spike(first.timestamp_s, middle.timestamp_s + 17, base_fee=10**18)
    plan = Plan(
        first, last, market().parameters, market().parameters, first,
        Profitable(Immediate(), transaction_usd=None), heartbeat_s=3_600, interest=interest, costs=COSTS, spike=spike,
    )  # fmt: skip
    rules, worlds = rules_of(market()), (World.CONTROL, World.ALTERNATIVE)
    if interest is Interest.RECORDED:
        return spike, replay(rules.venue, market(), plan, worlds).outcomes.to_pylist()
    return spike, reexecute(rules, market(), plan, worlds).outcomes.to_pylist()


@pytest.mark.parametrize("interest", Interest)
def test_a_spike_holds_up_the_alternative_alone_and_until_it_ends(interest: Interest) -> None:
    spike, rows = told(interest)
    done = {world: [r for r in rows if r["world"] == world and r["kind"] == "liquidation"] for world in World}
    early = [row for row in done[World.CONTROL] if row["timestamp_s"] < spike.until_s]
    assert early, "there is something to hold up"
    assert all(row["timestamp_s"] >= spike.until_s for row in done[World.ALTERNATIVE])
    assert {row["fee_usd"] for found in done.values() for row in found} == {GAS * 10**7 * 2_000.0 / 10**18}
    held = {r["account"] for r in rows if r["world"] == World.ALTERNATIVE and r["cause"] == "unprofitable"}
    assert {row["account"] for row in early} <= held
    at_once = [row for row in done[World.ALTERNATIVE] if row["timestamp_s"] <= spike.until_s + 3_600]
    assert {row["account"] for row in at_once} & held


def test_liquidators_do_not_wait_for_a_price_once_fees_have_fallen() -> None:
    spike, rows = told(Interest.RECORDED)
    assert any(
        r["world"] == World.ALTERNATIVE and r["kind"] == "liquidation" and r["timestamp_s"] == spike.until_s
        for r in rows
    )

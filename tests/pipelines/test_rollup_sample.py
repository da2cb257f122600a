"""Clocks and fees on the bundled sample: every liquidation carries them, in both modes, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from l2liq.chains.clocks import Clocks
from l2liq.chains.dated import Dated, Span
from l2liq.chains.fees import Prices, Size
from l2liq.chains.fees.jovian import Jovian
from l2liq.events.log import key_of
from l2liq.liquidators import AssetPrice, Costs, FixedPrice
from l2liq.market import PRICE, Market
from l2liq.replay import Interest, Plan, Result, reexecute, replay
from pipelines.plan import rules_of
from tests.pipelines.test_reexecute_sample import plan_for
from tests.pipelines.test_replay_sample import sample  # noqa: F401 - the fixture

NEW = ("published_s", "l1_final_s", "settled_s", "gas_used", "l2_fee_wei", "l1_fee_wei", "fee_usd")
CLOCKS = Dated((Span(0, None, Clocks(300, 768, 86_400, "made up")),))
COSTS = Costs(
    gas=400_000,
    size=Size(700, compressed=300),
    schemes=Dated((Span(0, None, Jovian(5_227, 1_014_213)),)),
    base_fee=10_000_000,
    prices=Prices(0, l1_base_fee=20_000_000_000, blob_base_fee=1),
    token=FixedPrice(2_000.0),
)


def outcome(market: Market, plan: Plan) -> Result:
    rules = rules_of(market)
    if plan.interest is Interest.RECORDED:
        return replay(rules.venue, market, plan)
    return reexecute(rules, market, plan)


def plan(market: Market, interest: Interest, **others: object) -> Plan:
    return plan_for(market, 0.55, 0.75, -300, interest=interest, **others)


def old(table: pa.Table) -> pa.Table:
    return table.drop_columns([*NEW, "profit_usd"])


@pytest.mark.parametrize("interest", Interest)
def test_every_liquidation_of_every_world_carries_clocks_and_costs_and_nothing_else_moves(
    sample: Market,  # noqa: F811
    interest: Interest,
) -> None:
    bare = outcome(sample, plan(sample, interest))
    full = outcome(sample, plan(sample, interest, clocks=CLOCKS, costs=COSTS))
    assert all(bare.outcomes[name].null_count == bare.outcomes.num_rows for name in NEW)
    assert old(full.outcomes).equals(old(bare.outcomes))
    assert full.accounts.equals(bare.accounts)
    cost = COSTS.charge(0, 0)
    worlds = set()
    for row in full.outcomes.to_pylist():
        if row["kind"] != "liquidation":
            assert all(row[name] is None for name in NEW)
            continue
        worlds.add(row["world"])
        executed = row["timestamp_s"]
        assert (row["published_s"], row["l1_final_s"], row["settled_s"]) == (
            executed + 300,
            executed + 300 + 768,
            executed + 300 + 86_400,
        )
        assert (row["gas_used"], row["l2_fee_wei"], row["l1_fee_wei"]) == (400_000, cost.l2_wei, cost.l1_wei)
        assert row["fee_usd"] == cost.total_wei * 2_000.0 / 10**18
        assert row["profit_usd"] == row["collateral_market_usd"] - row["debt_market_usd"] - row["fee_usd"]
    assert worlds == {"actual", "control", "alternative"}


def test_gas_is_priced_by_the_asset_at_the_moment_of_the_liquidation(sample: Market) -> None:  # noqa: F811
    weth = next(n for n, asset in enumerate(sample.assets) if asset.symbol == "WETH")
    costs = replace(COSTS, token=AssetPrice(weth))
    rows = outcome(sample, plan(sample, Interest.RECORDED, costs=costs)).outcomes.to_pylist()
    taken = [row for row in rows if row["kind"] == "liquidation" and row["world"] == "actual"]
    prices = sample.series[PRICE, weth]
    total = costs.charge(0, 0).total_wei
    seen = set()
    for row in taken:
        price = prices.at(key_of(row["block_number"], row["log_index"]))
        assert price is not None
        assert row["fee_usd"] == total * price / (10**18 * 10**8)
        seen.add(price)
    assert len(seen) > 3

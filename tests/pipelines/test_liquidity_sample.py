"""Liquidity on the bundled sample: what sales yield, in both modes, and that it moves nothing it should not."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from math import isqrt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from l2liq.chains.chain import unknown_chain
from l2liq.events.log import block_of
from l2liq.liquidators import Immediate, Profitable
from l2liq.liquidity import ConstantProduct, Liquidity, Markets, recovering
from l2liq.market import PRICE, Market
from l2liq.numeric.ticks import Q96, tick_at_sqrt_price
from l2liq.outcome import World
from l2liq.protocols import protocol
from l2liq.replay import Interest, Plan, replay
from l2liq.scenario.compose import compose
from l2liq.scenario.load import load_scenarios
from pipelines.plan import plan_of, rules_of
from pipelines.pools import Pools, with_files
from pipelines.study import Studies, Study
from pipelines.surroundings import Surroundings
from tests.pipelines.test_reexecute_sample import composed
from tests.pipelines.test_replay_sample import sample  # noqa: F401 - the fixture
from tests.pipelines.test_rollup_sample import outcome, plan
from tests.unit.test_pools import OWNER, log

NEW = ["proceeds_usd", "slippage_usd", "displaced_share"]
HALF_LIFE_S = 1_200
CHOOSY = Profitable(Immediate(), 0, 0, 0.0, 1.0, 1.0)


def thin(market: Market, depth_usd: float = 200_000.0) -> Markets:
    pools = ((n, ConstantProduct(asset.symbol, depth_usd, 30, HALF_LIFE_S)) for n, asset in enumerate(market.assets))
    return Markets(alternative=Liquidity(tuple(pools)))


def taken(table: pa.Table, world: str) -> list[dict[str, object]]:
    return [row for row in table.to_pylist() if row["world"] == world and row["kind"] == "liquidation"]


@pytest.mark.parametrize("interest", Interest)
def test_sales_are_told_and_move_nothing_where_liquidators_do_not_mind(
    sample: Market,  # noqa: F811
    interest: Interest,
) -> None:
    bare = outcome(sample, plan(sample, interest))
    deep = outcome(sample, plan(sample, interest, liquidity=Markets()))
    sold = outcome(sample, plan(sample, interest, liquidity=thin(sample)))
    assert all(bare.outcomes[name].null_count == bare.outcomes.num_rows for name in NEW)
    for told in (deep, sold):
        follows = [*NEW, "profit_usd"]
        assert told.outcomes.drop_columns(follows).equals(bare.outcomes.drop_columns(follows))
        assert told.accounts.equals(bare.accounts)
        assert all(row[name] is None for row in taken(told.outcomes, "actual") for name in NEW)
    for row in [
        *taken(deep.outcomes, "control"),
        *taken(deep.outcomes, "alternative"),
        *taken(sold.outcomes, "control"),
    ]:
        assert (row["proceeds_usd"], row["slippage_usd"], row["displaced_share"]) == (
            row["collateral_market_usd"],
            0,
            0,
        )
    for row in taken(sold.outcomes, "alternative"):
        assert row["profit_usd"] == row["proceeds_usd"] - row["debt_market_usd"]
    assert len(taken(sold.outcomes, "alternative")) > 30


def test_the_sales_of_a_world_share_one_displacement_per_asset(sample: Market) -> None:  # noqa: F811
    rows = taken(outcome(sample, plan(sample, Interest.RECORDED, liquidity=thin(sample))).outcomes, "alternative")
    pools = {
        asset.address: pool for asset, (_, pool) in zip(sample.assets, thin(sample).alternative.outlets, strict=True)
    }
    moved = dict.fromkeys(pools, (0.0, 0))
    shared = 0
    for row in rows:
        pool, (before, at_s) = pools[row["collateral_asset"]], moved[row["collateral_asset"]]
        left = recovering(before, row["timestamp_s"] - at_s, HALF_LIFE_S)
        depth, gross = pool.depth_usd, row["collateral_market_usd"]
        held = depth * math.exp(-left / 2)
        net = gross * 0.997
        assert row["proceeds_usd"] == pytest.approx(net * depth**2 / held / (held + net), rel=1e-9, abs=1e-6)
        assert row["slippage_usd"] == pytest.approx(gross - row["proceeds_usd"])
        assert row["displaced_share"] == pytest.approx(1 - (depth / (held + net)) ** 2, rel=1e-9, abs=1e-12)
        moved[row["collateral_asset"]] = (-2 * math.log((held + net) / depth), row["timestamp_s"])
        shared += before != 0
    assert shared > 10


@pytest.mark.parametrize("interest", Interest)
def test_what_cannot_be_sold_at_a_profit_is_left_open(sample: Market, interest: Interest) -> None:  # noqa: F811
    asked: Plan = plan(sample, interest, liquidator=CHOOSY, liquidity=thin(sample))
    found = outcome(sample, asked)
    thinned = found.outcomes.to_pylist()
    done = [row for row in thinned if row["kind"] == "liquidation"]
    control, alternative = ([row for row in done if row["world"] == world] for world in ("control", "alternative"))
    assert all(row["proceeds_usd"] - row["debt_market_usd"] >= 1 for row in alternative)
    assert 0 < sum(row["debt_usd"] for row in alternative) < sum(row["debt_usd"] for row in control) / 2
    held = {row["account"] for row in thinned if row["cause"] == "unprofitable" and row["world"] == "alternative"}
    assert held - {row["account"] for row in control if row["cause"] == "unprofitable"}
    assert held & {row["account"] for row in alternative}, "some are sold when the price has come back"
    ends = found.accounts.to_pylist()
    short = [row for row in ends if row["health_wad"] is not None and row["health_wad"] < 10**18]
    left = [row for row in short if row["world"] == "alternative"]
    assert left and all(0 < row["sellable_usd"] < float(row["collateral_base"]) / 10**8 for row in left)
    assert all(row["sellable_usd"] is None for row in ends if row not in short or row["world"] == "actual")


THIN = """
name: thin
window: {from: 2026-03-11T04:00:00Z, to: 2026-03-11T05:10:00Z}
heartbeat: 1h
policy_range: false
distance: off
uncertainty: {resamples: 0}
liquidity: {model: constant_product, depth: $2000000, fee: 5bps, half_life: 30m}
liquidator: {model: latency, delay: 1m%s}
"""
THIN_POOL = "{model: constant_product, depth: $2000000, fee: 5bps, half_life: 30m}"
IN_THE_CRASH_S = int(datetime(2026, 3, 11, 4, 50, tzinfo=UTC).timestamp())
PAYING = ", profit: {above: $5}"


def studied(text: str, market: Market, studies: Studies | None = None) -> Study:
    return (studies or Studies(market, rules_of(market))).study(composed(text, market), "run")


def repaid(study: Study) -> tuple[float | None, float | None]:
    """Debt repaid in control and alternative."""
    (effect,) = (one for one in study.effects if one.metric == "debt_repaid_usd")
    return effect.control, effect.alternative


def test_the_outcome_is_told_with_no_impact_and_with_twice_the_impact(sample: Market) -> None:  # noqa: F811
    studies, text = Studies(sample, rules_of(sample)), THIN % PAYING
    given, half = (studied(text.replace("$2000000", depth), sample, studies) for depth in ("$2000000", "$1000000"))
    deep = studied("\n".join(line for line in text.splitlines() if "liquidity" not in line), sample, studies)
    none, double = (given.variants["liquidity"][impact]["debt_repaid_usd"] for impact in ("none", "double"))
    control, alternative = repaid(given)
    assert control == none and alternative is not None
    assert repaid(deep) == (none, none)
    assert double == pytest.approx(repaid(half)[1], rel=1e-6)
    assert double < alternative < none
    assert given.rounds is None and deep.variants == {}


def test_oracles_that_follow_sales_come_to_rest_where_prices_and_liquidations_agree(sample: Market) -> None:  # noqa: F811
    text = (THIN % "").replace("fee: 5bps", "fee: 5bps, feedback: 20%, rounds: 50")
    found = studied(text, sample)
    assert found.rounds is not None
    assert found.rounds.final_until_s is None and found.rounds.moving_usd < 10
    assert 1 < found.rounds.rounds < 50
    seen = taken(found.tables["outcomes"], "alternative")
    assert any(row["collateral_usd"] < row["collateral_market_usd"] * 0.999 for row in seen)
    stopped = studied(text.replace("rounds: 50", "rounds: 1"), sample)
    assert stopped.rounds is not None and stopped.rounds.rounds == 1
    assert stopped.rounds.final_until_s is not None and stopped.rounds.moving_usd > 0


def pool_logs(market: Market, depth_usd: float) -> list[dict[str, object]]:
    """A pool of WETH and USDC with liquidity at every price, which follows the recorded price of WETH."""
    weth, usdc = (next(n for n, a in enumerate(market.assets) if a.symbol == symbol) for symbol in ("WETH", "USDC"))
    prices, dollar = market.series[PRICE, weth], market.series[PRICE, usdc].values[0]
    squares = [(value * 10**6 << 192) // (dollar * 10**18) for value in prices.values]
    then = squares[int(np.searchsorted(prices.timestamp_s, IN_THE_CRASH_S))]
    liquidity = int(depth_usd * 10**6 * Q96) // isqrt(then)
    blocks = [block_of(key) for key in prices.key.tolist()]
    found = [
        log(blocks[0] - 2, "Initialize", isqrt(squares[0]), tick_at_sqrt_price(isqrt(squares[0]))),
        log(blocks[0] - 1, "Mint", OWNER, OWNER, -887_270, 887_270, liquidity, 1, 1),
    ]
    last = dict(zip(blocks, squares, strict=True))
    for block, square in last.items():
        price = isqrt(square)
        found.append(log(block, "Swap", OWNER, OWNER, 1, -1, price, liquidity, tick_at_sqrt_price(price)))
    return found


def test_a_recorded_pool_with_liquidity_at_every_price_is_one_of_constant_product(
    sample: Market,  # noqa: F811
    tmp_path: Path,
) -> None:
    (tmp_path / "pool.json").write_text(json.dumps(pool_logs(sample, 5e6)))
    pool = "{model: uniswap_v3, logs: pool.json, token0: WETH, token1: USDC, fee: 5bps, half_life: 30m}"
    curve = "{model: constant_product, depth: $5000000, fee: 5bps, half_life: 30m}"
    levers, rules = protocol("aave-v3").levers, rules_of(sample)
    sold = []
    for outlet in (pool, curve):
        text = (THIN % "").replace(THIN_POOL, f"{{assets: {{WETH: {outlet}}}}}")
        (loaded,) = load_scenarios(text, "s.yaml", levers)
        composition = compose(with_files(loaded, tmp_path), sample, levers)
        around = Surroundings(pools=Pools(unknown_chain(sample.chain_id)))
        asked = plan_of(composition, sample, rules.venue, around)
        outcomes = replay(rules.venue, sample, asked, (World.ALTERNATIVE,), accounts=False).outcomes
        sold.append(taken(outcomes, "alternative"))
    recorded, modelled = sold
    moved = [row for row in recorded if row["displaced_share"] > 0]
    assert len(moved) > 10
    for one, other in zip(recorded, modelled, strict=True):
        assert one["account"] == other["account"]
        assert one["proceeds_usd"] == pytest.approx(other["proceeds_usd"], rel=2e-3)
        assert one["displaced_share"] == pytest.approx(other["displaced_share"], rel=5e-2, abs=1e-6)


def test_who_repays_what_pays_closes_parts_of_what_is_too_large_to_sell_at_once(sample: Market) -> None:  # noqa: F811
    rules, done = rules_of(sample), {}
    for sizing in ("max", "what_pays"):
        asked = plan_of(composed(THIN % f"{PAYING}, sizing: {sizing}", sample), sample, rules.venue)
        outcomes = replay(rules.venue, sample, asked, (World.ALTERNATIVE,), accounts=False).outcomes
        done[sizing] = taken(outcomes, "alternative")
        assert all(row["proceeds_usd"] - row["debt_market_usd"] >= 5 for row in done[sizing])
    repaid_usd = {sizing: sum(row["debt_usd"] for row in rows) for sizing, rows in done.items()}
    assert repaid_usd["what_pays"] > 1.1 * repaid_usd["max"]
    assert {row["account"] for row in done["what_pays"]} - {row["account"] for row in done["max"]}

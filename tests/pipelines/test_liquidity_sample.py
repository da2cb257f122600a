"""Liquidity on the bundled sample: what sales yield, in both modes, and that it moves nothing it should not."""

from __future__ import annotations

from math import exp, log

import pyarrow as pa
import pytest

from l2liq.liquidators import Immediate, Profitable
from l2liq.liquidity import ConstantProduct, Liquidity, Markets, recovering
from l2liq.market import Market
from l2liq.replay import Interest, Plan
from pipelines.plan import rules_of
from pipelines.study import Studies, Study
from tests.pipelines.test_reexecute_sample import composed
from tests.pipelines.test_replay_sample import sample  # noqa: F401 - the fixture
from tests.pipelines.test_rollup_sample import outcome, plan

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
        held = depth * exp(-left / 2)
        net = gross * 0.997
        assert row["proceeds_usd"] == pytest.approx(net * depth**2 / held / (held + net), rel=1e-9, abs=1e-6)
        assert row["slippage_usd"] == pytest.approx(gross - row["proceeds_usd"])
        assert row["displaced_share"] == pytest.approx(1 - (depth / (held + net)) ** 2, rel=1e-9, abs=1e-12)
        moved[row["collateral_asset"]] = (-2 * log((held + net) / depth), row["timestamp_s"])
        shared += before != 0
    assert shared > 10


@pytest.mark.parametrize("interest", Interest)
def test_what_cannot_be_sold_at_a_profit_is_left_open(sample: Market, interest: Interest) -> None:  # noqa: F811
    def run(**others: object) -> list[dict[str, object]]:
        asked: Plan = plan(sample, interest, liquidator=CHOOSY, **others)
        return outcome(sample, asked).outcomes.to_pylist()

    thinned = run(liquidity=thin(sample))
    done = [row for row in thinned if row["kind"] == "liquidation"]
    control, alternative = ([row for row in done if row["world"] == world] for world in ("control", "alternative"))
    assert all(row["proceeds_usd"] - row["debt_market_usd"] >= 1 for row in alternative)
    assert 0 < sum(row["debt_usd"] for row in alternative) < sum(row["debt_usd"] for row in control) / 2
    held = {row["account"] for row in thinned if row["cause"] == "unprofitable" and row["world"] == "alternative"}
    assert held - {row["account"] for row in control if row["cause"] == "unprofitable"}
    assert held & {row["account"] for row in alternative}, "some are sold when the price has come back"


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
    assert found.rounds.rounds > 1
    seen = taken(found.tables["outcomes"], "alternative")
    assert any(row["collateral_usd"] < row["collateral_market_usd"] * 0.999 for row in seen)
    stopped = studied(text.replace("rounds: 50", "rounds: 1"), sample)
    assert stopped.rounds is not None and stopped.rounds.rounds == 1
    assert stopped.rounds.final_until_s is not None and stopped.rounds.moving_usd > 0

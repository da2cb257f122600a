"""The replay on the bundled sample, a recorded log of the real contracts."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from l2liq.chains.markets import find_market
from l2liq.events.log import block_of, key_of
from l2liq.lake.lake import Lake
from l2liq.liquidators import Immediate, LatencySeconds, LogNormal
from l2liq.market import Market
from l2liq.outcome.schema import World
from l2liq.protocols import protocol
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.protocols.interface import Moment
from l2liq.replay import Ground, Infeasible, Plan, replay, replay_recorded
from l2liq.replay.resolve import resolve
from l2liq.scenario.compose import compose
from l2liq.scenario.load import load_scenarios
from pipelines.cli.main import app
from pipelines.impact import moment_for
from pipelines.market import load_market
from pipelines.plan import plan_of
from tests.property.naive_replay import Naive
from tests.property.test_replay_brute_force import at_block, lowered, said


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Market:
    lake = tmp_path_factory.mktemp("replayed") / "lake"
    with as_file(files("pipelines.sample")) as folder:
        market, logs, blocks = (Path(folder) / name for name in ("market.yaml", "logs.parquet", "blocks.parquet"))
        ends = pc.min_max(pq.read_table(blocks, columns=["number"])["number"]).as_py()
        span = f"{ends['min']}:{ends['max'] + 1}"
        words = ["ingest", logs, "--blocks", blocks, "--market", market, "--complete", span, "--lake", lake]
        assert not app([str(word) for word in words], standalone_mode=False)
        return load_market(Lake.open(lake), find_market(str(market)))


@pytest.mark.parametrize("start", [0.0, 0.2, 0.5])
def test_recorded_liquidations_leave_every_account_as_on_chain(sample: Market, start: float) -> None:
    found = replay_recorded(AaveVenue(sample, sample.parameters), at_block(sample, start), at_block(sample, 1.0))
    assert found.discrepancies == ()
    assert found.exogenous == 0
    assert found.equal == found.accounts > 300
    assert found.liquidations > 100


@pytest.mark.parametrize("bps", [0, 400, -300])
@pytest.mark.parametrize("infeasible", Infeasible)
def test_engine_and_brute_force_tell_the_same_story(sample: Market, bps: int, infeasible: Infeasible) -> None:
    change, last = at_block(sample, 0.5), at_block(sample, 1.0)
    plan = Plan(
        first=change,
        last=last,
        actual=sample.parameters,
        alternative=lowered(sample.parameters, change, bps),
        change=change,
        liquidator=Immediate() if bps else LatencySeconds(LogNormal(60, 1.0)),
        infeasible=infeasible,
        heartbeat_s=3_600,
        dust_share=0.0,
    )
    ground = Ground.of(lambda timeline: AaveVenue(sample, timeline), sample, plan)
    course, _ = resolve(ground, plan, World.ALTERNATIVE, AaveVenue(sample, plan.alternative), {}, None)
    naive = Naive(sample, AaveVenue(sample, plan.alternative), plan).run()

    assert sorted(map(str, said(course, sample))) == sorted(map(str, naive.happened))
    for account in ground.borrowers.tolist():
        assert course.state(account, last.key) == naive.states[account]
    assert course.counters.ambiguous == 0


def test_nothing_before_a_change_sees_it_and_its_first_block_does(sample: Market) -> None:
    with as_file(files("pipelines.sample")) as folder:
        text = (Path(folder) / "scenarios" / "eth-collateral-tighter.yaml").read_text()
    aave = protocol("aave-v3")
    (loaded,) = load_scenarios(text, "s.yaml", aave.levers)
    composition = compose(loaded, sample, aave.levers)
    plan = plan_of(composition, sample, partial(AaveVenue, sample))
    change = plan.change
    assert change is not None
    asked_s = int(datetime(2026, 3, 9, tzinfo=UTC).timestamp())
    block = block_of(change.key)
    assert change == Moment(key_of(block, 0), sample.clock.time_of(block))
    assert sample.clock.time_of(block - 1) < asked_s <= change.timestamp_s
    assert moment_for(composition, sample, None).timestamp_s == change.timestamp_s

    result = replay(partial(AaveVenue, sample), sample, plan, (World.CONTROL, World.ALTERNATIVE), accounts=False)
    told = {
        world: [
            {name: value for name, value in row.items() if name not in ("world", "sequence")}
            for row in result.outcomes.filter(pc.equal(result.outcomes["world"], world.value)).to_pylist()
            if row["timestamp_s"] < change.timestamp_s
        ]
        for world in (World.CONTROL, World.ALTERNATIVE)
    }
    assert told[World.CONTROL] == told[World.ALTERNATIVE] != []
    struck = result.outcomes.filter(pc.equal(result.outcomes["cause"], "change")).to_pylist()
    calls = [row for row in struck if row["kind"] == "margin_call"]
    assert calls
    assert {(row["block_number"], row["timestamp_s"]) for row in calls} == {(block, change.timestamp_s)}


def test_partial_liquidations_of_an_account_share_their_episode(sample: Market) -> None:
    plan = Plan(at_block(sample, 0), at_block(sample, 1.0), sample.parameters, sample.parameters, None, Immediate())
    outcomes = replay(partial(AaveVenue, sample), sample, plan, (World.ACTUAL,), accounts=False).outcomes
    rows = outcomes.to_pylist()
    taken = [(r["account"], r["liquidatable_since_s"]) for r in rows if r["kind"] == "liquidation"]
    begun = [(r["account"], r["liquidatable_since_s"]) for r in rows if r["kind"] == "margin_call"]
    assert len(set(taken)) < len(taken) == sample.liquidations.num_rows
    assert set(taken) <= set(begun)

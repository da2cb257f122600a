"""The replay on the bundled sample, a recorded log of the real contracts."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from l2liq.chains.markets import find_market
from l2liq.lake.lake import Lake
from l2liq.liquidators import Immediate, LatencySeconds, LogNormal
from l2liq.market import Market
from l2liq.outcome.schema import World
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.replay import Ground, Infeasible, Plan, replay_recorded
from l2liq.replay.resolve import resolve
from pipelines.cli.main import app
from pipelines.market import load_market
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

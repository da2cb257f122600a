"""A chain that changes its mind: what is taken back is retracted, and the lake is that of the chain in the end."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from l2liq.chains.markets import find_market
from l2liq.errors import ReorgError
from l2liq.lake import Lake
from pipelines.stream.broker import Outlet
from pipelines.stream.follower import Follower
from pipelines.stream.messages import Retract
from pipelines.stream.topic import ensure_topic, place_of
from tests.evm.anvil import Node
from tests.stream.conftest import Rig
from tests.stream.records import records_of
from tests.stream.town import GrowingTown

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kafka")]


def town_and_rig(
    node: Node, bootstrap: str, folder: Path, name: str, finality: int, seed: int
) -> tuple[GrowingTown, Rig]:
    town = GrowingTown(node, seed)
    yaml = town.yaml(folder / f"{name}.yaml", f"aave-v3/{name}", finality=str(finality), cell_blocks=25)
    rig = Rig(node.url, yaml, find_market(str(yaml)), bootstrap, folder)
    ensure_topic(bootstrap, place_of(rig.listing.chain, rig.slug).topic)
    return town, rig


def run_dry(follower: Follower) -> int:
    """Follow to the head; how many blocks were taken back."""
    taken_back = 0
    while (step := follower.step()).blocks or step.retracted:
        taken_back += step.retracted
    return taken_back


@pytest.mark.parametrize("seed", [1, 2])
def test_however_the_chain_is_reorganised_the_lake_holds_its_last_history(
    chain: Node,
    bootstrap: str,
    tmp_path: Path,
    seed: int,
) -> None:
    town, rig = town_and_rig(chain, bootstrap, tmp_path, f"reorg-{seed}", 20, seed)
    town.grow(30)
    dice = random.Random(seed)
    taken_back = 0
    with Outlet(bootstrap) as outlet:
        follower = Follower(rig.node, rig.listing, outlet, bootstrap, stride=6)
        for _ in range(14):
            taken_back += run_dry(follower)
            depth = dice.randrange(1, 18)
            town.take_back(depth)
            if dice.random() < 0.3:
                taken_back += run_dry(follower)  # the chain is shorter than what was told
            town.grow(depth + dice.randrange(-depth + 1, 15))
            if dice.random() < 0.3:
                follower = Follower(rig.node, rig.listing, outlet, bootstrap, stride=6)
            if dice.random() < 0.5:
                taken_back += run_dry(follower)
                rig.sink()
    town.grow(40)
    rig.follow()
    state = rig.sink()
    assert (state.stopped, state.poison) == (None, 0)
    assert taken_back > 30
    assert rig.root() == rig.batch().dataset_root(rig.slug)
    assert Lake.open(rig.folder / "stream").quarantined() == []


def test_a_retraction_names_the_block_that_the_new_history_follows(
    chain: Node,
    bootstrap: str,
    tmp_path: Path,
) -> None:
    town, rig = town_and_rig(chain, bootstrap, tmp_path, "retraction", 20, 3)
    town.grow(20)
    rig.follow()
    fork = chain.block_number - 5
    town.take_back(5)
    town.grow(9)
    rig.follow()
    retractions = [one for one in (sent.message(rig) for sent in records_of(rig)) if isinstance(one, Retract)]
    last = retractions[-1]
    assert last.from_block <= fork + 1
    assert last.new_parent == rig.node.headers([last.from_block - 1])[last.from_block - 1].hash


def test_a_chain_that_takes_back_final_blocks_is_told_and_the_sink_unseals_what_is_gone(
    chain: Node,
    bootstrap: str,
    tmp_path: Path,
) -> None:
    town, rig = town_and_rig(chain, bootstrap, tmp_path, "broken-promise", 3, 4)
    town.grow(60)
    with Outlet(bootstrap) as outlet:
        follower = Follower(rig.node, rig.listing, outlet, bootstrap)
        run_dry(follower)
        rig.sink()
        sealed_until = Lake.open(rig.folder / "stream").coverage(rig.slug).sealed_until
        assert sealed_until is not None
        town.take_back(50)
        town.grow(80)
        with pytest.raises(ReorgError, match="was final, and now there is another one"):
            run_dry(follower)
    rig.follow()
    rig.sink(node=True)
    state = rig.sink(node=True)
    assert state.stopped is None
    assert rig.root() == rig.batch().dataset_root(rig.slug)
    assert any("reorganised" in one.reason for one in Lake.open(rig.folder / "stream").quarantined())

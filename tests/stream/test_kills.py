"""Follower, sink and batch ingest are killed again and again while the chain grows, and the broker is restarted."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from l2liq.chains.markets import find_market
from l2liq.lake import SEALED, Lake
from tests.evm.anvil import Node
from tests.kafka.broker import Broker
from tests.stream import workers
from tests.stream.conftest import Rig
from tests.stream.town import GrowingTown

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kafka")]

PROCESSES = multiprocessing.get_context("forkserver")
KILLS = int(os.environ.get("L2LIQ_KILLS", "60"))
CELL_BLOCKS = 20
PATIENCE_S = 300.0
FOLLOW, SINK, INGEST = range(3)


@pytest.fixture(scope="module", autouse=True)
def _forks_that_have_everything_imported() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        PROCESSES.set_forkserver_preload(["tests.stream.warm"])
        first = PROCESSES.Process(target=workers.nothing)
        first.start()
        first.join()
        yield


class Crowd:
    """One process of each kind, always."""

    KINDS = (workers.follow_forever, workers.sink_forever, workers.ingest_now_and_then)

    def __init__(self, rig: Rig) -> None:
        self._arguments = (rig.url, str(rig.yaml), rig.bootstrap, rig.folder / "lake")
        self._running = [self._started(kind) for kind in self.KINDS]

    def kill(self, kind: int) -> None:
        """Kill one and start another of its kind."""
        process = self._running[kind]
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it ended by itself"
        self._running[kind] = self._started(self.KINDS[kind])

    def end(self, *kinds: int) -> None:
        """Kill these for good."""
        for kind in kinds:
            self._running[kind].kill()
            self._running[kind].join()

    def _started(self, kind: object) -> multiprocessing.process.BaseProcess:
        process = PROCESSES.Process(target=kind, args=self._arguments, daemon=True)  # type: ignore[arg-type]
        process.start()
        return process


def sealed_until(rig: Rig) -> int:
    return (
        Lake.open(rig.folder / "lake").coverage(rig.slug).sealed_until or 0
        if (rig.folder / "lake" / "lake.json").exists()
        else 0
    )


def test_kills_anywhere_and_restarts_of_the_broker_leave_the_lake_of_an_undisturbed_run(
    chain: Node, broker: Broker | None, bootstrap: str, tmp_path: Path
) -> None:
    town = GrowingTown(chain, 1)
    yaml = town.yaml(tmp_path / "kills.yaml", "aave-v3/kills", finality="10", cell_blocks=CELL_BLOCKS)
    rig = Rig(chain.url, yaml, find_market(str(yaml)), bootstrap, tmp_path)
    dice = random.Random(7)
    town.grow(20)
    rig.follow()
    crowd = Crowd(rig)
    try:
        for number in range(KILLS):
            time.sleep(dice.expovariate(1 / 0.25))
            town.grow(dice.randrange(1, 8))
            crowd.kill(dice.choices((FOLLOW, SINK, INGEST), (4, 4, 2))[0])
            if broker is not None and number in (KILLS // 3, 2 * KILLS // 3):
                broker.restart()
        survived = sealed_until(rig)
        crowd.end(INGEST)  # what comes now is for the sink alone to seal
        town.grow(2 * CELL_BLOCKS)
        target = (chain.block_number - 10 + 1) // CELL_BLOCKS * CELL_BLOCKS
        give_up = time.monotonic() + PATIENCE_S
        while sealed_until(rig) < target and time.monotonic() < give_up:
            time.sleep(0.2)
    finally:
        crowd.end(FOLLOW, SINK, INGEST)
    assert survived > 0, "nothing was sealed while processes were killed"
    assert sealed_until(rig) == target

    rig.follow()
    rig.sink("lake")
    disturbed, undisturbed = Lake.open(rig.folder / "lake"), rig.batch()
    assert disturbed.dataset_root(rig.slug) == undisturbed.dataset_root(rig.slug)
    rig.sink("fresh")
    assert rig.root("fresh") == undisturbed.dataset_root(rig.slug)
    assert disturbed.verify(rig.slug) == []
    assert disturbed.quarantined() == []
    sources = {one.source for one in disturbed.coverage(rig.slug).segments if one.status in SEALED}
    assert "kafka" in sources, "the sink sealed nothing"

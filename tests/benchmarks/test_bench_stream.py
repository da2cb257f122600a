"""The sink beside the bare client that reads the same topic: what decoding, checking and sealing cost.

The topic holds the sample's blocks again and again, one message per block, as a follower sends them that catches up.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import pipelines.sample
from l2liq.chains.markets import Listing, find_market
from l2liq.events.log import LOGS
from l2liq.events.order import in_order
from l2liq.lake import OBSERVATIONS
from l2liq.lake.tables import passing
from l2liq.protocols import protocol
from pipelines.sources.node import Header
from pipelines.stream.broker import Inlet, Outlet
from pipelines.stream.follower import STRIDE_BLOCKS
from pipelines.stream.messages import Block, Scanned, filter_id
from pipelines.stream.packing import packed_blocks
from pipelines.stream.sink import Sink, SinkWish
from pipelines.stream.topic import ensure_topic, place_of
from tests.kafka.broker import bootstrap_of_a_broker

SAMPLE = Path(pipelines.sample.__file__).parent
TIMES = 128
CELL_BLOCKS = 43_200


@dataclass(frozen=True)
class Topic:
    """A filled topic. ``market``: the file that describes its market; ``logs``: how many it holds."""

    bootstrap: str
    market: str
    logs: int

    @property
    def listing(self) -> Listing:
        """The market."""
        return find_market(self.market)


@pytest.fixture(scope="module")
def topic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topic]:
    yaml = tmp_path_factory.mktemp("market") / "bench.yaml"
    text = (SAMPLE / "market.yaml").read_text().replace("cell_blocks: 500", f"cell_blocks: {CELL_BLOCKS}")
    yaml.write_text(text.replace("name: aave-v3/sample", "name: aave-v3/bench"))
    listing = find_market(str(yaml))
    logs = in_order(pq.read_table(SAMPLE / "logs.parquet").cast(LOGS))
    with bootstrap_of_a_broker() as bootstrap:
        yield Topic(bootstrap, str(yaml), _fill(bootstrap, listing, logs))


def _fill(bootstrap: str, listing: Listing, logs: pa.Table) -> int:
    slug, chain_id = listing.deployment.slug, listing.chain.chain_id
    place = place_of(listing.chain, slug)
    ensure_topic(bootstrap, place.topic)
    discovery = protocol(listing.deployment.protocol).discovery(listing.deployment)
    discovery.see(logs)
    discovery.learn(OBSERVATIONS.empty_table())
    wanted = discovery.filter()
    logs = logs.filter(pa.array(passing(logs, wanted)))
    length = logs.column("block_number")[-1].as_py() + 1
    last = length * TIMES - 1
    parts = dict(packed_blocks(logs, 1 << 20))
    times = dict(zip(*(logs.column(name).to_pylist() for name in ("block_number", "timestamp_s")), strict=True))
    with Outlet(bootstrap) as outlet:
        stop = 0
        while stop <= last:
            first = stop
            stop = min(first + STRIDE_BLOCKS, last + 1, (first // CELL_BLOCKS + 1) * CELL_BLOCKS)
            count = 0
            for number in range(first, stop):
                time_s = (number // length) * 10_000_000 + times.get(number % length, 0)
                for packed in parts.get(number % length, ()):
                    outlet.send(place, Block(slug, chain_id, _header(number, time_s), 0, 1, packed))
                    count += packed.rows
            ends = _header(first, 1), _header(stop - 1, 1)
            told = wanted if first % CELL_BLOCKS == 0 else None
            outlet.send(place, Scanned(slug, chain_id, *ends, last, count, 1, filter_id(wanted), told))
        outlet.flush()
    return logs.num_rows * TIMES


def _header(number: int, time_s: int) -> Header:
    return Header(number, number.to_bytes(32, "big"), max(number - 1, 0).to_bytes(32, "big"), time_s, 7, 0)


def read(topic: Topic) -> int:
    """Read everything with the client and do nothing."""
    inlet = Inlet(topic.bootstrap, place_of(topic.listing.chain, topic.listing.deployment.slug), None)
    begin, end = inlet.bounds()
    inlet.seek(begin)
    count = 0
    while count < end - begin:
        count += len(inlet.poll(1.0))
    inlet.close()
    return count


def seal(topic: Topic, lake: Path) -> int:
    """Read everything and seal what is whole, as a sink does."""
    with Sink(lake, topic.listing, topic.bootstrap, wish=SinkWish(tail_every_s=1e9)) as sink:
        while sink.state.read_logs < topic.logs or not sink.caught_up:
            sink.step(1.0)
    assert sink.state.stopped is None
    return sink.state.read_logs


class Worker:
    """A process that may use some of the machine's cores only."""

    def __init__(self, cores: int) -> None:
        mine = sorted(os.sched_getaffinity(0))[:cores]
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), os.sched_setaffinity, (0, mine))
        self.cores = len(mine)

    def __call__(self, work: Callable[..., int], *arguments: object) -> int:
        return self._pool.submit(work, *arguments).result()

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture(params=[2, 1], ids=["two-cores", "one-core"])
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    worker = Worker(request.param)
    yield worker
    worker.close()


@pytest.mark.benchmark(group="stream")
def test_bare_client(benchmark: BenchmarkFixture, topic: Topic, worker: Worker) -> None:
    benchmark.extra_info |= {"logs": topic.logs, "cores": worker.cores}
    assert benchmark.pedantic(worker, (read, topic), rounds=5, warmup_rounds=1) > 0


@pytest.mark.benchmark(group="stream")
def test_sink(benchmark: BenchmarkFixture, topic: Topic, worker: Worker, tmp_path: Path) -> None:
    benchmark.extra_info |= {"logs": topic.logs, "cores": worker.cores}
    names = itertools.count()
    found = benchmark.pedantic(lambda: worker(seal, topic, tmp_path / str(next(names))), rounds=5, warmup_rounds=1)
    assert found == topic.logs

"""A real broker, a real chain, and markets of a name of their own for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from l2liq.chains.markets import Listing, find_market
from l2liq.lake import Lake
from pipelines.ingest.node_job import Wish, ingest_node
from pipelines.sources.jsonrpc import JsonRpc, Manners
from pipelines.sources.node import Node
from pipelines.stream.metrics import Metrics
from pipelines.stream.service import FollowWish, Stop, follow, sink
from pipelines.stream.sink import SinkState, SinkWish
from tests.evm.anvil import Node as Anvil
from tests.evm.anvil import running_node
from tests.evm.deploy import deploy
from tests.evm.driver.plan import Plan
from tests.evm.driver.run import simulate
from tests.evm.market import Version
from tests.kafka.broker import GIVEN, Broker, running_broker
from tests.pipelines.conftest import market_file

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker | None]:
    """A real broker, None where the environment names one that is not ours to restart."""
    if os.environ.get(GIVEN):
        yield None
        return
    with running_broker() as running:
        yield running


@pytest.fixture(scope="session")
def bootstrap(broker: Broker | None) -> str:
    """Where a real broker listens."""
    return os.environ[GIVEN] if broker is None else broker.bootstrap


@dataclass(frozen=True)
class Rig:
    """One market on one chain, streamed through one broker."""

    url: str
    yaml: Path
    listing: Listing
    bootstrap: str
    folder: Path

    @property
    def slug(self) -> str:
        return self.listing.deployment.slug

    @property
    def node(self) -> Node:
        return Node(JsonRpc(self.url, Manners()), self.listing.chain)

    def batch(self, name: str = "batch") -> Lake:
        """A lake that batch wrote."""
        ingest_node(self.folder / name, self.listing, self.node, Wish())
        return Lake.open(self.folder / name)

    def follow(self, lake: Path | None = None) -> None:
        """Put the chain into the topic as far as it is."""
        follow(self.url, Manners(), [self.listing], self.bootstrap, FollowWish(lake, once=True), Metrics(), Stop())

    def sink(self, name: str = "stream", *, node: bool = False, metrics: Metrics | None = None) -> SinkState:
        """Seal what is in the topic."""
        states = sink(
            self.folder / name, [self.listing], self.bootstrap, lambda _: self.node if node else None,
            SinkWish(), metrics or Metrics(), Stop(), once=True,
        )  # fmt: skip
        return states[0]

    def root(self, name: str = "stream") -> bytes:
        return Lake.open(self.folder / name).dataset_root(self.slug)


@pytest.fixture
def chain() -> Iterator[Anvil]:
    """A chain of its own for one test."""
    with running_node() as running:
        yield running


@dataclass(frozen=True)
class City:
    """A market on a chain of three whole cells and a part of the fourth, that nobody changes."""

    node: Anvil
    provider: str
    last_block: int


@pytest.fixture(scope="session")
def city() -> Iterator[City]:
    with running_node() as node:
        market = deploy(node, Version.V302)
        trace = simulate(node, market, Plan(seed=3, users=8, days=0.8, actions_per_day=200))
        yield City(node, market.provider, trace.last_block)


@pytest.fixture(scope="session")
def batch_root(city: City, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The root of the lake that batch writes of the city."""
    folder = tmp_path_factory.mktemp("city")
    yaml = market_file(folder / "city.yaml", city.provider, name="aave-v3/city")
    rig = Rig(city.node.url, yaml, find_market(str(yaml)), "", folder)
    return rig.batch().dataset_root(rig.slug)


MakeRig = Callable[..., Rig]


@pytest.fixture
def make_rig(bootstrap: str, tmp_path: Path) -> MakeRig:
    """Make a market with a name that no other test has."""

    def make(node: Anvil, provider: str, finality: str = "latest") -> Rig:
        name = f"aave-v3/town-{next(_NUMBERS)}-{tmp_path.name.replace('_', '-')[-40:].strip('-').lower()}"
        name = "".join(one for one in name if one.isalnum() or one in "-/").replace("--", "-")
        yaml = market_file(tmp_path / f"{name.partition('/')[2]}.yaml", provider, finality=finality, name=name)
        return Rig(node.url, yaml, find_market(str(yaml)), bootstrap, tmp_path)

    return make


@pytest.fixture
def rig(city: City, make_rig: MakeRig) -> Rig:
    """The unchanging market under a name of its own."""
    return make_rig(city.node, city.provider)

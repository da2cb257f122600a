"""A real chain with a real market on it, for every test that talks to a node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from l2liq.chains.markets import Listing, find_market
from tests.evm.anvil import CHAIN_ID, Node, running_node
from tests.evm.deploy import deploy
from tests.evm.driver.plan import Plan
from tests.evm.driver.run import simulate
from tests.evm.market import Version


@dataclass(frozen=True)
class Town:
    """A market on a running node. ``yaml``: its market file, everything final at once, cells of 100 blocks."""

    node: Node
    yaml: Path
    listing: Listing
    last_block: int


def market_file(path: Path, provider: str, *, finality: str = "latest", name: str = "aave-v3/town") -> Path:
    path.write_text(
        f"name: {name}\nprotocol: aave-v3\nversion: 3.0.2\nchain_id: {CHAIN_ID}\naddresses_provider: '{provider}'\n"
        f"cell_blocks: 100\nfinality: {finality}\n"
    )
    return path


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A chain that nobody changes any more."""
    with running_node() as node:
        market = deploy(node, Version.V302)
        trace = simulate(node, market, Plan(seed=3, users=8, days=0.8, actions_per_day=200))
        yaml = market_file(tmp_path_factory.mktemp("town") / "town.yaml", market.provider)
        yield Town(node, yaml, find_market(str(yaml)), trace.last_block)

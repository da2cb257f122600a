"""What l2liq makes of a chain: ingested over JSON-RPC into a lake, folded, and asked the same questions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pyarrow as pa

from l2liq.chains.markets import find_market
from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.lake import BLOCK_DATA, OBSERVATION_DATA, Lake
from l2liq.market import Market
from l2liq.protocols import protocol
from l2liq.protocols.aave_v3.fold import Snapshot
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.protocols.interface import Moment
from pipelines.ingest.node_job import Wish, ingest_node
from pipelines.sources.jsonrpc import JsonRpc, Manners
from pipelines.sources.node import Node as SourceNode
from tests.evm.anvil import CHAIN_ID, Node
from tests.evm.market import Deployment


@dataclass(frozen=True, slots=True)
class Reading:
    """A market as l2liq sees it; ``observations``: what it asked beyond the logs."""

    market: Market
    venue: AaveVenue
    snapshot: Snapshot
    observations: pa.Table

    def after_block(self, block: int, timestamp_s: int) -> Moment:
        """The moment after everything in a block."""
        return Moment(key_of(block, END_OF_BLOCK), timestamp_s)


def read_market(node: Node, deployment: Deployment, folder: Path, supplement: str = "") -> Reading:
    """Ingest a deployment from its node and fold it; told are the addresses provider and what ``supplement`` says."""
    file = folder / "market.yaml"
    file.write_text(market_file(deployment) + supplement)
    listing = find_market(str(file))
    source = SourceNode(JsonRpc(node.url, Manners()), listing.chain)
    ingest_node(folder / "lake", listing, source, Wish())
    lake, slug = Lake.open(folder / "lake"), listing.deployment.slug
    aave = protocol(listing.deployment.protocol)
    blocks, observations = lake.read(BLOCK_DATA, slug), lake.read(OBSERVATION_DATA, slug)
    snapshot = aave.fold(listing.deployment, cast("list[pa.Table]", lake.read_logs(slug)), blocks, observations)
    market = aave.market(snapshot)
    venue = aave.venue(market, market.parameters)
    assert isinstance(snapshot, Snapshot)
    assert isinstance(venue, AaveVenue)
    return Reading(market, venue, snapshot, observations)


def market_file(deployment: Deployment) -> str:
    """The least that a market file says."""
    return (
        f"name: aave-v3/truth\nprotocol: aave-v3\nversion: {deployment.version.value}\nchain_id: {CHAIN_ID}\n"
        f'addresses_provider: "{deployment.provider}"\ncell_blocks: 500\nfinality: 0\n'
    )

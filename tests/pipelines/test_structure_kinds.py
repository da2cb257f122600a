"""Every kind of structural fault blocks its cell whichever way it comes in, with an error of its own type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from l2liq.errors import (
    DecodeError,
    DuplicateLogError,
    FilterError,
    GapError,
    InterestIndexError,
    LogError,
    OrderError,
    ReorgError,
    SupplyError,
)
from l2liq.events.abi import contract_event
from l2liq.events.filter import Filter
from l2liq.events.log import BLOCKS
from l2liq.lake import SEALED, Lake, Span
from l2liq.protocols import protocol
from pipelines.ingest.answers import Answers, NodeOracle
from pipelines.ingest.file_job import FileWish, ingest_files
from pipelines.ingest.node_job import Wish, ingest_node
from pipelines.ingest.outcome import Outcome
from pipelines.ingest.sealer import Sealer, sealed_answers
from pipelines.quality.reconciliation import Reconciliation
from pipelines.sources.jsonrpc import JsonRpc, Manners
from pipelines.sources.logfiles import LogFile
from pipelines.sources.node import Header, Node
from pipelines.stream.assembly import Assembly
from pipelines.stream.messages import Block, Scanned, filter_id
from pipelines.stream.packing import packed_blocks
from pipelines.stream.poison import Poison
from pipelines.stream.source import StreamSource
from tests.pipelines.conftest import Town
from tests.pipelines.proxy import Request, proxied

STOP, CELL = 200, Span(100, 200)
CELLS = (Span(0, 100), CELL)


@dataclass(frozen=True)
class Told:
    """What a source tells of the town's first two cells. ``lost``: it does not know all of the second."""

    town: Town
    logs: pa.Table
    headers: Mapping[int, Header]
    filters: Mapping[Span, Filter]
    lost: bool = False

    @property
    def node(self) -> Node:
        """The honest node."""
        return Node(JsonRpc(self.town.node.url, Manners(attempts=2, pause_s=0.01)), self.town.listing.chain)

    def of(self, event: str, contract: str = "aave_v3/scaled_token") -> int:
        """Row of the second cell's last event of a kind."""
        topic = pa.scalar(contract_event(contract, event).topic0, pa.binary(32))
        return int(np.flatnonzero(pc.equal(self.logs["topic0"], topic).to_numpy())[-1])

    def but(self, row: int, **values: Any) -> Told:
        """With other values in one log."""
        return replace(
            self, logs=pa.concat_tables([self.logs.slice(0, row), self.like(row, **values), self.after(row)])
        )

    def and_also(self, row: int, **values: Any) -> Told:
        """With one more log, like another one but for some values."""
        logs = [self.logs.slice(0, row + 1), self.like(row, **values), self.after(row)]
        return replace(self, logs=pa.concat_tables(logs))

    def like(self, row: int, **values: Any) -> pa.Table:
        return pa.Table.from_pylist([self.logs.slice(row, 1).to_pylist()[0] | values], self.logs.schema)

    def after(self, row: int) -> pa.Table:
        return self.logs.slice(row + 1)

    def value(self, row: int, name: str) -> Any:
        return self.logs[name][row].as_py()

    def changed_word(self, row: int, word: int, by: int) -> Told:
        """With another number in the data of one log."""
        data = self.value(row, "data")
        number = int.from_bytes(data[32 * word : 32 * word + 32]) + by
        return self.but(row, data=data[: 32 * word] + number.to_bytes(32) + data[32 * word + 32 :])


@pytest.fixture(scope="module")
def truth(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Told:
    path = tmp_path_factory.mktemp("truth") / "lake"
    node = Node(JsonRpc(town.node.url, Manners(attempts=2, pause_s=0.01)), town.listing.chain)
    ingest_node(path, town.listing, node, Wish(to_block=STOP))
    lake, slug = Lake.open(path), town.listing.deployment.slug
    filters = {cell: lake.coverage(slug).covered(cell, SEALED) for cell in CELLS}
    return Told(town, pa.concat_tables(lake.read_logs(slug)).combine_chunks(), node.headers(range(STOP)), filters)


def two_orders(told: Told) -> Told:
    row = told.of("ReserveDataUpdated", "aave_v3/pool")
    return told.but(row, transaction_index=told.value(row, "transaction_index") + 9)


def cut_short(told: Told) -> Told:
    row = told.of("Mint")
    return told.but(row, data=told.value(row, "data")[:-1])


def two_at_one_place(told: Told) -> Told:
    row = told.of("Mint")
    return told.and_also(row, data=told.value(row, "data")[::-1])


def a_stranger(told: Told) -> Told:
    last = told.logs.num_rows - 1
    return told.and_also(last, address=bytes(20), log_index=told.value(last, "log_index") + 1)


def another_parent(told: Told) -> Told:
    first = replace(told.headers[CELL.start], parent_hash=bytes(32))
    return replace(told, headers={**told.headers, CELL.start: first})


def other_blocks(told: Told) -> Told:
    """The second cell's logs say that their blocks are others."""
    later = pc.greater_equal(told.logs["block_number"], CELL.start)
    hashes = pc.if_else(later, pa.scalar(bytes(32), pa.binary(32)), told.logs["block_hash"])
    return replace(told, logs=told.logs.set_column(1, told.logs.schema.field(1), hashes))


def without_a_mint(told: Told) -> Told:
    row = told.of("Mint")
    return replace(told, logs=pa.concat_tables([told.logs.slice(0, row), told.after(row)]))


Kind = type[LogError] | None
FAULTS: dict[str, tuple[Callable[[Told], Told], Kind, Kind, Kind]] = {
    "order": (two_orders, OrderError, OrderError, OrderError),
    "uniqueness": (two_at_one_place, DuplicateLogError, DuplicateLogError, DuplicateLogError),
    "lengths": (cut_short, DecodeError, DecodeError, DecodeError),
    "continuity: blocks that were not looked at": (lambda told: replace(told, lost=True), GapError, GapError, GapError),
    "continuity: blocks of two histories": (another_parent, ReorgError, ReorgError, ReorgError),
    "continuity: logs of other blocks": (other_blocks, ReorgError, ReorgError, None),  # a stream says a hash once
    "filter": (a_stranger, None, None, FilterError),  # files and nodes hold more than is asked for: it is left out
    "supply: below zero": (lambda told: told.changed_word(told.of("Burn"), 0, 10**40), *3 * (SupplyError,)),
    "supply: not what the token states": (without_a_mint, None, SupplyError, SupplyError),  # nobody to ask of a file
    "index: of a reserve": (
        lambda told: told.changed_word(told.of("ReserveDataUpdated", "aave_v3/pool"), 3, -(10**25)),
        *3 * (InterestIndexError,),
    ),
    "index: of a token": (lambda told: told.changed_word(told.of("Mint"), 2, -(10**25)), *3 * (InterestIndexError,)),
}  # fmt: skip


def of_files(told: Told, lake: Path) -> Outcome:
    known = CELL.start if told.lost else STOP
    blocks = [
        {name: getattr(one, name) for name in BLOCKS.names} for one in told.headers.values() if one.number < known
    ]
    pq.write_table(pa.Table.from_pylist(blocks, BLOCKS), lake.parent / "blocks.parquet")
    pq.write_table(told.logs.filter(pc.less(told.logs["block_number"], known)), lake.parent / "logs.parquet")
    file = LogFile(lake.parent / "logs.parquet", None, told.town.listing.chain)
    wish = FileWish(Span(0, STOP), blocks=(lake.parent / "blocks.parquet",))
    return ingest_files(lake, told.town.listing, [file], wish)


def of_a_node(told: Told, lake: Path) -> Outcome:
    def temper(request: Request, ask: Callable[[], Any]) -> Any:
        if request["method"] == "eth_getLogs":
            first, last = (int(request["params"][0][name], 16) for name in ("fromBlock", "toBlock"))
            numbers = told.logs["block_number"]
            within = pc.and_(pc.greater_equal(numbers, first), pc.less_equal(numbers, last))
            return [as_json(row) for row in told.logs.filter(within).to_pylist()]
        result = ask()
        if request["method"] == "eth_getBlockByNumber":
            known = told.headers.get(int(result["number"], 16))
            result |= {"logsBloom": "0x"} | ({"parentHash": "0x" + known.parent_hash.hex()} if known else {})
        return result

    with proxied(told.town.node.url, temper) as proxy:
        node = Node(JsonRpc(proxy.url, Manners(attempts=2, pause_s=0.01)), told.town.listing.chain)
        wish = Wish(from_block=CELL.start if told.lost else None, to_block=STOP, checks=1)
        return ingest_node(lake, told.town.listing, node, wish)


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    topics = [row[f"topic{number}"] for number in range(4)]
    return {
        "address": "0x" + row["address"].hex(),
        "topics": ["0x" + topic.hex() for topic in topics if topic is not None],
        "data": "0x" + row["data"].hex(),
        "blockNumber": hex(row["block_number"]),
        "blockHash": "0x" + row["block_hash"].hex(),
        "blockTimestamp": hex(row["timestamp_s"]),
        "transactionHash": "0x" + row["transaction_hash"].hex(),
        "transactionIndex": hex(row["transaction_index"]),
        "logIndex": hex(row["log_index"]),
    }  # fmt: skip


def of_a_stream(told: Told, path: Path) -> Outcome:
    listing = told.town.listing
    deployment, chain = listing.deployment, listing.chain.chain_id
    lake = Lake.create(path)
    grid, outcome = lake.grid(chain, listing.chain.cell_blocks), Outcome(deployment.name)
    assembly = assembled(told, Assembly(grid))
    source = StreamSource(assembly, grid, Poison(lake, grid, deployment.name), None, None)
    answers = Answers(sealed_answers(lake, deployment.slug), NodeOracle(told.node))
    reconciliation = Reconciliation(told.node)
    sealer = Sealer(lake, grid, deployment, source, answers, outcome, reconciliation=reconciliation)
    discovery = protocol(deployment.protocol).discovery(deployment)
    with lake.writer(deployment.slug, chain) as writer:
        for cell in CELLS:
            source.begin(cell)
            discovery = sealer.seal(writer, cell, discovery).discovery
    return outcome


def assembled(told: Told, assembly: Assembly) -> Assembly:
    """Two messages where two logs are at one place: within one they could not be."""
    listing = told.town.listing
    slug, chain = listing.deployment.slug, listing.chain.chain_id
    keys = told.logs["block_number"].to_numpy() * 10**6 + told.logs["log_index"].to_numpy()
    first = np.isin(np.arange(len(keys)), np.unique(keys, return_index=True)[1])
    messages = [
        Block(slug, chain, told.headers[number], 0, 1, part)
        for logs in (told.logs.filter(pa.array(first)), told.logs.filter(pa.array(~first)))
        for number, (part,) in packed_blocks(logs, 1 << 20)
    ]
    for offset, message in enumerate(messages[:-1] if told.lost else messages):
        assembly.take(message, offset)
    for cell, wanted in told.filters.items():
        known = told.logs.filter(pa.array(first))
        own = pc.is_in(known["address"], value_set=pa.array(wanted.addresses, pa.binary(20)))
        numbers = known["block_number"]
        inside = pc.and_(pc.greater_equal(numbers, cell.start), pc.less(numbers, cell.stop))
        count = pc.sum(pc.and_(own, inside)).as_py()
        ends = told.headers[cell.start], told.headers[cell.stop - 1]
        scanned = Scanned(slug, chain, *ends, STOP - 1, count, 0, filter_id(wanted), wanted, ())
        assembly.take(scanned, len(messages))
    return assembly


WAYS = {"file": of_files, "node": of_a_node, "stream": of_a_stream}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_blocks_its_cell_with_its_own_type(fault: str, way: str, truth: Told, tmp_path: Path) -> None:
    lie, *kinds = FAULTS[fault]
    expected = dict(zip(WAYS, kinds, strict=True))[way]
    found: set[type[LogError]] = set()
    try:
        found |= {type(one.error) for one in WAYS[way](lie(truth), tmp_path / "lake").quarantined}
    except LogError as error:
        found.add(type(error))
    assert found == ({expected} if expected else set())
    coverage = Lake.open(tmp_path / "lake").coverage(truth.town.listing.deployment.slug)
    sealed = [one.span for one in coverage.segments if one.span.intersection(CELL)]
    assert sealed == ([] if expected else [CELL])

"""Calldata of a market's transactions, from a real node into the lake."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.compute as pc
import pytest

from l2liq.errors import ReorgError, ScenarioError
from l2liq.events.abi import contract_event
from l2liq.lake import INPUT_DATA, Lake
from pipelines.backtest import backtest
from pipelines.bundle import manifest_of
from pipelines.ingest.calldata import ingest_calldata
from pipelines.ingest.node_job import Wish, ingest_node
from pipelines.sources.jsonrpc import JsonRpc, Manners
from pipelines.sources.node import Node
from pipelines.verify import verify
from tests.pipelines.conftest import Town


@pytest.fixture
def ingested(town: Town, tmp_path: Path) -> tuple[Path, Node]:
    node = Node(JsonRpc(town.node.url, Manners()), town.listing.chain)
    ingest_node(tmp_path / "lake", town.listing, node, Wish())
    return tmp_path / "lake", node


def test_inputs_are_what_the_node_says_of_every_transaction_of_the_pool(
    town: Town, ingested: tuple[Path, Node]
) -> None:
    path, node = ingested
    count = ingest_calldata(path, town.listing, node)
    lake, slug = Lake.open(path), town.listing.deployment.slug
    held = lake.read(INPUT_DATA, slug)
    assert held.num_rows == count > 100
    supplies = next(lake.read_logs(slug, topics=[contract_event("aave_v3/pool", "Supply").topic0]))
    assert set(supplies["transaction_hash"].to_pylist()) <= set(held["transaction_hash"].to_pylist())
    for row in held.to_pylist():
        told = town.node.rpc.call("eth_getTransactionByHash", "0x" + row["transaction_hash"].hex())
        assert "0x" + row["input"].hex() == told["input"]
        assert ("0x" + row["sender"].hex(), "0x" + (row["recipient"] or b"").hex()) == (
            told["from"],
            told["to"] or "0x",
        )
        place = (int(told["blockNumber"], 16), int(told["transactionIndex"], 16))
        assert (row["block_number"], row["transaction_index"]) == place


def test_a_second_time_nothing_is_fetched_and_roots_stay(town: Town, ingested: tuple[Path, Node]) -> None:
    path, node = ingested
    slug = town.listing.deployment.slug
    without = Lake.open(path).dataset_root(slug)
    ingest_calldata(path, town.listing, node)
    root = Lake.open(path).dataset_root(slug)
    assert root != without
    assert ingest_calldata(path, town.listing, node) == 0
    assert Lake.open(path).dataset_root(slug) == root


def test_a_run_executes_again_what_calldata_asks(town: Town, ingested: tuple[Path, Node], tmp_path: Path) -> None:
    path, node = ingested
    scenario = tmp_path / "x.yaml"
    scenario.write_text(
        f"name: x\nmarket: {town.yaml}\ninterest: reexecuted\ncalldata: decoded\npolicy_range: false\n"
        "change: {reserves: {WETH: {ltv: {shift: -5pp}, liquidation_threshold: {shift: -5pp}}}}\n"
    )
    with pytest.raises(ScenarioError, match=r"the lake holds none of .* `l2liq ingest URL --market .* --calldata`"):
        backtest(Lake.open(path), scenario)
    ingest_calldata(path, town.listing, node)
    (done,) = backtest(Lake.open(path), scenario)
    (said,) = (note for note in manifest_of(done.run).notes if note.startswith("Every transaction was executed again"))
    found = re.search(r", ([\d,]+) of ([\d,]+) as their calldata asks", said)
    assert found is not None
    decoded, transactions = (int(number.replace(",", "")) for number in found.groups())
    assert transactions >= decoded > 100
    assert not verify(Lake.open(path), done.run.run_id, str(town.yaml)).problems


def test_a_transaction_that_moved_is_a_reorganisation(
    town: Town, ingested: tuple[Path, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, node = ingested
    ask = node.inputs

    def elsewhere(hashes):  # type: ignore[no-untyped-def]
        found = ask(hashes)
        place = found.schema.get_field_index("block_number")
        return found.set_column(place, found.schema.field(place), pc.add(found["block_number"], 1))

    monkeypatch.setattr(node, "inputs", elsewhere)
    with pytest.raises(ReorgError, match="at other places than in the lake"):
        ingest_calldata(path, town.listing, node)

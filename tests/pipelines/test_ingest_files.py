"""Ingest from files: what is declared complete is sealed exactly, what is not is kept and flagged, nothing is lost."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from eth_utils.crypto import keccak

from l2liq.chains.markets import find_market
from l2liq.errors import InputError, LakeError, OrderError
from l2liq.events.log import LOGS
from l2liq.lake import BLOCK_DATA, OBSERVATION_DATA, Lake, Linkage, Span, Status
from pipelines.ingest.file_job import FileWish, ingest_files
from pipelines.ingest.node_job import Wish, ingest_node
from pipelines.ingest.prices import PRICE_CALL, import_prices
from pipelines.sources.jsonrpc import JsonRpc, Manners
from pipelines.sources.logfiles import LogFile
from pipelines.sources.node import Node
from tests.pipelines.conftest import Town
from tests.pipelines.logfiles import WRITERS, Log, write_own

NAME = "aave-v3/town"
RESERVE_DATA_UPDATED = "ReserveDataUpdated(address,uint256,uint256,uint256,uint256,uint256)"


@pytest.fixture(scope="session")
def logs(town: Town) -> list[Log]:
    """Every log of the town's chain."""
    entries = town.node.logs(0, town.last_block)
    columns: dict[str, list[Any]] = {name: [] for name in LOGS.names}
    for entry in entries:
        topics = [bytes.fromhex(topic[2:]) for topic in entry["topics"]]
        values = {
            "block_number": int(entry["blockNumber"], 16), "block_hash": bytes.fromhex(entry["blockHash"][2:]),
            "transaction_index": int(entry["transactionIndex"], 16), "log_index": int(entry["logIndex"], 16),
            "transaction_hash": bytes.fromhex(entry["transactionHash"][2:]),
            "address": bytes.fromhex(entry["address"][2:]), "timestamp_s": int(entry["blockTimestamp"], 16),
            "data": bytes.fromhex(entry["data"][2:]),
        }  # fmt: skip
        for name in LOGS.names:
            columns[name].append(values.get(name) if name in values else dict(enumerate(topics)).get(int(name[-1])))
    return pa.table(columns, LOGS).to_pylist()


@pytest.fixture
def window(town: Town) -> Span:
    return Span(0, town.last_block + 1)


def ingest(town: Town, lake: Path, *files: Path, **wish: Any) -> Any:
    return ingest_files(
        lake, town.listing, [LogFile(file, None, town.listing.chain) for file in files], FileWish(**wish)
    )


def saved(path: Path, logs: list[Log], kind: str = "own") -> Path:
    WRITERS[kind](path, logs)
    return path


def held(lake: Path, span: Span | None = None) -> pa.Table:
    return pa.concat_tables([LOGS.empty_table(), *Lake.open(lake).read_logs(NAME, span)]).combine_chunks()


def test_a_complete_file_seals_the_logs_that_a_node_would_have_given(
    town: Town, logs: list[Log], window: Span, tmp_path: Path
) -> None:
    node = Node(JsonRpc(town.node.url, Manners()), town.listing.chain)
    ingest_node(tmp_path / "node", town.listing, node, Wish())
    outcome = ingest(town, tmp_path / "file", saved(tmp_path / "logs", logs), complete=window)
    lake = Lake.open(tmp_path / "file")
    found, expected = held(tmp_path / "file"), held(tmp_path / "node")
    # a node answers which contract logs a source's prices, so discovery finds more there
    assert set(found.column("address").to_pylist()) <= set(expected.column("address").to_pylist())
    covered = {address for one in lake.coverage(NAME).segments for address in one.filter.addresses}
    kept = pa.array([address in covered for address in expected.column("address").to_pylist()])
    assert found.equals(expected.filter(kept).combine_chunks())
    assert outcome.sealed_cells == -(-window.stop // 100)
    assert {one.linkage for one in lake.coverage(NAME).segments} == {Linkage.UNVERIFIED}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_seals_the_same_lake(town: Town, logs: list[Log], window: Span, tmp_path: Path, kind: str) -> None:
    chain = [log for log in logs if log["block_number"] < 150]
    ingest(town, tmp_path / "a", saved(tmp_path / "own", chain), complete=Span(0, 150))
    path = saved(tmp_path / "file", chain, kind)
    if kind.startswith("cryo"):
        pq.write_table(pq.read_table(path).drop_columns(["chain_id"]), path)
    ingest(town, tmp_path / "b", path, complete=Span(0, 150))
    assert Lake.open(tmp_path / "a").dataset_root(NAME) == Lake.open(tmp_path / "b").dataset_root(NAME)


def test_order_and_repetition_of_a_file_do_not_matter(
    town: Town, logs: list[Log], window: Span, tmp_path: Path
) -> None:
    ingest(town, tmp_path / "a", saved(tmp_path / "logs", logs), complete=window)
    mixed = [*logs, *logs[::3]]
    random.Random(1).shuffle(mixed)
    halves = (
        saved(tmp_path / "one", mixed[: len(mixed) // 2]),
        saved(tmp_path / "two", mixed[len(mixed) // 2 :], "json.gz"),
    )
    ingest(town, tmp_path / "b", *halves, complete=window)
    assert Lake.open(tmp_path / "a").dataset_root(NAME) == Lake.open(tmp_path / "b").dataset_root(NAME)


def test_the_same_file_again_changes_nothing(town: Town, logs: list[Log], window: Span, tmp_path: Path) -> None:
    path = saved(tmp_path / "logs", logs)
    ingest(town, tmp_path / "lake", path, complete=window)
    root = Lake.open(tmp_path / "lake").dataset_root(NAME)
    outcome = ingest(town, tmp_path / "lake", path, complete=window)
    assert (outcome.sealed_cells, outcome.known_cells) == (0, -(-window.stop // 100))
    assert Lake.open(tmp_path / "lake").dataset_root(NAME) == root


def test_an_undeclared_file_seals_nothing_and_is_kept_and_flagged(town: Town, logs: list[Log], tmp_path: Path) -> None:
    outcome = ingest(town, tmp_path / "lake", saved(tmp_path / "logs", logs))
    coverage = Lake.open(tmp_path / "lake").coverage(NAME)
    assert outcome.as_found_logs == len(logs)
    assert held(tmp_path / "lake").to_pylist() == logs
    assert {one.status for one in coverage.segments} == {Status.AS_FOUND}
    assert coverage.sealed_until is None
    assert "as_found" in coverage.marks(Span(0, 10**6))


def test_contradicting_logs_go_to_quarantine_and_the_others_are_sealed_without_their_cell(
    town: Town, logs: list[Log], window: Span, tmp_path: Path
) -> None:
    # a log of a market contract in the third cell, twice with different data
    ingest(town, tmp_path / "good", saved(tmp_path / "good.parquet", logs), complete=window)
    victim = next(log for log in held(tmp_path / "good").to_pylist() if log["block_number"] >= 200)
    bad = [*logs, {**victim, "data": victim["data"] + bytes(32)}]
    outcome = ingest(town, tmp_path / "lake", saved(tmp_path / "bad.parquet", bad), complete=window)
    lake = Lake.open(tmp_path / "lake")
    cell = Span(victim["block_number"] // 100 * 100, min(victim["block_number"] // 100 * 100 + 100, window.stop))
    assert len(outcome.quarantined) == len(lake.quarantined()) == 1
    assert "two different logs" in lake.quarantined()[0].reason
    refused = pq.read_table(lake.quarantined()[0].path / "rows.parquet").to_pylist()
    assert (
        sum(
            row["log_index"] == victim["log_index"] and row["block_number"] == victim["block_number"] for row in refused
        )
        == 2
    )
    sealed = [one.span for one in lake.coverage(NAME).segments]
    assert cell not in sealed
    assert len(sealed) == -(-window.stop // 100) - 1
    ingest(town, tmp_path / "lake", saved(tmp_path / "bad.parquet", bad), complete=window)
    assert len(lake.quarantined()) == 1
    outcome = ingest(town, tmp_path / "lake", saved(tmp_path / "mended.parquet", logs), complete=window)
    assert (outcome.sealed_cells, outcome.quarantined) == (1, [])
    assert lake.dataset_root(NAME) == Lake.open(tmp_path / "good").dataset_root(NAME)


def test_a_log_that_does_not_fit_its_event_goes_to_quarantine_with_the_reason(
    town: Town, logs: list[Log], tmp_path: Path
) -> None:
    ingest(town, tmp_path / "good", saved(tmp_path / "good.parquet", logs), complete=Span(0, 100))
    victim = next(log for log in held(tmp_path / "good").to_pylist() if len(log["data"]) > 32)
    bad = [{**log, "data": log["data"][:-1]} if log == victim else log for log in logs]
    outcome = ingest(town, tmp_path / "lake", saved(tmp_path / "bad.parquet", bad))
    [entry] = Lake.open(tmp_path / "lake").quarantined()
    assert f"block {victim['block_number']:,}, log {victim['log_index']}" in entry.reason
    assert outcome.as_found_logs == len(logs) - 1
    assert "block_number" in pq.read_table(entry.path / "rows.parquet").column_names


def test_unknown_events_are_kept_and_counted(town: Town, logs: list[Log], tmp_path: Path) -> None:
    updates = [log for log in logs if log["topic0"] == keccak(text=RESERVE_DATA_UPDATED)]
    strange = [{**log, "topic0": bytes([7]) * 32} if log in updates else log for log in logs]
    outcome = ingest(town, tmp_path / "lake", saved(tmp_path / "logs", strange))
    plain = ingest(town, tmp_path / "other", saved(tmp_path / "plain", logs))
    assert outcome.as_found_logs == len(logs)
    assert outcome.unknown_logs - plain.unknown_logs == len(updates) > 0
    assert held(tmp_path / "lake").to_pylist() == strange


def test_logs_without_times_need_the_blocks_and_then_give_the_same_lake(
    town: Town, logs: list[Log], tmp_path: Path
) -> None:
    span, chain = Span(0, 150), [log for log in logs if log["block_number"] < 150]
    path = saved(tmp_path / "logs.json", chain, "json")
    timeless = [
        {key: value for key, value in one.items() if key != "blockTimestamp"} for one in json.loads(path.read_text())
    ]
    path.write_text(json.dumps(timeless))
    with pytest.raises(InputError, match="no timestamps"):
        ingest(town, tmp_path / "lake", path, complete=span)
    times = sorted({(log["block_number"], log["timestamp_s"]) for log in chain})
    blocks = tmp_path / "blocks.csv"
    blocks.write_text("number,timestamp\n" + "".join(f"{number},{at}\n" for number, at in times[:-1]))
    with pytest.raises(InputError, match=f"block {times[-1][0]:,} has logs without a timestamp"):
        ingest(town, tmp_path / "lake", path, complete=span, blocks=[blocks])
    blocks.write_text("number,timestamp\n" + "".join(f"{number},{at}\n" for number, at in times))
    ingest(town, tmp_path / "lake", path, complete=span, blocks=[blocks])
    ingest(town, tmp_path / "timed", saved(tmp_path / "timed.parquet", chain), complete=span)
    assert held(tmp_path / "lake").equals(held(tmp_path / "timed"))


def test_a_file_of_another_market_is_refused(town: Town, logs: list[Log], tmp_path: Path) -> None:
    foreign = [{**log, "address": bytes([9]) * 20} for log in logs]
    with pytest.raises(InputError, match="none of its 1 contracts is known to be of aave-v3/town"):
        ingest(town, tmp_path / "lake", saved(tmp_path / "logs", foreign))


def test_a_range_that_the_file_does_not_touch_is_refused(town: Town, logs: list[Log], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no logs in blocks 1,000,000"):
        ingest(town, tmp_path / "lake", saved(tmp_path / "logs", logs), complete=Span(10**6, 10**6 + 5))


def test_times_that_run_backwards_are_refused(town: Town, logs: list[Log], tmp_path: Path) -> None:
    last = logs[-1]["block_number"]
    wrong = [{**log, "timestamp_s": 5} if log["block_number"] == last else log for log in logs]
    with pytest.raises(OrderError, match="timestamp"):
        ingest(town, tmp_path / "lake", saved(tmp_path / "logs", wrong))


def test_a_refused_file_leaves_nothing_behind(town: Town, logs: list[Log], tmp_path: Path) -> None:
    path = saved(tmp_path / "logs", logs, "json.gz")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="cut short"):
        ingest(town, tmp_path / "lake", path)
    assert not list((tmp_path / "lake").glob(".tmp*"))
    assert Lake.open(tmp_path / "lake").markets() == ()


def test_two_ingests_at_once(town: Town, logs: list[Log], tmp_path: Path) -> None:
    path = saved(tmp_path / "logs", logs)
    with (
        Lake.create(tmp_path / "lake").writer(NAME, 31337),
        pytest.raises(LakeError, match="already being done by process"),
    ):
        ingest(town, tmp_path / "lake", path)


def test_a_window_of_real_logs_in_the_middle_of_history_is_sealed_whole(shared_data: Path, tmp_path: Path) -> None:
    listing = find_market("aave-v3/polygon")
    path = shared_data / "aave-v3-polygon-logs" / "usdc-2024-01-06.raw.csv.gz"
    pool = listing.deployment.addresses["pool"]
    file = LogFile(path, None, listing.chain, pool)
    outcome = ingest_files(tmp_path / "lake", listing, [file], FileWish(Span(51_986_000, 52_025_000)))
    lake = Lake.open(tmp_path / "lake")
    assert (outcome.logs, outcome.unknown_logs, outcome.quarantined) == (2111, 0, [])
    assert sum(table.num_rows for table in lake.read_logs("aave-v3/polygon")) == 2111
    assert lake.coverage("aave-v3/polygon").marks(Span(51_986_000, 52_025_000)) == ("unverified",)
    assert lake.read(BLOCK_DATA, "aave-v3/polygon").num_rows == len(
        {number for table in lake.read_logs("aave-v3/polygon") for number in table.column("block_number").to_pylist()}
    )


def test_naming_the_pool_beforehand_takes_no_contract_away_from_a_window_in_the_middle(
    town: Town, logs: list[Log], window: Span, tmp_path: Path
) -> None:
    """A market of the registry names Pool and oracle; that its tokens are its own still nothing says."""
    middle = Span(100, window.stop)
    later = [log for log in logs if log["block_number"] >= middle.start]
    deployment = town.listing.deployment
    emitters = {log["address"] for log in later}
    named = {**deployment.addresses, "pool": sorted(emitters)[0]}
    listing = replace(town.listing, deployment=replace(deployment, addresses=named))
    file = LogFile(saved(tmp_path / "logs", later), None, town.listing.chain)
    outcome = ingest_files(tmp_path / "lake", listing, [file], FileWish(middle))
    assert len(emitters) > 4
    assert outcome.logs == len(later)
    assert held(tmp_path / "lake").equals(pa.Table.from_pylist(later, LOGS))


def test_receipts_of_many_chains_give_the_market_its_own(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "l2-receipts" / "receipts.jsonl.gz"
    for name in ("aave-v3/arbitrum", "aave-v3/optimism", "aave-v3/polygon"):
        listing = find_market(name)
        outcome = ingest_files(tmp_path / "lake", listing, [LogFile(path, None, listing.chain)], FileWish())
        untimed = sum(
            pq.read_metadata(one.path / "rows.parquet").num_rows for one in Lake.open(tmp_path / "lake").quarantined()
        )
        assert outcome.as_found_logs
        assert all("no timestamps" in one.reason for one in outcome.quarantined)
        assert untimed
    assert len(Lake.open(tmp_path / "lake").markets()) == 3


def test_a_price_table_becomes_observations_at_the_blocks_of_its_times(
    town: Town, logs: list[Log], window: Span, tmp_path: Path
) -> None:
    write_own(tmp_path / "logs", logs)
    ingest(town, tmp_path / "lake", tmp_path / "logs", complete=window)
    asset, at = "0x" + "ab" * 20, held(tmp_path / "lake").to_pylist()[-1]
    table = tmp_path / "prices.csv"
    table.write_text(
        f"timestamp,asset,price\n{at['timestamp_s']},{asset},2401.123456789\n{at['timestamp_s'] + 10**6},{asset},1\n"
    )
    assert "1 lie behind" in import_prices(tmp_path / "lake", town.listing, table)
    [row] = Lake.open(tmp_path / "lake").read(OBSERVATION_DATA, NAME).to_pylist()
    assert (row["block_number"], row["call"], row["source"]) == (at["block_number"], PRICE_CALL, "prices.csv")
    assert row["arguments"] == bytes(12) + bytes([0xAB]) * 20
    assert int.from_bytes(row["answer"], "big") == 240_112_345_678


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("1,0x12,5", "is no address"),
        (f"1,0x{'ab' * 20},cheap", "is no number"),
        (f"1,0x{'ab' * 20},-3", "not above zero"),
        (f"soon,0x{'ab' * 20},3", "is no time"),
        (f",0x{'ab' * 20},3", "needs a block or a timestamp"),
    ],
)
def test_a_bad_price_is_named_by_its_line(
    town: Town, logs: list[Log], tmp_path: Path, row: str, complaint: str
) -> None:
    ingest(town, tmp_path / "lake", saved(tmp_path / "logs", logs))
    table = tmp_path / "prices.csv"
    table.write_text(f"timestamp,asset,price\n{row}\n")
    with pytest.raises(InputError, match=rf"prices\.csv:2: .*{complaint}"):
        import_prices(tmp_path / "lake", town.listing, table)

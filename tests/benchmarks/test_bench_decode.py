"""Decoding and hashing of logs beside what everybody has: eth-abi log by log, plain SHA-256 of the same bytes.

Both members of a group work on the same logs in the same process, so the ratios in the table mean something on any
machine.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from eth_abi.abi import default_codec
from pytest_benchmark.fixture import BenchmarkFixture

from l2liq.events.abi import contract_event
from l2liq.events.commitment import table_root
from l2liq.events.decode import decode, split
from l2liq.events.log import LOGS
from l2liq.events.order import in_order
from l2liq.events.raw import ints
from l2liq.events.words import fixed_binary

COUNT = 100_000
MIX = [
    contract_event("aave_v3/scaled_token", "Mint"),
    contract_event("aave_v3/scaled_token", "Burn"),
    contract_event("erc20/token", "Transfer"),
    contract_event("aave_v3/pool", "ReserveDataUpdated"),
]


@pytest.fixture(scope="module")
def logs() -> pa.Table:
    """Mint, Burn, Transfer and ReserveDataUpdated as they mix in a market, with random accounts and 96-bit amounts."""
    rng = np.random.default_rng(7)
    kind = rng.choice(len(MIX), COUNT, p=[0.25, 0.2, 0.25, 0.3])
    block = np.arange(COUNT) // 10
    words = np.array([len(event.data) for event in MIX])[kind]
    amounts = np.zeros((int(words.sum()), 32), np.uint8)
    amounts[:, 20:] = rng.integers(0, 256, (len(amounts), 12))
    accounts = np.zeros((2, COUNT, 32), np.uint8)
    accounts[:, :, 12:] = rng.integers(0, 256, (2, COUNT, 20))
    two_indexed = np.array([event.topic_count == 3 for event in MIX])[kind]
    hashes = rng.integers(0, 256, (COUNT // 10, 32)).astype(np.uint8)[block]
    offsets = np.concatenate([[0], np.cumsum(words * 32)]).astype(np.int32)
    columns = {
        "block_number": pa.array(block),
        "block_hash": fixed_binary(hashes, 32),
        "transaction_index": pa.array(np.zeros(COUNT, np.int32)),
        "transaction_hash": fixed_binary(hashes, 32),
        "log_index": pa.array((np.arange(COUNT) % 10).astype(np.int32)),
        "timestamp_s": pa.array(block * 2),
        "address": fixed_binary(accounts[0][:, 12:], 20),
        "topic0": pa.array([MIX[k].topic0 for k in kind], pa.binary(32)),
        "topic1": fixed_binary(accounts[0], 32),
        "topic2": pa.array(
            [a.tobytes() if two else None for a, two in zip(accounts[1], two_indexed, strict=True)], pa.binary(32)
        ),
        "topic3": pa.nulls(COUNT, pa.binary(32)),
        "data": pa.BinaryArray.from_buffers(
            pa.binary(), COUNT, [None, pa.py_buffer(offsets), pa.py_buffer(amounts.tobytes())]
        ),
    }
    return pa.table(columns, schema=LOGS)


@pytest.mark.benchmark(group=f"decode {COUNT:,} static logs")
def test_decode_columnar(benchmark: BenchmarkFixture, logs: pa.Table) -> None:
    def run() -> int:
        return sum(decode(part, event).events.num_rows for event, part in split(logs, MIX).known.items())

    assert benchmark.pedantic(run, rounds=15, warmup_rounds=3) == COUNT
    benchmark.extra_info["logs_per_s"] = round(COUNT / benchmark.stats.stats.median)


@pytest.mark.benchmark(group=f"decode {COUNT:,} static logs")
def test_decode_with_eth_abi_log_by_log(benchmark: BenchmarkFixture, logs: pa.Table) -> None:
    events = {event.topic0: event for event in MIX}
    rows = logs.select(["topic0", "topic1", "topic2", "data"]).to_pylist()

    def run() -> int:
        done = 0
        for row in rows:
            event = events[row["topic0"]]
            for argument, topic in zip(event.indexed, (row["topic1"], row["topic2"]), strict=False):
                default_codec.decode([argument.type], topic)
            default_codec.decode([argument.type for argument in event.data], row["data"])
            done += 1
        return done

    assert benchmark.pedantic(run, rounds=2) == COUNT
    benchmark.extra_info["logs_per_s"] = round(COUNT / benchmark.stats.stats.median)


@pytest.mark.benchmark(group=f"root of {COUNT:,} logs")
def test_root_of_the_table(benchmark: BenchmarkFixture, logs: pa.Table) -> None:
    assert len(benchmark(table_root, logs)) == 32


@pytest.mark.benchmark(group=f"root of {COUNT:,} logs")
def test_plain_hash_of_as_many_bytes(benchmark: BenchmarkFixture, logs: pa.Table) -> None:
    raw = bytes(logs.nbytes)
    assert len(benchmark(lambda: hashlib.sha256(raw).digest())) == 32


@pytest.mark.benchmark(group=f"order of {COUNT:,} logs")
def test_order_of_shuffled_logs(benchmark: BenchmarkFixture, logs: pa.Table) -> None:
    shuffled = logs.take(pa.array(np.random.default_rng(7).permutation(COUNT)))
    assert benchmark(in_order, shuffled).num_rows == COUNT


@pytest.mark.benchmark(group=f"order of {COUNT:,} logs")
def test_order_of_ordered_logs(benchmark: BenchmarkFixture, logs: pa.Table) -> None:
    assert benchmark(in_order, logs).num_rows == COUNT


@pytest.mark.benchmark(group=f"{COUNT:,} raw values as integers")
def test_integers_of_a_raw_column(benchmark: BenchmarkFixture, logs: pa.Table) -> None:
    assert len(benchmark(ints, logs["topic1"])) == COUNT


@pytest.mark.benchmark(group=f"{COUNT:,} raw values as integers")
def test_integers_value_by_value(benchmark: BenchmarkFixture, logs: pa.Table) -> None:
    column = logs["topic1"]
    assert len(benchmark(lambda: [int.from_bytes(value, "big") for value in column.to_pylist()])) == COUNT

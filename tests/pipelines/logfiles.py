"""Logs of a made-up chain, and the same logs as every tool would write them."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from l2liq.events.log import LOGS

Log = dict[str, Any]
"""A row of schema LOGS."""


def hashes(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


@st.composite
def chains(draw: st.DrawFn) -> list[Log]:
    """Logs in order, as a chain could have them."""
    logs: list[Log] = []
    number, time = draw(st.integers(0, 10**9)), draw(st.integers(0, 2**33))
    for _ in range(draw(st.integers(1, 4))):
        block_hash = draw(hashes(32))
        index = draw(st.integers(0, 1000))
        for transaction in range(draw(st.integers(1, 2))):
            transaction_hash = draw(hashes(32))
            for _ in range(draw(st.integers(1, 3))):
                topics = draw(st.lists(hashes(32), max_size=4))
                log = {
                    "block_number": number, "block_hash": block_hash, "transaction_index": transaction,
                    "transaction_hash": transaction_hash, "log_index": index, "timestamp_s": time,
                    "address": draw(hashes(20)), "data": draw(st.binary(max_size=100)),
                }  # fmt: skip
                log |= {f"topic{n}": topics[n] if n < len(topics) else None for n in range(4)}
                logs.append({name: log[name] for name in LOGS.names})
                index += 1
        number, time = number + draw(st.integers(1, 100)), time + draw(st.integers(0, 1000))
    return logs


def table(logs: Sequence[Log]) -> pa.Table:
    return pa.Table.from_pylist(list(logs), LOGS)


def topics(log: Log) -> list[str]:
    return ["0x" + log[f"topic{n}"].hex() for n in range(4) if log[f"topic{n}"] is not None]


def as_rpc(log: Log) -> dict[str, Any]:
    """A log as eth_getLogs gives it."""
    return {
        "address": "0x" + log["address"].hex(),
        "topics": topics(log),
        "data": "0x" + log["data"].hex(),
        "blockNumber": hex(log["block_number"]),
        "blockHash": "0x" + log["block_hash"].hex(),
        "blockTimestamp": hex(log["timestamp_s"]),
        "transactionHash": "0x" + log["transaction_hash"].hex(),
        "transactionIndex": hex(log["transaction_index"]),
        "logIndex": hex(log["log_index"]),
        "removed": False,
    }


def write_json(path: Path, logs: Sequence[Log]) -> None:
    path.write_text(json.dumps([as_rpc(log) for log in logs]))


def write_response(path: Path, logs: Sequence[Log]) -> None:
    path.write_text(json.dumps({"jsonrpc": "2.0", "id": 1, "result": [as_rpc(log) for log in logs]}, indent=1))


def write_lines(path: Path, logs: Sequence[Log]) -> None:
    path.write_text("".join(json.dumps(as_rpc(log)) + "\n" for log in logs))


def write_receipts(path: Path, logs: Sequence[Log]) -> None:
    """A receipt per log, its time in the block beside it."""
    lines = []
    for log in logs:
        entry = as_rpc(log)
        del entry["blockTimestamp"]
        lines.append(json.dumps({"receipt": {"logs": [entry]}, "block": {"timestamp": hex(log["timestamp_s"])}}))
    path.write_text("\n".join(lines) + "\n")


def write_csv(path: Path, names: Sequence[str], logs: Sequence[Log], topics_text: Callable[[list[str]], str]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for log in logs:
            text = {name: "0x" + one.hex() if isinstance(one, bytes) else one for name, one in log.items()}
            text |= {"block_timestamp": log["timestamp_s"], "topics": topics_text(topics(log))}
            writer.writerow([text[name] for name in names])


def write_etl(path: Path, logs: Sequence[Log]) -> None:
    """ethereum-etl's columns, with the time that its enrichment adds."""
    names = ("log_index", "transaction_hash", "transaction_index", "block_hash", "block_number", "block_timestamp")
    write_csv(path, (*names, "address", "data", "topics"), logs, ",".join)


def write_list_csv(path: Path, logs: Sequence[Log]) -> None:
    """Topics as a Python list literal."""
    names = ("block_number", "block_timestamp", "transaction_hash", "transaction_index", "log_index", "topics", "data")
    write_csv(path, (*names, "address", "block_hash"), logs, str)


def write_cryo(path: Path, logs: Sequence[Log]) -> None:
    """cryo's columns: unsigned numbers, variable binary, sizes and chain id beside them."""
    plain = pa.binary()
    columns = {
        "block_number": pa.array([log["block_number"] for log in logs], pa.uint32()),
        "block_hash": pa.array([log["block_hash"] for log in logs], plain),
        "timestamp": pa.array([log["timestamp_s"] for log in logs], pa.uint64()),
        "transaction_index": pa.array([log["transaction_index"] for log in logs], pa.uint32()),
        "log_index": pa.array([log["log_index"] for log in logs], pa.uint32()),
        "transaction_hash": pa.array([log["transaction_hash"] for log in logs], plain),
        "address": pa.array([log["address"] for log in logs], plain),
        **{f"topic{n}": pa.array([log[f"topic{n}"] for log in logs], plain) for n in range(4)},
        "data": pa.array([log["data"] for log in logs], plain),
        "n_data_bytes": pa.array([len(log["data"]) for log in logs], pa.uint32()),
        "chain_id": pa.array([137] * len(logs), pa.uint64()),
    }
    pq.write_table(pa.table(columns), path)


def write_cryo_hex(path: Path, logs: Sequence[Log]) -> None:
    """cryo --hex: bytes as text."""
    write_cryo(path, logs)
    plain = pq.read_table(path)
    for number, field in enumerate(plain.schema):
        if pa.types.is_binary(field.type):
            text = [None if one is None else "0x" + one.hex() for one in plain.column(number).to_pylist()]
            plain = plain.set_column(number, field.name, pa.array(text, pa.string()))
    pq.write_table(plain, path)


def write_own(path: Path, logs: Sequence[Log]) -> None:
    pq.write_table(table(logs), path)


def packed(write: Callable[[Path, Sequence[Log]], None]) -> Callable[[Path, Sequence[Log]], None]:
    def write_packed(path: Path, logs: Sequence[Log]) -> None:
        write(path, logs)
        path.write_bytes(gzip.compress(path.read_bytes()))

    return write_packed


WRITERS: dict[str, Callable[[Path, Sequence[Log]], None]] = {
    "json": write_json, "response": write_response, "lines": write_lines, "receipts": write_receipts, "etl": write_etl,
    "list-csv": write_list_csv, "cryo": write_cryo, "cryo-hex": write_cryo_hex, "own": write_own,
    "json.gz": packed(write_json), "lines.gz": packed(write_lines), "etl.gz": packed(write_etl),
}  # fmt: skip

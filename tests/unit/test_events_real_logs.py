"""Logs of real rollups: all of them decode, to what others read in them."""

from __future__ import annotations

import ast
import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from eth_abi import decode as reference

from l2liq.events.abi import all_events, contract_event, contract_events
from l2liq.events.decode import decode, split
from l2liq.events.log import LOGS
from l2liq.events.order import in_order
from l2liq.events.raw import ints


def binary(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def topics(values: list[str]) -> dict[str, bytes | None]:
    return {f"topic{place}": binary(values[place]) if place < len(values) else None for place in range(4)}


def receipts(folder: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(folder / "l2-receipts" / "receipts.jsonl.gz", "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def receipt_logs(receipt: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "block_number": int(log["blockNumber"], 16),
            "block_hash": binary(log["blockHash"]),
            "transaction_index": int(log["transactionIndex"], 16),
            "transaction_hash": binary(log["transactionHash"]),
            "log_index": int(log["logIndex"], 16),
            "timestamp_s": int(receipt["block"]["timestamp"], 16) if receipt["block"] else 0,
            "address": binary(log["address"]),
            "data": binary(log["data"]),
            **topics(log["topics"]),
        }
        for log in receipt["receipt"]["logs"]
    ]


def test_every_log_of_the_receipts_is_decoded_or_unknown(shared_data: Path) -> None:
    found = [receipt_logs(receipt) for receipt in receipts(shared_data)]
    logs = pa.Table.from_pylist([log for logs in found for log in logs], LOGS)
    parts = split(logs, all_events())
    assert len(found) == 362
    assert sum(part.num_rows for part in parts.known.values()) + parts.unknown.num_rows == logs.num_rows == 7221
    known = {event.topic0 for event in all_events()}
    assert known.isdisjoint(parts.unknown["topic0"].to_pylist())
    for event, part in parts.known.items():
        decoded = decode(part, event)
        assert (decoded.events.num_rows, decoded.malformed.num_rows) == (part.num_rows, 0)
        data_types = [argument.type for argument in event.data]
        for log, row in zip(part.to_pylist(), decoded.events.to_pylist(), strict=True):
            values = dict(zip(event.data, reference(data_types, log["data"]), strict=True))
            words = zip(event.indexed, (log["topic1"], log["topic2"], log["topic3"]), strict=False)
            values |= {argument: reference([argument.type], word)[0] for argument, word in words}
            for argument, value in values.items():
                if f"{argument.column}_raw" in row:
                    assert int.from_bytes(row[f"{argument.column}_raw"], "big") == value % 2**256
                else:
                    assert row[argument.column] == (binary(value) if argument.type == "address" else value)


def test_the_logs_of_each_receipt_are_in_order(shared_data: Path) -> None:
    for receipt in receipts(shared_data):
        logs = pa.Table.from_pylist(receipt_logs(receipt), LOGS)
        assert in_order(logs.take(np.arange(logs.num_rows)[::-1].copy())).equals(logs)


@pytest.fixture(scope="module")
def polygon(shared_data: Path) -> pa.Table:
    with gzip.open(shared_data / "aave-v3-polygon-logs" / "usdc-2024-01-06.raw.csv.gz", "rt", newline="") as lines:
        rows = [
            {
                "block_number": int(row["block_number"]),
                "block_hash": None,
                "transaction_index": int(row["transaction_index"]),
                "transaction_hash": binary(row["transaction_hash"]),
                "log_index": int(row["log_index"]),
                "timestamp_s": int(datetime.fromisoformat(row["block_timestamp"]).replace(tzinfo=UTC).timestamp()),
                "address": bytes(20),
                "data": binary(row["data"]),
                **topics(ast.literal_eval(row["topics"])),
            }
            for row in csv.DictReader(lines)
        ]
    return pa.Table.from_pylist(rows, LOGS)


OWNERS = {"Borrow": "on_behalf_of", "Supply": "on_behalf_of", "Repay": "user", "Withdraw": "to"}


def test_polygon_amounts_and_owners_are_those_demeter_read(shared_data: Path, polygon: pa.Table) -> None:
    with gzip.open(shared_data / "aave-v3-polygon-logs" / "usdc-2024-01-06.tick.csv.gz", "rt", newline="") as lines:
        expected = Counter(
            (row["tx_type"], row["transaction_hash"], int(row["log_index"]), row["owner"], int(row["amount"]))
            for row in csv.DictReader(lines)
        )
    logs = in_order(polygon)
    parts = split(logs, contract_events("aave_v3/pool"))
    assert (logs.num_rows, parts.unknown.num_rows) == (2111, 0)
    assert parts.known[contract_event("aave_v3/pool", "ReserveDataUpdated")].num_rows == 1231
    found: Counter[tuple[str, str, int, str, int]] = Counter()
    for name, owner in OWNERS.items():
        events = decode(parts.known[contract_event("aave_v3/pool", name)], contract_event("aave_v3/pool", name)).events
        found.update(
            zip(
                [f"AAVE_{name.upper()}"] * events.num_rows,
                ["0x" + value.hex() for value in events["transaction_hash"].to_pylist()],
                events["log_index"].to_pylist(),
                ["0x" + value.hex() for value in events[owner].to_pylist()],
                ints(events["amount_raw"]),
                strict=True,
            )
        )
    assert found == expected

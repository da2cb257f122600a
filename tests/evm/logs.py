"""Logs as a node gives them, in the form that l2liq reads."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from l2liq.events.log import LOGS
from tests.evm import abi


def logs_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Answers of eth_getLogs as a table of LOGS."""
    columns: dict[str, list[Any]] = {
        "block_number": [int(log["blockNumber"], 16) for log in rows],
        "block_hash": [abi.from_hex(log["blockHash"]) for log in rows],
        "transaction_index": [int(log["transactionIndex"], 16) for log in rows],
        "transaction_hash": [abi.from_hex(log["transactionHash"]) for log in rows],
        "log_index": [int(log["logIndex"], 16) for log in rows],
        "timestamp_s": [int(log["blockTimestamp"], 16) for log in rows],
        "address": [abi.from_hex(log["address"]) for log in rows],
        "data": [abi.from_hex(log["data"]) for log in rows],
    }
    for index in range(4):
        columns[f"topic{index}"] = [
            abi.from_hex(log["topics"][index]) if len(log["topics"]) > index else None for log in rows
        ]
    return pa.table({name: columns[name] for name in LOGS.names}, schema=LOGS)

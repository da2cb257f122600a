"""Small tables for tests of the lake."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from l2liq.events.filter import Filter
from l2liq.events.log import BLOCKS, LOGS
from l2liq.lake import LOG_DATA, OBSERVATIONS, Lake, Linkage, Span

POOL, TOKEN, ORACLE = (bytes([n]) * 20 for n in (1, 2, 3))
SUPPLY, BORROW = bytes([7]) * 32, bytes([8]) * 32
MARKET, CHAIN = "aave-v3/testnet", 31337

Row = tuple[int, int, bytes]
"""Block, log index, address."""


def logs(rows: Iterable[Row], *, topic: bytes = SUPPLY, data: bytes = b"\x05", with_hash: bool = True) -> pa.Table:
    """Raw logs at the given places; everything else follows from the place."""
    return pa.Table.from_pylist(
        [
            {
                "block_number": block,
                "block_hash": block.to_bytes(32, "big") if with_hash else None,
                "transaction_index": index // 2,
                "transaction_hash": (block * 1000 + index // 2).to_bytes(32, "big"),
                "log_index": index,
                "timestamp_s": 1_700_000_000 + 2 * block,
                "address": address,
                "topic0": topic,
                "topic1": address.rjust(32, b"\0"),
                "topic2": None,
                "topic3": None,
                "data": data,
            }
            for block, index, address in rows
        ],
        schema=LOGS,
    )


def headers(numbers: Iterable[int], *, fork: int = 0) -> pa.Table:
    """Block headers that follow each other; another ``fork`` has other hashes."""
    return pa.Table.from_pylist(
        [
            {
                "number": n,
                "hash": (n + 1 + fork * 10**6).to_bytes(32, "big"),
                "parent_hash": (n + fork * 10**6).to_bytes(32, "big"),
                "timestamp_s": 1_700_000_000 + 2 * n,
                "base_fee_wei": 10**7,
            }
            for n in numbers
        ],
        schema=BLOCKS,
    )


def observation(block: int, answer: bytes, source: str = "rpc") -> pa.Table:
    """One answer of the oracle."""
    row = {
        "block_number": block,
        "target": ORACLE,
        "call": "latestAnswer()(int256)",
        "arguments": b"",
        "answer": answer,
        "source": source,
    }
    return pa.Table.from_pylist([row], schema=OBSERVATIONS)


def everything(*addresses: bytes) -> Filter:
    """All topics of some addresses."""
    return Filter(dict.fromkeys(addresses))


def seal(lake: Lake, span: Span, table: pa.Table, wanted: Filter, market: str = MARKET) -> int:
    """Seal logs and return how many files that made."""
    with lake.writer(market, CHAIN) as writer:
        return len(writer.seal_logs(span, table, wanted, linkage=Linkage.VERIFIED, source="test"))


def places(lake: Lake, market: str = MARKET) -> list[tuple[int, int]]:
    """Block and log index of everything that reading the market gives."""
    found: list[tuple[int, int]] = []
    for table in lake.read_logs(market, columns=["block_number", "log_index"]):
        found += zip(*table.to_pydict().values(), strict=True)
    return found


def files(lake: Lake, market: str = "aave-v3-testnet", dataset: str = LOG_DATA.name) -> dict[str, bytes]:
    """Name and content of every file of a market's dataset."""
    folder: Path = lake.path / dataset / market
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.is_dir() else {}

"""JSON files of logs, read as a stream: what eth_getLogs returned, and lines of receipts or logs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import ijson  # type: ignore[import-untyped]
import pyarrow as pa

from l2liq.chains.chain import Chain
from l2liq.errors import InputError
from pipelines.sources.opening import opened
from pipelines.sources.rows import table_of, whole

BATCH_LOGS = 20_000
MOST_DEPTH = 100
"""Nesting of a JSON file; logs are five deep. The memory of the parser grows with its square."""

_BYTES_AT_A_TIME = 8 << 10


def json_tables(path: Path) -> Iterator[pa.Table]:
    """Logs of a JSON array, or of a JSON-RPC response; one table per :data:`BATCH_LOGS` logs.

    Raises InputError naming the file and the number of the log that is damaged, or where the file ends too early.
    """
    batch: list[Mapping[str, Any]] = []
    done = 0
    with opened(path) as file:
        for entry in _elements(path, file):
            batch.append(entry)
            if len(batch) == BATCH_LOGS:
                yield table_of(batch, _numbered(path, done))
                done, batch = done + len(batch), []
        yield table_of(batch, _numbered(path, done))


def jsonl_tables(path: Path, chain: Chain) -> Iterator[pa.Table]:
    """Logs of the receipts, JSON-RPC responses or logs on the lines of a file.

    Lines that name another chain (``tx.chainId``, ``chainId`` or ``chain``) are left out; a file with no line of this
    chain is refused, because it is of another one.
    """
    batch: list[Mapping[str, Any]] = []
    lines: list[int] = []
    foreign: set[str] = set()
    mine = False
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            entry = _object(path, number, line)
            if (other := _other_chain(entry, chain)) is not None:
                foreign.add(other)
                continue
            mine = True
            found = _logs_of(entry, f"{path}:{number}")
            batch += found
            lines += [number] * len(found)
            if len(batch) >= BATCH_LOGS:
                yield table_of(batch, lambda row, lines=lines: f"{path}:{lines[row]}")  # type: ignore[misc]
                batch, lines = [], []
    if foreign and not mine:
        names = ", ".join(sorted(foreign))[:100]
        raise InputError(
            f"{path}: logs of {names}, but the market is on {chain.name}. Give the file of the right chain."
        )
    yield table_of(batch, lambda row: f"{path}:{lines[row]}")


def _elements(path: Path, file: BinaryIO) -> Iterator[Any]:
    start = file.peek(1 << 10).lstrip() if hasattr(file, "peek") else b""
    try:
        prefix = "item" if start[:1] == b"[" else "result.item"
        yield from ijson.items(_Shallow(path, file), prefix, use_float=False, buf_size=_BYTES_AT_A_TIME)
    except ijson.IncompleteJSONError:
        raise InputError(f"{path}: the JSON ends too early or is damaged. Fetch or copy the file again.") from None
    except ijson.JSONError as error:
        raise InputError(
            f"{path}: not JSON: {str(error).splitlines()[0][:120]}. Give what eth_getLogs returned."
        ) from None


class _Shallow:
    """A file whose brackets are counted while it is read. Brackets in text count too: logs have none."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file, self._depth = path, file, 0

    def read(self, size: int) -> bytes:
        chunk = self._file.read(size)
        self._depth += sum(chunk.count(one) for one in b"[{") - sum(chunk.count(one) for one in b"]}")
        if self._depth > MOST_DEPTH:
            raise InputError(f"{self._path}: nested deeper than any log. Give what eth_getLogs returned.")
        return chunk


def _numbered(path: Path, before: int) -> Any:
    return lambda row: f"{path}: log {before + row + 1}"


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError(
            f"{path}:{number}: the line is not JSON. The file may be cut short or of another kind."
        ) from None
    if not isinstance(entry, dict):
        raise InputError(f"{path}:{number}: not an object. Each line must be a receipt or a log.")
    return entry


def _other_chain(entry: dict[str, Any], chain: Chain) -> str | None:
    """What a line calls its chain if that is not ours."""
    transaction = entry.get("tx", entry)
    number = transaction.get("chainId") if isinstance(transaction, dict) else None
    name = entry.get("chain")
    try:
        if number is not None:
            return None if whole(number) == chain.chain_id else str(name or f"chain {whole(number)}")
    except (TypeError, ValueError):
        return str(number)
    return name if isinstance(name, str) and name.lower() != chain.name else None


def _logs_of(entry: dict[str, Any], place: str) -> list[Mapping[str, Any]]:
    """Logs of one line, each with the block's timestamp where the line has it."""
    if "error" in entry and "result" not in entry:
        raise InputError(f"{place}: a node's error message, not logs. Fetch this range again.")
    receipt = entry.get("receipt", entry.get("result", entry))
    found = receipt if isinstance(receipt, list) else receipt.get("logs") if isinstance(receipt, dict) else None
    if found is None:
        found = [receipt] if isinstance(receipt, dict) and "topics" in receipt else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InputError(
            f"{place}: neither a receipt with logs nor a log. Give lines as eth_getTransactionReceipt returns them."
        )
    block = entry.get("block")
    if not isinstance(block, dict) or "timestamp" not in block:
        return found
    try:
        timestamp = whole(block["timestamp"])
    except (TypeError, ValueError):
        raise InputError(f"{place}: block.timestamp cannot be read: {str(block['timestamp'])[:60]!r}.") from None
    return [{"blockTimestamp": timestamp, **one} for one in found]

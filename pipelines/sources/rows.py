"""Logs as sources write them (JSON objects with hex text) become columns; what does not fit is named by its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from l2liq.errors import InputError, L2LiqError
from l2liq.events.log import END_OF_BLOCK, LOGS

UNTIMED_LOGS = LOGS.set(LOGS.names.index("timestamp_s"), pa.field("timestamp_s", pa.int64()))
"""Raw logs as read: the timestamp is null where the source does not give it."""

Place = Callable[[int], str]
"""Where the n-th of some entries stands, for messages: ``logs.jsonl:17``."""

_TIME_KEYS = ("blockTimestamp", "block_timestamp", "timeStamp", "timestamp")
_MAX_BLOCK = 1 << 39


def table_of(entries: Sequence[Mapping[str, Any]], place: Place, error: type[L2LiqError] = InputError) -> pa.Table:
    """Logs in the form of eth_getLogs as a table of schema :data:`UNTIMED_LOGS`, in the order given.

    Numbers may be 0x hex, decimal text or integers. Raises ``error`` naming the place, the field and what it holds.
    """
    try:
        return pa.Table.from_pydict(_columns(entries), UNTIMED_LOGS)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, pa.ArrowException):
        for number, entry in enumerate(entries):
            _check(entry, place(number), error)
        raise


def whole(value: Any) -> int:
    """A number written as 0x hex, as decimal text or as an integer."""
    if isinstance(value, str):
        return int(value, 16) if value[:2] in ("0x", "0X") else int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError(f"{value!r} is no number")


def raw(value: Any, size: int | None = None) -> bytes:
    """Bytes written as 0x hex; ``size`` bytes if given."""
    if not isinstance(value, str) or value[:2] not in ("0x", "0X"):
        raise TypeError(f"{value!r} is not 0x hex")
    found = bytes.fromhex(value[2:])
    if size is not None and len(found) != size:
        raise ValueError(f"{len(found)} bytes instead of {size}")
    return found


def _columns(entries: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    topics = [entry["topics"] for entry in entries]
    if any(len(one) > 4 or isinstance(one, str) for one in topics) or any(
        entry.get("removed") is True for entry in entries
    ):
        raise ValueError("topics")
    columns: dict[str, list[Any]] = {
        "block_number": [_bounded(entry["blockNumber"], _MAX_BLOCK) for entry in entries],
        "block_hash": [_optional(entry.get("blockHash"), 32) for entry in entries],
        "transaction_index": [_bounded(entry["transactionIndex"], END_OF_BLOCK) for entry in entries],
        "transaction_hash": [raw(entry["transactionHash"], 32) for entry in entries],
        "log_index": [_bounded(entry["logIndex"], END_OF_BLOCK) for entry in entries],
        "timestamp_s": [_time(entry) for entry in entries],
        "address": [raw(entry["address"], 20) for entry in entries],
    }
    for index in range(4):
        columns[f"topic{index}"] = [raw(one[index], 32) if len(one) > index else None for one in topics]
    columns["data"] = [raw(entry["data"]) for entry in entries]
    return columns


def _bounded(value: Any, end: int) -> int:
    number = whole(value)
    if not 0 <= number < end:
        raise ValueError(f"{number} is not between 0 and {end - 1}")
    return number


def _optional(value: Any, size: int) -> bytes | None:
    return None if value in (None, "") else raw(value, size)


def _time(entry: Mapping[str, Any]) -> int | None:
    for key in _TIME_KEYS:
        if (value := entry.get(key)) not in (None, ""):
            return _bounded(value, 1 << 40)
    return None


def _check(entry: Any, place: str, error: type[L2LiqError]) -> None:
    """Raise for an entry that is no log."""
    if not isinstance(entry, Mapping):
        raise error(f"{place}: not a log but {type(entry).__name__}. Give what eth_getLogs returns.")
    readers: dict[str, Callable[[Any], Any]] = {
        "blockNumber": lambda value: _bounded(value, _MAX_BLOCK),
        "transactionIndex": lambda value: _bounded(value, END_OF_BLOCK),
        "transactionHash": lambda value: raw(value, 32),
        "logIndex": lambda value: _bounded(value, END_OF_BLOCK),
        "address": lambda value: raw(value, 20),
        "topics": _topics,
        "data": raw,
    }
    if entry.get("removed") is True:
        raise error(f"{place}: the log was removed by a reorg when it was written. Fetch this range again.")
    for key, read in readers.items():
        if key not in entry or entry[key] is None:
            raise error(f"{place}: the log has no {key}. Pending logs and partial exports cannot be used.")
        _try(key, read, entry[key], place, error)
    _try("blockHash", lambda value: _optional(value, 32), entry.get("blockHash"), place, error)
    _try("blockTimestamp", lambda _: _time(entry), None, place, error)


def _topics(value: Any) -> None:
    if not isinstance(value, list | tuple) or len(value) > 4:
        raise TypeError(f"{str(value)[:80]!r} is no list of at most four topics")
    for topic in value:
        raw(topic, 32)


def _try(key: str, read: Callable[[Any], Any], value: Any, place: str, error: type[L2LiqError]) -> None:
    try:
        read(value)
    except (ValueError, TypeError) as cause:
        raise error(
            f"{place}: {key} cannot be read: {str(cause)[:120]}. The file may be damaged or of another kind."
        ) from None

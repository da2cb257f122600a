"""Many messages of blocks decoded together, a column at a time: what a sink that catches up mostly does.

These kernels know where ``schemas/kafka/block.avsc`` puts each field. They take a message or leave it, and check all
that :mod:`.messages` and :mod:`.packing` check of one; why one cannot be taken is theirs to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import contains
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from l2liq.events.log import END_OF_BLOCK, LOGS
from l2liq.events.words import fixed_binary
from pipelines.stream.ancestry import Hashed
from pipelines.stream.broker import Record
from pipelines.stream.messages import FINGERPRINT, LARGEST_BYTES, block_prefix

_LARGEST_BLOCK = (1 << 39) - 1
_LARGEST_INT = (1 << 31) - 1

# Columns of what _place finds: numbers first, then where something begins in the buffer.
_NUMBER, _TIMESTAMP, _ROWS, _DATA_BYTES, _HASH, _LOG_INDEX = range(6)
_TRANSACTION_INDEX, _TRANSACTION_HASH, _ADDRESS, _TOPIC_COUNT, _TOPICS, _DATA_SIZE, _DATA = range(6, 13)
_PLACES = 13
_NO_TOPIC = bytes(32)
"""Stands behind all messages, in place of topics that a log does not have."""

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Messages of blocks, each a whole block, in the order they came.

    Attributes
    ----------
    headers : what is told of the blocks themselves
    logs : theirs, block by block (schema LOGS)
    """

    headers: Hashed
    logs: pa.Table = field(repr=False)


def blocks_of(records: Sequence[Record], market: str, chain_id: int) -> Blocks | None:
    """The blocks of records that all carry one; None where any of them has to be looked at by itself."""
    values = [one.value or b"" for one in records]
    if max(map(len, values), default=0) > LARGEST_BYTES:
        return None
    digests = [(FINGERPRINT, one.digest()) for one in map(hashlib.sha256, values)]
    if not all(map(contains, [one.headers for one in records], digests)):
        return None
    buffer = np.frombuffer(b"".join((*values, _NO_TOPIC)), np.uint8)
    borders = np.fromiter(accumulate(map(len, values), initial=0), np.int64, len(values) + 1)
    prefix = np.frombuffer(block_prefix(market, chain_id), np.uint8)
    places = np.empty((len(values), _PLACES), np.int64)
    if _place(buffer, borders, prefix, places) < len(values):
        return None
    numbers, hash_at = places[:, _NUMBER].copy(), places[:, _HASH]
    headers = Hashed(numbers, _pieces(buffer, hash_at, 32), _pieces(buffer, hash_at + 32, 32))
    return Blocks(headers, _table_of(buffer, places))


def _table_of(buffer: Bytes, places: Places) -> pa.Table:
    rows, size = int(places[:, _ROWS].sum()), int(places[:, _DATA_BYTES].sum())
    numbers, times = np.empty(rows, np.int64), np.empty(rows, np.int64)
    indices, transactions = np.empty(rows, np.int32), np.empty(rows, np.int32)
    begins, counts = np.empty((7, rows), np.int64), np.empty(rows, np.uint8)
    offsets, data = np.zeros(rows + 1, np.int32), np.empty(size, np.uint8)
    _gather(buffer, places, numbers, times, indices, transactions, begins, counts, offsets, data)
    block_hash, transaction_hash, address, *topics = begins
    return pa.Table.from_arrays(
        [
            pa.array(numbers),
            fixed_binary(_pieces(buffer, block_hash, 32), 32),
            pa.array(transactions),
            fixed_binary(_pieces(buffer, transaction_hash, 32), 32),
            pa.array(indices),
            pa.array(times),
            fixed_binary(_pieces(buffer, address, 20), 20),
            *(_topic(_pieces(buffer, topic, 32), counts > place) for place, topic in enumerate(topics)),
            pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(data)]),
        ],
        schema=LOGS,
    )


def _pieces(buffer: Bytes, begins: Places, width: int) -> Bytes:
    """The bytes that begin at each of n places; shape (n, width)."""
    windows = np.ndarray((len(buffer) - width + 1,), f"V{width}", buffer, strides=(1,))
    return windows[begins].view(np.uint8).reshape(-1, width)


def _topic(words: Bytes, present: npt.NDArray[np.bool_]) -> pa.Array:
    bitmap = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(pa.binary(32), len(words), [bitmap, pa.py_buffer(words)])


@njit(cache=True, nogil=True)
def _long(buffer: Bytes, at: int, stop: int) -> Any:
    """An Avro int or long (zigzag, seven bits a byte) and where it ends; -1 for a place where it has no end."""
    value, shift = np.uint64(0), np.uint64(0)
    while at < stop and shift < np.uint64(64):
        byte = buffer[at]
        at += 1
        value |= np.uint64(byte & 0x7F) << shift
        if byte < 0x80:
            return np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1)), at
        shift += np.uint64(7)
    return np.int64(0), -1


@njit(cache=True, nogil=True)
def _int32(buffer: Bytes, at: int) -> Any:
    """A little-endian int32 of a packed column."""
    low = np.int64(buffer[at]) | np.int64(buffer[at + 1]) << 8 | np.int64(buffer[at + 2]) << 16
    high = np.int64(buffer[at + 3])
    return low | (high - 256 if high >= 128 else high) << 24


@njit(cache=True, nogil=True)
def _bytes(buffer: Bytes, at: int, stop: int, length: Any) -> Any:
    """Where a column of ``length`` bytes begins, -1 where it has another length or is cut short."""
    found, at = _long(buffer, at, stop)
    return at if at >= 0 and found == length and length <= stop - at else -1


@njit(cache=True, nogil=True)
def _place(buffer: Bytes, borders: Places, prefix: Bytes, places: Places) -> int:
    """Find the fields of every message; the first that is not whole, of one part, and free of contradictions."""
    for message in range(len(borders) - 1):
        if not _place_one(buffer, borders[message], borders[message + 1], prefix, places[message]):
            return message
    return len(borders) - 1


@njit(cache=True, nogil=True)
def _place_one(buffer: Bytes, at: Any, stop: Any, prefix: Bytes, found: Places) -> bool:
    if stop - at < len(prefix):
        return False
    for i in range(len(prefix)):
        if buffer[at + i] != prefix[i]:
            return False
    found[_NUMBER], at = _long(buffer, at + len(prefix), stop)
    if at < 0 or found[_NUMBER] < 0 or found[_NUMBER] > _LARGEST_BLOCK or stop - at < 64:
        return False
    found[_HASH] = at
    found[_TIMESTAMP], at = _long(buffer, at + 64, stop)
    if at < 0:
        return False
    has_fee, at = _long(buffer, at, stop)
    if at < 0 or has_fee < 0 or has_fee > 1:
        return False
    if has_fee:
        _, at = _long(buffer, at, stop)
        if at < 0:
            return False
    for whole in (0, 1):  # part 0 of 1
        value, at = _long(buffer, at, stop)
        if at < 0 or value != whole:
            return False
    rows, at = _long(buffer, at, stop)
    if at < 0 or rows < 0 or rows > _LARGEST_INT:
        return False
    found[_ROWS] = rows
    for column, width in (
        (_LOG_INDEX, 4), (_TRANSACTION_INDEX, 4), (_TRANSACTION_HASH, 32), (_ADDRESS, 20), (_TOPIC_COUNT, 1)
    ):  # fmt: skip
        at = _bytes(buffer, at, stop, width * rows)
        if at < 0:
            return False
        found[column] = at
        at += width * rows
    topics = np.int64(0)
    for row in range(rows):
        count = buffer[found[_TOPIC_COUNT] + row]
        if count > 4:
            return False
        topics += count
    at = _bytes(buffer, at, stop, 32 * topics)
    if at < 0:
        return False
    found[_TOPICS] = at
    at = _bytes(buffer, at + 32 * topics, stop, 4 * rows)
    if at < 0:
        return False
    found[_DATA_SIZE] = at
    size, before = np.int64(0), np.int64(-1)
    for row in range(rows):
        length, index = _int32(buffer, at + 4 * row), _int32(buffer, found[_LOG_INDEX] + 4 * row)
        if length < 0 or index <= before or index >= END_OF_BLOCK:
            return False
        if _int32(buffer, found[_TRANSACTION_INDEX] + 4 * row) < 0:
            return False
        size, before = size + length, index
    at = _bytes(buffer, at + 4 * rows, stop, size)
    found[_DATA], found[_DATA_BYTES] = at, size
    return at >= 0 and at + size == stop


@njit(cache=True, nogil=True)
def _gather(
    buffer: Bytes, places: Places, numbers: Any, times: Any, indices: Any, transactions: Any, begins: Any, counts: Any,
    offsets: Any, data: Any,
) -> None:  # fmt: skip
    """Of every log of messages whose fields were found: its numbers and data, and where its other fields begin."""
    row, filled, no_topic = 0, 0, len(buffer) - 32
    for message in range(len(places)):
        found = places[message]
        topic = found[_TOPICS]
        for log in range(found[_ROWS]):
            numbers[row], times[row] = found[_NUMBER], found[_TIMESTAMP]
            indices[row] = _int32(buffer, found[_LOG_INDEX] + 4 * log)
            transactions[row] = _int32(buffer, found[_TRANSACTION_INDEX] + 4 * log)
            begins[0, row] = found[_HASH]
            begins[1, row] = found[_TRANSACTION_HASH] + 32 * log
            begins[2, row] = found[_ADDRESS] + 20 * log
            counts[row] = buffer[found[_TOPIC_COUNT] + log]
            for place in range(4):
                begins[3 + place, row] = topic if place < counts[row] else no_topic
                topic += 32 * (place < counts[row])
            offsets[row + 1] = offsets[row] + _int32(buffer, found[_DATA_SIZE] + 4 * log)
            row += 1
        for byte in range(found[_DATA_BYTES]):
            data[filled + byte] = buffer[found[_DATA] + byte]
        filled += found[_DATA_BYTES]

"""Logs as a message carries them: packed columns, cut into blocks and parts; many messages become one table at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.errors import MessageError
from l2liq.events.log import END_OF_BLOCK, LOGS

_TOPICS = ("topic0", "topic1", "topic2", "topic3")
_I4 = np.dtype("<i4")
_FIXED_BYTES = 4 + 4 + 32 + 20 + 1 + 4
"""Packed size of a log without topics and data."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Packed:
    """The record ``Logs`` of ``schemas/kafka/block.avsc``, where each field is explained."""

    count: int
    log_index: bytes
    transaction_index: bytes
    transaction_hash: bytes
    address: bytes
    topic_count: bytes
    topics: bytes
    data_size: bytes
    data: bytes


def packed_blocks(logs: pa.Table, most_bytes: int) -> Iterator[tuple[int, list[Packed]]]:
    """Blocks of an ordered table (schema LOGS): number, and the parts that its logs fill.

    A part holds at most ``most_bytes``, unless a single log exceeds that: a log is never cut.
    """
    logs = logs.combine_chunks()
    columns = _Columns(logs)
    numbers = logs.column("block_number").to_numpy()
    borders = [*np.flatnonzero(np.diff(numbers, prepend=-1)).tolist(), len(numbers)]
    for start, stop in pairwise(borders):
        yield int(numbers[start]), [columns.cut(*part) for part in columns.parts(start, stop, most_bytes)]


class _Columns:
    """Columns of a table, ready to be cut anywhere."""

    def __init__(self, logs: pa.Table) -> None:
        self._log_index = logs.column("log_index").to_numpy().astype(_I4)
        self._transaction_index = logs.column("transaction_index").to_numpy().astype(_I4)
        self._transaction_hash = _fixed(logs.column("transaction_hash"), 32)
        self._address = _fixed(logs.column("address"), 20)
        present = np.stack([logs.column(name).is_valid().to_numpy() for name in _TOPICS], axis=1)
        topics = np.stack([_fixed(pc.fill_null(logs.column(name), bytes(32)), 32) for name in _TOPICS], axis=1)
        self._topic_count = present.sum(axis=1).astype(np.uint8)
        self._topics = topics[present]
        self._topic_start = np.concatenate(([0], np.cumsum(self._topic_count, dtype=np.int64)))
        self._data_size = pc.binary_length(logs.column("data")).to_numpy().astype(_I4)
        self._data = b"".join(logs.column("data").to_pylist())
        self._data_start = np.concatenate(([0], np.cumsum(self._data_size, dtype=np.int64)))

    def parts(self, start: int, stop: int, most_bytes: int) -> list[tuple[int, int]]:
        """Rows [start, stop) in runs of at most ``most_bytes``, at least one row each."""
        sizes = _FIXED_BYTES + 32 * self._topic_count[start:stop].astype(np.int64) + self._data_size[start:stop]
        if sizes.sum() <= most_bytes:
            return [(start, stop)]
        borders, filled = [start], 0
        for row, size in enumerate(sizes.tolist(), start):
            if filled and filled + size > most_bytes:
                borders.append(row)
                filled = 0
            filled += size
        return list(zip(borders, [*borders[1:], stop], strict=True))

    def cut(self, start: int, stop: int) -> Packed:
        """Rows [start, stop)."""
        return Packed(
            stop - start,
            self._log_index[start:stop].tobytes(),
            self._transaction_index[start:stop].tobytes(),
            self._transaction_hash[start:stop].tobytes(),
            self._address[start:stop].tobytes(),
            self._topic_count[start:stop].tobytes(),
            self._topics[self._topic_start[start] : self._topic_start[stop]].tobytes(),
            self._data_size[start:stop].tobytes(),
            self._data[self._data_start[start] : self._data_start[stop]],
        )


def check(packs: Sequence[Packed]) -> None:
    """Raise MessageError where columns of any message contradict each other, or its logs are in no order."""
    for one in packs:
        count = one.count
        if (
            count < 0
            or len(one.log_index) != 4 * count
            or len(one.transaction_index) != 4 * count
            or len(one.transaction_hash) != 32 * count
            or len(one.address) != 20 * count
            or len(one.topic_count) != count
            or len(one.data_size) != 4 * count
        ):
            raise MessageError(f"its columns do not hold the {count} logs that it announces")
    counts = np.array([one.count for one in packs], np.int64)
    message = np.repeat(np.arange(len(packs)), counts)
    topic_count = np.frombuffer(b"".join([one.topic_count for one in packs]), np.uint8)
    data_size = np.frombuffer(b"".join([one.data_size for one in packs]), _I4)
    if len(message) and (topic_count.max() > 4 or data_size.min() < 0):
        raise MessageError("a log has more than four topics, or data of negative length")
    _check_sums("topics", [len(one.topics) for one in packs], 32 * topic_count.astype(np.int64), message)
    _check_sums("data", [len(one.data) for one in packs], data_size, message)
    log_index = np.frombuffer(b"".join([one.log_index for one in packs]), _I4)
    transaction_index = np.frombuffer(b"".join([one.transaction_index for one in packs]), _I4)
    within = message[1:] == message[:-1]
    if len(message) and (log_index.min() < 0 or log_index.max() >= END_OF_BLOCK or transaction_index.min() < 0):
        raise MessageError("a log has an index that no block can have")
    if (within & (np.diff(log_index) <= 0)).any():
        raise MessageError("log indices do not rise")


def table_of(
    packs: Sequence[Packed], numbers: Sequence[int], hashes: Sequence[bytes], times: Sequence[int]
) -> pa.Table:
    """The logs of many messages, which passed :func:`check`, with their block's number, hash and time (schema LOGS)."""
    counts = np.array([one.count for one in packs], np.int64)
    rows = int(counts.sum())
    block = np.repeat(np.arange(len(packs)), counts)
    joined = {name: b"".join([getattr(one, name) for one in packs]) for name in Packed.__slots__ if name != "count"}
    topic_count = np.frombuffer(joined["topic_count"], np.uint8)
    present = topic_count[:, None] > np.arange(4, dtype=np.uint8)
    topics = np.zeros((rows, 4, 32), np.uint8)
    topics[present] = np.frombuffer(joined["topics"], np.uint8).reshape(-1, 32)
    sizes = np.frombuffer(joined["data_size"], _I4)
    offsets = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
    columns = [
        pa.array(np.asarray(numbers, np.int64)[block]),
        _binary(np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)[block], 32),
        pa.array(np.frombuffer(joined["transaction_index"], _I4)),
        _binary(joined["transaction_hash"], 32),
        pa.array(np.frombuffer(joined["log_index"], _I4)),
        pa.array(np.asarray(times, np.int64)[block]),
        _binary(joined["address"], 20),
        *(_binary(topics[:, place], 32, present[:, place]) for place in range(4)),
        _variable(joined["data"], offsets),
    ]
    return pa.Table.from_arrays(columns, schema=LOGS)


def _check_sums(name: str, lengths: Sequence[int], sizes: npt.NDArray[Any], message: npt.NDArray[np.int64]) -> None:
    """The sizes of each message's logs add up to what it holds."""
    announced = np.bincount(message, weights=sizes, minlength=len(lengths)).astype(np.int64)
    wrong = np.flatnonzero(announced != np.asarray(lengths, np.int64))
    if len(wrong):
        at = int(wrong[0])
        raise MessageError(f"its {name} have {lengths[at]:,} bytes where {announced[at]:,} are announced")


def _fixed(column: pa.ChunkedArray, width: int) -> npt.NDArray[np.uint8]:
    """A fixed-size binary column without nulls as bytes of shape (rows, width)."""
    array = column.combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    buffer = array.buffers()[1]
    whole = np.frombuffer(buffer, np.uint8, count=(array.offset + len(array)) * width)
    return whole.reshape(-1, width)[array.offset :]


def _binary(content: bytes | npt.NDArray[np.uint8], width: int, valid: Flags | None = None) -> pa.Array:
    flat = content if isinstance(content, bytes) else np.ascontiguousarray(content)
    rows = (len(flat) if isinstance(flat, bytes) else flat.size) // width
    bitmap = None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
    return pa.Array.from_buffers(pa.binary(width), rows, [bitmap, pa.py_buffer(flat)])


def _variable(content: bytes, offsets: npt.NDArray[np.int64]) -> pa.Array:
    narrow = offsets.astype(np.int32)
    return pa.Array.from_buffers(
        pa.binary(), len(offsets) - 1, [None, pa.py_buffer(narrow.tobytes()), pa.py_buffer(content)]
    )

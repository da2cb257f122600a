"""Logs as a message carries them: packed columns, cut into blocks and parts; many messages become one table at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

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

_WIDTHS = {
    "log_index": 4,
    "transaction_index": 4,
    "transaction_hash": 32,
    "address": 20,
    "topic_count": 1,
    "data_size": 4,
}
"""Bytes per log of the columns that have as many values as there are logs."""

Flags = npt.NDArray[np.bool_]


class Packed(NamedTuple):
    """The record ``Logs`` of ``schemas/kafka/block.avsc``, where each field is explained."""

    rows: int
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
    if not packs:
        return
    columns = _transposed(packs)
    counts = np.array(columns["rows"], np.int64)
    for name, width in _WIDTHS.items():
        lengths = np.fromiter(map(len, columns[name]), np.int64, len(packs))
        if (lengths != width * counts).any():
            raise MessageError(f"its columns do not hold the {columns['rows'][0]} logs that it announces")
    message = np.repeat(np.arange(len(packs)), counts)
    topic_count = np.frombuffer(b"".join(columns["topic_count"]), np.uint8)
    data_size = np.frombuffer(b"".join(columns["data_size"]), _I4)
    if len(message) and (topic_count.max() > 4 or data_size.min() < 0):
        raise MessageError("a log has more than four topics, or data of negative length")
    _check_sums("topics", columns["topics"], 32 * topic_count.astype(np.int64), message)
    _check_sums("data", columns["data"], data_size, message)
    log_index = np.frombuffer(b"".join(columns["log_index"]), _I4)
    transaction_index = np.frombuffer(b"".join(columns["transaction_index"]), _I4)
    within = message[1:] == message[:-1]
    if len(message) and (log_index.min() < 0 or log_index.max() >= END_OF_BLOCK or transaction_index.min() < 0):
        raise MessageError("a log has an index that no block can have")
    if (within & (np.diff(log_index) <= 0)).any():
        raise MessageError("log indices do not rise")


def table_of(
    packs: Sequence[Packed], numbers: Sequence[int], hashes: Sequence[bytes], times: Sequence[int]
) -> pa.Table:
    """The logs of many messages, which passed :func:`check`, with their block's number, hash and time (schema LOGS)."""
    columns = _transposed(packs)
    counts = np.array(columns["rows"], np.int64)
    rows = int(counts.sum())
    block = np.repeat(np.arange(len(packs)), counts)
    topic_count = np.frombuffer(b"".join(columns["topic_count"]), np.uint8)
    present = topic_count[:, None] > np.arange(4, dtype=np.uint8)
    topics = np.zeros((rows, 4, 32), np.uint8)
    topics[present] = np.frombuffer(b"".join(columns["topics"]), np.uint8).reshape(-1, 32)
    sizes = np.frombuffer(b"".join(columns["data_size"]), _I4)
    offsets = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
    return pa.Table.from_arrays(
        [
            pa.array(np.asarray(numbers, np.int64)[block]),
            _binary(np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)[block], 32),
            pa.array(np.frombuffer(b"".join(columns["transaction_index"]), _I4)),
            _binary(b"".join(columns["transaction_hash"]), 32),
            pa.array(np.frombuffer(b"".join(columns["log_index"]), _I4)),
            pa.array(np.asarray(times, np.int64)[block]),
            _binary(b"".join(columns["address"]), 20),
            *(_binary(topics[:, place], 32, present[:, place]) for place in range(4)),
            _variable(b"".join(columns["data"]), offsets),
        ],
        schema=LOGS,
    )


def _transposed(packs: Sequence[Packed]) -> dict[str, tuple[Any, ...]]:
    """Every field of all messages."""
    values = zip(*packs, strict=True) if packs else ((),) * len(Packed._fields)
    return dict(zip(Packed._fields, values, strict=True))


def _check_sums(name: str, columns: Sequence[bytes], sizes: npt.NDArray[Any], message: npt.NDArray[np.int64]) -> None:
    """The sizes of each message's logs add up to what it holds."""
    lengths = np.fromiter(map(len, columns), np.int64, len(columns))
    announced = np.bincount(message, weights=sizes, minlength=len(columns)).astype(np.int64)
    wrong = np.flatnonzero(announced != lengths)
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

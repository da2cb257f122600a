"""From raw logs to typed events, a column at a time (DESIGN §6, §7).

What counts as well formed is what eth-abi's strict decoder accepts: all padding as the ABI demands, data at least as
long as the arguments; bytes behind the last argument are accepted, as Solidity's own decoder does. Beyond that the
number of topics must be the event's. Strings are any bytes: what is not UTF-8 is replaced, not refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from l2liq.events import composite
from l2liq.events.abi import Argument, EventAbi
from l2liq.events.log import LOGS, POSITION_COLUMNS
from l2liq.events.order import as_logs
from l2liq.events.words import (
    DECIMAL,
    RAW,
    Mask,
    Words,
    columns,
    faults,
    fixed_binary,
    word,
    words_of,
)

BLOCK_ROWS = 1 << 16
"""Logs decoded at a time: small enough for the processor's cache, large enough to amortise the calls."""

TOPICS = ("topic0", "topic1", "topic2", "topic3")
MALFORMED = LOGS.append(pa.field("reason", pa.string(), nullable=False))
"""Raw logs that do not fit their event, and why."""

_NONE_MALFORMED = pa.RecordBatch.from_pylist([], MALFORMED)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of the logs of one event; both tables keep the order of the logs.

    Attributes
    ----------
    events : pa.Table
        Position columns, ``address``, arguments: :func:`event_schema`.
    malformed : pa.Table
        :data:`MALFORMED`.
    """

    events: pa.Table
    malformed: pa.Table


@dataclass(frozen=True, slots=True)
class Split:
    """Logs by event; every log is in exactly one table, in the order it came.

    Attributes
    ----------
    known : dict of EventAbi to pa.Table
        Only events that occur.
    unknown : pa.Table
        Logs of no known event, anonymous ones included.
    """

    known: dict[EventAbi, pa.Table]
    unknown: pa.Table


@cache
def event_schema(event: EventAbi, *, decimals: bool = True) -> pa.Schema:
    """Columns of a decoded event.

    Integers of at most 56 bits are int64; wider ones a pair: ``x`` decimal128(38, 0), null where it does not fit, and
    ``x_raw``, the 32 bytes of the chain; without ``decimals`` there is ``x_raw`` alone. Addresses are binary(20),
    bytesN binary(N). An indexed string, array or tuple is what the topic holds: its keccak-256.
    """
    fields = [LOGS.field(name) for name in (*POSITION_COLUMNS, "address")]
    for argument in event.arguments:
        fields.extend(_fields(argument, decimals))
    return pa.schema(fields)


def split(logs: pa.Table, events: Iterable[EventAbi]) -> Split:
    """Sort logs by event: by topic0 and, where events share it, by the number of topics.

    A log with a known topic0 but with a number of topics that none of its events has goes to the first of them, whose
    decoding will refuse it: a mutilated log is not an unknown one.

    Raises
    ------
    LogError
        Columns missing, or of a type that logs cannot have.
    ValueError
        Two events that nothing but the names of their arguments distinguishes.
    """
    known = tuple(dict.fromkeys(events))
    choose = chooser(known).choose
    pieces: list[list[pa.RecordBatch]] = [[] for _ in range(len(known) + 1)]
    for block in blocks_of(as_logs(logs)):
        choice = choose(block)
        order = np.argsort(choice.astype(np.int16), kind="stable")  # of short integers NumPy makes a radix sort
        counts = np.bincount(choice, minlength=len(pieces))
        present = np.flatnonzero(counts)
        ordered = block if len(present) == 1 else block.take(pa.array(order))
        start = 0
        for index in present:
            pieces[index].append(ordered.slice(start, counts[index]))
            start += int(counts[index])
    tables = [pa.Table.from_batches(piece, LOGS) for piece in pieces]
    return Split({e: t for e, t in zip(known, tables, strict=False) if t.num_rows}, tables[-1])


def decode(logs: pa.Table, event: EventAbi, *, decimals: bool = True) -> Decoded:
    """Decode logs of one event, as :func:`split` gives them, with or without the decimal form of wide integers.

    Raises
    ------
    LogError
        Columns missing, or of a type that logs cannot have.
    """
    good, bad = [], []
    for block in blocks_of(as_logs(logs)):
        events, malformed = _decode_block(block, event, decimals)
        good.append(events)
        if malformed.num_rows:
            bad.append(malformed)
    schema = event_schema(event, decimals=decimals)
    return Decoded(pa.Table.from_batches(good, schema), pa.Table.from_batches(bad, MALFORMED))


def _fields(argument: Argument, decimals: bool) -> list[pa.Field]:
    if not argument.scalar:
        if argument.indexed:
            return [pa.field(argument.column, RAW, nullable=False)]
        return [composite.arrow_field(argument)]
    layout = word(argument.type)
    if layout.wide:
        raw = pa.field(f"{argument.column}_raw", RAW, nullable=False)
        return [pa.field(argument.column, DECIMAL), raw] if decimals else [raw]
    narrow = {"uint": pa.int64(), "int": pa.int64(), "bool": pa.bool_()}.get(layout.kind, pa.binary(layout.size))
    return [pa.field(argument.column, narrow, nullable=False)]


def blocks_of(logs: pa.Table) -> Iterator[pa.RecordBatch]:
    """Logs in blocks of :data:`BLOCK_ROWS` at most, none of them empty."""
    if logs.num_rows < logs.column(0).num_chunks * BLOCK_ROWS // 2:
        logs = logs.combine_chunks()
    for block in logs.to_batches(max_chunksize=BLOCK_ROWS):
        if block.num_rows:
            yield block


def _topic_counts(block: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Topics of each log; -1 where a topic follows a missing one."""
    present = [validity(block.column(name)) for name in TOPICS]
    counts = np.zeros(block.num_rows, np.int64)
    unbroken = np.ones(block.num_rows, bool)
    for valid in present:
        gap = valid & ~unbroken
        counts += valid
        counts[gap] = -8
        unbroken = unbroken & valid
    return np.maximum(counts, -1)


def validity(column: pa.Array) -> Mask:
    """Which values are there; shape (n,)."""
    if not column.null_count:
        return np.ones(len(column), bool)
    return column.is_valid().to_numpy(zero_copy_only=False)


class Chooser:
    """Which of the known events a log belongs to; their number means none."""

    def __init__(self, known: Sequence[EventAbi]) -> None:
        topics = sorted({event.topic0 for event in known}, key=_prefix)
        self._none = len(known)
        self._topics = np.frombuffer(b"".join(topics), np.uint64).reshape(-1, 4)
        self._prefixes = np.array([_prefix(topic) for topic in topics], np.uint64)
        self._event = np.full((len(topics), 6), -1)
        for number, event in enumerate(known):
            row = self._event[topics.index(event.topic0)]
            if row[event.topic_count] >= 0:
                raise ValueError(f"{event.signature} is given twice with as many indexed arguments")
            row[event.topic_count] = number
        for row in self._event:
            row[row < 0] = row[row >= 0].min()

    def choose(self, block: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """Number of each log's event; shape (n,)."""
        topic0 = block.column("topic0")
        if not len(self._topics):
            return np.full(block.num_rows, self._none)
        lanes = words_of(topic0).view(np.uint64)
        place = np.minimum(np.searchsorted(self._prefixes, lanes[:, 0]), len(self._topics) - 1)
        known = self._topics[place]
        same = validity(topic0)
        for lane in range(4):
            same = same & (lanes[:, lane] == known[:, lane])
        choice: npt.NDArray[np.int64] = np.where(same, self._event[place, _topic_counts(block)], self._none)
        return choice


@cache
def chooser(known: tuple[EventAbi, ...]) -> Chooser:
    """Tells events apart."""
    return Chooser(known)


def _prefix(topic: bytes) -> np.uint64:
    """First eight bytes as the machine reads them: 64 bits of keccak tell all events apart."""
    return np.frombuffer(topic[:8], np.uint64)[0]


class _Verdicts:
    """Reason for each row of a block, the first one found; 0 means well formed."""

    def __init__(self, rows: int) -> None:
        self._code = np.zeros(rows, np.int32)
        self._reasons = [""]

    def refuse(self, bad: Mask | None, reason: str) -> None:
        if bad is not None and bad.any():
            self._reasons.append(reason)
            self._code[bad & (self._code == 0)] = len(self._reasons) - 1

    def refuse_row(self, row: int, reason: str) -> None:
        self._reasons.append(reason)
        self._code[row] = len(self._reasons) - 1

    @property
    def good(self) -> Mask:
        return self._code == 0

    @property
    def all_good(self) -> bool:
        return len(self._reasons) == 1

    def reasons(self, bad: Mask) -> pa.Array:
        return pa.array([self._reasons[code] for code in self._code[bad]], pa.string())


def _decode_block(block: pa.RecordBatch, event: EventAbi, decimals: bool) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Shape first, so that every remaining log has its words; then the words themselves."""
    shape = _Verdicts(block.num_rows)
    head = 32 * sum(composite.head_words(argument.type) for argument in event.data)
    shape.refuse(_foreign(block.column("topic0"), event.topic0), f"topic0: not that of {event.signature}")
    shape.refuse(_topic_counts(block) != event.topic_count, f"topics: {event.name} has {event.topic_count}")
    shape.refuse(_lengths(block.column("data")) < head, f"data: shorter than the {head} bytes of {event.name}")
    whole, crippled = _sift(block, shape)
    content = _Verdicts(whole.num_rows)
    arrays = [whole.column(name) for name in (*POSITION_COLUMNS, "address")]
    arrays.extend(_arguments(whole, event, head // 32, decimals, content))
    events = pa.RecordBatch.from_arrays(arrays, schema=event_schema(event, decimals=decimals))
    if content.all_good:
        return events, crippled
    _, refused = _sift(whole, content)
    events = events.filter(pa.array(content.good))
    return events, _merge(block, shape, content, crippled, refused)


def _sift(block: pa.RecordBatch, verdicts: _Verdicts) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """The good rows, and the bad ones with their reasons."""
    if verdicts.all_good:
        return block, _NONE_MALFORMED
    bad = ~verdicts.good
    refused = block.filter(pa.array(bad))
    refused = pa.RecordBatch.from_arrays([*refused.columns, verdicts.reasons(bad)], schema=MALFORMED)
    return block.filter(pa.array(~bad)), refused


def _merge(
    block: pa.RecordBatch, shape: _Verdicts, content: _Verdicts, crippled: pa.RecordBatch, refused: pa.RecordBatch
) -> pa.RecordBatch:
    """Rows refused for their shape and rows refused for their content, in the order of the block."""
    rows = np.arange(block.num_rows)
    places = np.concatenate([rows[~shape.good], rows[shape.good][~content.good]])
    both = pa.Table.from_batches([crippled, refused]).combine_chunks().to_batches()[0]
    return both.take(pa.array(np.argsort(places)))


def _foreign(topic0: pa.FixedSizeBinaryArray, expected: bytes) -> Mask:
    foreign: Mask = (words_of(topic0).view(np.uint64) != np.frombuffer(expected, np.uint64)).any(axis=1)
    return foreign | ~validity(topic0)


def _lengths(data: pa.BinaryArray) -> npt.NDArray[np.int64]:
    return np.diff(offsets_of(data)).astype(np.int64)


def offsets_of(data: pa.BinaryArray) -> npt.NDArray[np.int32]:
    """Where each value begins in the array's buffer, and where the last one ends; shape (n + 1,)."""
    if not len(data):
        return np.zeros(1, np.int32)
    return np.frombuffer(data.buffers()[1], np.int32)[data.offset : data.offset + len(data) + 1]


def _head_words(data: pa.BinaryArray, count: int) -> Words:
    """First ``count`` words of each log's data, shape (n, count, 32); without copying where nothing else is there."""
    size = 32 * count
    offsets, buffer = offsets_of(data), data.buffers()[2]
    if not len(data) or not count:
        return np.empty((len(data), count, 32), np.uint8)
    values = np.frombuffer(buffer, np.uint8)
    if (np.diff(offsets) == size).all():
        return values[offsets[0] : offsets[-1]].reshape(-1, count, 32)
    return values[offsets[:-1, None].astype(np.int64) + np.arange(size)].reshape(-1, count, 32)


def _arguments(
    block: pa.RecordBatch, event: EventAbi, count: int, decimals: bool, verdicts: _Verdicts
) -> list[pa.Array]:
    """Arrays of all arguments in order of declaration; rows that are refused hold anything."""
    head = _head_words(block.column("data"), count)
    arrays: dict[str, tuple[pa.Array, ...]] = {}
    for place, argument in enumerate(event.indexed, start=1):
        arrays[argument.column] = _scalar(words_of(block.column(TOPICS[place])), argument, decimals, verdicts)
    place = 0
    for argument in event.data:
        if argument.scalar:
            arrays[argument.column] = _scalar(head[:, place], argument, decimals, verdicts)
        place += composite.head_words(argument.type)
    if not all(argument.scalar for argument in event.data):
        arrays |= _composites(block.column("data"), event.data, verdicts)
    return [array for argument in event.arguments for array in arrays[argument.column]]


def _scalar(words: Words, argument: Argument, decimals: bool, verdicts: _Verdicts) -> tuple[pa.Array, ...]:
    if not argument.scalar:
        return (fixed_binary(words, 32),)
    layout = word(argument.type)
    verdicts.refuse(faults(words, layout), f"{argument.name}: not a valid {argument.type}")
    return columns(words, layout, decimals=decimals)


def _composites(
    data: pa.BinaryArray, arguments: Sequence[Argument], verdicts: _Verdicts
) -> dict[str, tuple[pa.Array, ...]]:
    """Arguments that are not one word, by column, log by log."""
    types = [argument.type for argument in arguments]
    wanted = [place for place, argument in enumerate(arguments) if not argument.scalar]
    values: dict[int, list[Any]] = {place: [] for place in wanted}
    good = verdicts.good
    for row, raw in enumerate(data.to_pylist()):
        decoded: Sequence[Any] | None = None
        if good[row]:
            try:
                decoded = composite.decode_one(types, raw)
            except composite.REFUSALS:
                verdicts.refuse_row(row, composite.why_not(arguments, raw))
        for place in wanted:
            values[place].append(None if decoded is None else decoded[place])
    return {arguments[place].column: (composite.array_of(values[place], arguments[place]),) for place in wanted}

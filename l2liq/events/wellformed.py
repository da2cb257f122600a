"""Whether logs fit their events, told for all of them at once: what is nearly always so should cost next to nothing.

What well formed means is said by :mod:`.decode`, which also tells which log does not fit, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from l2liq.events import composite
from l2liq.events.abi import Argument, EventAbi
from l2liq.events.decode import TOPICS, blocks_of, chooser, decode, offsets_of, validity
from l2liq.events.order import as_logs
from l2liq.events.words import forced_bytes, word, words_of

_DATA = 0
"""Where a word lies that is not in topic 1, 2 or 3."""


class _Forms(NamedTuple):
    """Words of events, by event and place.

    Attributes
    ----------
    topic_count, head_bytes, words : of each event; shape (events,)
    source, start : the topic of each word or ``_DATA``, and its first byte there; shape (events, words)
    sign : byte of each word whose highest bit is its sign, -1 where it has none; shape (events, words)
    forced : bits of each word that must be zero, or copies of the sign; shape (events, words, 32)
    """

    topic_count: npt.NDArray[np.int64]
    head_bytes: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    sign: npt.NDArray[np.int64]
    forced: npt.NDArray[np.uint8]


def all_well_formed(logs: pa.Table, events: Sequence[EventAbi]) -> tuple[bool, int]:
    """Whether every log of a known event fits it, and how many logs are of no known event (-1 where one does not fit).

    Raises
    ------
    LogError
        Columns missing, or of a type that logs cannot have.
    """
    known, unknown = tuple(events), 0
    forms = _forms(known)
    composites = [number for number, event in enumerate(known) if not all(one.scalar for one in event.data)]
    for block in blocks_of(as_logs(logs)):
        choice = chooser(known).choose(block)
        present = np.stack([validity(block.column(name)) for name in TOPICS], axis=1)
        topics = tuple(_constant(words_of(block.column(name))) for name in TOPICS[1:])
        buffer = block.column("data").buffers()[2]
        offsets, data = offsets_of(block.column("data")), np.frombuffer(buffer or b"", np.uint8)
        if not _fit(choice, present, topics, _constant(offsets), _constant(data), forms):
            return False, -1
        for number in composites:
            rows = pa.Table.from_batches([block.filter(pa.array(choice == number))])
            if rows.num_rows and decode(rows, known[number], decimals=False).malformed.num_rows:
                return False, -1
        unknown += int((choice == len(known)).sum())
    return True, unknown


def _constant(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view that cannot be written, whatever lies below: to a kernel, and to a tuple of it, that is another type."""
    view = values.view()
    view.flags.writeable = False
    return view


@cache
def _forms(events: tuple[EventAbi, ...]) -> _Forms:
    placed = [list(_placed(event)) for event in events]
    most = max(map(len, placed), default=0)
    shape = (len(events), most)
    source, start, sign = (np.zeros(shape, np.int64) for _ in range(3))
    forced = np.zeros((*shape, 32), np.uint8)
    for row, words in enumerate(placed):
        for column, (argument, topic, byte) in enumerate(words):
            layout = word(argument.type)
            source[row, column], start[row, column] = topic, byte
            sign[row, column] = 32 - layout.size if layout.signed else -1
            forced[row, column] = forced_bytes(layout)
    return _Forms(
        np.array([event.topic_count for event in events], np.int64),
        np.array([32 * sum(composite.head_words(one.type) for one in event.data) for event in events], np.int64),
        np.array(list(map(len, placed)), np.int64),
        source,
        start,
        sign,
        forced,
    )


def _placed(event: EventAbi) -> Iterator[tuple[Argument, int, int]]:
    """Arguments of one word: topic or ``_DATA``, and the first byte there."""
    for topic, argument in enumerate(event.indexed, start=1):
        if argument.scalar:
            yield argument, topic, 0
    byte = 0
    for argument in event.data:
        if argument.scalar:
            yield argument, _DATA, byte
        byte += 32 * composite.head_words(argument.type)


@njit(cache=True, nogil=True)
def _fit(choice: Any, present: Any, topics: Any, offsets: Any, data: Any, forms: _Forms) -> bool:
    """Whether each log has the topics, the data and the forced bits of the event that was chosen for it."""
    for row in range(len(choice)):
        event = choice[row]
        if event == len(forms.topic_count):
            continue
        for topic in range(4):
            if present[row, topic] != (topic < forms.topic_count[event]):
                return False
        if offsets[row + 1] - offsets[row] < forms.head_bytes[event]:
            return False
        for place in range(forms.words[event]):
            source, at = forms.source[event, place], offsets[row] + forms.start[event, place]
            content = data[at : at + 32] if source == _DATA else topics[source - 1][row]
            sign = forms.sign[event, place]
            ones = np.uint8(0xFF) if sign >= 0 and content[sign] >= 0x80 else np.uint8(0)
            wrong = np.uint8(0)
            for byte in range(32):
                wrong |= (content[byte] ^ ones) & forms.forced[event, place, byte]
            if wrong:
                return False
    return True

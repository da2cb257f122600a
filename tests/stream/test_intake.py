"""Records taken in together leave what they leave one by one, and no content passes that would not pass by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2liq.errors import LogError, ReorgError
from l2liq.events.filter import Filter
from l2liq.events.log import END_OF_BLOCK
from l2liq.events.words import pieces
from l2liq.lake import Grid, Lake, Span
from l2liq.protocols.interface import Question
from pipelines.sources.node import Header
from pipelines.stream import intake
from pipelines.stream.assembly import Assembly
from pipelines.stream.columns import blocks_of
from pipelines.stream.intake import Intake
from pipelines.stream.messages import FINGERPRINT, Answer, Block, Message, Retract, Scanned, decode, encode, filter_id
from pipelines.stream.packing import Packed, check, table_of
from pipelines.stream.poison import Poison
from pipelines.stream.source import StreamOracle, StreamSource

MARKET, CHAIN = "aave-v3-test", 10
GRID = Grid(16)
SPAN = Span(0, 16)
ADDRESSES = (b"a" * 20, b"b" * 20)
WANTED = Filter(dict.fromkeys(ADDRESSES))


@dataclass(frozen=True)
class Record:
    """A record as the client gives it."""

    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    key: bytes = MARKET.encode()


@st.composite
def packs(draw: st.DrawFn) -> Packed:
    """Logs of one block."""
    indices = sorted(draw(st.sets(st.integers(0, 300), max_size=4)))
    topics = [draw(st.lists(st.binary(min_size=32, max_size=32), max_size=4)) for _ in indices]
    data = [draw(st.binary(max_size=40)) for _ in indices]
    return Packed(
        len(indices),
        b"".join(one.to_bytes(4, "little") for one in indices),
        b"".join((one // 2).to_bytes(4, "little") for one in indices),
        b"".join(bytes([one // 2 % 256]) * 32 for one in indices),
        b"".join(draw(st.sampled_from(ADDRESSES)) for _ in indices),
        bytes(len(one) for one in topics),
        b"".join(topic for one in topics for topic in one),
        b"".join(len(one).to_bytes(4, "little") for one in data),
        b"".join(data),
    )


def header(number: int, fork: int = 0, fee: int | None = 7) -> Header:
    """A block of a chain, or of a fork that begins with this block."""
    parent = bytes([(number - 1) % 256, 0]) * 16 if number else bytes(32)
    return Header(number, bytes([number % 256, fork]) * 16, parent, 100 + number, fee, 0)


@st.composite
def histories(draw: st.DrawFn) -> list[Message]:
    """Messages as a follower sends them: blocks that rise, and what was scanned."""
    messages: list[Message] = []
    first, count = 0, 0
    for number in range(16):
        if draw(st.booleans()):
            logs = draw(packs())
            count += logs.rows
            messages.append(
                Block(MARKET, CHAIN, header(number, fee=draw(st.none() | st.integers(0, 1 << 60))), 0, 1, logs)
            )
        if number == 15 or draw(st.integers(0, 3)) == 0:
            ends = header(first), header(number)
            messages.append(Scanned(MARKET, CHAIN, *ends, number, count, 0, filter_id(WANTED), WANTED))
            first, count = number + 1, 0
    return messages


@st.composite
def troubles(draw: st.DrawFn) -> list[Record]:
    """A history in which messages were repeated, dropped, moved, forked, taken back, cut in parts or damaged."""
    messages = draw(histories())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(messages) - 1))
        one = messages[at]
        what = draw(st.sampled_from(("repeat", "drop", "move", "fork", "retract", "parts", "foreign")))
        if what == "repeat":
            messages.insert(draw(st.integers(0, len(messages))), one)
        elif what in ("drop", "move") and len(messages) > 1:
            messages.pop(at)
            if what == "move":
                messages.insert(draw(st.integers(0, len(messages))), one)
        elif what == "fork" and isinstance(one, Block):
            messages.insert(at + 1, Block(MARKET, CHAIN, header(one.header.number, 1), 0, 1, one.logs))
        elif what == "retract":
            messages.insert(at, Retract(MARKET, CHAIN, draw(st.integers(0, 15)), b"p" * 32))
        elif what == "parts" and isinstance(one, Block):
            messages[at] = Block(MARKET, CHAIN, one.header, 1, 2, one.logs)
        elif what == "foreign" and isinstance(one, Block):
            messages[at] = Block("another", CHAIN, one.header, 0, 1, one.logs)
    records = records_of(messages)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(records) - 1))
        records[at] = Record(at, *draw(damaged(records[at])))
    return records


@st.composite
def damaged(draw: st.DrawFn, record: Record) -> tuple[bytes | None, Sequence[tuple[str, bytes]]]:
    """Other content, mostly with a fingerprint that fits."""
    value = record.value or b""
    start = draw(st.integers(0, len(value)))
    other = value[:start] + draw(st.binary(max_size=3)) + value[start + draw(st.integers(0, 3)) :]
    if draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from((None, other))), record.headers
    return other, [(FINGERPRINT, hashlib.sha256(other).digest())]


def records_of(messages: Sequence[Message]) -> list[Record]:
    return [Record(offset, *encode(one)) for offset, one in enumerate(messages)]


class Reader:
    """An assembly that is filled one way or the other, and what was refused."""

    def __init__(self) -> None:
        self.assembly = Assembly(GRID)
        self.refused: list[tuple[Any, ...]] = []
        self.intake = Intake(self.assembly, MARKET, CHAIN, self._refuse)

    def _refuse(self, offset: int, error: LogError, block: int | None, content: bytes) -> None:
        self.refused.append((offset, type(error), str(error), block, content))
        self.assembly.expect([offset], [16 if block is None else block])

    def known(self) -> tuple[Any, ...]:
        """All that anybody can learn from it."""
        one = self.assembly
        told = (one.reached, one.final_to, one.market_start, one.rows, one.oldest_needed(-1), dict(one.answers))
        try:
            settled: Any = one.settle(SPAN)
            settled = (settled.logs.to_pylist(), settled.looked_at)
        except LogError as error:
            settled = str(error)
        headers = [one.header(number) for number in range(16)]
        one.release(8)
        return (*told, self.refused, headers, settled, one.rows, one.oldest_needed(-1))


@given(histories(), st.integers(1, 9))
def test_a_history_is_taken_together_and_is_what_it_is_one_by_one(messages: list[Message], at_a_time: int) -> None:
    records = records_of(messages)
    together, each = Reader(), Reader()
    for start in range(0, len(records), at_a_time):
        some = records[start : start + at_a_time]
        count = together.intake.take_together(some)
        assert count is not None
        assert count == each.intake.take_each(some)
    assert together.known() == each.known()


def logs(indices: Sequence[int], topics: int = 1, sizes: Sequence[int] | None = None) -> Packed:
    """Logs with these indices, all in one transaction, and as many topics and bytes of data each."""
    sizes = [0] * len(indices) if sizes is None else sizes
    count = len(indices)
    numbers = b"".join(one.to_bytes(4, "little", signed=True) for one in indices)
    lengths = b"".join(one.to_bytes(4, "little", signed=True) for one in sizes)
    fixed = (
        bytes(4 * count),
        b"t" * 32 * count,
        b"a" * 20 * count,
        bytes([topics]) * count,
        bytes(32 * topics * count),
    )
    return Packed(count, numbers, *fixed, lengths, bytes(max(0, sum(sizes))))


def block(number: int, packed: Packed, fork: int = 0) -> Block:
    return Block(MARKET, CHAIN, header(number, fork), 0, 1, packed)


def scanned(first: int, last: int) -> Scanned:
    return Scanned(MARKET, CHAIN, header(first), header(last), last, 0, 0, filter_id(WANTED), WANTED)


@pytest.mark.parametrize(
    "batches",
    [
        [[block(2, logs([1]), fork=1)], [block(3, logs([1]))]],
        [[block(2, logs([1]), fork=1), block(3, logs([1]))]],
        [[scanned(0, 3), block(3, logs([1]), fork=1)]],
        [[block(3, logs([1])), block(2, logs([1]))]],
        [[block(1, logs([1, 2], topics=5))]],
        [[block(1, logs([4, 4]))]],
        [[block(1, logs([-1]))]],
        [[block(1, logs([END_OF_BLOCK]))]],
        [[block(1, logs([1, 2], sizes=[-1, 1]))]],
        [[block(1, logs([1, 2])._replace(transaction_index=b"\xff" * 8))]],
        [[block(1, logs([1, 2])._replace(address=b"a" * 39))]],
        [[block(1 << 39, logs([1]))]],
        [[Retract(MARKET, CHAIN, 1, b"p" * 32), block(1, logs([1]))]],
    ],
)  # fmt: skip
def test_what_does_not_simply_go_on_is_looked_at_one_by_one(batches: list[list[Message]]) -> None:
    either, each = Reader(), Reader()
    for some in batches:
        records = records_of(some)
        assert either.intake.take(records) == each.intake.take_each(records)
    assert Reader().intake.take_together(records_of([one for some in batches for one in some])) is None
    assert either.known() == each.known()


def test_a_message_that_goes_on_behind_its_end_is_not_taken_with_the_others() -> None:
    value, _ = encode(block(1, logs([1])))
    longer = Record(0, value + b"x", [(FINGERPRINT, hashlib.sha256(value + b"x").digest())])
    assert blocks_of([longer], MARKET, CHAIN) is None


@given(troubles(), st.integers(1, 9), st.sampled_from((1, 500, intake.MOST_BYTES)), st.sampled_from((0, 0, 4, 8)))
@settings(max_examples=400)
def test_whatever_comes_is_taken_as_it_is_one_by_one(
    records: list[Record], at_a_time: int, most_bytes: int, sealed_until: int
) -> None:
    either, each = Reader(), Reader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "MOST_BYTES", most_bytes)
        for start in range(0, len(records), at_a_time):
            some = records[start : start + at_a_time]
            assert either.intake.take(some) == each.intake.take_each(some)
            for one in (either.assembly, each.assembly):
                one.release(sealed_until)
            assert either.assembly.oldest_needed(-1) == each.assembly.oldest_needed(-1)
    assert either.known() == each.known()


@given(histories(), st.data())
@settings(max_examples=300)
def test_columns_take_no_message_that_does_not_pass_by_itself(messages: list[Message], data: st.DataObject) -> None:
    records = [one for one, message in zip(records_of(messages), messages, strict=True) if isinstance(message, Block)]
    if not records:
        return
    at = data.draw(st.integers(0, len(records) - 1))
    records[at] = Record(at, *data.draw(damaged(records[at])))
    found = blocks_of(records, MARKET, CHAIN)
    if found is not None:
        blocks = [decode(one.value, one.headers, MARKET, CHAIN) for one in records]
        assert all(isinstance(one, Block) and (one.part, one.parts) == (0, 1) for one in blocks)
        headers = [one.header for one in blocks if isinstance(one, Block)]
        logs = [one.logs for one in blocks if isinstance(one, Block)]
        check(logs)
        told = found.headers
        assert told.numbers.tolist() == [one.number for one in headers]
        assert pieces(told.hashes) == [one.hash for one in headers]
        assert pieces(told.parents) == [one.parent_hash for one in headers]
        found.logs.validate(full=True)
        told_of_each = ([one.number for one in headers], [one.hash for one in headers])
        assert found.logs.equals(table_of(logs, *told_of_each, [one.timestamp_s for one in headers]))


def test_a_cell_that_was_begun_keeps_what_is_taken_back_while_it_is_sealed(tmp_path: Path) -> None:
    assembly = Assembly(GRID)
    poison = Poison(Lake.create(tmp_path), GRID, "aave-v3/test")
    source, oracle = StreamSource(assembly, GRID, poison, None, None), StreamOracle(assembly, None)
    answer = Answer(3, ADDRESSES[0], "decimals()(uint8)", b"", b"8")
    assembly.take(block(2, logs([1, 5])), 0)
    assembly.take(replace(scanned(0, 15), logs=2, answers=(answer,)), 1)
    source.begin(SPAN)
    oracle.begin()
    assembly.take(Retract(MARKET, CHAIN, 0, bytes(32)), 2)
    assert source.logs(SPAN, WANTED).num_rows == 2
    assert source.headers([0, 15]) == {0: header(0), 15: header(15)}
    assert oracle.answer(Question(ADDRESSES[0], answer.call, 3, "how many digits it has")) == b"8"


def test_what_is_about_sealed_blocks_is_ignored_and_a_second_block_of_a_number_refused() -> None:
    for way in ("take", "take_each"):
        reader = Reader()
        take = getattr(reader.intake, way)
        take(records_of([block(2, logs([1])), block(20, logs([1])), replace(scanned(16, 31), logs=1)]))
        assert (reader.assembly.rows, reader.assembly.oldest_needed(-1)) == (2, 0)
        reader.assembly.release(16)
        assert (reader.assembly.rows, reader.assembly.oldest_needed(-1)) == (1, 1)
        take(records_of([block(3, logs([1]))]))
        assert reader.assembly.rows == 1
        reader.assembly.release(32)
        take(records_of([block(3, logs([1])), block(40, logs([1]))]))
        assert reader.assembly.rows == 1
        take(records_of([block(40, logs([1]), fork=1)]))
        assert [kind for _, kind, *_ in reader.refused] == [ReorgError]

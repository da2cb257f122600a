"""What a sink holds of a market between the last sealed block and the head: logs, and which blocks were looked at."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa

from l2liq.errors import FilterError, GapError, MessageError, ReorgError
from l2liq.events.filter import Filter
from l2liq.events.log import LOGS, keys_of
from l2liq.events.order import in_order
from l2liq.lake import Grid, Span
from l2liq.lake.tables import Mask, joined, kept, passing
from pipelines.sources.node import Header
from pipelines.stream.ancestry import Ancestry, Numbers
from pipelines.stream.columns import Blocks
from pipelines.stream.messages import Block, Message, Retract, Scanned
from pipelines.stream.packing import check, table_of

AnswerKey = tuple[int, bytes, str, bytes]

NOTHING = Filter()
UNKNOWN_TIME = -1
"""Stands for the time of a block that is known by its hash only."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Blocks of one cell that were looked at for one filter, and how many logs it let through."""

    first: Header
    last: Header
    filter_id: bytes
    logs: int

    @property
    def span(self) -> Span:
        """The blocks."""
        return Span(self.first.number, self.last.number + 1)


@dataclass(frozen=True, slots=True)
class Settled:
    """A span as far as it came: its logs in order, and what was looked at where (all of the span, in order)."""

    span: Span
    logs: pa.Table
    looked_at: tuple[tuple[Span, Filter], ...]


class Assembly:
    """Puts the messages of one market together, in whatever order and however often they come.

    Attributes
    ----------
    start : blocks before this are sealed; what is said about them is ignored
    final_to : last block known to be final
    reached : last block that was looked at, -1 for none
    market_start : first block that can hold a log of the market, None while nobody said
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._tables: list[pa.Table] = []
        self._waiting: list[tuple[Block, int]] = []
        self._ancestry = Ancestry()
        self._pieces: list[Piece] = []
        self._filters: dict[bytes, Filter] = {}
        self._answers: dict[AnswerKey, bytes | None] = {}
        self._needed: deque[tuple[Sequence[int], Sequence[int] | Numbers]] = deque()
        self.start = 0
        self.final_to = -1
        self.market_start: int | None = None

    @property
    def reached(self) -> int:
        """Last block that was looked at, -1 for none."""
        return max((piece.last.number for piece in self._pieces), default=-1)

    @property
    def rows(self) -> int:
        """Logs held."""
        return sum(table.num_rows for table in self._tables) + sum(one.logs.rows for one, _ in self._waiting)

    @property
    def answers(self) -> Mapping[AnswerKey, bytes | None]:
        """Answers to discovery's questions, by block, target, call and arguments."""
        return self._answers

    def take(self, message: Message, offset: int) -> None:
        """Take in the message of a record.

        Raises MessageError or ReorgError where it contradicts itself or what is known; it then leaves no trace.
        """
        if isinstance(message, Block):
            self._block(message, offset)
        elif isinstance(message, Scanned):
            self._scanned(message, offset)
        else:
            self._retract(message)

    def take_blocks(self, blocks: Blocks) -> bool:
        """Take in blocks that go on behind all that came; False, having done nothing, where they do not.

        Until when their records matter is for the caller to say, in order with those between them.
        """
        numbers = blocks.headers.numbers
        if (len(numbers) and numbers[0] < self.start) or not self._ancestry.extend(blocks.headers):
            return False
        self._tables.append(blocks.logs)
        return True

    def expect(self, offsets: Sequence[int], blocks: Sequence[int] | Numbers) -> None:
        """Remember that the records at ``offsets`` matter until ``blocks`` are sealed; both rise."""
        self._needed.append((offsets, blocks))

    def oldest_needed(self, otherwise: int) -> int:
        """Offset of the oldest record about a block that is not sealed; ``otherwise`` where there is none."""
        while self._needed:
            offsets, blocks = self._needed[0]
            at = bisect_left(blocks, self.start)
            if at < len(offsets):
                return offsets[at]
            self._needed.popleft()
        return otherwise

    def settle(self, span: Span) -> Settled:
        """The logs of a span, each once, after every check that needs all of them.

        Raises
        ------
        GapError
            Fewer logs came of some blocks than there are.
        ReorgError
            Blocks that do not follow each other.
        FilterError
            More logs came than there are, or a log that no filter lets through.
        OrderError, DuplicateLogError
            Two logs contradict each other.
        """
        self._unpack()
        pieces = sorted((one for one in self._pieces if one.span.intersection(span)), key=lambda one: one.span)
        logs = in_order(self._rows(span))
        self._check_counts(pieces, logs)
        for before, after in pairwise(pieces):
            if after.first.number == before.last.number + 1 and after.first.parent_hash != before.last.hash:
                raise ReorgError(
                    f"block {after.first.number:,} does not follow block {before.last.number:,} by hash, and nothing "
                    f"was retracted"
                )
        return Settled(span, logs, tuple(self._looked_at(span, pieces)))

    def header(self, number: int) -> Header | None:
        """The header of a block at which a message began or ended, None where there is none."""
        for piece in self._pieces:
            for header in (piece.first, piece.last):
                if header.number == number:
                    return header
        return None

    def release(self, stop: int) -> None:
        """Forget what is sealed: all blocks before ``stop``."""
        self._unpack()
        self.start = max(self.start, stop)
        self._tables = [rest for table in self._tables if (rest := kept(table, ~_before(table, stop))).num_rows]
        self._ancestry.keep(start=stop)
        self._pieces = [one for one in self._pieces if one.last.number >= stop]
        self._answers = {key: answer for key, answer in self._answers.items() if key[0] >= stop - 1}

    # --- taking in ---------------------------------------------------------------------------------------------------

    def _block(self, block: Block, offset: int) -> None:
        number = block.header.number
        if number < self.start:
            return
        known = (block.header.hash, block.header.parent_hash)
        same = self._ancestry.get(number)
        if same is not None and same != known:
            raise ReorgError(
                f"block {number:,} is 0x{block.header.hash.hex()} here and 0x{same[0].hex()} before, and nothing was "
                f"retracted"
            )
        before, after = self._ancestry.get(number - 1), self._ancestry.get(number + 1)
        if (before and before[0] != known[1]) or (after and after[1] != known[0]):
            raise ReorgError(f"block {number:,} does not follow its neighbour by hash, and nothing was retracted")
        if same is None:
            self._ancestry.put(number, known)
        self._waiting.append((block, offset))
        self.expect([offset], [number])

    def _scanned(self, scanned: Scanned, offset: int) -> None:
        if self._grid.cell_of(scanned.first.number) != self._grid.cell_of(scanned.last.number):
            raise MessageError(
                f"blocks {scanned.first.number:,} to {scanned.last.number:,} lie in several cells of "
                f"{self._grid.cell_blocks:,} blocks. Use one market file for both ends of a stream"
            )
        if scanned.last.number >= self.start:
            for header in (scanned.first, scanned.last):
                known = self._ancestry.get(header.number)
                if known is not None and known != (header.hash, header.parent_hash):
                    raise ReorgError(f"block {header.number:,} was another one before, and nothing was retracted")
        self.final_to = max(self.final_to, scanned.final_to)
        self.market_start = scanned.market_start
        if scanned.filter is not None:
            self._filters[scanned.filter_id] = scanned.filter
        if scanned.last.number < self.start:
            return
        for one in scanned.answers:
            self._answers[one.block, one.target, one.call, one.arguments] = one.answer
        self._add(Piece(scanned.first, scanned.last, scanned.filter_id, scanned.logs))
        self.expect([offset], [scanned.last.number])

    def _retract(self, retract: Retract) -> None:
        first = retract.from_block
        self._unpack()
        cut = [one for one in self._pieces if one.first.number < first <= one.last.number]
        shortened = [shorter for one in cut for shorter in self._shortened(one, first, retract.new_parent)]
        self._pieces = [one for one in self._pieces if one.last.number < first] + shortened
        self._tables = [rest for table in self._tables if (rest := kept(table, _before(table, first))).num_rows]
        self._ancestry.keep(stop=first)
        self._answers = {key: answer for key, answer in self._answers.items() if key[0] < first}

    def _shortened(self, piece: Piece, stop: int, last_hash: bytes) -> Iterator[Piece]:
        """The blocks of a piece before ``stop``, if all of its logs have come; time and fee of the last are unknown."""
        wanted = self._filters.get(piece.filter_id, NOTHING)
        rows = self._rows(piece.span)
        rows = kept(rows, passing(rows, wanted))
        if _distinct(rows) == piece.logs:
            last = Header(stop - 1, last_hash, b"", UNKNOWN_TIME, None, 0)
            yield replace(piece, last=last, logs=_distinct(kept(rows, _before(rows, stop))))

    def _add(self, piece: Piece) -> None:
        """Put a piece beside the others; those that it says anew go, neighbours become one."""
        first, last = piece.first.number, piece.last.number
        kept = []
        for one in self._pieces:
            if one.first.number <= first and last <= one.last.number and not self._beyond(piece, one):
                return
            if first <= one.first.number and one.last.number <= last and not self._beyond(one, piece):
                continue
            kept.append(one)
        before = kept[-1] if kept else None
        if before is not None and self._continues(before, piece):
            kept[-1] = Piece(before.first, piece.last, before.filter_id, before.logs + piece.logs)
        else:
            kept.append(piece)
        self._pieces = kept

    def _beyond(self, one: Piece, other: Piece) -> Filter:
        """What the filter of ``one`` lets through and that of ``other`` does not."""
        if one.filter_id == other.filter_id:
            return NOTHING
        known = self._filters.get(other.filter_id, NOTHING)
        return self._filters.get(one.filter_id, NOTHING).minus(known)

    def _continues(self, before: Piece, after: Piece) -> bool:
        return (
            after.first.number == before.last.number + 1
            and after.first.parent_hash == before.last.hash
            and after.filter_id == before.filter_id
            and self._grid.cell_of(before.first.number) == self._grid.cell_of(after.first.number)
        )

    # --- settling ----------------------------------------------------------------------------------------------------

    def unpack(self) -> list[tuple[Block, int, MessageError]]:
        """Turn waiting messages into columns; those that cannot be are left out: with their offsets, and why."""
        refused = []
        try:
            check([one.logs for one, _ in self._waiting])
        except MessageError:
            waiting, self._waiting = self._waiting, []
            for block, offset in waiting:
                try:
                    check([block.logs])
                    self._waiting.append((block, offset))
                except MessageError as error:
                    refused.append((block, offset, error))
        self._unpack()
        return refused

    def _unpack(self) -> None:
        blocks, self._waiting = [one for one, _ in self._waiting], []
        if blocks:
            headers = [one.header for one in blocks]
            self._tables.append(
                table_of(
                    [one.logs for one in blocks],
                    [one.number for one in headers],
                    [one.hash for one in headers],
                    [one.timestamp_s for one in headers],
                )
            )

    def _rows(self, span: Span) -> pa.Table:
        return joined(LOGS, (kept(one, _before(one, span.stop) & ~_before(one, span.start)) for one in self._tables))

    def _check_counts(self, pieces: Sequence[Piece], logs: pa.Table) -> None:
        """Of every piece as many logs came as it has, and of its blocks no other ones."""
        allowed = np.zeros(logs.num_rows, dtype=bool)
        scanned = np.zeros(logs.num_rows, dtype=bool)
        blocks = logs.column("block_number").to_numpy()
        for piece in pieces:
            start, stop = blocks.searchsorted([piece.span.start, piece.span.stop])
            passed = passing(logs.slice(start, stop - start), self._filters.get(piece.filter_id, NOTHING))
            count = int(passed.sum())
            if piece.filter_id in self._filters and count < piece.logs:
                raise GapError(f"{piece.span}: {count:,} logs came where there are {piece.logs:,}")
            if count > piece.logs:
                raise FilterError(f"{piece.span}: {count:,} logs came where there are {piece.logs:,}")
            scanned[start:stop] = True
            allowed[start:stop] |= passed
        if pieces and all(one.filter_id in self._filters for one in pieces) and (scanned & ~allowed).any():
            row = int(np.flatnonzero(scanned & ~allowed)[0])
            address = logs.column("address")[row].as_py().hex()
            raise FilterError(f"block {blocks[row]:,}: a log of 0x{address} came, which no filter lets through")

    def _looked_at(self, span: Span, pieces: Sequence[Piece]) -> Iterator[tuple[Span, Filter]]:
        """All of ``span`` in order, cut wherever a piece begins or ends, with what was looked at there."""
        borders = {span.start, span.stop}
        for piece in pieces:
            borders |= {max(span.start, piece.span.start), min(span.stop, piece.span.stop)}
        for start, stop in pairwise(sorted(borders)):
            looked_at = NOTHING
            for piece in pieces:
                if piece.span.start <= start and stop <= piece.span.stop:
                    looked_at = looked_at.union(self._filters.get(piece.filter_id, NOTHING))
            yield Span(start, stop), looked_at


def _before(table: pa.Table, block: int) -> Mask:
    """Which logs are of a block before ``block``; shape (rows,)."""
    before: Mask = table.column("block_number").to_numpy() < block
    return before


def _distinct(logs: pa.Table) -> int:
    """How many positions the logs have."""
    return len(np.unique(keys_of(*(logs.column(name).to_numpy() for name in ("block_number", "log_index")))))

"""A stream as a source of cells, with a node behind it for what the stream has no more."""

from __future__ import annotations

import pyarrow as pa

from l2liq.errors import GapError, LogError, MessageError
from l2liq.events.filter import Filter
from l2liq.events.log import LOGS
from l2liq.lake import LOG_DATA, Grid, Span
from l2liq.lake.segments import within
from l2liq.lake.tables import joined, kept, passing
from l2liq.protocols.interface import Question
from pipelines.ingest.answers import NodeOracle
from pipelines.ingest.cells import Cell
from pipelines.ingest.node_job import NodeSource
from pipelines.sources.node import Header, Node
from pipelines.stream.assembly import UNKNOWN_TIME, Assembly, Settled
from pipelines.stream.poison import Poison

LABEL = "kafka"
REMEDY = "Give the sink a node with --rpc, or fetch these blocks with `l2liq ingest`; the sink goes on from there."


class StreamSource:
    """Delivers cells that the stream holds; see :class:`pipelines.ingest.sealer.Source`.

    Attributes
    ----------
    fetched : how many ranges were fetched from the node instead
    """

    label = LABEL

    def __init__(self, assembly: Assembly, grid: Grid, poison: Poison, node: Node | None, checks: int | None) -> None:
        self._assembly = assembly
        self._grid = grid
        self._poison = poison
        self._node = None if node is None else NodeSource(node, checks)
        self._settled: Settled | LogError = GapError("no span was begun")
        self._ends: dict[int, Header | None] = {}
        self._asked_node = False
        self.fetched = 0

    def begin(self, span: Span) -> None:
        """Take what came of a span out of the assembly: what comes later does not count, until it is begun again."""
        self._asked_node = False
        self._ends = {number: self._assembly.header(number) for number in (span.start, span.stop - 1)}
        try:
            self._settled = self._settle(span)
        except LogError as error:
            self._settled = error  # whether it matters depends on what the lake already has

    def logs(self, span: Span, wanted: Filter) -> pa.Table:
        """Logs of the span that was begun, from the stream where it looked for them, from the node elsewhere.

        Raises MessageError for a stopped cell, LogError where the stream contradicts itself, GapError where it lacks
        something and there is no node.
        """
        if isinstance(self._settled, LogError):
            raise self._settled
        settled = self._settled
        parts = []
        for piece, looked_at in settled.looked_at:
            lacking = wanted.minus(looked_at)
            present = wanted.minus(lacking)
            if present:
                rows = within(settled.logs, LOG_DATA, piece)
                parts.append(kept(rows, passing(rows, present)))
            if lacking:
                parts.append(self._from_node(piece, lacking))
        return joined(LOGS, parts)

    def prove(self, cell: Cell) -> dict[int, Header]:
        """The headers of a cell's ends; where the node had to help, it proves the whole cell as in batch."""
        if self._asked_node and self._node is not None:
            return self._node.prove(cell)
        return self.headers([cell.span.start, cell.span.stop - 1])

    def headers(self, numbers: list[int]) -> dict[int, Header]:
        """Headers by number; the stream's are those of the ends of the span that was begun."""
        found = {number: self._ends.get(number) for number in numbers}
        known = {number: one for number, one in found.items() if one is not None and one.timestamp_s != UNKNOWN_TIME}
        if len(known) == len(found):
            return known
        lacking = sorted(set(found) - set(known))
        if self._node is None:
            raise GapError(f"the header of block {lacking[0]:,} did not come through the stream. {REMEDY}")
        return known | self._node.headers(lacking)

    def _settle(self, span: Span) -> Settled:
        for cell in self._grid.pieces(span):
            reason = self._poison.reason(self._grid.cell_of(cell.start).start)
            if reason is not None:
                raise MessageError(reason)
        try:
            return self._assembly.settle(span)
        except GapError as error:
            if self._node is None:
                raise GapError(f"{error}. {REMEDY}") from None
            return Settled(span, LOGS.empty_table(), ((span, Filter()),))

    def _from_node(self, span: Span, lacking: Filter) -> pa.Table:
        if self._node is None:
            addresses = sorted("0x" + address.hex() for address in lacking.addresses)
            raise GapError(
                f"{span} did not come through the stream for {addresses[0]}"
                f"{f' and {len(addresses) - 1} more' if len(addresses) > 1 else ''}: it began later, or the broker's "
                f"retention outran the sink. {REMEDY}"
            )
        self._asked_node = True
        self.fetched += 1
        return self._node.logs(span, lacking)


class StreamOracle:
    """Answers that came through the stream, and a node for the others; see :class:`pipelines.ingest.answers.Oracle`.

    Attributes
    ----------
    sealed_until : what was not answered about blocks before this had no answer when they were sealed
    """

    label = LABEL

    def __init__(self, assembly: Assembly, node: Node | None) -> None:
        self.sealed_until = 0
        self._assembly, self._answers = assembly, assembly.answers
        self._node = None if node is None else NodeOracle(node)
        self.concurrency = 1 if self._node is None else self._node.concurrency

    def begin(self) -> None:
        """Rely on the answers that the assembly has now, even if they are retracted before the next time."""
        self._answers = self._assembly.answers

    def answer(self, question: Question) -> bytes | None:
        """The answer; GapError where the stream does not tell and there is no node."""
        key = (question.block, question.target, question.signature, question.arguments)
        if key in self._answers:
            return self._answers[key]
        if self._node is None and question.block < self.sealed_until:
            return None
        if self._node is None:
            raise GapError(
                f"block {question.block:,}: {question.why} is to be asked of 0x{question.target.hex()}, and the "
                f"stream does not tell. {REMEDY}"
            )
        return self._node.answer(question)

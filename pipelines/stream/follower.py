"""Follows the head of a chain for one market: what its blocks hold, what they do not hold, and what is taken back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
from kafka import TopicPartition

from l2liq.chains.markets import Listing
from l2liq.errors import ReorgError
from l2liq.events.filter import Filter
from l2liq.events.log import LOGS
from l2liq.events.order import in_order
from l2liq.lake import OBSERVATIONS, Grid, Lake, Span
from l2liq.protocols import protocol
from l2liq.protocols.interface import Discovery, Question
from pipelines.ingest.answers import Answers, NodeOracle
from pipelines.ingest.cells import complete, held_logs
from pipelines.ingest.node_job import first_block, timed
from pipelines.ingest.sealer import sealed_answers
from pipelines.quality.completeness import check_completeness, check_hashes, check_linkage
from pipelines.quality.structure import sift
from pipelines.sources.node import Header, Node
from pipelines.stream.broker import Inlet, Outlet
from pipelines.stream.marks import last_marks
from pipelines.stream.messages import PART_BYTES, Answer, Block, Retract, Scanned, filter_id
from pipelines.stream.packing import packed_blocks
from pipelines.stream.topic import place_of

STRIDE_BLOCKS = 1_000
SNAPSHOTS = 3
"""Cells at whose beginning a reorganisation can go on without learning everything anew."""
MOST_CHANGES = 8
"""How often in a row the chain may change while it is read; more is a node with two histories."""
GENESIS_PARENT = bytes(32)


@dataclass(frozen=True, slots=True)
class Step:
    """What one look at the chain came to.

    Attributes
    ----------
    head, final : last block of the chain, and last one that is final
    followed : last block that was told of
    blocks, logs, messages : what was told now
    retracted : how many blocks were taken back
    """

    head: int
    final: int
    followed: int
    blocks: int = 0
    logs: int = 0
    messages: int = 0
    retracted: int = 0


class _Recorder:
    """Asks a node, and remembers what it said until it was told."""

    def __init__(self, node: Node) -> None:
        self._oracle = NodeOracle(node)
        self.label, self.concurrency = self._oracle.label, self._oracle.concurrency
        self.untold: list[Answer] = []

    def answer(self, question: Question) -> bytes | None:
        """See :class:`pipelines.ingest.answers.Oracle`."""
        found = self._oracle.answer(question)
        self.untold.append(Answer(question.block, question.target, question.signature, question.arguments, found))
        return found


@dataclass(frozen=True)
class _Known:
    """What is known before the cell that begins at ``start``."""

    start: int
    discovery: Discovery
    answers: Answers


class Follower:
    """One market's follower. Make it, and call :meth:`step` for ever.

    A session begins behind the last marker in the topic, or where the lake ends, or at the market's first block, and
    first takes back whatever was said beyond that point.

    Raises
    ------
    SourceError
        Node or broker fail for good. Make a new one: it goes on from the last marker.
    ReorgError
        The chain took back what it had called final.
    LogError
        The node contradicts itself.
    """

    def __init__(
        self,
        node: Node,
        listing: Listing,
        outlet: Outlet,
        bootstrap: str,
        *,
        lake: Lake | None = None,
        from_block: int | None = None,
        checks: int = 16,
        part_bytes: int = PART_BYTES,
        stride: int = STRIDE_BLOCKS,
    ) -> None:
        self._node = node
        self._deployment, self._chain = listing.deployment, listing.chain
        self._outlet = outlet
        self._lake = lake
        self._checks, self._part_bytes, self._stride = checks, part_bytes, stride
        self._grid = Grid(self._chain.cell_blocks)
        self._recorder = _Recorder(node)
        self._told: Scanned | None = None
        self._sent = self._changes = 0
        self.place: TopicPartition = place_of(self._chain, self._deployment.slug)
        node.check_chain()
        latest = node.latest()
        self._market_start = first_block(self._deployment, node, latest)
        self._snapshots = [self._beginning()]
        self._begin(bootstrap, latest, from_block)

    def step(self) -> Step:
        """Tell of the next blocks, or take some back, or say nothing where nothing is new."""
        latest = self._node.latest()
        final = min(latest, self._node.final(self._chain.finality))
        taken_back = self._take_back(latest)
        if taken_back:
            return Step(latest, final, self._next - 1, messages=self._messages(), retracted=taken_back)
        cell = self._grid.cell_of(self._next)
        stop = min(latest + 1, self._next + self._stride, cell.stop)
        if stop <= self._next:
            self._tell_finality(final)
            return Step(latest, final, self._next - 1, messages=self._messages())
        span = Span(self._next, stop)
        try:
            logs = self._tell(span, final)
            self._changes = 0
        except ReorgError:  # the chain changed while it was read: the next look takes back what is gone
            self._changes += 1
            if self._changes == MOST_CHANGES:
                raise
            return Step(latest, final, self._next - 1, messages=self._messages())
        return Step(latest, final, stop - 1, stop - span.start, logs, self._messages())

    # --- beginning ---------------------------------------------------------------------------------------------------

    def _begin(self, bootstrap: str, latest: int, from_block: int | None) -> None:
        inlet = Inlet(bootstrap, self.place, None)
        try:
            self._marks = last_marks(inlet, self._deployment.slug, self._chain.chain_id)
        finally:
            inlet.close()
        self._resume(self._first_untold(latest, from_block))

    def _first_untold(self, latest: int, from_block: int | None) -> int:
        """Where to go on."""
        start = self._grid.cell_of(self._market_start).start
        if self._marks.newest is not None:
            agreed = self._agreed(latest)
            lowest = self._marks.lowest
            assert lowest is not None
            return agreed + 1 if agreed is not None else max(start, self._grid.cell_of(lowest).start)
        if from_block is not None:
            return max(start, self._grid.cell_of(from_block).start)
        sealed = None if self._lake is None else self._lake.coverage(self._deployment.slug).sealed_until
        return max(start, sealed or 0)

    def _resume(self, block: int) -> None:
        """Take back everything from ``block`` on, learn what was before it, and go on from there."""
        self._next = block
        parent = self._parent_of(block)
        self._outlet.send(self.place, Retract(self._deployment.slug, self._chain.chain_id, block, parent))
        self._sent += 1
        self._outlet.flush()
        self._marks.retract(block)
        if block > 0:
            self._marks.add(block - 1, parent)
        known, self._told = self._marks.filter_id, None
        self._learn(block)
        if known not in (None, filter_id(self._filter)) and block > self._snapshots[-1].start:
            self._send(Span(self._snapshots[-1].start, block), self._logs, {}, -1)

    def _parent_of(self, block: int) -> bytes:
        return self._node.headers([block - 1])[block - 1].hash if block else GENESIS_PARENT

    def _beginning(self) -> _Known:
        held = OBSERVATIONS.empty_table()
        if self._lake is not None:
            held = sealed_answers(self._lake, self._deployment.slug)
        discovery = protocol(self._deployment.protocol).discovery(self._deployment)
        start = self._grid.cell_of(self._market_start).start
        return _Known(start, discovery, Answers(held, self._recorder))

    def _learn(self, stop: int) -> None:
        """Run discovery over everything before ``stop``: what the lake has sealed, and the node for the rest."""
        self._snapshots = [one for one in self._snapshots if one.start <= stop]
        known = self._snapshots[-1]
        self._logs = self._usable = LOGS.empty_table()
        self._answers, self._filter = known.answers.fork(), known.discovery.filter()
        for span in self._grid.pieces(Span(known.start, stop)) if stop > known.start else ():
            logs, covered = self._held(span)
            found = complete(span, known.discovery, logs, covered, fetch=self._fetch, answer=self._answers.until)
            self._filter = found.discovery.filter()
            if span.stop == self._grid.cell_of(span.start).stop:
                known = self._close_cell(span.stop, found.discovery)
            else:
                self._usable = found.logs
                self._logs = in_order(self._fetch(span, self._filter)) if found.refused else found.logs

    def _held(self, span: Span) -> tuple[pa.Table, Filter]:
        if self._lake is None:
            return LOGS.empty_table(), Filter()
        slug = self._deployment.slug
        return held_logs(self._lake, slug, self._lake.coverage(slug), span)

    def _close_cell(self, stop: int, discovery: Discovery) -> _Known:
        """Begin the next cell with what is known."""
        known = _Known(stop, discovery, self._answers)
        self._snapshots = [self._snapshots[0], *self._snapshots[1:][-SNAPSHOTS:], known]
        self._answers = self._answers.fork()
        self._logs = self._usable = LOGS.empty_table()
        return known

    # --- telling -----------------------------------------------------------------------------------------------------

    def _tell(self, span: Span, final: int) -> int:
        """Fetch, check and send some blocks of one cell; returns how many logs they have."""
        untold = len(self._recorder.untold)
        try:
            headers = self._node.headers(range(span.start, span.stop))
            new = in_order(self._fetch(span, self._filter))
            check_linkage(headers, self._node.label)
            check_hashes(new, headers, self._node.label)
            check_completeness(self._node, new, self._filter, headers, self._checks)
            answers, extra = self._answers.fork(), [LOGS.empty_table()]

            def fetch(whole: Span, missing: Filter) -> pa.Table:
                extra.append(self._fetch(whole, missing))
                return extra[-1]

            known = self._snapshots[-1]
            whole = Span(known.start, span.stop)
            usable = pa.concat_tables([self._usable, sift(new).logs])
            found = complete(whole, known.discovery, usable, self._filter, fetch=fetch, answer=answers.until)
            logs = in_order(pa.concat_tables([self._logs, new, *extra]))
            self._require_unchanged(headers[span.start], headers[span.stop - 1])
        except BaseException:
            del self._recorder.untold[untold:]
            raise
        self._filter, self._answers = found.discovery.filter(), answers
        self._logs, self._usable = logs, found.logs
        if found.fetched:
            self._send(whole, logs, headers, final)
        else:
            self._send(span, new, headers, final)
        self._next = span.stop
        if span.stop == self._grid.cell_of(span.start).stop:
            self._close_cell(span.stop, found.discovery)
        return new.num_rows

    def _send(self, span: Span, logs: pa.Table, headers: dict[int, Header], final: int) -> None:
        slug, chain_id = self._deployment.slug, self._chain.chain_id
        speaking = logs.column("block_number").unique().to_pylist()
        lacking = [number for number in (*speaking, span.start, span.stop - 1) if number not in headers]
        if lacking:
            headers = headers | self._node.headers(lacking)
            check_hashes(logs, headers, self._node.label)
        for number, parts in packed_blocks(logs, self._part_bytes):
            for part, packed in enumerate(parts):
                self._outlet.send(self.place, Block(slug, chain_id, headers[number], part, len(parts), packed))
            self._sent += len(parts)
        name = filter_id(self._filter)
        fresh = self._told is None or self._told.filter_id != name or span.start == self._grid.cell_of(span.start).start
        told = Scanned(
            slug, chain_id, headers[span.start], headers[span.stop - 1], final, logs.num_rows, self._market_start,
            name, self._filter if fresh else None, tuple(self._recorder.untold),
        )  # fmt: skip
        self._outlet.send(self.place, told)
        self._outlet.flush()
        self._sent += 1
        self._recorder.untold.clear()
        self._told = told
        self._marks.scanned(told)

    def _tell_finality(self, final: int) -> None:
        """Nothing new but that more is final: say the last words again."""
        if self._told is None or final <= self._told.final_to:
            return
        self._told = replace(self._told, final_to=final, answers=())
        self._outlet.send(self.place, self._told)
        self._outlet.flush()
        self._sent += 1
        self._marks.scanned(self._told)

    def _fetch(self, span: Span, wanted: Filter) -> pa.Table:
        return timed(self._node, self._node.logs(span, wanted))

    def _messages(self) -> int:
        sent, self._sent = self._sent, 0
        return sent

    # --- reorganisations ---------------------------------------------------------------------------------------------

    def _take_back(self, latest: int) -> int:
        """Take back what the chain has abandoned; returns how many blocks."""
        newest = self._marks.newest_until(latest)
        if newest is None or self._on_chain(newest):
            return 0
        agreed = self._agreed(latest)
        if agreed is None:
            raise ReorgError(
                f"{self._node.label}: block {self._marks.lowest:,} was final, and now there is another one. Run "
                f"`l2liq ingest` to take back what is sealed, then start the follower again."
            )
        taken_back = self._next - agreed - 1
        self._resume(agreed + 1)
        return taken_back

    def _agreed(self, latest: int) -> int | None:
        """The newest block that was told of and is still the chain's."""
        return next((number for number in self._marks.descending(latest) if self._on_chain(number)), None)

    def _on_chain(self, number: int) -> bool:
        return self._node.headers([number])[number].hash == self._marks.hash_of(number)

    def _require_unchanged(self, first: Header, last: Header) -> None:
        """ReorgError unless what was just read follows what was told before, and is still the chain."""
        told = self._marks.hash_of(first.number - 1)
        follows = told is None or told == first.parent_hash
        if not follows or self._node.headers([last.number])[last.number].hash != last.hash:
            raise ReorgError(f"{self._node.label}: block {last.number:,} was replaced while it was read")

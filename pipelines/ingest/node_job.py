"""Ingest from a node: every final cell from the market's first block on, then the tail."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from l2liq.chains.deployment import Deployment
from l2liq.chains.markets import Listing
from l2liq.errors import GapError, ReorgError, SourceError
from l2liq.events.filter import Filter
from l2liq.events.log import BLOCKS, LOGS
from l2liq.lake import BLOCK_DATA, LOG_DATA, OBSERVATION_DATA, OBSERVATIONS, Grid, Lake, Linkage, Span, Writer
from l2liq.protocols import protocol
from l2liq.protocols.interface import Discovery
from pipelines.ingest.answers import Answers
from pipelines.ingest.cells import Cell, complete, held_logs, quarantine
from pipelines.ingest.outcome import Outcome, refresh_catalog
from pipelines.ingest.reorgs import unseal_orphans
from pipelines.quality.completeness import check_completeness, check_hashes, check_linkage, samples
from pipelines.sources.node import Header, Node

Watch = Callable[[int, int, int], None]
"""Called after each cell with blocks done, blocks in all, and logs so far."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to ingest.

    Attributes
    ----------
    from_block : first block, rounded down to a cell; None = the market's first
    to_block : block after the last, rounded up to a cell where that is final; None = the chain's head
    checks : blocks per cell whose header, and logs as a whole, are compared; None = all
    sample_prices : distance of blocks at which the oracle is asked for all prices; None = not at all
    """

    from_block: int | None = None
    to_block: int | None = None
    checks: int | None = 16
    sample_prices: int | None = None


def ingest_node(lake_path: Path, listing: Listing, node: Node, wish: Wish, watch: Watch = lambda *_: None) -> Outcome:
    """Bring a market's logs from a node into the lake; what is sealed already is not fetched again.

    Raises
    ------
    InputError
        The node is of another chain, or the range is none.
    SourceError
        The node fails for good, or is caught leaving logs out.
    GapError
        ``from_block`` would leave a hole behind the market's first block.
    LakeError
        Another process writes this market, or the lake cannot be written.
    """
    begun = time.monotonic()
    node.check_chain()
    lake = Lake.create(lake_path)
    grid = lake.grid(listing.chain.chain_id, listing.chain.cell_blocks)
    with lake.writer(listing.deployment.slug, listing.chain.chain_id) as writer:
        job = _NodeJob(lake, writer, grid, listing, node, wish, watch)
        outcome = job.run()
    refresh_catalog(lake, outcome)
    outcome.calls, outcome.seconds = node.rpc.calls, time.monotonic() - begun
    return outcome


def first_block(deployment: Deployment, node: Node, latest: int) -> int:
    """First block that can hold a log of the market; searched for in the history of its contracts if it is not known.

    Raises SourceError where the node cannot tell (it keeps no old state, or there are no such contracts).
    """
    if deployment.start_block:
        return deployment.start_block
    addresses = sorted(deployment.addresses.values())
    if not any(node.has_code(address, latest) for address in addresses):
        raise SourceError(
            f"{node.label}: {deployment.name} has no contracts on this chain. Check the market's addresses."
        )
    low, high = -1, latest
    while high - low > 1:
        middle = (low + high) // 2
        if any(node.has_code(address, middle) for address in addresses):
            high = middle
        else:
            low = middle
    return high


@dataclass
class _NodeJob:
    """One run; reads top-down from :meth:`run`."""

    lake: Lake
    writer: Writer
    grid: Grid
    listing: Listing
    node: Node
    wish: Wish
    watch: Watch
    outcome: Outcome = field(init=False)

    def __post_init__(self) -> None:
        self.deployment = self.listing.deployment
        self.slug = self.deployment.slug
        self.outcome = Outcome(self.deployment.name)

    def run(self) -> Outcome:
        self.outcome.unsealed = unseal_orphans(self.lake, self.writer, self.slug, self.node)
        self.answers = self._answers()
        latest = self.node.latest()
        final = min(latest, self.node.final(self.listing.chain.finality))
        start = self.grid.cell_of(first_block(self.deployment, self.node, latest)).start
        stop = latest + 1 if self.wish.to_block is None else min(latest + 1, self.wish.to_block)
        if stop <= start:
            raise GapError(
                f"{self.deployment.name} begins in the cell of block {start:,}, and the range ends at {stop - 1:,}: "
                f"nothing to look at. Choose a later --to-block."
            )
        self._require_history(start)
        discovery = self._seal_cells(start, stop, final)
        self._keep_tail(discovery, start, stop)
        self.outcome.answers = self.answers.count
        self.outcome.missing, self.outcome.declined = self.answers.missing, self.answers.declined
        return self.outcome

    def _answers(self) -> Answers:
        """What was answered before; the tail's answers do not count, they go with it."""
        sealed_until = self.lake.coverage(self.slug).sealed_until
        span = None if sealed_until is None else Span(0, sealed_until)
        held = self.lake.read(OBSERVATION_DATA, self.slug, span) if span else OBSERVATIONS.empty_table()
        return Answers(held, self.node)

    def _require_history(self, start: int) -> None:
        """Nothing can be made of a market whose beginning is missing: refuse to start in the middle."""
        if self.wish.from_block is None or self.grid.cell_of(self.wish.from_block).start <= start:
            return
        first = self.grid.cell_of(self.wish.from_block).start
        known = protocol(self.deployment.protocol).discovery(self.deployment).filter()
        gaps = self.lake.coverage(self.slug).gaps(Span(start, first), known)
        if gaps:
            cells = sum(-(-(gap.span.stop - gap.span.start) // self.grid.cell_blocks) for gap in gaps)
            raise GapError(
                f"{self.deployment.name}: {gaps[0].span} ({cells:,} cells) are not in the lake, "
                f"and the market needs its whole history. Leave out --from-block; --dry-run tells what it costs."
            )

    def _seal_cells(self, start: int, stop: int, final: int) -> Discovery:
        discovery = protocol(self.deployment.protocol).discovery(self.deployment)
        coverage = self.lake.coverage(self.slug)
        total = stop - start
        for span in self.grid.pieces(Span(start, self.grid.cell_of(stop - 1).stop)):
            if span.stop - 1 > final:
                break
            held, covered = held_logs(self.lake, self.slug, coverage, span)
            cell = self._fetch(span, discovery, held, covered)
            discovery = cell.discovery
            self.watch(min(span.stop, stop) - start, total, self.outcome.logs)
        return discovery

    def _fetch(self, span: Span, discovery: Discovery, held: pa.Table, covered: Filter) -> Cell:
        """Complete and seal one cell; the logs come last, because they say that it is done."""
        cell = complete(span, discovery, held, covered, fetch=self._logs, answer=self.answers.until)
        if cell.refused:
            self._refuse(cell)
            return cell
        if cell.fetched:
            self._seal_blocks(cell, self._prove(cell))
        self._sample_prices(cell.discovery, span)
        self.answers.seal(self.writer, self.grid, span.stop)
        if cell.fetched:
            new = cell.new_logs
            self.writer.seal_logs(span, new, cell.fetched, linkage=Linkage.VERIFIED, source=self.node.label)
            self.outcome.sealed_cells += 1
            self.outcome.logs += new.num_rows
            self.outcome.unknown_logs += cell.unknown
        else:
            self.outcome.known_cells += 1
        self.outcome.saw(span.start, span.stop)
        return cell

    def _sample_prices(self, discovery: Discovery, span: Span) -> None:
        """Ask for every price at each block of the span that is a multiple of the wished distance."""
        step = self.wish.sample_prices
        if step is not None:
            blocks = range(-(-span.start // step) * step, span.stop, step)
            self.answers.until([one for block in blocks for one in discovery.prices(block)], span)

    def _logs(self, span: Span, wanted: Filter) -> pa.Table:
        return timed(self.node, self.node.logs(span, wanted))

    def _prove(self, cell: Cell) -> dict[int, Header]:
        """Compare the cell with headers; the last block's header also links it to the next cell."""
        span, most = cell.span, self.wish.checks
        numbers = set(samples(span, span.stop - span.start if most is None else most)) | {span.start, span.stop - 1}
        speaking = sorted(set(cell.new_logs.column("block_number").to_pylist()))
        numbers |= set(speaking if most is None else speaking[:: max(1, len(speaking) // max(1, most))][:most])
        headers = self.node.headers(numbers)
        self._check_follows(headers[span.start])
        check_linkage(headers, self.node.label)
        check_hashes(cell.new_logs, headers, self.node.label)
        check_completeness(self.node, cell.new_logs, cell.fetched, headers, len(headers) if most is None else most)
        return headers

    def _check_follows(self, first: Header) -> None:
        """ReorgError unless a cell follows the one that the lake has before it."""
        before = self.lake.read(BLOCK_DATA, self.slug, Span(first.number - 1, first.number)) if first.number else None
        held = before.column("hash")[0].as_py() if before is not None and before.num_rows else None
        if held is not None and held != first.parent_hash:
            raise ReorgError(
                f"{self.node.label}: block {first.number:,} does not follow the block before it that the lake has: "
                f"the chain was reorganised meanwhile. Run the same command again."
            )

    def _refuse(self, cell: Cell) -> None:
        place = f"{self.deployment.name}, {cell.span}, from {self.node.label}"
        self.outcome.quarantined += quarantine(self.lake, cell.refused, place, "the cell was not sealed")

    def _seal_blocks(self, cell: Cell, headers: dict[int, Header]) -> None:
        table = blocks_of(cell.new_logs, {n: headers[n] for n in (cell.span.start, cell.span.stop - 1)})
        self.writer.seal(BLOCK_DATA, cell.span, table, linkage=Linkage.VERIFIED, source=self.node.label)

    def _keep_tail(self, discovery: Discovery, start: int, stop: int) -> None:
        """What is not final yet is kept apart, in place of the former tail."""
        begin = max(start, self.lake.coverage(self.slug).sealed_until or start)
        if begin >= stop:
            self.writer.drop_tail()
            return
        span = Span(begin, stop)
        cell = complete(span, discovery, LOGS.empty_table(), Filter(), fetch=self._logs, answer=self.answers.until)
        self._refuse(cell)
        self._sample_prices(cell.discovery, span)
        self.answers.seal(self.writer, self.grid, span.start)
        headers = self.node.headers([span.start, span.stop - 1])
        label = self.node.label
        verified = Linkage.VERIFIED
        self.writer.replace_tail(BLOCK_DATA, span, blocks_of(cell.logs, headers), linkage=verified, source=label)
        self.writer.replace_tail(OBSERVATION_DATA, span, self.answers.tail(), linkage=verified, source=label)
        self.writer.replace_tail(LOG_DATA, span, cell.logs, cell.fetched, linkage=verified, source=label)
        self.outcome.tail_blocks, self.outcome.tail_logs = span.stop - span.start, cell.logs.num_rows
        self.outcome.saw(span.start, span.stop)
        self.watch(stop - start, stop - start, self.outcome.logs)


def timed(node: Node, logs: pa.Table) -> pa.Table:
    """Logs with the timestamps of their headers where the node left them out (schema LOGS)."""
    times = logs.column("timestamp_s")
    if times.null_count:
        lacking = logs.filter(pc.is_null(times)).column("block_number").unique().to_pylist()
        headers = node.headers(lacking)
        seconds = [
            known if known is not None else headers[number].timestamp_s
            for known, number in zip(times.to_pylist(), logs.column("block_number").to_pylist(), strict=True)
        ]
        index = logs.schema.names.index("timestamp_s")
        logs = logs.set_column(index, "timestamp_s", pa.array(seconds, pa.int64()))
    return logs.cast(LOGS)


def blocks_of(logs: pa.Table, headers: dict[int, Header]) -> pa.Table:
    """Headers of the blocks with logs, as far as the logs tell, and the given headers in full (schema BLOCKS)."""
    rows: dict[int, tuple[bytes | None, bytes | None, int, int | None]] = {}
    for number, block_hash, seconds in zip(
        *(logs.column(name).to_pylist() for name in ("block_number", "block_hash", "timestamp_s")), strict=True
    ):
        if rows.get(number, (None,))[0] is None:
            rows[number] = (block_hash, None, seconds, None)
    for number, one in headers.items():
        rows[number] = (one.hash, one.parent_hash, one.timestamp_s, one.base_fee_wei)
    numbers = sorted(rows)
    columns = [numbers, *([rows[number][index] for number in numbers] for index in range(4))]
    return pa.Table.from_pydict(dict(zip(BLOCKS.names, columns, strict=True)), BLOCKS)

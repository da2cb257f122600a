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
from l2liq.errors import GapError, SourceError
from l2liq.events.filter import Filter
from l2liq.events.log import LOGS
from l2liq.lake import Grid, Lake, Span, Writer
from l2liq.protocols import protocol
from l2liq.protocols.interface import Discovery
from pipelines.ingest.answers import Answers, NodeOracle
from pipelines.ingest.cells import Cell
from pipelines.ingest.outcome import Outcome, refresh_catalog
from pipelines.ingest.reorgs import unseal_orphans
from pipelines.ingest.sealer import Sealer, sealed_answers
from pipelines.listings import remember
from pipelines.quality.completeness import check_completeness, check_hashes, check_linkage, samples
from pipelines.quality.reconciliation import Reconciliation
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
    checks : blocks per cell whose header, and logs as a whole, are compared; None = all; with 0 no state is asked for
        either
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
    remember(lake, listing)
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
        self.answers = Answers(sealed_answers(self.lake, self.slug), NodeOracle(self.node))
        reconciliation = Reconciliation(self.node) if self.wish.checks != 0 else None
        self.sealer = Sealer(
            self.lake, self.grid, self.deployment, NodeSource(self.node, self.wish.checks), self.answers, self.outcome,
            also_ask=self._sample_prices, reconciliation=reconciliation,
        )  # fmt: skip
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
        discovery, reached = self._seal_cells(start, stop, final)
        self._keep_tail(discovery, reached, stop)
        self.watch(stop - start, stop - start, self.outcome.logs)
        self.outcome.answers = self.answers.count
        self.outcome.missing, self.outcome.declined = self.answers.missing, self.answers.declined
        self.outcome.notes += reconciliation.notes() if reconciliation else []
        return self.outcome

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

    def _seal_cells(self, start: int, stop: int, final: int) -> tuple[Discovery, int]:
        """What discovery knows after the last cell that is final, sealed or refused, and the block where that ends."""
        discovery = protocol(self.deployment.protocol).discovery(self.deployment)
        reached, total = start, stop - start
        for span in self.grid.pieces(Span(start, self.grid.cell_of(stop - 1).stop)):
            if span.stop - 1 > final:
                break
            discovery, reached = self.sealer.seal(self.writer, span, discovery).discovery, span.stop
            self.watch(min(span.stop, stop) - start, total, self.outcome.logs)
        return discovery, reached

    def _sample_prices(self, discovery: Discovery, span: Span) -> None:
        """Ask for every price at each block of the span that is a multiple of the wished distance."""
        step = self.wish.sample_prices
        if step is not None:
            blocks = range(-(-span.start // step) * step, span.stop, step)
            self.answers.until([one for block in blocks for one in discovery.prices(block)], span)

    def _keep_tail(self, discovery: Discovery, reached: int, stop: int) -> None:
        begin = max(reached, self.lake.coverage(self.slug).sealed_until or 0)
        if begin >= stop:
            self.writer.drop_tail()
            return
        self.sealer.keep_tail(self.writer, Span(begin, stop), discovery, self.answers)


class NodeSource:
    """A node that delivers cells, and is checked by the headers it gives itself.

    Attributes
    ----------
    checks : blocks per cell whose header, and logs as a whole, are compared; None = all
    """

    def __init__(self, node: Node, checks: int | None) -> None:
        self.label = node.label
        self._node = node
        self._checks = checks

    def logs(self, span: Span, wanted: Filter) -> pa.Table:
        """See :class:`pipelines.ingest.sealer.Source`."""
        return timed(self._node, self._node.logs(span, wanted))

    def prove(self, cell: Cell) -> dict[int, Header]:
        """Compare the cell with headers; the last block's header also links it to the next cell."""
        span, most = cell.span, self._checks
        numbers = set(samples(span, span.stop - span.start if most is None else most)) | {span.start, span.stop - 1}
        speaking = sorted(set(cell.new_logs.column("block_number").to_pylist()))
        numbers |= set(speaking if most is None else speaking[:: max(1, len(speaking) // max(1, most))][:most])
        headers = self._node.headers(numbers)
        check_linkage(headers, self.label)
        check_hashes(cell.new_logs, headers, self.label)
        check_completeness(self._node, cell.new_logs, cell.fetched, headers, len(headers) if most is None else most)
        return headers

    def headers(self, numbers: list[int]) -> dict[int, Header]:
        """See :class:`pipelines.ingest.sealer.Source`."""
        return self._node.headers(numbers)


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

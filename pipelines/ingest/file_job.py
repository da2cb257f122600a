"""Ingest from files: a window that is declared complete is sealed; other files are kept as found."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from l2liq.chains.markets import Listing
from l2liq.errors import GapError, InputError, LogError, ReorgError
from l2liq.events.filter import ALL_TOPICS, Filter
from l2liq.events.log import BLOCKS, LOGS
from l2liq.lake import BLOCK_DATA, OBSERVATION_DATA, Grid, Lake, Linkage, Span, Writer
from l2liq.lake.segments import within
from l2liq.lake.tables import kept, passing
from l2liq.protocols import protocol
from l2liq.protocols.interface import Discovery
from pipelines.ingest.answers import Answers
from pipelines.ingest.cells import Cell, complete, held_logs, quarantine
from pipelines.ingest.outcome import Outcome, refresh_catalog
from pipelines.listings import remember
from pipelines.quality.completeness import check_blocks, check_chain
from pipelines.quality.structure import Refused, sift
from pipelines.sources.blockfiles import read_blocks
from pipelines.sources.logfiles import LogFile
from pipelines.sources.staging import TIMES, Staged, stage

MOST_ADDRESSES = 10_000
MOST_CELLS = 20_000
"""Cells of a declared window, some 50 years; more is a slip of the keyboard that would take as long to seal."""
ROWS_AT_A_TIME = 100_000

Watch = Callable[[int, int, int], None]


@dataclass(frozen=True, slots=True)
class FileWish:
    """What to ingest of files.

    Attributes
    ----------
    complete : blocks of which the files are declared to hold every log of the market; None = seal nothing
    within : blocks to look at, None = all
    blocks : files that tell the times of blocks
    """

    complete: Span | None = None
    within: Span | None = None
    blocks: Sequence[Path] = ()


def ingest_files(
    lake_path: Path, listing: Listing, files: Sequence[LogFile], wish: FileWish, watch: Watch = lambda *_: None
) -> Outcome:
    """Bring logs from files into the lake.

    Raises InputError where a file cannot be read, is of another chain or market, or lacks times; GapError where it ends
    before the window; ReorgError where it contradicts what is sealed, or hashes of blocks contradict each other;
    LakeError where the lake cannot be written or another process writes this market.
    """
    begun = time.monotonic()
    lake = Lake.create(lake_path)
    grid = lake.grid(listing.chain.chain_id, listing.chain.cell_blocks)
    if wish.complete and (cells := (wish.complete.stop - wish.complete.start) // grid.cell_blocks) > MOST_CELLS:
        raise InputError(f"{wish.complete} are {cells:,} cells of {listing.chain.name}. Check the block numbers.")
    with lake.writer(listing.deployment.slug, listing.chain.chain_id) as writer:
        folder = lake.folder / f".tmp-ingest-{listing.deployment.slug}"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir()
            staged = stage(files, folder, read_blocks(wish.blocks), wish.complete or wish.within)
            if wish.complete:
                _require_support(wish.complete, staged, grid)
            job = _FileJob(lake, writer, grid, listing, staged, watch)
            outcome = job.seal(wish.complete) if wish.complete else job.keep()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    remember(lake, listing)
    refresh_catalog(lake, outcome)
    outcome.seconds = time.monotonic() - begun
    return outcome


def _require_support(window: Span, staged: Staged, grid: Grid) -> None:
    """GapError where a declared window goes on for whole cells of which the files know neither a log nor a block."""
    numbers = staged.blocks.column("number")
    last = max(staged.span.stop - 1, pc.max(numbers).as_py() if len(numbers) else 0)
    if window.stop > grid.cell_of(last).stop:
        raise GapError(
            f"--complete {window.start}:{window.stop}: the last block that the files tell of is {last:,}, so nothing "
            f"says that there were no logs later. Write --complete {window.start}:{last + 1}, or give --blocks files "
            f"that reach the end."
        )


@dataclass
class _FileJob:
    """One run over staged files."""

    lake: Lake
    writer: Writer
    grid: Grid
    listing: Listing
    staged: Staged
    watch: Watch
    outcome: Outcome = field(init=False)

    def __post_init__(self) -> None:
        self.deployment = self.listing.deployment
        self.slug = self.deployment.slug
        self.outcome = Outcome(self.deployment.name)
        self.answers = Answers(self.lake.read(OBSERVATION_DATA, self.slug), None)

    def seal(self, window: Span) -> Outcome:
        """Seal a closed window, piece by piece."""
        discovery = self._history(window.start)
        if self.staged.addresses:
            self._require_this_market(discovery)
        declared = self._declared(discovery, window.start)
        self._require_linkage(window)
        coverage = self.lake.coverage(self.slug)
        for span in self.grid.pieces(window):
            held, covered = held_logs(self.lake, self.slug, coverage, span)
            self._require_agreement(span, held, covered)
            cell = complete(
                span,
                discovery,
                held,
                covered,
                fetch=self._logs,
                answer=self.answers.until,
                also=declared,
                offered=self.lake.released_logs(span),
            )
            discovery = cell.discovery
            self._seal_piece(cell)
            self.outcome.other_logs += self._others(span, covered.union(cell.fetched))
            self.watch(span.stop - window.start, window.stop - window.start, self.outcome.logs)
        self.outcome.missing = self.answers.missing
        self.outcome.outside_logs = self.staged.outside
        return self.outcome

    def _others(self, span: Span, own: Filter) -> int:
        """How many logs of a span are of contracts that are not the market's."""
        logs, _ = self.staged.known_logs(span)
        return int((~passing(logs, own)).sum())

    def keep(self) -> Outcome:
        """Keep everything as found; nothing says that it is complete."""
        self._require_this_market(self._history(self.staged.span.start))
        discovery = self._history(self.staged.span.start)
        for span in self.staged.spans(ROWS_AT_A_TIME):
            logs, untimed = self.staged.known_logs(span)
            sifted = sift(logs)
            refused = [
                *sifted.refused,
                *([Refused(untimed, LogError(f"no timestamps. {TIMES}"))] if untimed.num_rows else []),
            ]
            place = f"{self.staged.label}, {span}"
            self.outcome.quarantined += quarantine(self.lake, refused, place, "the other logs were kept")
            if sifted.logs.num_rows:
                discovery.see(sifted.logs)
                self.writer.keep_as_found(sifted.logs, source=self.staged.label)
                self.outcome.as_found_logs += sifted.logs.num_rows
                self.outcome.unknown_logs += sifted.unknown
                self.outcome.saw(span.start, span.stop)
            self.watch(span.stop - self.staged.span.start, self.staged.span.stop - self.staged.span.start, 0)
        self.answers.until(discovery.questions(), self.staged.span)
        self.outcome.missing = self.answers.missing
        return self.outcome

    def _history(self, start: int) -> Discovery:
        """A discovery that knows what the lake has before a block."""
        discovery = protocol(self.deployment.protocol).discovery(self.deployment)
        if start:
            for table in self.lake.read_logs(self.slug, Span(0, start)):
                discovery.see(table)
            discovery.learn(self.lake.read(OBSERVATION_DATA, self.slug, Span(0, start)))
        return discovery

    def _declared(self, discovery: Discovery, start: int) -> Filter:
        """What the declaration covers beyond discovery.

        Where the window begins after the market's first block and the lake does not know what was before, nobody can
        tell which contracts are the market's: then it is all that occur in the files.
        """
        named = protocol(self.deployment.protocol).discovery(self.deployment).filter().addresses
        from_the_start = start <= self.grid.cell_of(self.deployment.start_block).start
        if from_the_start or discovery.filter().addresses - named:
            return Filter()
        if len(self.staged.addresses) > MOST_ADDRESSES:
            raise InputError(
                f"{self.staged.label}: logs of {len(self.staged.addresses):,} contracts, and the window begins after "
                f"the market: nothing says which are its own. Leave the others out of the file."
            )
        count = len(self.staged.addresses)
        self.outcome.notes.append(
            f"The window begins after the market: every contract in the file ({count:,}) counts as its own."
        )
        return Filter(dict.fromkeys(self.staged.addresses | frozenset(self.deployment.addresses.values()), ALL_TOPICS))

    def _require_this_market(self, discovery: Discovery) -> None:
        """InputError unless a contract of the market occurs in the files."""
        known = discovery.filter().addresses | frozenset(self.deployment.addresses.values())
        if not known & self.staged.addresses:
            raise InputError(
                f"{self.staged.label}: none of its {len(self.staged.addresses):,} contracts is known to be of "
                f"{self.deployment.name}. Check file and market; a market file may name more contracts under addresses."
            )

    def _require_linkage(self, window: Span) -> None:
        """ReorgError where the blocks of the files do not follow each other, or what is sealed before them, by hash."""
        first = window.start
        held = [self.lake.read(BLOCK_DATA, self.slug, Span(first - 1, first))] if first else []
        check_chain(pa.concat_tables([*held, within(self.staged.blocks, BLOCK_DATA, window)]), self.staged.label)

    def _require_agreement(self, span: Span, held: pa.Table, covered: Filter) -> None:
        """ReorgError where the files tell another history of what is sealed; hashes count where both have them."""
        told = sift(self._logs(span, covered)).logs if covered else held
        without = [name for name in LOGS.names if name != "block_hash"]
        same = told.select(without).equals(held.select(without))
        if same:
            other = pc.not_equal(told["block_hash"], held["block_hash"])
            same = not pc.any(pc.fill_null(other, False)).as_py()
        if not same:
            raise ReorgError(
                f"{self.staged.label}, {span}: contradicts the {held.num_rows:,} logs that are sealed of these blocks. "
                f"Nothing was changed. Find out which history is the chain's; a lake with the wrong one is made anew."
            )

    def _logs(self, span: Span, wanted: Filter) -> pa.Table:
        table = self.staged.logs(span)
        return kept(table, passing(table, wanted))

    def _seal_piece(self, cell: Cell) -> None:
        place, label = f"{self.staged.label}, {cell.span}", self.staged.label
        if cell.refused:
            self.outcome.quarantined += quarantine(self.lake, cell.refused, place, "these blocks were not sealed")
            return
        self.outcome.saw(cell.span.start, cell.span.stop)
        if not cell.fetched:
            self.outcome.known_cells += 1
            return
        new = cell.new_logs
        check_blocks(new, self.staged.blocks, label)
        self.writer.seal(BLOCK_DATA, cell.span, self._blocks(cell), linkage=Linkage.UNVERIFIED, source=label)
        self.writer.seal_logs(cell.span, new, cell.fetched, linkage=Linkage.UNVERIFIED, source=label)
        self.outcome.sealed_cells += 1
        self.outcome.logs += new.num_rows
        self.outcome.unknown_logs += cell.unknown

    def _blocks(self, cell: Cell) -> pa.Table:
        """Headers as far as the files tell them: of the block file in this span, else of the logs themselves."""
        numbers = self.staged.blocks.column("number")
        given = self.staged.blocks.filter(
            pc.and_(pc.greater_equal(numbers, cell.span.start), pc.less(numbers, cell.span.stop))
        )
        have = set(given.column("number").to_pylist())
        names = ("block_number", "block_hash", "timestamp_s")
        rows = dict.fromkeys(zip(*(cell.new_logs.column(name).to_pylist() for name in names), strict=True))
        others = {number: (block_hash, seconds) for number, block_hash, seconds in rows if number not in have}
        found = [{"number": n, "hash": h, "timestamp_s": s} for n, (h, s) in sorted(others.items())]
        return pa.concat_tables([given, pa.Table.from_pylist(found, BLOCKS)])

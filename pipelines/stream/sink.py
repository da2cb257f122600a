"""Seals the cells of one market from its stream: delivered at least once, sealed exactly once."""

from __future__ import annotations

import gc
import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import structlog

from l2liq.chains.markets import Listing
from l2liq.errors import GapError, LockedError, LogError, ReorgError, SourceError
from l2liq.lake import Grid, Lake, Span
from l2liq.protocols import protocol
from l2liq.protocols.interface import Discovery
from pipelines.ingest.answers import Answers
from pipelines.ingest.cells import Cell
from pipelines.ingest.outcome import Outcome, refresh_catalog
from pipelines.ingest.reorgs import unseal_orphans
from pipelines.ingest.sealer import Sealer, sealed_answers
from pipelines.quality.reconciliation import Reconciliation
from pipelines.sources.node import Node
from pipelines.stream.assembly import Assembly
from pipelines.stream.broker import Inlet
from pipelines.stream.intake import Intake
from pipelines.stream.metrics import Metrics
from pipelines.stream.poison import Poison
from pipelines.stream.source import StreamOracle, StreamSource
from pipelines.stream.topic import place_of

MOST_ROWS = 4_000_000
"""Logs held in memory; with more, a sink whose cells cannot be sealed stops reading."""
BEACON_S = 2.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SinkWish:
    """How a sink works.

    Attributes
    ----------
    checks : blocks per cell that are compared with headers where the node has to help; None = all
    tail_every_s : how often the tail is written [s]; it is what has not become final
    """

    checks: int | None = 16
    tail_every_s: float = 30.0


@dataclass
class SinkState:
    """How a sink is doing.

    Attributes
    ----------
    lag : records of the topic that were not read
    logs_per_s : logs read per second, lately
    scanned_block, sealed_block : last blocks known and sealed, -1 for none
    stopped : why the next cell cannot be sealed, None where nothing is wrong
    stopped_by : name of the type of error (:mod:`l2liq.errors`) that stopped it
    """

    market: str
    lag: int = 0
    logs_per_s: float = 0.0
    scanned_block: int = -1
    final_block: int = -1
    sealed_block: int = -1
    sealed_cells: int = 0
    sealed_logs: int = 0
    read_logs: int = 0
    poison: int = 0
    stopped: str | None = None
    stopped_by: str | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Done:
    """A cell that is sealed, and how many logs were new."""

    cell: Cell
    logs: int


class Sink:
    """One market's sink. Make it for the time of a block, call :meth:`step` for ever, and :meth:`finish` at the end.

    Any number may run at once, beside batch ingests: who comes second finds the cell sealed. While ``ending``, no
    further cell is begun.
    """

    def __init__(
        self,
        lake_path: Path,
        listing: Listing,
        bootstrap: str,
        *,
        node: Node | None = None,
        wish: SinkWish | None = None,
        metrics: Metrics | None = None,
        ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self._deployment, self._chain = listing.deployment, listing.chain
        self._lake = Lake.create(lake_path)
        self._grid: Grid = self._lake.grid(self._chain.chain_id, self._chain.cell_blocks)
        self._node, self._wish = node, wish or SinkWish()
        self._metrics, self._ending = metrics or Metrics(), ending
        self._inlet = Inlet(bootstrap, place_of(self._chain, self.slug), group_of(lake_path, self.slug))
        self.state = SinkState(self._deployment.name)
        self._sealing_lake = Lake.open(lake_path)
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="seal")
        self._sealing: Future[_Done] | None = None
        self._rate = _Rate()
        self._committed = -1
        self._beacon_at = self._tail_at = 0.0
        self._tail_stop = -1
        self._may_rewind = True
        self._reset()

    @property
    def slug(self) -> str:
        """The market in paths and keys."""
        return self._deployment.slug

    def step(self, timeout_s: float = 0.5) -> int:
        """Read what came, seal what can be; how many records were read.

        A cell is sealed beside the reading of the next one; a step that finds nothing to read waits until it is, and
        on a single core every step does: two threads would only take turns.
        """
        with _no_collections():
            return self._step(timeout_s)

    def _step(self, timeout_s: float) -> int:
        full = self._assembly.rows >= MOST_ROWS
        records = () if full else self._inlet.poll(timeout_s)
        if full and self._sealing is None:
            time.sleep(timeout_s)
        self.state.read_logs += self._intake.take(records)
        self._seal(wait=not records or pa.cpu_count() == 1)
        if time.monotonic() - self._tail_at >= self._wish.tail_every_s:
            self.keep_tail()
        self._tell(idle=not records)
        return len(records)

    @property
    def caught_up(self) -> bool:
        """Whether everything that is in the topic now was read."""
        return self._inlet.position() >= self._inlet.end()

    def keep_tail(self) -> None:
        """Keep what came behind the last sealed cell, in place of the former tail."""
        if self._sealing is not None or self._ready():
            return
        self._tail_at = time.monotonic()
        stop = self._assembly.reached + 1
        if self._discovery is None or stop <= self._next or stop == self._tail_stop or self.state.stopped:
            return
        try:
            with self._lake.writer(self.slug, self._chain.chain_id) as writer:
                if (self._lake.coverage(self.slug).sealed_until or 0) > self._next:
                    return
                span = Span(self._next, stop)
                self._begin(span)
                self._sealer.keep_tail(writer, span, self._discovery, self._answers.fork())
                self._tail_stop = stop
        except LockedError:
            return
        except LogError as error:
            _log.warning("stream.no_tail", market=self._deployment.name, why=str(error))

    def finish(self) -> None:
        """End the cell that is being sealed, keep the tail, say the last words."""
        self._seal(wait=True)
        self.keep_tail()
        if self.state.sealed_cells:
            outcome = Outcome(self._deployment.name)
            refresh_catalog(self._lake, outcome)
            self.state.notes += outcome.notes + (self._reconciliation.notes() if self._reconciliation else [])
        self._beacon_at = 0.0
        self._tell(idle=True)

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the broker, once the cell that is being sealed is."""
        self._beside.shutdown()
        self._inlet.close()

    # --- beginning ---------------------------------------------------------------------------------------------------

    def _reset(self, *, rewind: bool = False) -> None:
        """Begin at the kept place, or with the oldest record where that is gone or not to be relied on."""
        begin, end = self._inlet.bounds()
        kept = None if rewind else self._inlet.committed()
        if kept is not None and kept < begin:
            _log.warning("stream.retention_outran", market=self._deployment.name, lost_records=begin - kept)
        self._inlet.seek(kept if kept is not None and begin <= kept <= end else begin)
        self._assembly = Assembly(self._grid)
        self._intake = Intake(self._assembly, self.slug, self._chain.chain_id, self._refuse)
        self._poison = Poison(self._lake, self._grid, self._deployment.name)
        self._source = StreamSource(self._assembly, self._grid, self._poison, self._node, self._wish.checks)
        self._oracle = StreamOracle(self._assembly, self._node)
        self._answers = Answers(sealed_answers(self._lake, self.slug), self._oracle)
        self._outcome = Outcome(self._deployment.name)
        self._reconciliation = Reconciliation(self._node) if self._node and self._wish.checks != 0 else None
        self._sealer = Sealer(
            self._sealing_lake, self._grid, self._deployment, self._source, self._answers, self._outcome,
            reconciliation=self._reconciliation,
        )  # fmt: skip
        self._discovery: Discovery | None = None
        self._next = 0
        self._tail_stop = -1

    # --- reading -----------------------------------------------------------------------------------------------------

    def _expected(self) -> int:
        """The block that comes next, as far as anybody knows."""
        sealed_until = self._lake.coverage(self.slug).sealed_until or 0
        return max(self._assembly.reached + 1, self._next, sealed_until)

    def _refuse(self, offset: int, error: LogError, block: int | None, content: bytes) -> None:
        """A message that cannot be used: its cell is not sealed from the stream until somebody decides."""
        block = self._expected() if block is None else block
        where = f"offset {offset} of {self._inlet.place.topic}/{self._inlet.place.partition}"
        cell = self._poison.put(where, error, block, content)
        self._assembly.expect([offset], [cell])
        self.state.poison += 1
        self._metrics.poison_messages.labels(self.slug).inc()
        _log.error("stream.poison", market=self._deployment.name, cell=cell, where=where, reason=str(error))

    # --- sealing -----------------------------------------------------------------------------------------------------

    def _seal(self, *, wait: bool) -> None:
        """Have every whole cell sealed that is final and has been looked at, one at a time."""
        while self._sealing is not None or (self._ready() and not self._ending()):
            if self._sealing is None:
                self._begin_sealing()
            elif not (wait or self._sealing.done()) or not self._end_sealing(self._sealing):
                return

    def _begin_sealing(self) -> None:
        assert self._discovery is not None
        span = self._grid.cell_of(self._next)
        self._begin(span)
        self._sealing = self._beside.submit(self._seal_cell, span, self._discovery)

    def _begin(self, span: Span) -> None:
        """Take out of the assembly what is needed of a span: what comes meanwhile, retractions too, is for later."""
        self._source.begin(span)
        self._oracle.begin()

    def _seal_cell(self, span: Span, discovery: Discovery) -> _Done:
        """Beside the reading: seal what was begun."""
        with self._sealing_lake.writer(self.slug, self._chain.chain_id) as writer:
            sealed_until = self._sealing_lake.coverage(self.slug).sealed_until or 0
            self._oracle.sealed_until = sealed_until
            if sealed_until < span.start and self.state.sealed_block >= 0:
                raise ReorgError(f"{self._deployment.name}: blocks from {sealed_until:,} on were unsealed meanwhile")
            before = self._outcome.logs
            cell = self._sealer.seal(writer, span, discovery)
            if cell.refused:
                refusal = self._outcome.quarantined[-1]
                raise type(refusal.error)(f"{refusal.place}: {refusal.reason}")
            return _Done(cell, self._outcome.logs - before)

    def _end_sealing(self, sealing: Future[_Done]) -> bool:
        """Draw the consequences of what became of a cell, as soon as that is known; whether it is sealed."""
        try:
            done = sealing.result()
        except LockedError:
            return False  # whoever writes now may seal the same; the next step tells
        except GapError as error:
            if self._may_rewind:  # the place was kept for a lake that held more
                self._may_rewind = False
                self._reset(rewind=True)
            else:
                self._halt(error)
            return False
        except ReorgError as error:
            self._disagreed(error)
            return False
        except LogError as error:
            self._halt(error)
            return False
        finally:
            self._sealing = None
        span = done.cell.span
        self._discovery, self._next = done.cell.discovery, span.stop
        self._assembly.release(span.stop)
        self._sealed(span.stop - 1, done.logs, new=bool(done.cell.fetched))
        self.state.stopped = self.state.stopped_by = None
        return True

    def _ready(self) -> bool:
        if self._discovery is None:
            start = self._deployment.start_block or self._assembly.market_start
            if start is None:
                return False
            self._next = self._grid.cell_of(start).start
            self._discovery = protocol(self._deployment.protocol).discovery(self._deployment)
        stop = self._grid.cell_of(self._next).stop
        return stop - 1 <= min(self._assembly.final_to, self._assembly.reached)

    def _sealed(self, last: int, logs: int, *, new: bool) -> None:
        first = self.state.sealed_block < 0 and new
        self.state.sealed_block = last
        self.state.sealed_cells += new
        self.state.sealed_logs += logs
        self._metrics.sealed_logs.labels(self.slug).inc(logs)
        self._metrics.gap_fetches.labels(self.slug).inc(self._source.fetched)
        self._source.fetched = 0
        if first:
            refresh_catalog(self._lake, self._outcome)
        if (self._lake.coverage(self.slug).sealed_until or 0) >= self._assembly.reached + 1:
            self._tail_stop = -1

    def _halt(self, error: LogError) -> None:
        """The next cell cannot be sealed until somebody helps, or what is missing comes after all."""
        reason = str(error)
        if self.state.stopped != reason:
            _log.error("stream.stopped", market=self._deployment.name, cell=self._next, reason=reason)
        self.state.stopped, self.state.stopped_by = reason, type(error).__name__

    def _disagreed(self, error: ReorgError) -> None:
        """Lake and stream have two histories: ask the node whose is right, or halt."""
        if self._node is None:
            self._halt(error)
            return
        try:
            with self._lake.writer(self.slug, self._chain.chain_id) as writer:
                unsealed = unseal_orphans(self._lake, writer, self.slug, self._node)
        except (LockedError, SourceError) as cause:
            _log.warning("stream.undecided", market=self._deployment.name, why=str(cause))
            return
        _log.warning("stream.reorg", market=self._deployment.name, why=str(error), unsealed=len(unsealed))
        self._halt(error)
        if unsealed or "unsealed meanwhile" in str(error):
            self._reset()

    # --- keeping the place, and telling ------------------------------------------------------------------------------

    def _commit(self) -> None:
        """Keep the place of the oldest record about a block that is not sealed; what is sealed is on disk by now."""
        if self._discovery is None:
            return
        offset = self._assembly.oldest_needed(self._inlet.position())
        if offset != self._committed:
            try:
                self._inlet.commit(offset)
                self._committed = offset
            except SourceError as error:  # the place only saves work: it is kept at the next chance
                _log.warning("stream.not_committed", market=self._deployment.name, why=str(error))

    def _tell(self, *, idle: bool) -> None:
        """Every few seconds keep the place and say how it goes."""
        state, label = self.state, self.slug
        state.logs_per_s = self._rate.after(state.read_logs)
        state.scanned_block = max(state.scanned_block, self._assembly.reached)
        state.final_block = self._assembly.final_to
        now = time.monotonic()
        if now - self._beacon_at < BEACON_S:
            return
        self._beacon_at = now
        self._commit()
        if state.stopped:
            self._poison.refresh()
        state.lag = self._inlet.lag(ask=idle)
        metrics = self._metrics
        metrics.lag_messages.labels(label).set(state.lag)
        metrics.logs_per_second.labels(label).set(state.logs_per_s)
        metrics.scanned_block.labels(label).set(state.scanned_block)
        metrics.final_block.labels(label).set(state.final_block)
        metrics.sealed_block.labels(label).set(state.sealed_block)
        metrics.stopped.labels(label).set(1 if state.stopped else 0)
        self._lake.show_stream(label, beacon(state))


def group_of(lake: Path, slug: str) -> str:
    """The consumer group that keeps the place of a market in a lake."""
    name = str(lake) if "s3:" in str(lake) else str(lake.absolute())
    return f"l2liq-sink-{slug}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@contextmanager
def _no_collections() -> Iterator[None]:
    """A step makes many objects and no cycles: looking for some after every few hundred costs a fifth of it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Rate:
    """Something per second, over the last few seconds."""

    def __init__(self, window_s: float = 5.0) -> None:
        self._window_s = window_s
        self._points: list[tuple[float, int]] = []

    def after(self, total: int) -> float:
        now = time.monotonic()
        self._points = [one for one in self._points if now - one[0] <= self._window_s]
        self._points.append((now, total))
        (begun, before), elapsed = self._points[0], now - self._points[0][0]
        return (total - before) / elapsed if elapsed > 0 and begun else 0.0


def beacon(state: SinkState) -> dict[str, Any]:
    """What `l2liq status` shows of a sink."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "market": state.market,
        "lag": state.lag,
        "logs_per_s": round(state.logs_per_s, 1),
        "scanned_block": state.scanned_block,
        "final_block": state.final_block,
        "sealed_block": state.sealed_block,
        "poison": state.poison,
        "stopped": state.stopped,
        "stopped_by": state.stopped_by,
    }

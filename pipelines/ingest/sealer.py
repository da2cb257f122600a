"""How a cell gets into the lake, whoever delivers its logs: discovery, proof, headers, answers, and the logs last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.chains.deployment import Deployment
from l2liq.errors import ReorgError
from l2liq.events.filter import Filter
from l2liq.events.log import BLOCKS, LOGS
from l2liq.lake import BLOCK_DATA, LOG_DATA, OBSERVATION_DATA, OBSERVATIONS, Grid, Lake, Linkage, Span, Writer
from l2liq.protocols.interface import Discovery
from pipelines.ingest.answers import Answers
from pipelines.ingest.cells import Cell, complete, held_logs, quarantine
from pipelines.ingest.outcome import Outcome
from pipelines.quality.reconciliation import Reconciliation
from pipelines.quality.structure import refuse
from pipelines.sources.node import Header


class Source(Protocol):
    """Who delivers cells whose blocks are known by hash."""

    label: str

    def logs(self, span: Span, wanted: Filter) -> pa.Table:
        """Logs of a span that a filter lets through, with timestamps (schema LOGS)."""

    def prove(self, cell: Cell) -> dict[int, Header]:
        """Headers, those of the cell's first and last block among them; an error where the logs are not the chain's."""

    def headers(self, numbers: list[int]) -> dict[int, Header]:
        """Headers by number."""


@dataclass
class Sealer:
    """Seals the cells of one market one after the other.

    Attributes
    ----------
    also_ask : called before a cell's answers are sealed, with what discovery knows and the cell
    reconciliation : who compares a cell with the chain's state, None = nobody
    """

    lake: Lake
    grid: Grid
    deployment: Deployment
    source: Source
    answers: Answers
    outcome: Outcome
    also_ask: Callable[[Discovery, Span], None] = lambda discovery, span: None
    reconciliation: Reconciliation | None = None

    def seal(self, writer: Writer, span: Span, discovery: Discovery) -> Cell:
        """Complete and seal one cell; the logs come last, because they say that it is done."""
        slug = self.deployment.slug
        held, covered = held_logs(self.lake, slug, self.lake.coverage(slug), span)
        cell = complete(
            span,
            discovery,
            held,
            covered,
            fetch=self.source.logs,
            answer=self.answers.until,
            offered=self.lake.released_logs(span),
        )
        headers = self._proven(cell) if cell.fetched and not cell.refused else {}
        if headers:
            cell = self._reconciled(cell)
        if cell.refused:
            self.refuse(cell)
            return cell
        new = cell.new_logs
        if headers:
            self._seal_blocks(writer, span, new, headers)
        self.also_ask(cell.discovery, span)
        self.answers.seal(writer, self.grid, span.stop)
        if cell.fetched:
            writer.seal_logs(span, new, cell.fetched, linkage=Linkage.VERIFIED, source=self.source.label)
            self.outcome.sealed_cells += 1
            self.outcome.logs += new.num_rows
            self.outcome.unknown_logs += cell.unknown
        else:
            self.outcome.known_cells += 1
        self.outcome.saw(span.start, span.stop)
        return cell

    def keep_tail(self, writer: Writer, span: Span, discovery: Discovery, answers: Answers) -> None:
        """What is not final yet is kept apart, in place of the former tail."""
        source, verified = self.source, Linkage.VERIFIED
        cell = complete(span, discovery, LOGS.empty_table(), Filter(), fetch=source.logs, answer=answers.until)
        self.refuse(cell)
        self.also_ask(cell.discovery, span)
        answers.seal(writer, self.grid, span.start)
        blocks = blocks_of(cell.logs, source.headers([span.start, span.stop - 1]))
        writer.replace_tail(BLOCK_DATA, span, blocks, linkage=verified, source=source.label)
        writer.replace_tail(OBSERVATION_DATA, span, answers.tail(), linkage=verified, source=source.label)
        writer.replace_tail(LOG_DATA, span, cell.logs, cell.fetched, linkage=verified, source=source.label)
        self.outcome.tail_blocks, self.outcome.tail_logs = span.stop - span.start, cell.logs.num_rows
        self.outcome.saw(span.start, span.stop)

    def refuse(self, cell: Cell) -> None:
        """Put away the logs of a cell that cannot be used."""
        place = f"{self.deployment.name}, {cell.span}, from {self.source.label}"
        self.outcome.quarantined += quarantine(self.lake, cell.refused, place, "the cell was not sealed")

    def _proven(self, cell: Cell) -> dict[int, Header]:
        headers = self.source.prove(cell)
        self._check_follows(headers[cell.span.start])
        return headers

    def _reconciled(self, cell: Cell) -> Cell:
        """The cell, refused where its logs do not add up to the chain's state."""
        if self.reconciliation is None:
            return cell
        found = self.reconciliation.contradictions(cell.discovery, cell.logs, cell.span.stop - 1)
        return replace(cell, refused=refuse(cell.logs, found, self.lake.released_logs(cell.span)))

    def _check_follows(self, first: Header) -> None:
        """ReorgError unless a cell follows the one that the lake has before it."""
        before = (
            self.lake.read(BLOCK_DATA, self.deployment.slug, Span(first.number - 1, first.number))
            if first.number
            else None
        )
        held = before.column("hash")[0].as_py() if before is not None and before.num_rows else None
        if held is not None and held != first.parent_hash:
            raise ReorgError(
                f"{self.source.label}: block {first.number:,} does not follow the block before it that the lake has: "
                f"the chain was reorganised meanwhile. Run the same command again."
            )

    def _seal_blocks(self, writer: Writer, span: Span, logs: pa.Table, headers: dict[int, Header]) -> None:
        table = blocks_of(logs, {n: headers[n] for n in (span.start, span.stop - 1)})
        writer.seal(BLOCK_DATA, span, table, linkage=Linkage.VERIFIED, source=self.source.label)


def sealed_answers(lake: Lake, slug: str) -> pa.Table:
    """What was answered before; the tail's answers do not count, they go with it."""
    sealed_until = lake.coverage(slug).sealed_until
    return lake.read(OBSERVATION_DATA, slug, Span(0, sealed_until)) if sealed_until else OBSERVATIONS.empty_table()


def blocks_of(logs: pa.Table, headers: dict[int, Header]) -> pa.Table:
    """Headers of the blocks with logs, as far as the logs tell, and the given headers in full (schema BLOCKS)."""
    numbers = logs.column("block_number").to_numpy()
    order = np.lexsort((logs.column("block_hash").is_null().to_numpy(), numbers))
    _, first = np.unique(numbers[order], return_index=True)
    told = logs.select(["block_number", "block_hash", "timestamp_s"]).take(pa.array(order[first]))
    told = told.rename_columns(["number", "hash", "timestamp_s"])
    told = told.filter(pc.invert(pc.is_in(told.column("number"), value_set=pa.array(list(headers), pa.int64()))))
    for name in ("parent_hash", "base_fee_wei"):
        told = told.append_column(BLOCKS.field(name), pa.nulls(told.num_rows, BLOCKS.field(name).type))
    full = pa.Table.from_pylist(
        [{name: getattr(one, name) for name in BLOCKS.names} for one in headers.values()], BLOCKS
    )
    return pa.concat_tables([told.select(BLOCKS.names).cast(BLOCKS), full]).sort_by("number")

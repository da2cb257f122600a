"""What a market's transactions asked for, from a node: one input per transaction that has logs in the lake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from l2liq.chains.markets import Listing
from l2liq.errors import ReorgError
from l2liq.events.abi import contract_events
from l2liq.lake import INPUT_DATA, INPUTS, Lake, Linkage, Span, Writer
from pipelines.sources.node import Node

Watch = Callable[[int, int, int], None]
"""Called after each cell with blocks done, blocks in all, and inputs so far."""

_OF_FEEDS = pa.array(
    [event.topic0 for name in ("chainlink/aggregator", "chainlink/proxy") for event in contract_events(name)],
    pa.binary(32),
)

_PLACE = ["block_number", "transaction_index", "transaction_hash"]


def ingest_calldata(lake_path: Path, listing: Listing, node: Node, watch: Watch = lambda *_: None) -> int:
    """Fetch the inputs that the lake lacks, cell by cell; how many were fetched.

    Transactions that only moved a price feed are left out: nobody asked the market for anything in them.

    Raises
    ------
    SourceError
        The node lacks a transaction.
    ReorgError
        The node has a transaction at another place than the lake.
    """
    lake, slug = Lake.open(lake_path), listing.deployment.slug
    grid = lake.grid(listing.chain.chain_id, listing.chain.cell_blocks)
    coverage = lake.coverage(slug)
    spans = [segment.span for segment in coverage.segments]
    count = 0
    with lake.writer(slug, listing.chain.chain_id) as writer:
        sealed_until = coverage.sealed_until or 0
        whole = Span(min(span.start for span in spans), max(span.stop for span in spans)) if spans else None
        for span in grid.pieces(whole) if whole is not None else ():
            count += _one_cell(lake, writer, node, slug, span, sealed=span.stop <= sealed_until)
            watch(span.stop - whole.start if whole else 0, whole.stop - whole.start if whole else 0, count)
    return count


def _one_cell(lake: Lake, writer: Writer, node: Node, slug: str, span: Span, *, sealed: bool) -> int:
    wanted = _transactions(lake, slug, span)
    held = lake.read(INPUT_DATA, slug, span).column("transaction_hash")
    lacking = wanted.filter(pc.invert(pc.is_in(wanted.column("transaction_hash"), value_set=held.combine_chunks())))
    if not lacking.num_rows:
        return 0
    found = node.inputs(lacking.column("transaction_hash").to_pylist()).sort_by(
        [("block_number", "ascending"), ("transaction_index", "ascending")]
    )
    if not found.select(_PLACE).equals(lacking.select(_PLACE).cast(found.select(_PLACE).schema)):
        raise ReorgError(
            f"{node.label}: transactions of {span} are at other places than in the lake: the chain was reorganised "
            "meanwhile. Run the same command again."
        )
    if sealed:
        writer.seal(INPUT_DATA, span, found, linkage=Linkage.VERIFIED, source=node.label)
    else:
        rows = pa.concat_tables([lake.read(INPUT_DATA, slug, span), found]).sort_by(
            [("block_number", "ascending"), ("transaction_index", "ascending")]
        )
        writer.replace_tail(INPUT_DATA, span, rows.cast(INPUTS), linkage=Linkage.VERIFIED, source=node.label)
    return found.num_rows


def _transactions(lake: Lake, slug: str, span: Span) -> pa.Table:
    """Transactions with logs of the market, in order; those in which a price feed alone spoke are left out."""
    tables = list(lake.read_logs(slug, span, columns=[*_PLACE, "topic0"]))
    if not tables:
        return INPUTS.empty_table().select(_PLACE)
    table = pa.concat_tables(tables)
    table = table.filter(pc.invert(pc.is_in(table.column("topic0"), value_set=_OF_FEEDS)))
    places = table.group_by(_PLACE, use_threads=False).aggregate([])
    return places.select(_PLACE).sort_by([("block_number", "ascending"), ("transaction_index", "ascending")])

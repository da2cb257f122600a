"""Sealing: what was looked at becomes segments that never change."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from l2liq.errors import FilterError, InputError, LakeError, ReorgError
from l2liq.events.commitment import TableRoot, table_root
from l2liq.events.filter import Filter
from l2liq.lake.coverage import SEALED, Coverage, Gap
from l2liq.lake.datasets import LOG_DATA, OBSERVATION_DATA, Dataset, Linkage, Span, Status
from l2liq.lake.reading import covered_by, stream
from l2liq.lake.segments import REPAIR, Origin, Segment, Shelf, folder_of
from l2liq.lake.tables import canonical, describe, first_difference, kept, outside, passing


def seal_logs(shelf: Shelf, slug: str, span: Span, table: pa.Table, wanted: Filter, origin: Origin) -> list[Segment]:
    """Seal the part of ``span`` × ``wanted`` that is not sealed yet; the rest must agree with what is."""
    if not wanted:
        raise InputError(
            f"logs/{slug}: {span}: an empty filter covers nothing. Name the addresses that were looked at."
        )
    table = checked(LOG_DATA, slug, span, table, wanted)
    held = [one for one in shelf.segments(LOG_DATA, slug, span) if one.status is Status.SEALED]
    for segment in held:
        _agree_on_logs(shelf, slug, segment, span, table, wanted)
    coverage = Coverage(slug, tuple(held))
    gaps = coverage.gaps(span, wanted, SEALED)
    for gap in gaps:
        _refuse_widening(slug, gap, coverage.covered(gap.span, SEALED))
    sealed = []
    for gap in gaps:
        all_of_it = gap.span == span and gap.missing.topics == wanted.topics
        rows = table if all_of_it else _select(table, gap.span, gap.missing)
        sealed.append(_new_segment(shelf, LOG_DATA, slug, gap.span, rows, gap.missing, origin))
    return sealed


def seal_rows(shelf: Shelf, dataset: Dataset, slug: str, span: Span, table: pa.Table, origin: Origin) -> list[Segment]:
    """Seal the rows of a dataset without filter that are not sealed yet; the others must be equal to what is."""
    table = checked(dataset, slug, span, table, None)
    held = [one for one in shelf.segments(dataset, slug, span) if one.status is Status.SEALED]
    if not held:
        return [_new_segment(shelf, dataset, slug, span, table, None, origin)]
    known = pa.concat_tables([dataset.schema.empty_table(), *stream(shelf, held, span, None, None)]).combine_chunks()
    is_known = _keys_in(dataset, table, known)
    again = table.filter(pa.array(is_known))
    difference = first_difference(dataset, known.filter(pa.array(_keys_in(dataset, known, again))), again)
    if difference:
        raise contradiction(dataset, slug, held[0], difference)
    new = table.filter(pa.array(~is_known)).combine_chunks()
    looked_at = any(one.span.start <= span.start and span.stop <= one.span.stop for one in held)
    if looked_at and not new.num_rows:
        return []
    return [_new_segment(shelf, dataset, slug, span, new, None, origin)]


def checked(dataset: Dataset, slug: str, span: Span, table: pa.Table, wanted: Filter | None) -> pa.Table:
    """The canonical table; InputError where a row lies outside ``span``, FilterError where outside ``wanted``."""
    place = f"{dataset.name}/{slug}"
    table = canonical(dataset, table, place)
    row = outside(dataset, table, span)
    if row >= 0:
        raise InputError(
            f"{place}: the row at {describe(dataset, table, row)} is not in {span}. Cut the table to the range."
        )
    if wanted is not None and not (passed := passing(table, wanted)).all():
        row = int(np.flatnonzero(~passed)[0])
        address = table.column("address")[row].as_py().hex()
        raise FilterError(
            f"{place}: the row at {describe(dataset, table, row)} is of 0x{address}, which the filter does not let "
            f"through. Drop such rows or widen the filter."
        )
    return table


def contradiction(dataset: Dataset, slug: str, segment: Segment, difference: str) -> ReorgError:
    """The error for two histories of the same blocks."""
    return ReorgError(
        f"{segment.key}: another history of the same blocks: {difference}. Nothing was overwritten. Compare both with "
        f"the chain; if the new one is right, {_remedy(dataset, segment)} and ingest again."
    )


def _remedy(dataset: Dataset, segment: Segment) -> str:
    if dataset is OBSERVATION_DATA and segment.linkage is Linkage.UNVERIFIED:
        return "take the imported prices back with `l2liq ingest --drop-prices`"
    return f"take the market back with `l2liq ingest --unseal-from {segment.span.start}`"


def _agree_on_logs(shelf: Shelf, slug: str, segment: Segment, span: Span, table: pa.Table, wanted: Filter) -> None:
    assert segment.filter is not None
    if segment.span == span and segment.filter.topics == wanted.topics and segment.root == table_root(table):
        return
    common = segment.span.intersection(span)
    assert common is not None
    new = table.filter(pa.array(covered_by(segment, table)))
    held = _select(shelf.table(segment, common), common, wanted)
    difference = first_difference(LOG_DATA, held, new)
    if difference:
        raise contradiction(LOG_DATA, slug, segment, difference)


def _refuse_widening(slug: str, gap: Gap, covered: Filter) -> None:
    """No file can hold "all topics but those of another file", and no row may be in two files."""
    for address, topics in gap.missing.topics.items():
        if topics is None and address in covered.topics:
            raise LakeError(
                f"logs/{slug}: {gap.span} are sealed for some topics of 0x{address.hex()} and cannot be widened to "
                f"all. Name the topics, or take the market back with `l2liq ingest --unseal-from {gap.span.start}` and "
                f"ingest again."
            )


def _select(table: pa.Table, span: Span, wanted: Filter) -> pa.Table:
    blocks = table.column("block_number").to_numpy()
    mask = (blocks >= span.start) & (blocks < span.stop) & passing(table, wanted)
    return kept(table, mask).combine_chunks()


def _keys_in(dataset: Dataset, table: pa.Table, others: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows of ``table`` have a key that ``others`` has too."""
    wanted = set(zip(*(others.column(name).to_pylist() for name in dataset.key), strict=True))
    keys = zip(*(table.column(name).to_pylist() for name in dataset.key), strict=True)
    return np.fromiter((key in wanted for key in keys), dtype=bool, count=table.num_rows)


def _new_segment(
    shelf: Shelf, dataset: Dataset, slug: str, span: Span, table: pa.Table, wanted: Filter | None, origin: Origin
) -> Segment:
    folder = folder_of(dataset, slug)
    taken = set(shelf.store.keys(folder))
    names = [f"{folder}/{span.name}.parquet", *(f"{folder}/{span.name}.s{n}.parquet" for n in range(1, len(taken) + 1))]
    key = next(name for name in names if name not in taken)
    return shelf.write(dataset, slug, key, span, table, wanted, Status.SEALED, origin)


def replace_tail(
    shelf: Shelf, dataset: Dataset, slug: str, span: Span, table: pa.Table, wanted: Filter | None, origin: Origin
) -> Segment:
    """Put rows in place of the market's former tail of this dataset."""
    key = f"{folder_of(dataset, slug, sealed=False)}/tail.parquet"
    return shelf.write(
        dataset, slug, key, span, checked(dataset, slug, span, table, wanted), wanted, Status.TAIL, origin
    )


def keep_as_found(shelf: Shelf, slug: str, table: pa.Table, origin: Origin) -> Segment:
    """Keep logs whose completeness nobody declared, as one flagged segment."""
    table = canonical(LOG_DATA, table, f"logs/{slug}")
    if not table.num_rows:
        raise InputError(
            f"logs/{slug}: {origin.source} holds no logs of this market. Check the file and the market's addresses."
        )
    blocks = table.column("block_number")
    span = Span(blocks[0].as_py(), blocks[table.num_rows - 1].as_py() + 1)
    wanted = Filter(dict.fromkeys(table.column("address").unique().to_pylist()))
    for segment in shelf.segments(LOG_DATA, slug, span):
        _agree_as_found(shelf, slug, segment, span, table)
    key = f"{folder_of(LOG_DATA, slug, sealed=False)}/as-found-{table_root(table).hex()[:32]}.parquet"
    return shelf.write(LOG_DATA, slug, key, span, table, wanted, Status.AS_FOUND, origin)


def _agree_as_found(shelf: Shelf, slug: str, segment: Segment, span: Span, table: pa.Table) -> None:
    """Rows at positions that are known already must be equal; where blocks are sealed, no others may come."""
    if segment.status is Status.TAIL:
        return
    held = shelf.table(segment, span)
    here = covered_by(segment, table) if segment.status is Status.SEALED else _keys_in(LOG_DATA, table, held)
    new = table.filter(pa.array(here))
    difference = first_difference(LOG_DATA, held.filter(pa.array(_keys_in(LOG_DATA, held, new))), new)
    if difference:
        raise contradiction(LOG_DATA, slug, segment, difference)


def damaged(shelf: Shelf, segment: Segment) -> str | None:
    """Why a segment's rows are not what was sealed, None where they are."""
    commitment = TableRoot(segment.dataset.schema)
    try:
        for table in shelf.batches(segment):
            commitment.update(table)
    except LakeError as error:
        return str(error)
    root = commitment.root()
    if root == segment.root:
        return None
    return f"{segment.key}: its rows hash to 0x{root.hex()}, sealed was 0x{segment.root.hex()}. {REPAIR}"

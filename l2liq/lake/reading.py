"""Reading a market in total order: segments merged as a stream, one row group of each at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.lake.datasets import Dataset, Span, Status
from l2liq.lake.segments import Segment, Shelf
from l2liq.lake.tables import Mask, passing

Keep = Callable[[pa.Table], Mask]

_RELIABILITY = list(Status)


def stream(
    shelf: Shelf, segments: Sequence[Segment], span: Span | None, columns: Sequence[str] | None, keep: Keep | None
) -> Iterator[pa.Table]:
    """Rows of segments of one dataset, each key once, in order; memory is bounded by the segments that overlap.

    ``columns`` (None = all) must include the key and what ``keep`` and filters look at; ``keep`` says which rows count.
    """
    for group in _overlapping(segments):
        sources = [_rows(shelf, segment, group, span, columns, keep) for segment in group]
        yield from (_merged(group[0].dataset, sources) if len(sources) > 1 else sources[0])


def _overlapping(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Segments in groups that share no block, in order of blocks."""
    group: list[Segment] = []
    stop = 0
    for segment in sorted(segments, key=lambda one: (one.span.start, one.span.stop)):
        if group and segment.span.start >= stop:
            yield sorted(group, key=_trust)
            group = []
        group.append(segment)
        stop = max(stop, segment.span.stop)
    if group:
        yield sorted(group, key=_trust)


def _trust(segment: Segment) -> tuple[int, Span, bytes]:
    return _RELIABILITY.index(segment.status), segment.span, segment.root


def _rows(
    shelf: Shelf,
    segment: Segment,
    group: Sequence[Segment],
    span: Span | None,
    columns: Sequence[str] | None,
    keep: Keep | None,
) -> Iterator[pa.Table]:
    speaks_first = [one for one in group if _trust(one)[0] < _trust(segment)[0] and one.span.intersection(segment.span)]
    for table in shelf.batches(segment, span, columns):
        mask = np.ones(table.num_rows, dtype=bool) if keep is None else keep(table)
        for other in speaks_first:
            mask &= ~covered_by(other, table)
        if not mask.all():
            table = table.filter(pa.array(mask))
        if table.num_rows:
            yield table


def covered_by(segment: Segment, table: pa.Table) -> Mask:
    """Which rows a segment of logs speaks about: its blocks, its filter."""
    if segment.filter is None or not table.num_rows:
        return np.zeros(table.num_rows, dtype=bool)
    blocks = table.column(segment.dataset.block).to_numpy()
    inside = (blocks >= segment.span.start) & (blocks < segment.span.stop)
    return inside & passing(table, segment.filter) if inside.any() else inside


class _Head:
    """What is read of one source and not yet given out."""

    def __init__(self, source: Iterator[pa.Table], block: str) -> None:
        self._source, self._block = source, block
        self.table: pa.Table | None = None
        self.exhausted = False
        self.fill()

    def fill(self) -> None:
        following = next(self._source, None)
        if following is None:
            self.exhausted = True
        else:
            self.table = following if self.table is None else pa.concat_tables([self.table, following])

    @property
    def known_until(self) -> float:
        """Rows of blocks below this are all in ``table``."""
        if self.exhausted:
            return float("inf")
        assert self.table is not None
        return float(self.table.column(self._block)[self.table.num_rows - 1].as_py())

    def take(self, until: float) -> pa.Table | None:
        """Give out the rows of blocks below ``until``."""
        if self.table is None:
            return None
        count = (
            int(self.table.column(self._block).to_numpy().searchsorted(until))
            if until < float("inf")
            else self.table.num_rows
        )
        taken, rest = self.table.slice(0, count), self.table.slice(count)
        self.table = rest if rest.num_rows else None
        if self.table is None and not self.exhausted:
            self.fill()
        return taken


def _merged(dataset: Dataset, sources: Sequence[Iterator[pa.Table]]) -> Iterator[pa.Table]:
    heads = [_Head(source, dataset.block) for source in sources]
    while True:
        until = min(head.known_until for head in heads)
        parts = [part for head in heads if (part := head.take(until)) is not None and part.num_rows]
        if parts:
            yield _in_order(dataset, parts)
        elif until < float("inf"):
            min(heads, key=lambda head: head.known_until).fill()
        if all(head.exhausted and head.table is None for head in heads):
            return


def _in_order(dataset: Dataset, parts: Sequence[pa.Table]) -> pa.Table:
    """Parts as one table ordered by key; of rows with one key the first part's stays."""
    if len(parts) == 1:
        return parts[0]
    part = pa.array(np.repeat(np.arange(len(parts), dtype=np.int32), [one.num_rows for one in parts]))
    table = pa.concat_tables(parts).append_column("_part", part)
    order = [(name, "ascending") for name in (*dataset.key, "_part")]
    table = table.take(pc.sort_indices(table, sort_keys=order)).drop_columns(["_part"])
    same = np.ones(table.num_rows - 1, dtype=bool)
    for name in dataset.key:
        column = table.column(name).combine_chunks()
        same &= pc.equal(column.slice(0, len(column) - 1), column.slice(1)).to_numpy(zero_copy_only=False)
    return table.filter(pa.array(np.concatenate(([True], ~same)))) if same.any() else table

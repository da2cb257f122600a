"""Tables in canonical form: right columns, in order, nothing twice; and how two readings of the same rows compare."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.errors import DuplicateLogError, InputError
from l2liq.events.filter import Filter
from l2liq.lake.datasets import Dataset, Span

Mask = npt.NDArray[np.bool_]


def canonical(dataset: Dataset, table: pa.Table, place: str) -> pa.Table:
    """The table in the dataset's schema, ordered by key, equal rows once.

    Raises
    ------
    InputError
        A column is missing, cannot be cast without loss, or is null where it must not be.
    DuplicateLogError
        Two rows have one key and different content.
    """
    table = _conforming(dataset, table, place).combine_chunks()
    if _rises(dataset, table):
        return table
    table = table.take(
        pc.sort_indices(table, sort_keys=[(name, "ascending") for name in (*dataset.key, *dataset.free)])
    )
    before, after = table.slice(0, table.num_rows - 1), table.slice(1)
    repeated = _equal_rows(before, after, dataset.key)
    if not repeated.any():
        return table
    content = [name for name in table.column_names if name not in dataset.free]
    contradicting = repeated & ~_equal_rows(before, after, content)
    if contradicting.any():
        where = describe(dataset, table, int(np.flatnonzero(contradicting)[0]))
        raise DuplicateLogError(
            f"{place}: two different rows at {where}. Take this range from one source and ingest it again."
        )
    return table.filter(pa.array(np.concatenate(([True], ~repeated)))).combine_chunks()


def _rises(dataset: Dataset, table: pa.Table) -> bool:
    """Whether every row's key is above that of the row before, told where keys are numbers."""
    columns = [table.column(name) for name in dataset.key]
    if not all(pa.types.is_integer(one.type) for one in columns):
        return False
    rises, equal = np.zeros(max(table.num_rows - 1, 0), dtype=bool), np.ones(max(table.num_rows - 1, 0), dtype=bool)
    for column in columns:
        values = column.to_numpy()
        rises |= equal & (values[1:] > values[:-1])
        equal &= values[1:] == values[:-1]
    return bool(rises.all())


def _conforming(dataset: Dataset, table: pa.Table, place: str) -> pa.Table:
    missing = [name for name in dataset.schema.names if name not in table.column_names]
    if missing:
        raise InputError(
            f"{place}: {dataset.name} without {', '.join(missing)}. Give every column of the {dataset.name} schema."
        )
    for name in dataset.schema.names:
        if not dataset.schema.field(name).nullable and table.column(name).null_count:
            raise InputError(f"{place}: {dataset.name}.{name} is empty in some rows. Fill it or leave these rows out.")
    try:
        return table.select(dataset.schema.names).replace_schema_metadata().cast(dataset.schema)
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"{place}: a column of {dataset.name} has another type: {error}. Convert it first.") from error


def first_difference(dataset: Dataset, held: pa.Table, new: pa.Table) -> str | None:
    """Where two canonical tables of the same rows differ, in words; None where they agree.

    Columns that a source may lack agree where either side is null; :attr:`Dataset.free` columns always do.
    """
    rows = min(held.num_rows, new.num_rows)
    content = [name for name in dataset.schema.names if name not in dataset.free]
    agree = _equal_rows(held.slice(0, rows), new.slice(0, rows), content, dataset.may_lack)
    if not agree.all():
        row = int(np.flatnonzero(~agree)[0])
        return f"the rows at {describe(dataset, held, row)} and {describe(dataset, new, row)} differ"
    if held.num_rows != new.num_rows:
        longer, whose = (held, "only in the lake") if held.num_rows > rows else (new, "not in the lake")
        return f"the row at {describe(dataset, longer, rows)} is {whose}"
    return None


def _equal_rows(left: pa.Table, right: pa.Table, names: Collection[str], may_lack: Collection[str] = ()) -> Mask:
    equal = np.ones(left.num_rows, dtype=bool)
    for name in names:
        a, b = left.column(name), right.column(name)
        same = pc.fill_null(pc.equal(a, b), False).to_numpy()
        a_null, b_null = a.is_null().to_numpy(), b.is_null().to_numpy()
        equal &= same | (a_null | b_null if name in may_lack else a_null & b_null)
    return equal


def describe(dataset: Dataset, table: pa.Table, row: int) -> str:
    """A row's key in words."""
    parts = []
    for name in dataset.key:
        value = table.column(name)[row].as_py()
        parts.append(f"{name} {'0x' + value.hex() if isinstance(value, bytes) else value}")
    return ", ".join(parts)


def passing(table: pa.Table, wanted: Filter) -> Mask:
    """Which logs a filter lets through; shape (rows,)."""
    topics = sorted(frozenset().union(*(some for some in wanted.topics.values() if some is not None)))
    # By address and topic 0; last are addresses that the filter does not name, and topics that none of them wants.
    lets_through = np.zeros((len(wanted.topics) + 1, len(topics) + 1), dtype=bool)
    for row, some in enumerate(wanted.topics.values()):
        lets_through[row] = True if some is None else [*(topic in some for topic in topics), False]
    passed: Mask = lets_through[
        _place(table.column("address"), list(wanted.topics)), _place(table.column("topic0"), topics)
    ]
    return passed


def kept(table: pa.Table, mask: Mask) -> pa.Table:
    """The rows of a mask, without copying where they are next to each other."""
    first, count = int(mask.argmax()) if len(mask) else 0, int(mask.sum())
    return table.slice(first, count) if mask[first : first + count].all() else table.filter(pa.array(mask))


def joined(schema: pa.Schema, parts: Iterable[pa.Table]) -> pa.Table:
    """The rows of all parts one after the other, in one piece; copied only where several parts have any."""
    filled = [one for one in parts if one.num_rows]
    return pa.concat_tables(filled or [schema.empty_table()]).combine_chunks()


def _place(column: pa.ChunkedArray, values: Sequence[bytes]) -> npt.NDArray[np.int32]:
    """Where each value stands among ``values``, their number where it does not; shape (rows,)."""
    found = pc.index_in(column, value_set=pa.array(values, column.type))
    return pc.fill_null(found, len(values)).to_numpy()


def one_of(column: pa.ChunkedArray, values: Collection[bytes]) -> Mask:
    """Which values of a fixed-size binary column are among ``values``; shape (rows,)."""
    return pc.is_in(column, value_set=pa.array(list(values), column.type)).to_numpy()


def outside(dataset: Dataset, table: pa.Table, span: Span) -> int:
    """First row that is not in ``span``, -1 where all are."""
    blocks = table.column(dataset.block).to_numpy()
    found = np.flatnonzero((blocks < span.start) | (blocks >= span.stop))
    return int(found[0]) if len(found) else -1

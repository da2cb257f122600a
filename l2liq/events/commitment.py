"""What a table is, in 32 bytes: the RFC 6962 Merkle root over a canonical encoding of its rows (DESIGN §7).

Leaf 0 is the schema; each further leaf is a group of 4,096 rows, the last one what is left. The encoding knows values
only: chunks, dictionaries, large and view layouts, nullability, metadata and the version of pyarrow leave no trace.

A group is its row count (u32), then its columns in order. A column is a byte, 0 for "no nulls" or 1 followed by a bit
per row (least significant first, 1 = present), then the values that are present: fixed width little-endian, booleans
one byte each; strings, bytes and lists their lengths (u32 each), then their content; a struct its fields, as columns.
All numbers are little-endian. NaNs are one NaN. Given the schema this can be read in only one way, so equal roots mean
equal values in equal order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.errors import InputError

GROUP_ROWS = 4_096
"""Rows of one leaf."""

_BLOCK_ROWS = 16 * GROUP_ROWS

Buffer: TypeAlias = bytes | memoryview

_SCALARS = {
    pa.bool_(): "bool",
    pa.int8(): "int8",
    pa.int16(): "int16",
    pa.int32(): "int32",
    pa.int64(): "int64",
    pa.uint8(): "uint8",
    pa.uint16(): "uint16",
    pa.uint32(): "uint32",
    pa.uint64(): "uint64",
    pa.float32(): "float32",
    pa.float64(): "float64",
    pa.date32(): "date",
    pa.binary(): "binary",
    pa.string(): "string",
}


class MerkleTree:
    """Root of a growing list of entries, in memory logarithmic in its length (RFC 6962 §2.1)."""

    def __init__(self) -> None:
        self._peaks: list[tuple[int, bytes]] = []

    def append(self, *entry: Buffer) -> None:
        """Add one entry, given in pieces; it is hashed as a leaf."""
        leaf = hashlib.sha256(b"\x00")
        for piece in entry:
            leaf.update(piece)
        size, node = 1, leaf.digest()
        while self._peaks and self._peaks[-1][0] == size:
            node = _parent(self._peaks.pop()[1], node)
            size *= 2
        self._peaks.append((size, node))

    def root(self) -> bytes:
        """Root of the entries so far (32 bytes)."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        root = self._peaks[-1][1]
        for _, peak in reversed(self._peaks[:-1]):
            root = _parent(peak, root)
        return root


class TableRoot:
    """Root of a table that arrives in batches; :func:`table_root` for one that is there."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = pa.schema([(field.name, _plain_type(field.type, field.name)) for field in schema])
        self._tree = MerkleTree()
        names = (text for field in self._schema for text in (field.name, _type_name(field.type)))
        self._tree.append(*(_sized(text.encode()) for text in names))
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def update(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Add the next rows; their columns must be those of the schema, in any of their layouts."""
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        if table.column_names != self._schema.names:
            raise InputError(f"rows have the columns {table.column_names}, their table {self._schema.names}")
        self._waiting.append(table.cast(self._schema))
        self._rows += table.num_rows
        if self._rows >= _BLOCK_ROWS:
            self._seal(self._rows - self._rows % GROUP_ROWS)

    def root(self) -> bytes:
        """Root of all rows (32 bytes); no rows can follow."""
        self._seal(self._rows)
        return self._tree.root()

    def _seal(self, rows: int) -> None:
        """Turn the first ``rows`` waiting rows into leaves."""
        if not rows:
            return
        waiting = pa.concat_tables(self._waiting)
        for start in range(0, rows, _BLOCK_ROWS):
            block = waiting.slice(start, min(_BLOCK_ROWS, rows - start)).combine_chunks().to_batches()[0]
            for first in range(0, block.num_rows, GROUP_ROWS):
                group = block.slice(first, GROUP_ROWS)
                self._tree.append(_u32([group.num_rows]), *(part for c in group.columns for part in _encoded(c)))
        self._waiting = [waiting.slice(rows)]
        self._rows -= rows


def table_root(table: pa.Table) -> bytes:
    """Root of a table (32 bytes).

    Raises
    ------
    InputError
        A column has a type without a canonical form.
    """
    commitment = TableRoot(table.schema)
    commitment.update(table)
    return commitment.root()


def tree_root(entries: Iterable[bytes]) -> bytes:
    """RFC 6962 Merkle tree hash of the entries, such as the roots of a dataset's cells (32 bytes)."""
    tree = MerkleTree()
    for entry in entries:
        tree.append(entry)
    return tree.root()


def _parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _u32(values: npt.ArrayLike) -> bytes:
    return np.asarray(values, "<u4").tobytes()


def _sized(text: bytes) -> bytes:
    return _u32([len(text)]) + text


def _encoded(column: pa.Array) -> Iterator[Buffer]:
    """Pieces of a column's encoding."""
    yield b"\1" + np.packbits(column.is_valid(), bitorder="little").tobytes() if column.null_count else b"\0"
    yield from _encoded_values(column.drop_null() if column.null_count else column)


def _encoded_values(column: pa.Array) -> Iterator[Buffer]:
    """Pieces of the encoding of values none of which is null."""
    kind = column.type
    if pa.types.is_struct(kind):
        for field in column.flatten():
            yield from _encoded(field)
    elif pa.types.is_list(kind):
        yield _u32(column.value_lengths())
        yield from _encoded(column.flatten())
    elif pa.types.is_binary(kind) or pa.types.is_string(kind):
        yield _u32(pc.binary_length(column))
        yield _content(column)
    elif pa.types.is_boolean(kind):
        yield column.to_numpy(zero_copy_only=False).astype(np.uint8).tobytes()
    elif pa.types.is_floating(kind):
        values = column.to_numpy()
        yield np.where(np.isnan(values), np.nan, values).astype(values.dtype).tobytes()
    else:
        width = kind.bit_width // 8
        yield _slice(column.buffers()[1], column.offset * width, (column.offset + len(column)) * width)


def _content(column: pa.Array) -> Buffer:
    """Bytes of all strings of a column, one after the other."""
    _, offsets, data = column.buffers()
    if not len(column) or data is None:
        return b""
    bounds = np.frombuffer(offsets, np.int32)
    return _slice(data, int(bounds[column.offset]), int(bounds[column.offset + len(column)]))


def _slice(buffer: pa.Buffer | None, start: int, stop: int) -> Buffer:
    return b"" if buffer is None else memoryview(buffer)[start:stop]


def _plain_type(kind: pa.DataType, place: str) -> pa.DataType:
    """The one layout that stands for all layouts of a type."""
    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return _plain_type(kind.value_type, place)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pa.list_(_plain_type(kind.value_type, place))
    if types.is_struct(kind):
        return pa.struct([(field.name, _plain_type(field.type, f"{place}.{field.name}")) for field in kind])
    if kind in _SCALARS or types.is_fixed_size_binary(kind) or types.is_decimal128(kind) or types.is_timestamp(kind):
        return kind
    raise InputError(f"column {place} has type {kind}, for which no canonical encoding is defined")


def _type_name(kind: pa.DataType) -> str:
    """Name of a plain type in the schema leaf; ours, so that no library can change it."""
    if kind in _SCALARS:
        return _SCALARS[kind]
    if pa.types.is_struct(kind):
        return f"struct<{','.join(f'{len(f.name)}:{f.name}:{_type_name(f.type)}' for f in kind)}>"
    if pa.types.is_list(kind):
        return f"list<{_type_name(kind.value_type)}>"
    if pa.types.is_decimal128(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return f"timestamp({kind.unit},{kind.tz or ''})"
    return f"binary({kind.byte_width})"

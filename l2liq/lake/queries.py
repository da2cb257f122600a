"""Queries: one SELECT over the catalog's views, read-only, and its result as a stream."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from l2liq.errors import InputError, LakeError
from l2liq.lake.catalog import create_views, globbed, quoted
from l2liq.lake.interrupting import interrupting
from l2liq.lake.publish import publish

BATCH_ROWS = 10_000
_REPAIR = (
    "What lies in cache/ `l2liq check --market M` makes anew; a folder in runs/ can be deleted and its scenario "
    "run again; a file of logs/ or blocks/ `l2liq ingest` fetches again once it is deleted."
)
_WIDTH_ROWS = 100


@dataclass(frozen=True, slots=True)
class Query:
    """A query that is ready to run, once. Close it by running it to its end or with :meth:`close`."""

    sql: str
    lake: Path
    _connection: duckdb.DuckDBPyConnection = field(repr=False)
    _reader: pa.RecordBatchReader = field(repr=False)

    @property
    def schema(self) -> pa.Schema:
        return self._reader.schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The result, some ten thousand rows at a time. InputError where it fails on the way (a cast, an overflow)."""
        try:
            with naming_errors(self.lake), interrupting(self._connection.interrupt):
                yield from self._reader
        finally:
            self.close()

    def table(self) -> pa.Table:
        """The whole result."""
        return pa.Table.from_batches(list(self.batches()), schema=self.schema)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Rows as people and JSON read them: binary as 0x hex, decimals as text, times in ISO format.

        JSON has no NaN and no infinity: the one becomes null, the others text. An interval has its parts.
        """
        for batch in self.batches():
            yield from zip(*(map(_plain, column.to_pylist()) for column in batch.columns), strict=True)

    def close(self) -> None:
        self._connection.close()


def run(lake: Path, sql: str) -> Query:
    """Run one SELECT.

    The session knows the catalog's views with absolute paths, may open files of the lake only, and cannot be told
    otherwise. Raises InputError for SQL that fails or is anything but one SELECT.
    """
    if not sql.strip():
        raise InputError('The query is empty. Write a SELECT; `l2liq query "SHOW TABLES"` lists what there is.')
    with naming_errors(lake):
        statements = duckdb.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise InputError(
                "Only one SELECT (or FROM, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE) at a time: queries only read."
            )
    connection, left_out = session(lake)
    try:
        with naming_errors(lake, left_out), interrupting(connection.interrupt):
            return Query(sql, lake, connection, connection.sql(sql).to_arrow_reader(BATCH_ROWS))
    except BaseException:
        connection.close()
        raise


def session(lake: Path) -> tuple[duckdb.DuckDBPyConnection, Mapping[str, str]]:
    """A locked-down connection that has the catalog's views and macros; and the views that had to be left out."""
    root = lake.resolve()
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    try:
        left_out = create_views(connection, f"{root}/", lake)
    except LakeError:
        connection.close()
        raise
    connection.execute(f"SET allowed_directories = [{quoted(f'{root}/')}, '{globbed(f'{root}/')}']")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection, left_out


class naming_errors:  # noqa: N801 - reads as a statement
    """Context in which DuckDB's errors become InputError."""

    def __init__(self, lake: Path, left_out: Mapping[str, str] | None = None) -> None:
        self._lake, self._left_out = lake, left_out or {}

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, duckdb.PermissionException):
            raise InputError(
                f"The query reads outside the lake: {_first_line(error)}. Query the lake's views."
            ) from error
        if isinstance(error, duckdb.IOException):
            raise LakeError(f"A file of the lake cannot be read: {self._plain(error)}. {_REPAIR}") from error
        missing = self._missing(error) if isinstance(error, duckdb.CatalogException) else None
        if missing is not None:
            raise LakeError(f"{missing} is not there: {self._left_out[missing]}. {_REPAIR}") from error
        failed_in_stream = isinstance(error, OSError) and error.errno is None
        if isinstance(error, duckdb.Error | pa.ArrowException) or failed_in_stream:
            raise InputError(f"The query fails: {error}") from error

    def _missing(self, error: BaseException) -> str | None:
        """The view that a query asks for and that had to be left out."""
        found = re.search(r"Table with name (\w+) does not exist", str(error))
        return found[1] if found and found[1] in self._left_out else None

    def _plain(self, error: BaseException) -> str:
        return _first_line(error).replace(f"{self._lake.resolve()}/", f"{self._lake}/")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0]


def write_csv(query: Query, out: IO[str]) -> int:
    """Header and rows as CSV; returns the number of rows."""
    writer = csv.writer(out)
    writer.writerow(query.schema.names)
    count = 0
    for row in query.rows():
        writer.writerow([json.dumps(value) if isinstance(value, list | dict) else value for value in row])
        count += 1
    return count


def write_json(query: Query, out: IO[str]) -> int:
    """A JSON array with one object per row and line; returns the number of rows."""
    names = query.schema.names
    count = 0
    out.write("[")
    for count, row in enumerate(query.rows(), 1):
        out.write(
            ("\n" if count == 1 else ",\n")
            + json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, allow_nan=False)
        )
    out.write("\n]\n" if count else "]\n")
    return count


def write_parquet(query: Query, target: Path) -> int:
    """A Parquet file, published whole; returns the number of rows."""
    count = 0

    def write(path: Path) -> None:
        nonlocal count
        with pq.ParquetWriter(path, query.schema, compression="zstd") as writer:
            for batch in query.batches():
                writer.write_batch(batch)
                count += batch.num_rows

    publish(target, write)
    return count


def write_table(query: Query, out: IO[str]) -> int:
    """Aligned columns for a terminal, as wide as the first rows need; returns the number of rows."""
    rows = query.rows()
    first = [tuple(map(_cell, row)) for _, row in zip(range(_WIDTH_ROWS), rows, strict=False)]
    widths = [max(len(text) for text in column) for column in zip(query.schema.names, *first, strict=True)]
    right = [
        pa.types.is_integer(one.type) or pa.types.is_floating(one.type) or pa.types.is_decimal(one.type)
        for one in query.schema
    ]

    def line(cells: tuple[str, ...]) -> str:
        parts = (
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(cells, widths, right, strict=True)
        )
        return "  ".join(parts).rstrip() + "\n"

    out.write(line(tuple(query.schema.names)))
    out.write("  ".join("─" * width for width in widths) + "\n")
    count = 0
    for row in first:
        out.write(line(row))
        count += 1
    for row in rows:
        out.write(line(tuple(map(_cell, row))))
        count += 1
    return count


WRITERS: dict[str, Callable[[Query, IO[str]], int]] = {"table": write_table, "csv": write_csv, "json": write_json}
"""Writers of text by format; Parquet goes to a file through :func:`write_parquet`."""


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, pa.MonthDayNano):
        return {"months": value.months, "days": value.days, "nanoseconds": value.nanoseconds}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _cell(value: Any) -> str:
    """One line of printable text: a symbol may hold anything, escape sequences of terminals included."""
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
    return "".join(character if character.isprintable() else "�" for character in text)

"""``l2liq query``: SQL over the lake."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from pipelines.cli.console import console, safe
from pipelines.cli.options import DEFAULT_LAKE, LakeOption

if TYPE_CHECKING:
    from l2liq.lake.queries import Query

SHOWN = 1_000


class Format(StrEnum):
    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="""Example: `l2liq query "SELECT world, count(*) FROM outcomes GROUP BY ALL"`""")(query)


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT. `SHOW TABLES` lists the views.")],
    form: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="How to print the result; default: by the suffix of FILE, else a table."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write there; Parquet needs it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    lake: LakeOption = DEFAULT_LAKE,
) -> None:
    """Query the lake's views, read-only."""
    from l2liq.errors import InputError
    from l2liq.lake import Lake
    from l2liq.lake.queries import write_parquet

    if out is not None:
        _require_outside(out, lake)
    form = Format.JSON if as_json else form or _by_suffix(out)
    if form is Format.PARQUET and out is None:
        raise InputError("Parquet cannot be printed. Say where to write it: `--out result.parquet`.")
    found = Lake.open(lake).query(sql)
    if form is Format.PARQUET and out is not None:
        count = write_parquet(found, out)
    elif out is None:
        _show(found, None) if form is Format.TABLE else _writer(form)(found, sys.stdout)
        return
    else:
        count = _write_text(found, out, form)
    typer.echo(f"Wrote {count:,} rows to {out}.", err=True)


_SUFFIXES = {".csv": "csv", ".json": "json", ".parquet": "parquet"}


def _by_suffix(out: Path | None) -> Format:
    return Format(_SUFFIXES.get(out.suffix.lower(), "table")) if out is not None else Format.TABLE


def _require_outside(out: Path, lake: Path) -> None:
    """InputError for a target among the lake's own files, which only l2liq writes."""
    from l2liq.errors import InputError

    if out.resolve().is_relative_to(lake.resolve()):
        raise InputError(f"{out}: lies in the lake, whose files never change. Write the result elsewhere.")


def _writer(form: Format) -> Callable[[Query, IO[str]], int]:
    from l2liq.lake.queries import write_csv, write_json

    return write_csv if form is Format.CSV else write_json


def _write_text(found: Query, out: Path, form: Format) -> int:
    """Write a text file whole or not at all; the number of rows."""
    from l2liq.lake.publish import publish

    count = 0

    def write(path: Path) -> None:
        nonlocal count
        with path.open("w", encoding="utf-8", newline="") as file:
            count = _show(found, file) if form is Format.TABLE else _writer(form)(found, file)

    publish(out, write)
    return count


def _show(found: Query, file: IO[str] | None) -> int:
    """A table on the terminal or in a file; the number of rows shown."""
    from rich.table import Table

    rows = list(islice(found.rows(), SHOWN + 1))
    table = Table()
    for name in found.schema.names:
        table.add_column(safe(name), overflow="fold")
    for row in rows[:SHOWN]:
        table.add_row(*("" if value is None else safe(value) for value in row))
    terminal = console(file=file)
    terminal.print(table)
    if len(rows) > SHOWN:
        terminal.print(f"… more than {SHOWN:,} rows. Use --format csv, json or parquet for all of them.")
    return len(rows[:SHOWN])

"""``l2liq query``: SQL over the lake."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    form: Annotated[Format, typer.Option("--format", "-f", help="How to print the result.")] = Format.TABLE,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write there; Parquet needs it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    lake: LakeOption = DEFAULT_LAKE,
) -> None:
    """Query the lake's views, read-only."""
    from l2liq.errors import InputError
    from l2liq.lake import Lake
    from l2liq.lake.queries import write_csv, write_json, write_parquet

    form = Format.JSON if as_json else form
    if form is Format.PARQUET and out is None:
        raise InputError("Parquet cannot be printed. Say where to write it: `--out result.parquet`.")
    found = Lake.open(lake).query(sql)
    if form is Format.PARQUET and out is not None:
        typer.echo(f"Wrote {write_parquet(found, out):,} rows to {out}.", err=True)
    elif form is Format.TABLE:
        _show(found, out)
    else:
        write = write_csv if form is Format.CSV else write_json
        if out is None:
            write(found, sys.stdout)
        else:
            with out.open("w", encoding="utf-8", newline="") as file:
                count = write(found, file)
            typer.echo(f"Wrote {count:,} rows to {out}.", err=True)


def _show(found: Query, out: Path | None) -> None:
    from rich.table import Table

    names = found.schema.names
    rows = list(islice(found.rows(), SHOWN + 1))
    table = Table()
    for name in names:
        table.add_column(safe(name), overflow="fold")
    for row in rows[:SHOWN]:
        table.add_row(*("" if value is None else safe(value) for value in row))
    with out.open("w", encoding="utf-8") if out else nullcontext() as file:
        terminal = console(file=file)
        terminal.print(table)
        if len(rows) > SHOWN:
            terminal.print(f"… more than {SHOWN:,} rows. Use --format csv, json or parquet for all of them.")

"""``l2liq runs``: what was backtested."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from pipelines.cli.console import console, safe
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: `l2liq runs --json`")(runs)


def runs(lake: LakeOption = DEFAULT_LAKE, as_json: JsonOption = False) -> None:
    """List the lake's runs, newest first."""
    from l2liq.lake import Lake
    from pipelines.runs import run_rows

    rows, broken = run_rows(Lake.open(lake))
    for sentence in broken:
        console(stderr=True, soft_wrap=True).print(f"Left out: {safe(sentence)}")
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    if not rows:
        typer.echo("No runs yet. Make one with `l2liq backtest SCENARIO.yaml`.")
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from l2liq.report import words
    from l2liq.report.reading import MARKS

    table = Table("run", "made", "market", "scenario", "accounts", "bad debt", box=SIMPLE_HEAD, pad_edge=False)
    for column in (table.columns[0], *table.columns[4:]):
        column.no_wrap = True
    for row in rows:
        table.add_row(
            row.run_id,
            row.created_at[:16].replace("T", " "),
            safe(row.market),
            safe(row.title) + (" (its data fails the null test)" if row.null_test_fails else ""),
            *(
                words.change(row.effects[metric], unit) + MARKS.get(row.readings.get(metric, ""), "")
                for metric, unit in (("liquidated_accounts", "count"), ("bad_debt_usd", "usd"))
            ),
        )
    console().print(table)
    used = {reading for row in rows for reading in row.readings.values() if reading}
    if used:
        console().print(" ".join(f"{sign} {reading}." for reading, sign in MARKS.items() if reading in used))

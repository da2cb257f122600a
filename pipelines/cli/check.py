"""``l2liq check``: the null test."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from pipelines.cli.console import console, ending, safe
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption, MarketOption

if TYPE_CHECKING:
    from l2liq.protocols.checking import CheckReport

SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: `l2liq check --market aave-v3/arbitrum`")(check)


def check(market: MarketOption, lake: LakeOption = DEFAULT_LAKE, as_json: JsonOption = False) -> None:
    """Rebuild balances, indices and recorded liquidations from the logs; exit 1 where anything differs."""
    from l2liq.lake import Lake
    from pipelines.check import check_market, plain
    from pipelines.cli.progress import shown_progress
    from pipelines.listings import find_listing

    listing = find_listing(market, lake)
    with shown_progress(quiet=as_json) as (told, progress):
        told("checking")
        report, notes = check_market(Lake.open(lake), listing, told=progress)
    with ending(0 if report.exact else 1):
        if as_json:
            typer.echo(json.dumps(plain(report, notes), indent=2))
        else:
            _show(listing.deployment.name, report, notes)


def _show(name: str, report: CheckReport, notes: tuple[str, ...]) -> None:
    from rich.table import Table

    terminal = console(soft_wrap=True)
    table = Table(title=safe(name), title_justify="left")
    for heading in ("", "compared", "equal", "share"):
        table.add_column(heading, justify="left" if not heading else "right")
    counts = [("liquidations", report.recorded, report.reproduced)]
    counts += [(subject, one.compared, one.equal) for subject, one in report.subjects.items()]
    for subject, compared, equal in counts:
        table.add_row(subject, f"{compared:,}", f"{equal:,}", _share(equal, compared))
    terminal.print(table)
    for note in notes:
        terminal.print(f"Note: {safe(note)}.")
    if report.exact:
        terminal.print("Everything is reproduced to the last unit.")
        return
    terminal.print(f"{len(report.divergences):,} differences, the first {min(SHOWN, len(report.divergences))}:")
    for one in report.divergences[:SHOWN]:
        who = " ".join(f"0x{address.hex()}" for address in (one.account, one.token) if address is not None)
        place = f"block {one.block:,} log {one.log_index}"
        terminal.print(f"  {one.kind} {who} {place}: {one.field} should be {safe(one.expected)}, is {safe(one.actual)}")


def _share(equal: int, compared: int) -> str:
    """Per cent, rounded down, so that 100 means all."""
    return "–" if not compared else f"{equal * 10_000 // compared / 100:.2f} %"

"""``l2liq watch``: who is close to liquidation now."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.console import console, safe
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption, MarketOption

if TYPE_CHECKING:
    from pipelines.watch import Watched

SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: `l2liq watch --market aave-v3/arbitrum --within 3% --price WETH=-8%,wstETH=-8%`")(
        watch
    )


def watch(
    market: MarketOption,
    within: Annotated[str, typer.Option(metavar="PERCENT", help="Health factors up to 1 plus this are close.")] = "5%",
    fall: Annotated[
        str, typer.Option(metavar="PERCENT", help="What if each price fell by this, one at a time.")
    ] = "10%",
    price: Annotated[
        list[str] | None,
        typer.Option(metavar="ASSET=MOVE,…", help="What if these moved together, as in WETH=-8%,wstETH=-8%."),
    ] = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Also send it to this broker.")] = None,
    topic: Annotated[str, typer.Option(help="The topic there.")] = "l2liq.watch",
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """List accounts close to liquidation after the lake's last block, and whom a fall of prices would strike."""
    from l2liq.lake import Lake
    from pipelines.cli.progress import shown_progress
    from pipelines.listings import find_listing
    from pipelines.watch import watch_market

    listing = find_listing(market, lake)
    with shown_progress(quiet=as_json) as (told, _):
        told("looking at every account with debt")
        found = watch_market(Lake.open(lake), listing, _share("--within", within), _share("--fall", fall), price or [])
        if kafka is not None:
            from pipelines.watch_topic import produce

            told("sending")
            produce(found, kafka, topic)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        _show(found)


def _share(option: str, text: str) -> Fraction:
    from l2liq.errors import InputError

    try:
        return Fraction(text.removesuffix("%").strip()) / 100
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{option} {text[:20]}: no share. Write percent, as in 5%.") from None


def _show(found: Watched) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from l2liq.report import words

    terminal = console()
    mark = "" if found.final else " (not final yet)"
    terminal.print(
        f"[bold]{safe(found.market)}[/] after block {found.block:,}{mark}, {words.moment(found.timestamp_s)}: "
        f"{found.accounts:,} accounts with debt, {found.liquidatable:,} liquidatable, "
        f"{len(found.close):,} within {words.share(found.within)} of it."
    )
    table = Table("account", "health", "debt", "collateral", box=SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = True
    for one in found.close[:SHOWN]:
        values = (f"{one.health:.4f}", words.usd(one.debt_usd), words.usd(one.collateral_usd))
        table.add_row(f"0x{one.account.hex()}", *values)
    if found.close:
        terminal.print(table)
    if len(found.close) > SHOWN:
        terminal.print(f"… and {len(found.close) - SHOWN:,} more; --json lists all.\n")
    moves = Table("what if", "accounts", "debt", "not covered", box=SIMPLE_HEAD, pad_edge=False)
    for case in found.cases:
        moves.add_row(safe(case.what), f"{len(case.struck):,}", words.usd(case.debt_usd), words.usd(case.bad_debt_usd))
    for column in (*table.columns[1:], *moves.columns[1:]):
        column.justify = "right"
    terminal.print(moves)

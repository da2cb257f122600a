"""``l2liq impact``: who becomes liquidatable the moment a change takes effect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.backtest import OptionalMarket, ScenarioArgument
from pipelines.cli.console import console, safe
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption

if TYPE_CHECKING:
    from rich.console import Console

    from pipelines.impact import Case, Impact

SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: `l2liq impact scenarios/weth-lt-minus-2pp.yaml --price WETH=-10%`")(impact)


def impact(
    scenario: ScenarioArgument,
    market: OptionalMarket = None,
    block: Annotated[
        int | None,
        typer.Option(help="State after this block. Default: when the change takes effect, or the last block."),
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(metavar="ASSET=MOVE", help="Also show a price move, as in WETH=-10%. Repeatable."),
    ] = None,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """List the accounts that become liquidatable at one block through the change, or through a price move."""
    from l2liq.lake import Lake
    from pipelines.cli.progress import shown_progress
    from pipelines.impact import impact_of_file

    warnings: list[str] = []
    with shown_progress(quiet=as_json) as (told, _):
        name, found = impact_of_file(
            Lake.open(lake), scenario, market, block, price or [], told=told, warned=warnings.append
        )
    for warning in warnings:
        console(stderr=True, soft_wrap=True).print(f"[bold]{warning}[/]")
    if as_json:
        typer.echo(json.dumps(_plain(name, found), indent=2))
    else:
        _show(name, found)


def _plain(market: str, found: Impact) -> dict[str, object]:
    return {
        "market": market,
        "block": found.block,
        "timestamp_s": found.timestamp_s,
        "indebted_accounts": found.accounts,
        "already_liquidatable": found.already,
        "cases": [case.as_json() for case in found.cases],
    }


def _show(market: str, found: Impact) -> None:
    from l2liq.report import words

    terminal = console()
    terminal.print(
        f"[bold]{safe(market)}[/] after block {found.block:,}, {words.moment(found.timestamp_s)}: "
        f"{found.accounts:,} accounts with debt, {found.already:,} liquidatable already."
    )
    for case in found.cases:
        terminal.print(f"\n[bold]{safe(case.what)}[/]")
        _show_case(terminal, case)


def _show_case(terminal: Console, case: Case) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from l2liq.report import words

    if not case.struck:
        terminal.print("Nobody becomes liquidatable.")
        return
    number = f"{len(case.struck):,} account{'s become' if len(case.struck) > 1 else ' becomes'}"
    terminal.print(
        f"{number} liquidatable: {words.usd(case.debt_usd)} of debt on {words.usd(case.collateral_usd)} of collateral; "
        f"{words.usd(case.bad_debt_usd)} of it is not covered."
    )
    table = Table("account", "debt", "collateral", "health now", "then", box=SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    for one in case.struck[:SHOWN]:
        values = (
            words.usd(one.debt_usd),
            words.usd(one.collateral_usd),
            f"{one.health_now:.4f}",
            f"{one.health_then:.4f}",
        )
        table.add_row(f"0x{one.account.hex()}", *values)
    terminal.print(table)
    if len(case.struck) > SHOWN:
        terminal.print(f"… and {len(case.struck) - SHOWN:,} more; --json lists all.")

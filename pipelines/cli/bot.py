"""A liquidator on the terminal: what it won and missed in each world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.console import console, safe

if TYPE_CHECKING:
    from pipelines.bot import Bot

LiquidatorOption = Annotated[
    str | None,
    typer.Option(
        "--liquidator",
        metavar="ADDRESS",
        help="What this liquidator won and missed in each world: an address, or a contestant's name.",
    ),
]


def show_bot(bot: Bot) -> None:
    """One table, or one sentence where it appears nowhere."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from l2liq.report import words

    if bot.absence is not None:
        console().print(safe(bot.absence))
        return
    table = Table(
        safe(bot.name or words.short(bot.address)),
        "won",
        "debt repaid",
        "bonus",
        "fees",
        "bids",
        "failed",
        "profit",
        "missed",
        "their bonus",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for share in bot.shares:
        own = share.own
        cells = [
            words.count(own.liquidations),
            words.usd(own.debt_usd),
            words.usd(own.bonus_usd),
            words.usd(own.fees_usd + own.failed_usd),
            words.usd(own.bids_usd),
            words.count(own.failed),
            words.usd(own.profit_usd),
        ]
        missed = [words.count(share.missed), words.usd(share.missed_bonus_usd)]
        table.add_row(share.world.value, *(cells if share.takes_part else [words.ABSENT] * len(cells)), *missed)
    console().print(table)
    if not all(share.takes_part for share in bot.shares):
        console().print("It is no contestant in the model worlds: give a contestant its address, or fit them all.")

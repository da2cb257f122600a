"""``l2liq latency``: how well the latency model predicts recorded liquidations."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.console import console, safe
from pipelines.cli.options import JsonOption

if TYPE_CHECKING:
    from pipelines.latency import Period, Prediction, Validation

_DAYS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: `l2liq latency opportunities.jsonl.gz --fit-until 2023-03-01`")(latency)


def latency(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Liquidations with their oracle updates, .jsonl or .jsonl.gz.")
    ],
    fit_until: Annotated[
        datetime, typer.Option(formats=_DAYS, metavar="DAY", help="Fit on what was before it, compare with the rest.")
    ],
    fit_from: Annotated[
        datetime | None, typer.Option(formats=_DAYS, metavar="DAY", help="First day of the fit. Default: the first.")
    ] = None,
    check_until: Annotated[
        datetime | None, typer.Option(formats=_DAYS, metavar="DAY", help="End of the comparison. Default: the last.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit delays from oracle update to liquidation on one period and tell how far the next one is from that."""
    from pipelines.latency import validation

    found = validation(
        file,
        _second(fit_until),
        fit_from_s=None if fit_from is None else _second(fit_from),
        check_until_s=None if check_until is None else _second(check_until),
    )
    if as_json:
        typer.echo(json.dumps(found.plain(), indent=2))
    else:
        _show(found)


def _second(day: datetime) -> int:
    return int(day.replace(tzinfo=UTC).timestamp())


def _show(found: Validation) -> None:
    from rich.table import Table

    from l2liq.report import words

    terminal = console(soft_wrap=True)
    for one in found.predictions:
        terminal.print(f"\n[bold]{safe(one.protocol)}[/]: {_sentence(one)}")
        table = Table(box=None, padding=(0, 2))
        for heading in ("share liquidated within", "predicted", "recorded"):
            table.add_column(heading, justify="left" if heading.startswith("share") else "right")
        for blocks in (0, 1, 2, 5, 10, 20, 50, one.horizon):
            table.add_row(f"{blocks} blocks", words.share(one.fit.within(blocks)), words.share(one.came.within(blocks)))
        terminal.print(table)
    terminal.print()
    for name, short in found.short.items():
        terminal.print(
            f"{safe(name)}: {short.short:,} of {short.known:,} recorded liquidations ({_share(short.share)}) were "
            f"of accounts that were short when the block began; of {short.liquidations - short.known:,} nobody knows."
        )


def _sentence(one: Prediction) -> str:
    from l2liq.report import words

    usual = (
        "a half of it has no liquidation to compare with"
        if one.usual is None
        else f"its own halves differ by {words.factor(one.usual.kolmogorov_smirnov)} and "
        f"{words.factor(one.usual.wasserstein_1)} blocks"
    )
    verdict = "predicts no worse than that" if one.holds else "predicts worse than that: liquidators have changed"
    return (
        f"fitted on {_words(one.fitted)}, compared with {_words(one.checked)}. Kolmogorov–Smirnov distance "
        f"{words.factor(one.error.kolmogorov_smirnov)}, Wasserstein-1 distance "
        f"{words.factor(one.error.wasserstein_1)} blocks on 0 to {one.horizon}; {usual}. The fit {verdict}."
    )


def _words(one: Period) -> str:
    late = len(one.waits) - sum(one.observed)
    return (
        f"{len(one.waits):,} of {one.liquidations:,} liquidations ({one.same_block:,} in the block in which the "
        f"account fell short, {late:,} later than anybody looked)"
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.2f} %"

"""``l2liq backtest``: the main job."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.bot import LiquidatorOption, show_bot
from pipelines.cli.console import console, safe
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption

if TYPE_CHECKING:
    from rich.table import Table

    from l2liq.report.bundle import Comparison
    from pipelines.backtest import Backtested

ScenarioArgument = Annotated[Path, typer.Argument(metavar="SCENARIO.yaml", help="A scenario file.")]
OptionalMarket = Annotated[
    str | None,
    typer.Option("--market", "-m", metavar="M", help="A registry name or market YAML; overrides the scenario's."),
]

WIDE_COLUMNS = 100

_SHOWN = ("liquidated_accounts", "debt_repaid_usd", "user_loss_usd", "bad_debt_usd", "waiting_median_s")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: `l2liq backtest scenarios/weth-lt-minus-2pp.yaml --market aave-v3/arbitrum`")(backtest)


def backtest(
    scenario: ScenarioArgument,
    market: OptionalMarket = None,
    liquidator: LiquidatorOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Replay a market as it was, as the model sees it, and as the scenario changes it; write a report.

    A run that exists already is shown, not repeated. A scenario with a sweep makes one run per combination.
    """
    from l2liq.lake import Lake
    from pipelines import backtest as job
    from pipelines.bot import bot_of, checked
    from pipelines.cli.progress import shown_progress

    wanted = None if liquidator is None else checked(liquidator)
    with shown_progress(quiet=as_json) as (told, progress):
        found = job.backtest(Lake.open(lake), scenario, market, told=told, progress=progress)
    if as_json:
        shapes = [as_plain(one) for one in found]
        if wanted is not None:
            for shape, one in zip(shapes, found, strict=True):
                shape["liquidator"] = bot_of(one.run, wanted).as_plain()
        typer.echo(json.dumps(shapes[0] if len(shapes) == 1 else {"runs": shapes}, indent=2))
        return
    for one in found:
        _show(one)
        if wanted is not None:
            show_bot(bot_of(one.run, wanted))
    if len(found) > 1:
        _show_sweep(found)


def as_plain(one: Backtested) -> dict[str, Any]:
    """A run as a program reads it: the names are those of the metrics table."""
    effects = one.run.manifest["effects"]
    worlds = ("actual", "control", "alternative")
    return {
        "run_id": one.run.run_id,
        "metrics": {world: {effect["metric"]: effect[world] for effect in effects} for world in worlds},
        "report": str(one.run.report),
        "title": one.run.manifest["title"],
        "reused": one.reused,
        "effects": {effect["metric"]: effect for effect in effects},
    }


def _show(one: Backtested) -> None:
    from l2liq.report import words
    from l2liq.report.headline import cautions
    from l2liq.report.reading import legend, seen_first
    from pipelines.bundle import comparisons, manifest_of

    manifest = manifest_of(one.run)
    rows = comparisons(manifest)
    terminal = console()
    terminal.print(f"[bold]{safe(manifest.title)}[/] on {safe(manifest.market)}")
    for line in manifest.changes or ["No change: the alternative has the parameters that the market had."]:
        terminal.print(f"  {safe(line)}")
    first = seen_first(rows, _SHOWN)
    shown = [row for row in rows if row.metric in first]
    terminal.print(_table(shown, wide=terminal.width >= WIDE_COLUMNS))
    skipped = words.share(manifest.validity["skipped_value_share"])
    terminal.print(f"{legend(shown)} {skipped} of the alternative's value rests on skipped actions.".lstrip())
    terminal.print(f"Account by account the model errs by {_gross(rows)}.")
    tested = None if manifest.null_test is None else manifest.null_test.model_dump()
    for caution in cautions(rows, manifest.validity, tested):
        terminal.print(f"[bold]{safe(caution)}[/]")
    done = "exists already, not repeated" if one.reused else f"made in {sum(manifest.seconds.values()):.1f} s"
    terminal.print(f"Run [bold]{one.run.run_id}[/] {done}. Report: {safe(one.run.report)}", soft_wrap=True)


def _gross(rows: Sequence[Comparison]) -> str:
    """What the model gets wrong where mistakes on different accounts do not cancel."""
    from l2liq.report import words

    gross = {row.metric: row.gross_error for row in rows}
    repaid, bad = (words.usd(gross.get(metric)) for metric in ("debt_repaid_usd", "bad_debt_usd"))
    return f"{repaid} of debt repaid and {bad} of bad debt"


def _table(rows: Sequence[Comparison], *, wide: bool) -> Table:
    """Metrics in the three worlds; the intervals only where the terminal is wide enough for them."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from l2liq.report import words
    from l2liq.report.reading import marked_change

    interval = ["95 % interval"] if wide else []
    table = Table("", "actual", "control", "alternative", "effect", *interval, box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        column.justify, column.no_wrap = "left" if column is table.columns[0] else "right", True
    for row in rows:
        values = [words.number(value, row.unit) for value in (row.actual, row.control, row.alternative)]
        ends = [words.change(end, row.unit) for end in (row.low, row.high) if end is not None]
        table.add_row(row.label, *values, marked_change(row), *([" to ".join(ends)] if wide else []))
    return table


def _show_sweep(found: list[Backtested]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from l2liq.report.reading import legend, marked_change
    from pipelines.bundle import comparisons, manifest_of

    table = Table("the sweep", "run", "accounts", "bad debt", box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    shown = []
    for one in found:
        manifest = manifest_of(one.run)
        rows = {row.metric: row for row in comparisons(manifest)}
        pair = [rows[metric] for metric in ("liquidated_accounts", "bad_debt_usd")]
        table.add_row(safe(manifest.title), one.run.run_id, *(marked_change(row) for row in pair))
        shown += pair
    console().print(table)
    if legend(shown):
        console().print(legend(shown))

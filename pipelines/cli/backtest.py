"""``l2liq backtest``: the main job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.console import console, safe
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption

if TYPE_CHECKING:
    from rich.table import Table

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
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Replay a market as it was, as the model sees it, and as the scenario changes it; write a report.

    A run that exists already is shown, not repeated. A scenario with a sweep makes one run per combination.
    """
    from l2liq.lake import Lake
    from pipelines import backtest as job
    from pipelines.cli.progress import shown_progress

    with shown_progress(quiet=as_json) as (told, progress):
        found = job.backtest(Lake.open(lake), scenario, market, told=told, progress=progress)
    if as_json:
        shapes = [as_plain(one) for one in found]
        typer.echo(json.dumps(shapes[0] if len(shapes) == 1 else {"runs": shapes}, indent=2))
        return
    for one in found:
        _show(one)
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

    manifest = one.run.manifest
    terminal = console()
    terminal.print(f"[bold]{safe(manifest['title'])}[/] on {safe(manifest['market'])}")
    for line in manifest["changes"]:
        terminal.print(f"  {safe(line)}")
    terminal.print(_table(manifest["effects"], wide=terminal.width >= WIDE_COLUMNS))
    skipped = manifest["validity"]["skipped_value_share"]
    terminal.print(f"* within model error. {words.share(skipped)} of the alternative's value rests on skipped actions.")
    terminal.print(f"Account by account the model errs by {_gross(manifest['effects'])}.")
    seconds = sum(manifest["seconds"].values())
    done = "exists already, not repeated" if one.reused else f"made in {seconds:.1f} s"
    terminal.print(f"Run [bold]{one.run.run_id}[/] {done}. Report: {safe(one.run.report)}", soft_wrap=True)


def _gross(effects: list[dict[str, Any]]) -> str:
    """What the model gets wrong where mistakes on different accounts do not cancel."""
    from l2liq.report import words

    gross = {effect["metric"]: effect["gross_error"] for effect in effects}
    repaid, bad = (words.usd(gross[metric]) for metric in ("debt_repaid_usd", "bad_debt_usd"))
    return f"{repaid} of debt repaid and {bad} of bad debt"


def _table(effects: list[dict[str, Any]], *, wide: bool) -> Table:
    """The headline metrics in the three worlds; the intervals only where the terminal is wide enough for them."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from l2liq.metrics.catalogue import METRIC
    from l2liq.report import words

    interval = ["95 % interval"] if wide else []
    table = Table("", "actual", "control", "alternative", "effect", *interval, box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        column.justify, column.no_wrap = "left" if column is table.columns[0] else "right", True
    for effect in effects:
        if effect["metric"] not in _SHOWN:
            continue
        metric = METRIC[effect["metric"]]
        values = [words.number(effect[world], metric.unit) for world in ("actual", "control", "alternative")]
        ends = [words.change(effect[end], metric.unit) for end in ("low", "high") if effect[end] is not None]
        mark = "*" if effect["within_error"] and effect["effect"] else ""
        change = words.change(effect["effect"], metric.unit) + mark
        table.add_row(metric.label, *values, change, *([" to ".join(ends)] if wide else []))
    return table


def _show_sweep(found: list[Backtested]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from l2liq.report import words

    table = Table("the sweep", "run", "accounts", "bad debt", box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for one in found:
        effects = {effect["metric"]: effect["effect"] for effect in one.run.manifest["effects"]}
        accounts, debt = (effects.get(metric) for metric in ("liquidated_accounts", "bad_debt_usd"))
        title = safe(one.run.manifest["title"])
        table.add_row(title, one.run.run_id, words.change(accounts, "count"), words.change(debt, "usd"))
    console().print(table)

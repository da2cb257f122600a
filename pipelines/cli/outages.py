"""``l2liq outages``: when a sequencer stood still, as its block times show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.console import console
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: `l2liq outages blocks.csv.gz --at-least 30m`")(outages)


def outages(
    blocks: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Blocks with number and timestamp: CSV or Parquet.")
    ] = None,
    market: Annotated[str | None, typer.Option(help="Instead of a file: a market of the lake.")] = None,
    at_least: Annotated[str, typer.Option(metavar="DURATION", help="Shorter ones do not count.")] = "30m",
    slowdown: Annotated[float, typer.Option(min=1.5, help="Blocks so many times slower than usual are slow.")] = 4.0,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Find outages of a sequencer in block times, as lines that a scenario takes. A chain without work also rests."""
    from l2liq.errors import InputError
    from l2liq.lake import Lake
    from l2liq.report import words
    from l2liq.scenario.quantities import parse_duration_s, written_time
    from pipelines.listings import find_listing
    from pipelines.outages import outages_of_file, outages_of_lake

    try:
        at_least_s = parse_duration_s(at_least)
    except ValueError as error:
        raise InputError(f"--at-least: {error}") from None
    if (blocks is None) == (market is None):
        raise InputError("Name either a file of blocks or, with --market, a market of the lake.")
    if blocks is not None:
        found = outages_of_file(blocks, at_least_s, slowdown)
    else:
        slug = find_listing(str(market), lake).deployment.slug
        found = outages_of_lake(Lake.open(lake), slug, at_least_s, slowdown)
    if as_json:
        typer.echo(json.dumps([{"from_s": one.from_s, "to_s": one.to_s} for one in found], indent=2))
        return
    terminal = console(soft_wrap=True)
    for one in found:
        begin, end = (written_time(second).removesuffix("Z") for second in (one.from_s, one.to_s))
        terminal.print(f"- {{from: {begin}, to: {end}}}  # {words.duration(one.duration_s)}", highlight=False)
    if not found:
        terminal.print(f"Nowhere did blocks take {slowdown:g} times as long as usual for {at_least} or more.")

"""``l2liq nightly``: what Airflow does every night, without Airflow."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.options import JsonOption

if TYPE_CHECKING:
    from pipelines.nightly.jobs import Night

NightlyArgument = Annotated[Path, typer.Argument(metavar="NIGHTLY.yaml", help="Markets, scenarios, alerts.")]
OptionalLake = Annotated[
    Path | None, typer.Option("--lake", envvar="L2LIQ_LAKE", metavar="DIR", help="Goes before the file's own lake.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: `l2liq nightly nightly.yaml --from 2026-03-09 --to 2026-03-11`")(nightly)


def nightly(
    config: NightlyArgument,
    market: Annotated[list[str] | None, typer.Option("--market", "-m", help="Only this market. Repeatable.")] = None,
    night: Annotated[
        str | None, typer.Option(metavar="DATE", help="The complete UTC day that the windows end with.")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="Backfill: the first night.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Backfill: the last night.")] = None,
    fetch: Annotated[bool, typer.Option("--fetch/--no-fetch", help="Ask the nodes for new logs first.")] = True,
    lake: OptionalLake = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch every market, run the scenarios whose windows are covered, compare, raise alerts, publish.

    Runs that exist on the same data are not repeated. A market that fails does not stop the others; exit code 1 tells
    of alerts, 3 of a market that could not be fetched or run.
    """
    from l2liq.errors import InputError
    from pipelines.cli.progress import shown_progress
    from pipelines.nightly.config import load_nightly
    from pipelines.nightly.days import parse_day
    from pipelines.nightly.jobs import nights_between, run_nights

    if night is not None and (first is not None or last is not None):
        raise InputError("--night is one night, --from and --to are several. Give one or the other.")
    if (first is None) != (last is None):
        raise InputError("--from and --to belong together.")
    nights: list[date | None] = [None if night is None else parse_day(night)]
    if first is not None and last is not None:
        nights = list(nights_between(parse_day(first), parse_day(last)))
    loaded = load_nightly(config, lake)
    with shown_progress(quiet=as_json) as (told, progress):
        found = run_nights(loaded, nights, markets=market, fetch=fetch, told=told, progress=progress)
    _say(found, as_json)
    if found.problems:
        raise typer.Exit(3)
    if found.published.alerts:
        raise typer.Exit(1)


def _say(found: Night, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
        return
    for line in found.sentences():
        typer.echo(line)

"""``l2liq verify``: whether a run is what it says."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from pipelines.cli.backtest import OptionalMarket
from pipelines.cli.console import ending
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: `l2liq verify latest`")(verify)


def verify(
    run: Annotated[str, typer.Argument(help="A run's id, a unique beginning of it, or `latest`.")] = "latest",
    market: OptionalMarket = None,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Hash a run's tables and data again, run its scenario again, and compare. Exit code 1 if anything differs."""
    from l2liq.lake import Lake
    from pipelines import verify as job
    from pipelines.cli.progress import shown_progress

    with shown_progress(quiet=as_json) as (told, progress):
        told(f"verifying {run}")
        found = job.verify(Lake.open(lake), run, market, progress)
    good = found.repeated and not found.problems
    with ending(0 if good else 1):
        if as_json:
            typer.echo(json.dumps(asdict(found) | {"verified": good}, indent=2))
        else:
            for problem in found.problems:
                typer.echo(problem)
            if not found.comparable:
                typer.echo(
                    f"Run {found.run_id} was made by other code: not comparable. Run its scenario again with this one."
                )
            elif good:
                typer.echo(
                    f"Run {found.run_id}: tables and data have the recorded roots, and running it again gives the same."
                )

"""``l2liq demo``: the main job from logs to report on the bundled sample, each step the command a user would type."""

from __future__ import annotations

import shutil
import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import DEFAULT_LAKE, LakeOption

SAMPLE = "sample"
"""Folder beside the lake that the bundled sample is copied to, so that its scenarios can be read and changed."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: `l2liq demo --no-open`")(demo)


def demo(
    lake: LakeOption = DEFAULT_LAKE,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open the report in the browser.")] = True,
) -> None:
    """Run the main job on the bundled sample: ingest, check, backtest, report. Run it again any time."""
    sample = _unpack(_beside(lake) / SAMPLE)
    market, scenario = sample / "market.yaml", sample / "scenarios" / "eth-collateral-tighter.yaml"
    first, stop = _blocks(sample)
    logs, blocks = sample / "logs.parquet", sample / "blocks.parquet"
    _step("ingest", logs, "--blocks", blocks, "--market", market, "--complete", f"{first}:{stop}", lake=lake)
    _step("check", "--market", market, lake=lake)
    _step("backtest", scenario, lake=lake)
    _step("report", *(["--open"] if show and sys.stdout.isatty() else []), lake=lake)
    typer.echo(f"\nNext: change {_near(scenario)} and run `l2liq backtest {_near(scenario)}`,")
    typer.echo('or look at the numbers behind it: `l2liq query "SELECT * FROM outcomes LIMIT 5"`.')


def _beside(lake: Path) -> Path:
    """The folder that a lake on this machine lies in; the working directory for a lake elsewhere."""
    from l2liq.lake.location import storage_at

    return Path.cwd() if storage_at(lake).folder != lake else lake.absolute().parent


def _step(command: str, *arguments: object, lake: Path) -> None:
    """Say the command, and run it as if it had been typed."""
    from pipelines.cli.main import app

    words = [command, *(str(argument) for argument in arguments)]
    shown = " ".join(_near(word) if isinstance(word, Path) else str(word) for word in (command, *arguments))
    typer.secho(f"\n$ l2liq {shown}", bold=True)
    outcome = app([*words, "--lake", str(lake)], standalone_mode=False)
    if outcome:
        raise typer.Exit(outcome)


def _unpack(target: Path) -> Path:
    """Copy the sample out of the package; files that are there already are kept, so that changes survive."""
    source = files("pipelines.sample")
    for relative in ("logs.parquet", "blocks.parquet", "market.yaml"):
        _copy(source / relative, target / relative)
    for scenario in (source / "scenarios").iterdir():
        _copy(scenario, target / "scenarios" / scenario.name)
    return target


def _copy(source: object, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as reading, target.open("wb") as writing:  # type: ignore[attr-defined]
            shutil.copyfileobj(reading, writing)


def _blocks(sample: Path) -> tuple[int, int]:
    """Blocks of the sample, the second one excluded."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    ends = pc.min_max(pq.read_table(sample / "blocks.parquet", columns=["number"])["number"]).as_py()
    return ends["min"], ends["max"] + 1


def _near(path: Path) -> str:
    """A path as it is shortest from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

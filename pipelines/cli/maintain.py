"""``l2liq maintain`` and ``l2liq pin``: verification, retention, catalog, and what retention leaves alone."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: `l2liq maintain --keep 90 --dry-run`")(maintain)
    app.command(epilog="Example: `l2liq pin latest --reason 'vote of March'`")(pin)


def maintain(
    keep: Annotated[int, typer.Option(min=1, metavar="NIGHTS", help="Nights per series whose runs stay.")] = 90,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted; delete nothing.")] = False,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Re-hash everything sealed, delete nightly runs that nobody needs, build the catalog anew.

    Nothing is deleted where something is damaged; exit code 1 tells of that. Pinned runs and runs that a person made
    stay.
    """
    from l2liq.lake import Lake
    from pipelines import maintain as job
    from pipelines.cli.progress import shown_progress
    from pipelines.report import write_index

    opened = Lake.open(lake)
    with shown_progress(quiet=as_json) as (told, _):
        told("hashing")
        job.verify_lake(opened)
        told("retention")
        found = job.retain(opened, keep, dry=dry_run)
        if not dry_run:
            job.rebuild(opened)
            write_index(opened)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return
    verb = "would be deleted" if dry_run else "deleted"
    typer.echo(f"Everything has the root it was sealed with. {len(found.deleted):,} run(s) {verb}.")
    for run_id in found.pinned:
        typer.echo(f"{run_id}: pinned, kept.")


def pin(
    run: Annotated[str, typer.Argument(help="A run's id, a unique beginning of it, or `latest`.")],
    reason: Annotated[str, typer.Option(help="Why it has to stay.")] = "pinned by hand",
    undo: Annotated[bool, typer.Option("--undo", help="Let retention have it again.")] = False,
    lake: LakeOption = DEFAULT_LAKE,
) -> None:
    """Keep a run whatever its age."""
    from l2liq.lake import Lake

    opened = Lake.open(lake)
    found = opened.read_run(run)
    opened.nights().pin(found.run_id, None if undo else reason)
    typer.echo(f"Run {found.run_id} is {'no longer pinned' if undo else f'pinned: {reason}'}.")

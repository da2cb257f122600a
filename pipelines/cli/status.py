"""``l2liq status``: what the lake holds."""

from __future__ import annotations

import json

import typer

from pipelines.cli.console import ending
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(lake: LakeOption = DEFAULT_LAKE, as_json: JsonOption = False) -> None:
    """Coverage, tail, quarantine, disk use, the last run and alerts. Exit code 1 where something cannot be read."""
    from l2liq.lake import Lake
    from pipelines import status as described
    from pipelines.nightly.rows import alert_words

    opened = Lake.open(lake)
    found, alerts = opened.status(), alert_words(opened)
    with ending(0 if found.sound else 1):
        typer.echo(
            json.dumps(described.as_json(found, alerts)) if as_json else "\n".join(described.sentences(found, alerts))
        )

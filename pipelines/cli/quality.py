"""``l2liq quality``: whether data is plausible."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.console import console, safe
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption

if TYPE_CHECKING:
    from pipelines.quality.gate import Verdict


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: `l2liq quality --market aave-v3/arbitrum --open`")(quality)


def quality(
    market: Annotated[
        str | None, typer.Option("--market", "-m", metavar="M", help="A market's name or YAML file.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the pages in the browser.")] = False,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Judge a market's data with Great Expectations, and write pages about it.

    Exit code 1 where a critical expectation is not met: nightly runs publish nothing then. 3 where a critical check
    itself failed, which says nothing about the data.
    """
    from l2liq.errors import InputError
    from l2liq.lake import Lake
    from pipelines.cli.progress import shown_progress
    from pipelines.listings import find_listing
    from pipelines.scenarios import only_market

    opened = Lake.open(lake)
    listing = find_listing(market or only_market(opened), opened)
    try:
        from pipelines.quality.gate import judge
        from pipelines.quality.jury import Cause
    except ImportError as error:
        raise InputError(f"Judging data needs the extra `quality` ({error}). Install `l2liq[quality]`.") from None
    with shown_progress(quiet=as_json) as (told, _):
        verdict = judge(opened, listing, told=told)
    typer.echo(json.dumps(_plain(verdict), indent=2)) if as_json else _show(verdict)
    if show and verdict.pages is not None:
        import webbrowser

        webbrowser.open(verdict.pages.absolute().as_uri())
    if verdict.blocking:
        raise typer.Exit(1 if any(one.cause is Cause.DATA for one in verdict.blocking) else 3)


def _plain(verdict: Verdict) -> dict[str, object]:
    return {
        "market": verdict.market,
        "segments": verdict.segments,
        "known_segments": verdict.known,
        "findings": [asdict(one) for one in verdict.findings],
        "notes": list(verdict.notes),
        "pages": str(verdict.pages),
        "publishable": not verdict.blocking,
    }


def _show(verdict: Verdict) -> None:
    terminal = console(soft_wrap=True)
    colours = {"critical": "bold red", "warning": "yellow", "info": "dim"}
    for one in sorted(verdict.findings, key=lambda finding: list(colours).index(finding.severity)):
        terminal.print(f"[{colours[one.severity]}]{one.severity}[/] {safe(one.sentence())}")
    for note in verdict.notes:
        terminal.print(f"Note: {safe(note)}")
    before = f"; {verdict.known:,} were judged before" if verdict.known else ""
    terminal.print(
        f"{safe(verdict.market)}: {verdict.segments:,} segments judged{before}. Pages: {safe(verdict.pages)}"
    )
    if verdict.blocking:
        terminal.print(f"{len(verdict.blocking):,} critical: nightly runs publish nothing of this market.")
    else:
        terminal.print("Nothing critical.")

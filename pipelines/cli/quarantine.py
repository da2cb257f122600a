"""``l2liq quarantine``: what was refused, and what a person decides about it."""

from __future__ import annotations

import getpass
import json
import socket
from typing import TYPE_CHECKING, Annotated, Any

import typer

from l2liq.errors import InputError
from pipelines.cli.console import console, safe
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption

if TYPE_CHECKING:
    from l2liq.lake import Lake
    from l2liq.lake.quarantining import Decision, Quarantined

SHOWN_ROWS = 20

_HELP = """What was refused, with the reason, until a person decides.

Released rows are offered to the next ingest of their blocks, in place of what the source says there; segments go back
where they were; of bytes it is noted that they were dealt with. What is discarded is deleted. The decision stays, with
who, when and why.
"""

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of a refusal, or a unique beginning of it.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why, for whoever reads this later.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True)
    group.command("list", epilog="Example: `l2liq quarantine list --all`")(listed)
    group.command(epilog="Example: `l2liq quarantine show 20261126`")(show)
    group.command(epilog="Example: `l2liq quarantine release 20261126 --reason 'compared with the explorer'`")(release)
    group.command(epilog="Example: `l2liq quarantine discard 20261126 --reason 'wrong file'`")(discard)
    app.add_typer(group, name="quarantine")


def listed(
    everything: Annotated[bool, typer.Option("--all", help="What was decided, too.")] = False,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """What lies in quarantine, oldest first."""
    from l2liq.lake import Lake

    opened = Lake.open(lake)
    found = opened.quarantine_history() if everything else opened.quarantined()
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found], indent=2))
        return
    for one in found:
        kind = f"{one.kind}  {_line(one.error)}" if one.error else one.kind
        typer.echo(f"{one.id}  {one.at:%Y-%m-%d %H:%M} UTC  {kind}  {_line(one.place)}: {_line(one.reason)}")
        if one.decision is not None:
            typer.echo(f"    {_decided(one.decision)}")
    if not found:
        typer.echo("Nothing is in quarantine.")


def show(name: Id, lake: LakeOption = DEFAULT_LAKE, as_json: JsonOption = False) -> None:
    """One refusal: where it came from, why, and what it holds."""
    from l2liq.lake import Lake

    opened = Lake.open(lake)
    one = opened.find_quarantined(name)
    if as_json:
        typer.echo(json.dumps(_plain(one), indent=2))
        return
    told = {
        "id": one.id,
        "since": f"{one.at:%Y-%m-%d %H:%M:%S} UTC",
        "from": one.place,
        "error": one.error or "none",
        "reason": one.reason,
        "folder": str(one.path),
        "files": ", ".join(one.files) or "none",
    }
    for heading, text in told.items():
        typer.echo(f"{heading:>8}  {_line(text)}")
    if one.decision is not None:
        typer.echo(f"{'decided':>8}  {_decided(one.decision)}")
    if one.kind == "rows":
        _show_rows(opened, one)


def release(name: Id, reason: Reason, lake: LakeOption = DEFAULT_LAKE, as_json: JsonOption = False) -> None:
    """Let a refusal go: rows are offered to the next ingest of their blocks, segments go back."""
    _decide(name, reason, lake, as_json, discarding=False)


def discard(name: Id, reason: Reason, lake: LakeOption = DEFAULT_LAKE, as_json: JsonOption = False) -> None:
    """Delete what was refused; that it was, and why, stays on record."""
    _decide(name, reason, lake, as_json, discarding=True)


def _decide(name: str, reason: str, lake: Any, as_json: bool, *, discarding: bool) -> None:
    from l2liq.lake import Lake

    if not reason.strip():
        raise InputError("--reason is empty. Say why, for whoever reads this later.")
    opened = Lake.open(lake)
    one = opened.find_quarantined(name)
    act = opened.discard if discarding else opened.release
    decision = act(one, who=_who(), reason=reason.strip())
    if as_json:
        typer.echo(json.dumps(_plain(opened.find_quarantined(one.id)), indent=2))
        return
    typer.echo(f"{one.id}: {_decided(decision)}")
    if not discarding:
        typer.echo(_NEXT[one.kind])


_NEXT = {
    "rows": "Next: ingest these blocks again; the logs are offered to them as they lie here.",
    "segments": "The segments are back. Next: `l2liq check` tells whether they fit.",
    "bytes": "Noted. Nothing else changes: the blocks it spoke of come with the next ingest.",
}


def _show_rows(opened: Lake, one: Quarantined) -> None:
    if not one.files:
        return
    from rich.table import Table

    rows = opened.quarantined_rows(one)
    names = [name for name in ("block_number", "log_index", "address", "topic0", "data") if name in rows.column_names]
    table = Table(*names)
    for row in rows.select(names).slice(0, SHOWN_ROWS).to_pylist():
        table.add_row(*(safe(_cell(row[name])) for name in names))
    terminal = console()
    terminal.print(table)
    if rows.num_rows > SHOWN_ROWS:
        terminal.print(f"… {rows.num_rows - SHOWN_ROWS:,} more rows.")


def _cell(value: Any) -> str:
    text = "0x" + value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= 66 else f"{text[:64]}…"


def _plain(one: Quarantined) -> dict[str, Any]:
    decision = one.decision
    return {
        "id": one.id,
        "kind": one.kind,
        "at": one.at.isoformat(),
        "place": one.place,
        "error": one.error,
        "reason": one.reason,
        "files": list(one.files),
        "decision": None
        if decision is None
        else {
            "verdict": decision.verdict,
            "who": decision.who,
            "at": decision.at.isoformat(),
            "reason": decision.reason,
        },
    }


def _decided(decision: Decision) -> str:
    return f"{decision.verdict} by {decision.who}, {decision.at:%Y-%m-%d %H:%M} UTC: {_line(decision.reason)}"


def _line(text: str) -> str:
    """One printable line: reasons quote files and nodes, which may hold anything."""
    return "".join(character if character.isprintable() else "�" for character in text)


def _who() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):
        return f"somebody@{socket.gethostname()}"

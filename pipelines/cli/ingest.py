"""``l2liq ingest``: logs of a market, from a node or from files, into the lake."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from l2liq.errors import InputError
from pipelines.cli.console import console
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption, MarketOption

if TYPE_CHECKING:
    from l2liq.chains.markets import Listing
    from l2liq.lake import Span
    from pipelines.ingest.node_job import Wish
    from pipelines.ingest.outcome import Outcome
    from pipelines.sources.jsonrpc import Manners

_EXAMPLES = """Examples:

l2liq ingest https://node.example/KEY --market aave-v3/arbitrum

l2liq ingest logs/*.parquet --market aave-v3/base --complete 2357105:3000000 --blocks blocks.parquet

l2liq ingest https://node.example/KEY --market mine.yaml --dry-run"""

_NODE = "With a node"
_FILES = "With files"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=_EXAMPLES)(ingest)


def ingest(
    market: MarketOption,
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE...", show_default=False, help="One http(s) RPC address, or files of logs."),
    ] = None,
    lake: LakeOption = DEFAULT_LAKE,
    from_block: Annotated[int | None, typer.Option(min=0, help="First block; default: the market's first.")] = None,
    to_block: Annotated[int | None, typer.Option(min=1, help="Block after the last; default: the head.")] = None,
    log_format: Annotated[
        str | None,
        typer.Option(
            "--format", rich_help_panel=_FILES, help="json, jsonl, csv, parquet; default: told by the content."
        ),
    ] = None,
    complete: Annotated[
        str | None,
        typer.Option(
            metavar="FROM:TO", rich_help_panel=_FILES, help="They hold every log of the market in [FROM, TO): seal it."
        ),
    ] = None,
    blocks: Annotated[
        list[Path] | None,
        typer.Option(rich_help_panel=_FILES, help="Files with number and timestamp of blocks, for logs without times."),
    ] = None,
    contract: Annotated[
        str | None,
        typer.Option(
            metavar="0x…", rich_help_panel=_FILES, help="Who emitted logs without address; default: the pool."
        ),
    ] = None,
    prices: Annotated[
        list[Path] | None,
        typer.Option(help="Price tables (CSV or Parquet) to import as well: asset, price, block or timestamp."),
    ] = None,
    sample_prices: Annotated[
        int | None,
        typer.Option(metavar="BLOCKS", min=1, rich_help_panel=_NODE, help="Ask for all prices each so many blocks."),
    ] = None,
    calldata: Annotated[
        bool, typer.Option("--calldata", rich_help_panel=_NODE, help="Fetch what the market's transactions asked for.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", rich_help_panel=_NODE, help="Tell calls, time and size.")
    ] = False,
    checks: Annotated[
        str,
        typer.Option(
            metavar="N|all", rich_help_panel=_NODE, help="Blocks per cell to check for logs left out; 0: none."
        ),
    ] = "16",
    rate: Annotated[
        float | None, typer.Option(min=0.01, rich_help_panel=_NODE, help="Most requests per second.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=64, rich_help_panel=_NODE, help="Requests at a time.")] = 4,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=86_400, rich_help_panel=_NODE, help="Patience with a request [s].")
    ] = 60.0,
    attempts: Annotated[int, typer.Option(min=1, max=50, rich_help_panel=_NODE, help="Tries per request.")] = 8,
    batch: Annotated[
        int, typer.Option(min=1, max=1000, rich_help_panel=_NODE, help="Requests per HTTP request.")
    ] = 100,
    drop_prices: Annotated[
        bool, typer.Option("--drop-prices", help="Take imported prices back, into quarantine.")
    ] = False,
    unseal_from: Annotated[
        int | None,
        typer.Option(metavar="BLOCK", min=0, help="Take back what is sealed from there on, into quarantine."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the logs of a market into the lake.

    What is there already is not fetched again: interrupt it, and run it again any time.
    """
    from pipelines.ingest.node_job import Wish
    from pipelines.ingest.outcome import Outcome
    from pipelines.listings import find_listing
    from pipelines.sources.jsonrpc import Manners

    listing = find_listing(market, lake)
    for table in prices or ():
        _require(table.is_file(), f"{table}: no such file. Give price tables to --prices.")
    taken_back = _take_back(lake, listing, drop_prices, unseal_from)
    if not sources:
        _require(bool(prices or taken_back), "give an RPC address or files of logs. See --help.")
        outcome = Outcome(listing.deployment.name)
    elif any("://" in source for source in sources):
        _require(
            not (log_format or complete or blocks or contract),
            "--format, --complete, --blocks and --contract are for files.",
        )
        _require(len(sources) == 1, "give one RPC address, or files; ingest again for the rest.")
        manners = Manners(timeout, attempts, concurrency=concurrency, rate=rate, batch=batch)
        wish = Wish(from_block, to_block, _checks(checks), sample_prices)
        if dry_run:
            _estimate(sources[0], listing, manners, wish, as_json)
            return
        outcome = _from_node(sources[0], listing, lake, manners, wish, calldata)
    else:
        _require(not (dry_run or sample_prices or calldata), "--dry-run, --sample-prices and --calldata are for nodes.")
        span = (from_block, to_block)
        outcome = _from_files(sources, listing, lake, span, log_format, complete, blocks or [], contract)
    for table in prices or ():
        from pipelines.ingest.prices import import_prices

        outcome.notes.append(import_prices(lake, listing, table))
    outcome.notes[:0] = taken_back
    _finish(outcome, as_json, only_notes=not sources)


def _take_back(lake: Path, listing: Listing, prices: bool, unseal_from: int | None) -> list[str]:
    """What was brought in wrongly goes to quarantine; a sentence on each."""
    from l2liq.lake import Lake
    from pipelines.ingest.prices import drop_prices

    found = [drop_prices(lake, listing)] if prices else []
    if unseal_from is not None:
        with Lake.open(lake).writer(listing.deployment.slug, listing.chain.chain_id) as writer:
            moved = writer.unseal_from(unseal_from, reason="taken back by hand")
        found.append(f"Took back {len(moved):,} files with blocks from {unseal_from:,} on, now in quarantine.")
    return found


def _from_node(url: str, listing: Listing, lake: Path, manners: Manners, wish: Wish, calldata: bool) -> Outcome:
    from pipelines.ingest.calldata import ingest_calldata
    from pipelines.ingest.node_job import ingest_node
    from pipelines.sources.jsonrpc import JsonRpc
    from pipelines.sources.node import Node

    with _watched(listing.deployment.name) as watch:
        node = Node(JsonRpc(url, manners), listing.chain)
        outcome = ingest_node(lake, listing, node, wish, watch)
        if calldata:
            outcome.inputs = ingest_calldata(lake, listing, node, watch)
        return outcome


def _estimate(url: str, listing: Listing, manners: Manners, wish: Wish, as_json: bool) -> None:
    from pipelines.ingest.estimate import estimate
    from pipelines.sources.jsonrpc import JsonRpc
    from pipelines.sources.node import Node

    found = estimate(listing, Node(JsonRpc(url, manners), listing.chain), wish)
    typer.echo(json.dumps(found.as_json()) if as_json else "\n".join(found.sentences()))


def _from_files(
    sources: list[str],
    listing: Listing,
    lake: Path,
    span: tuple[int | None, int | None],
    log_format: str | None,
    complete: str | None,
    blocks: list[Path],
    contract: str | None,
) -> Outcome:
    from l2liq.lake import Span
    from pipelines.ingest.file_job import FileWish, ingest_files
    from pipelines.sources.logfiles import LogFile
    from pipelines.sources.opening import Format

    if log_format is not None and log_format not in list(Format):
        raise InputError(f"--format {log_format}: not a format. Known: {', '.join(Format)}.")
    emitter = _address(contract) if contract else listing.deployment.addresses.get("pool")
    chosen = None if log_format is None else Format(log_format)
    files = [LogFile(Path(source), chosen, listing.chain, emitter) for source in sources]
    within = None if span == (None, None) else Span(span[0] or 0, span[1] or (1 << 39))
    wish = FileWish(_window(complete) if complete is not None else None, within, tuple(blocks))
    with _watched(listing.deployment.name) as watch:
        return ingest_files(lake, listing, files, wish, watch)


def _finish(outcome: Outcome, as_json: bool, *, only_notes: bool = False) -> None:
    lines = outcome.notes if only_notes else outcome.sentences()
    typer.echo(json.dumps(outcome.as_json()) if as_json else "\n".join(lines))
    if outcome.quarantined:
        raise typer.Exit(1)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InputError(otherwise)


def _checks(text: str) -> int | None:
    if text == "all":
        return None
    _require(text.isdecimal(), f"--checks {text}: give a number of blocks per cell, or all.")
    return int(text)


def _window(text: str) -> Span:
    from l2liq.lake import Span

    match = re.fullmatch(r"(\d{1,12}):(\d{1,12})", text)
    if match is None or int(match[1]) >= int(match[2]):
        raise InputError(f"--complete {text}: write FROM:TO, two block numbers; TO is the block after the last.")
    return Span(int(match[1]), int(match[2]))


def _address(text: str) -> bytes:
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise InputError(f"--contract {text[:60]}: not an address. Write 0x and 40 hex digits.")
    return bytes.fromhex(text[2:])


@contextmanager
def _watched(name: str) -> Iterator[Callable[[int, int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=None)

        def watch(done: int, total: int, logs: int) -> None:
            progress.update(task, completed=done, total=total, description=f"{name}: {logs:,} logs")

        yield watch

"""``l2liq market``: which markets are known by name, and what is known of one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.console import console
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption

if TYPE_CHECKING:
    from l2liq.chains.markets import Listing


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Markets known by name, and market files.", no_args_is_help=True)
    group.command("list")(list_markets)
    group.command("show")(show)
    app.add_typer(group, name="market")


def list_markets(as_json: JsonOption = False, lake: LakeOption = DEFAULT_LAKE) -> None:
    """List the markets that are known by name: those of the lake, then the registry's."""
    from l2liq.chains.markets import market_names
    from pipelines.listings import find_listing, kept_listings

    listings = [find_listing(name, lake) for name in (*kept_listings(lake), *market_names())]
    if as_json:
        typer.echo(json.dumps([_content(one) for one in listings]))
        return
    from rich.table import Table

    table = Table("market", "chain id", "first block", "rules at the start")
    for one in listings:
        start = f"{one.deployment.start_block:,}" if one.deployment.start_block else "found over RPC"
        table.add_row(one.deployment.name, str(one.deployment.chain_id), start, one.deployment.version)
    console().print(table)


def show(
    market: Annotated[str, typer.Argument(metavar="M", help="A name from `market list`, or a market YAML file.")],
    as_json: JsonOption = False,
    lake: LakeOption = DEFAULT_LAKE,
) -> None:
    """Show what is known of a market before a log of it is read, in the form of a market YAML file."""
    from pipelines.listings import as_yaml, find_listing

    listing = find_listing(market, lake)
    if as_json:
        typer.echo(json.dumps(_content(listing)))
        return
    typer.echo(f"# {listing.chain.name}: {listing.chain.kind}; from {listing.origin}")
    typer.echo(as_yaml(listing).rstrip())


def _content(listing: Listing) -> dict[str, Any]:
    from pipelines.listings import as_file

    chain = listing.chain
    described = {
        "name": chain.name,
        "kind": chain.kind,
        "block_time_ms": chain.block_time_ms,
        "explorer": chain.explorer,
    }
    return {**as_file(listing), "slug": listing.deployment.slug, "chain": described}

"""``l2liq market``: which markets are known by name, and what is known of one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.console import console
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, UnusedLakeOption

if TYPE_CHECKING:
    from l2liq.chains.markets import Listing


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Markets known by name, and market files.", no_args_is_help=True)
    group.command("list")(list_markets)
    group.command("show")(show)
    app.add_typer(group, name="market")


def list_markets(as_json: JsonOption = False, lake: UnusedLakeOption = DEFAULT_LAKE) -> None:
    """List the markets that are known by name."""
    from l2liq.chains.markets import find_market, market_names

    listings = [find_market(name) for name in market_names()]
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
    lake: UnusedLakeOption = DEFAULT_LAKE,
) -> None:
    """Show what is known of a market before a log of it is read, in the form of a market YAML file."""
    from l2liq.chains.markets import find_market

    listing = find_market(market)
    if as_json:
        typer.echo(json.dumps(_content(listing)))
        return
    from ruamel.yaml import YAML

    typer.echo(f"# {listing.chain.name}: {listing.chain.kind}; from {listing.origin}")
    yaml = YAML()
    yaml.default_flow_style = False
    from io import StringIO

    text = StringIO()
    yaml.dump(_as_file(listing), text)
    typer.echo(text.getvalue().rstrip())


def _as_file(listing: Listing) -> dict[str, Any]:
    """A market as its YAML file would say it."""
    from eth_utils.address import to_checksum_address

    deployment, chain = listing.deployment, listing.chain
    finality: str | int = chain.finality.tag or chain.finality.confirmations
    found: dict[str, Any] = {
        "name": deployment.name,
        "protocol": deployment.protocol,
        "version": deployment.version,
        "chain_id": deployment.chain_id,
        "addresses": {name: to_checksum_address(one) for name, one in deployment.addresses.items()},
    }
    if deployment.start_block:
        found["start_block"] = deployment.start_block
    found |= {"cell_blocks": chain.cell_blocks, "finality": finality}
    if deployment.supplement:
        found["supplement"] = dict(deployment.supplement)
    return found


def _content(listing: Listing) -> dict[str, Any]:
    chain = listing.chain
    described = {
        "name": chain.name,
        "kind": chain.kind,
        "block_time_ms": chain.block_time_ms,
        "explorer": chain.explorer,
    }
    return {**_as_file(listing), "slug": listing.deployment.slug, "chain": described}

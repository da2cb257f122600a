"""Markets by name, for every command of a lake: the registry's, and those whose file the lake remembers from ingest."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from eth_utils.address import to_checksum_address
from ruamel.yaml import YAML

from l2liq.chains.described import described
from l2liq.chains.markets import Listing, find_market, market_names
from l2liq.errors import InputError, LakeError
from l2liq.lake import Lake
from l2liq.protocols import protocol


def find_listing(name: str, lake: Path | Lake) -> Listing:
    """A market by its registry name, the name it has in the lake, or its YAML file.

    Raises InputError naming the file for what no market can be: an unknown protocol or version, a supplement that
    cannot hold.
    """
    kept = {} if name in market_names() else kept_listings(lake)
    listing = find_market(str(kept[name])) if name in kept else find_market(name, also=tuple(kept))
    try:
        protocol(listing.deployment.protocol).discovery(listing.deployment)
    except InputError as error:
        raise InputError(f"{listing.origin}: {error}") from None
    return listing


def kept_listings(lake: Path | Lake) -> Mapping[str, Path]:
    """Market files that a lake remembers, by the market's name; none where there is no lake."""
    try:
        files = (lake if isinstance(lake, Lake) else Lake.open(lake)).market_files()
    except LakeError:
        return {}
    found = {}
    for path in files:
        try:
            found[find_market(str(path)).deployment.name] = path
        except InputError:  # edited or damaged: ingesting with the original file writes it again
            continue
    return found


def remember(lake: Lake, listing: Listing) -> None:
    """Keep a market's file with its logs, so that its name is enough from now on; the registry's need none."""
    if listing.origin != "registry":
        lake.keep_market_file(listing.deployment.slug, as_yaml(listing))


def as_yaml(listing: Listing) -> str:
    """A market as its YAML file would say it, the name always in it."""
    yaml = YAML()
    yaml.default_flow_style = False
    text = StringIO()
    yaml.dump(as_file(listing), text)
    return text.getvalue()


def as_file(listing: Listing) -> dict[str, Any]:
    """The content of a market's YAML file."""
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
    if rollup := described(chain.rollup):
        found["rollup"] = rollup
    if deployment.supplement:
        found["supplement"] = dict(deployment.supplement)
    return found

"""Scenario files: which market they are for, and what they say before any market is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2liq.chains.markets import Listing, market_names
from l2liq.errors import InputError, ScenarioError
from l2liq.lake import Lake
from l2liq.lake.datasets import slug_of
from l2liq.protocols import NAMES, protocol
from l2liq.scenario.document import MAX_BYTES
from l2liq.scenario.load import Loaded, load_scenarios, market_named
from pipelines.listings import find_listing, kept_listings
from pipelines.pools import with_files


@dataclass(frozen=True)
class Prepared:
    """A scenario file checked against its protocol, its market not yet loaded."""

    listing: Listing
    scenarios: list[Loaded]


def prepare(lake: Lake, path: Path, market: str | None) -> Prepared:
    """Read a scenario file.

    ``market`` overrides the one that the file names; without either it is the lake's only one. Raises ScenarioError or
    InputError naming what is wrong.
    """
    text = read_scenario(path)
    listing = find_listing(market or _market_of_file(text, path) or only_market(lake), lake)
    loaded = load_scenarios(text, path.name, protocol(listing.deployment.protocol).levers)
    return Prepared(listing, [with_files(one, path.parent) for one in loaded])


def effective_of(path: Path, market: str | None, lake: Path) -> list[dict[str, Any]]:
    """The effective scenarios of a file, targets as they are written there."""
    text = read_scenario(path)
    named = market or _market_of_file(text, path)
    if named is None and len(NAMES) > 1:
        raise InputError(f"{path.name}: for which protocol is it? Say so with `--market`, or as `market:` in the file.")
    found = NAMES[0] if named is None else find_listing(named, lake).deployment.protocol
    return [loaded.scenario.effective() for loaded in load_scenarios(text, path.name, protocol(found).levers)]


def read_scenario(path: Path) -> str:
    """Text of a scenario file."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1).decode()
    except UnicodeDecodeError:
        raise ScenarioError(f"{path.name}: the file is not text in UTF-8. Is it a scenario?") from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}). Give the path of a scenario YAML file."
        ) from error


def _market_of_file(text: str, path: Path) -> str | None:
    """The market that a scenario names; a file is looked for beside the scenario."""
    named = market_named(text, path.name)
    if named is not None and named.endswith((".yaml", ".yml")) and (path.parent / named).is_file():
        return str(path.parent / named)
    return named


def only_market(lake: Lake) -> str:
    slugs = lake.markets()
    if not slugs:
        raise InputError(f"{lake.name}: the lake holds no market yet. Fill it with `l2liq ingest SOURCE --market M`.")
    names = {slug_of(name): name for name in (*market_names(), *kept_listings(lake))}
    if len(slugs) > 1 or slugs[0] not in names:
        known = ", ".join(names.get(slug, slug) for slug in slugs)
        raise InputError(
            f"which market? The lake holds {known}. Say it with `--market`, or as `market:` in the scenario; a market "
            "that is not in the registry goes by its YAML file."
        )
    return names[slugs[0]]

"""A scenario's oracle on a market: which assets it concerns, and what the market sees through it."""

from __future__ import annotations

from collections.abc import Sequence

from l2liq.errors import InputError
from l2liq.market import PRICE, Market
from l2liq.oracles.path import Path
from l2liq.oracles.seen import price_path, seen_market
from l2liq.protocols.interface import Moment
from l2liq.scenario.assets import asset_named
from l2liq.scenario.document import shown
from l2liq.scenario.load import Loaded

_BY_ITSELF = "{} would be priced by itself. Name the assets that are priced by it under `assets`."


def seen_through(loaded: Loaded, market: Market, since: Moment) -> tuple[Market, tuple[str, ...]]:
    """The market as its oracles show it from ``since`` on, and the change in words.

    Raises
    ------
    ScenarioError
        Unknown or ambiguous asset; an asset without a price when the change comes.
    """
    oracle = loaded.scenario.oracle
    if oracle is None or oracle.model == "recorded":
        return market, ()
    assets = _assets(loaded, market, oracle.assets)

    def named(name: str) -> tuple[str, Path]:
        (base,) = _assets(loaded, market, [name], ("oracle", "base"))
        if base in assets:
            raise loaded.error(("oracle", "base"), _BY_ITSELF.format(shown(name)))
        path = price_path(market, base)
        if path is None or path.times_s[0] > since.timestamp_s:
            raise loaded.error(("oracle", "base"), f"{shown(name)} has no recorded price when the oracle begins.")
        return shown(market.assets[base].symbol) or name, path

    model = oracle.built(named)
    try:
        seen = seen_market(market, dict.fromkeys(assets, model), (since.key, since.timestamp_s))
    except InputError as error:
        raise loaded.error(("oracle",), str(error)) from None
    names = ", ".join(shown(market.assets[asset].symbol) for asset in assets) if oracle.assets else "all assets"
    return seen, (f"oracle of {names}: as recorded → {model.words()}",)


def _assets(
    loaded: Loaded, market: Market, names: Sequence[str], place: tuple[str, ...] = ("oracle", "assets")
) -> list[int]:
    """Indices of the assets that are meant; all that have prices where none is named."""
    if not names:
        return [number for number in range(len(market.assets)) if (PRICE, number) in market.series]
    return sorted({asset_named(loaded, market, name, place) for name in names})

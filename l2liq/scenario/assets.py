"""The assets that a scenario's blocks name."""

from __future__ import annotations

from l2liq.market import Market
from l2liq.scenario.document import Place, shown
from l2liq.scenario.load import Loaded


def asset_named(loaded: Loaded, market: Market, name: str, place: Place) -> int:
    """The asset of a symbol or address. Raises ScenarioError where there is none, or several."""
    word = name.strip().lower()
    fits = [n for n, one in enumerate(market.assets) if word in (one.symbol.lower(), f"0x{one.address.hex()}")]
    if len(fits) != 1:
        known = ", ".join(shown(asset.symbol) for asset in market.assets)
        problem = "is no asset" if not fits else f"stands for {len(fits)} assets"
        raise loaded.error(place, f"{shown(name)} {problem} of {market.name}. Known: {known}.")
    return fits[0]

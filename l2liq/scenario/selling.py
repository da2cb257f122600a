"""A scenario's liquidity on a market: which assets it concerns, and the change in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from l2liq.market import PRICE, Market
from l2liq.scenario import quantities as q
from l2liq.scenario.assets import asset_named
from l2liq.scenario.document import Place, shown
from l2liq.scenario.liquidity import LiquidityOfWorld, OutletSpec
from l2liq.scenario.load import Loaded


@dataclass(frozen=True, slots=True)
class SoldBy:
    """Where one asset is sold; with a pool: which asset is got for it, by number, and whether it is token0."""

    outlet: OutletSpec
    bought: int = -1
    sells_token0: bool = True


SoldBys = Mapping[int, SoldBy]
"""Asset to where it is sold; one that is not there is sold at the world's price."""

NOTHING_SAID: SoldBys = MappingProxyType({})


def outlets_of(loaded: Loaded, market: Market) -> tuple[SoldBys, SoldBys]:
    """Where assets are sold in control and in the alternative.

    Raises
    ------
    ScenarioError
        Unknown or ambiguous asset; a pool that does not trade the asset it stands under.
    """
    liquidity = loaded.scenario.liquidity
    if liquidity is None:
        return NOTHING_SAID, NOTHING_SAID
    alternative = _outlets(loaded, market, liquidity, ("liquidity",))
    if liquidity.control.model == "same":
        return alternative, alternative
    return _outlets(loaded, market, liquidity.control, ("liquidity", "control")), alternative


def _outlets(loaded: Loaded, market: Market, liquidity: LiquidityOfWorld, place: Place) -> SoldBys:
    found: dict[int, SoldBy] = {}
    if liquidity.model != "deep":
        found = {n: SoldBy(liquidity) for n in range(len(market.assets)) if (PRICE, n) in market.series}
    for name, outlet in liquidity.assets.items():
        here = (*place, "assets", name)
        asset = asset_named(loaded, market, name, here)
        found.pop(asset, None)
        if outlet.model != "deep":
            pool = outlet.model == "uniswap_v3"
            found[asset] = _sold_to_pool(loaded, market, asset, outlet, here) if pool else SoldBy(outlet)
    return found


def _sold_to_pool(loaded: Loaded, market: Market, asset: int, outlet: OutletSpec, here: Place) -> SoldBy:
    tokens = [asset_named(loaded, market, str(getattr(outlet, t)), (*here, t)) for t in ("token0", "token1")]
    if asset not in tokens or tokens[0] == tokens[1]:
        symbol = shown(market.assets[asset].symbol)
        raise loaded.error(here, f"a pool of {outlet.token0} and {outlet.token1} does not sell {symbol}.")
    first = asset == tokens[0]
    return SoldBy(outlet, tokens[1] if first else tokens[0], first)


def said_of(loaded: Loaded, before: SoldBys, after: SoldBys, market: Market) -> Iterator[str]:
    """The change in words, one line for assets that change alike."""
    lines: dict[tuple[str, str], list[int]] = {}
    for asset in sorted({*before, *after}):
        was, becomes = (_words(outlets.get(asset)) for outlets in (before, after))
        if was != becomes:
            lines.setdefault((was, becomes), []).append(asset)
    priced = sum((PRICE, number) in market.series for number in range(len(market.assets)))
    for (was, becomes), assets in lines.items():
        names = ", ".join(shown(market.assets[asset].symbol) for asset in assets)
        yield f"liquidity of {'all assets' if len(assets) == priced else names}: {was} → {becomes}"
    liquidity = loaded.scenario.liquidity
    if liquidity is not None and liquidity.feedback:
        yield f"oracles: as recorded → follow {liquidity.feedback / 100:g} % of what sales move"


def _words(sold: SoldBy | None) -> str:
    if sold is None:
        return "as deep as can be"
    outlet = sold.outlet
    said = {
        "constant_product": f"constant product, ${outlet.depth or 0:,.0f} a side",
        "depth": f"depth curve, {(outlet.move or 0) / 100:g} % at ${outlet.depth or 0:,.0f}",
        "uniswap_v3": f"recorded Uniswap v3 pool of {outlet.token0} and {outlet.token1}",
    }[outlet.model]
    power = f", exponent {outlet.exponent:g}" if outlet.exponent not in (None, 1.0) else ""
    fee = f", fee {outlet.fee / 100:g} %" if outlet.fee else ""
    back = (
        "never comes back" if outlet.half_life is None else f"half comes back in {q.written_seconds(outlet.half_life)}"
    )
    return f"{said}{power}{fee}, {back}"

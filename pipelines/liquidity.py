"""From what a scenario says of liquidity to where the liquidators of both worlds sell."""

from __future__ import annotations

from l2liq.errors import ScenarioError
from l2liq.liquidity import ConstantProduct, DepthCurve, Liquidity, Markets, Outlet
from l2liq.liquidity.pool_outlet import RecordedPool
from l2liq.market import Market
from l2liq.scenario.compose import Composition
from l2liq.scenario.liquidity import EXPONENT
from l2liq.scenario.selling import SoldBy
from pipelines.pools import Pools, spacing_of

_PPM_PER_BPS = 100


def markets_of(composition: Composition, market: Market, pools: Pools) -> Markets | None:
    """Where liquidators sell; None where the scenario says nothing of it, or that all is as deep as can be.

    Raises ScenarioError where a pool's logs cannot be read, or begin or end before the window does.
    """
    if not any(composition.outlets):
        return None
    control, alternative = (
        Liquidity(tuple((asset, _outlet(composition, asset, one, market, pools)) for asset, one in outlets.items()))
        for outlets in composition.outlets
    )
    return Markets(control, alternative)


def _outlet(composition: Composition, asset: int, sold: SoldBy, market: Market, pools: Pools) -> Outlet:
    outlet = sold.outlet
    if outlet.model == "uniswap_v3":
        return _recorded(composition, sold, pools)
    place, fee = f"0x{market.assets[asset].address.hex()}", outlet.fee or 0
    assert outlet.depth is not None, "the scenario is checked"
    if outlet.model == "constant_product":
        return ConstantProduct(place, outlet.depth, fee, outlet.half_life)
    return DepthCurve(place, outlet.depth, outlet.move or 0, outlet.exponent or EXPONENT, fee, outlet.half_life)


def _recorded(composition: Composition, sold: SoldBy, pools: Pools) -> RecordedPool:
    outlet, first = sold.outlet, composition.window.first
    history = pools.history(outlet)
    if history.at(first.key) is None:
        raise ScenarioError(
            f"{outlet.logs}: the pool begins after the window does. Let the window start later, or sell elsewhere."
        )
    if history.keys[-1] < first.key:
        raise ScenarioError(f"{outlet.logs}: the logs end before the window begins. Fetch them up to the window's end.")
    return RecordedPool(
        history=history,
        sells_token0=sold.sells_token0,
        bought=sold.bought,
        fee=(outlet.fee or 0) * _PPM_PER_BPS,
        spacing=spacing_of(outlet),
        half_life_s=outlet.half_life,
    )

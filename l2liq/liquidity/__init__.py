"""What selling the collateral yields."""

from l2liq.liquidity.curves import ConstantProduct, DepthCurve
from l2liq.liquidity.outlet import Outlet, Sale, Sold, Thinner
from l2liq.liquidity.selling import DEEP, Liquidity, Markets, Selling, recovering

__all__ = [
    "DEEP",
    "ConstantProduct",
    "DepthCurve",
    "Liquidity",
    "Markets",
    "Outlet",
    "Sale",
    "Selling",
    "Sold",
    "Thinner",
    "recovering",
]

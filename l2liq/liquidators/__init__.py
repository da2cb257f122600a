"""Who liquidates, and when."""

from l2liq.liquidators.costs import AssetPrice, BaseFees, Costs, FixedPrice, Spike
from l2liq.liquidators.delays import Constant, Delays, Empirical, LogNormal
from l2liq.liquidators.draws import Draws, uniform
from l2liq.liquidators.model import Immediate, LatencyBlocks, LatencySeconds, Liquidator, Offer, at_second
from l2liq.liquidators.passes import Passes
from l2liq.liquidators.profit import Profitable
from l2liq.liquidators.survival import Apart, apart, kaplan_meier

__all__ = [
    "Apart",
    "AssetPrice",
    "BaseFees",
    "Constant",
    "Costs",
    "Delays",
    "Draws",
    "Empirical",
    "FixedPrice",
    "Immediate",
    "LatencyBlocks",
    "LatencySeconds",
    "Liquidator",
    "LogNormal",
    "Offer",
    "Passes",
    "Profitable",
    "Spike",
    "apart",
    "at_second",
    "kaplan_meier",
    "uniform",
]

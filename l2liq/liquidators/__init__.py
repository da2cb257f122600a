"""Who liquidates, and when."""

from l2liq.liquidators.delays import Constant, Delays, Empirical, LogNormal
from l2liq.liquidators.draws import Draws, uniform
from l2liq.liquidators.model import Immediate, LatencyBlocks, LatencySeconds, Liquidator, at_second
from l2liq.liquidators.passes import Passes
from l2liq.liquidators.survival import kaplan_meier

__all__ = [
    "Constant",
    "Delays",
    "Draws",
    "Empirical",
    "Immediate",
    "LatencyBlocks",
    "LatencySeconds",
    "Liquidator",
    "LogNormal",
    "Passes",
    "at_second",
    "kaplan_meier",
    "uniform",
]

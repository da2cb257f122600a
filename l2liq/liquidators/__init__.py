"""Who liquidates, and when."""

from l2liq.liquidators.capital import Capital
from l2liq.liquidators.competition import (
    Competition,
    Contestant,
    Entrant,
    Order,
    Race,
    choosy,
    endless,
    synthetic_address,
)
from l2liq.liquidators.costs import AssetPrice, BaseFees, Costs, FixedPrice, Spike
from l2liq.liquidators.delays import Constant, Delays, Empirical, LogNormal
from l2liq.liquidators.draws import Draws, uniform
from l2liq.liquidators.model import Immediate, LatencyBlocks, LatencySeconds, Liquidator, Offer, at_second
from l2liq.liquidators.oev import Auction
from l2liq.liquidators.passes import Passes
from l2liq.liquidators.profit import Profitable
from l2liq.liquidators.sizing import AsMuchAsPays, Largest, Sizing, ToHealth, TwoStep, largest
from l2liq.liquidators.survival import Apart, apart, kaplan_meier
from l2liq.liquidators.trial import Trial

__all__ = [
    "Apart",
    "AsMuchAsPays",
    "AssetPrice",
    "Auction",
    "BaseFees",
    "Capital",
    "Competition",
    "Constant",
    "Contestant",
    "Costs",
    "Delays",
    "Draws",
    "Empirical",
    "Entrant",
    "FixedPrice",
    "Immediate",
    "Largest",
    "LatencyBlocks",
    "LatencySeconds",
    "Liquidator",
    "LogNormal",
    "Offer",
    "Order",
    "Passes",
    "Profitable",
    "Race",
    "Sizing",
    "Spike",
    "ToHealth",
    "Trial",
    "TwoStep",
    "apart",
    "at_second",
    "choosy",
    "endless",
    "kaplan_meier",
    "largest",
    "synthetic_address",
    "uniform",
]

"""What a replay reads: the market rebuilt from its logs."""

from l2liq.market.assets import Asset, Leg, LegKind
from l2liq.market.ledger import LEDGER, Ledger, quantity
from l2liq.market.market import ACTIONS, DEFICITS, LIQUIDATIONS, Clock, Market, NullTest
from l2liq.market.parameters import ParameterTimeline
from l2liq.market.series import PRICE, SEQUENCER_ANSWER, SEQUENCER_STARTED, SEQUENCER_UPDATED, SERIES, Series

__all__ = [
    "ACTIONS",
    "DEFICITS",
    "LEDGER",
    "LIQUIDATIONS",
    "PRICE",
    "SEQUENCER_ANSWER",
    "SEQUENCER_STARTED",
    "SEQUENCER_UPDATED",
    "SERIES",
    "Asset",
    "Clock",
    "Ledger",
    "Leg",
    "LegKind",
    "Market",
    "NullTest",
    "ParameterTimeline",
    "Series",
    "quantity",
]

"""The replay engine: screen, resolve, worlds (DESIGN §9)."""

from l2liq.replay.ground import Ground
from l2liq.replay.plan import AtStart, Infeasible, Plan, Progress, VenueOf
from l2liq.replay.result import Counters, Divergence, Result
from l2liq.replay.worlds import ALL_WORLDS, replay

__all__ = [
    "ALL_WORLDS",
    "AtStart",
    "Counters",
    "Divergence",
    "Ground",
    "Infeasible",
    "Plan",
    "Progress",
    "Result",
    "VenueOf",
    "replay",
]

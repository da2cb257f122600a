"""The replay engine: screen, resolve, worlds (DESIGN §9)."""

from l2liq.replay.ground import Ground
from l2liq.replay.plan import AtStart, Infeasible, Plan, Progress, VenueOf
from l2liq.replay.recorded import Discrepancy, RecordedReplay, replay_recorded
from l2liq.replay.result import Counters, Divergence, Result
from l2liq.replay.worlds import ALL_WORLDS, fit_latency, replay

__all__ = [
    "ALL_WORLDS",
    "AtStart",
    "Counters",
    "Discrepancy",
    "Divergence",
    "Ground",
    "Infeasible",
    "Plan",
    "Progress",
    "RecordedReplay",
    "Result",
    "VenueOf",
    "fit_latency",
    "replay",
    "replay_recorded",
]

"""The replay engine: screen, resolve, worlds (DESIGN §9)."""

from l2liq.replay.actual import Rival
from l2liq.replay.calldata import Calldata, Input
from l2liq.replay.disruption import Censorship, Disruption, Messages, Reversal, Standstill, Users
from l2liq.replay.ground import Ground
from l2liq.replay.plan import AtStart, HistorianOf, Infeasible, Interest, MachineOf, Plan, Progress, Rules, VenueOf
from l2liq.replay.recorded import Discrepancy, RecordedReplay, replay_recorded
from l2liq.replay.reexecute import reexecute, script_of
from l2liq.replay.result import Counters, Divergence, Result
from l2liq.replay.script import Script
from l2liq.replay.worlds import ALL_WORLDS, fit_latency, fit_rivals, replay

__all__ = [
    "ALL_WORLDS",
    "AtStart",
    "Calldata",
    "Censorship",
    "Counters",
    "Discrepancy",
    "Disruption",
    "Divergence",
    "Ground",
    "HistorianOf",
    "Infeasible",
    "Input",
    "Interest",
    "MachineOf",
    "Messages",
    "Plan",
    "Progress",
    "RecordedReplay",
    "Result",
    "Reversal",
    "Rival",
    "Rules",
    "Script",
    "Standstill",
    "Users",
    "VenueOf",
    "fit_latency",
    "fit_rivals",
    "reexecute",
    "replay",
    "replay_recorded",
    "script_of",
]

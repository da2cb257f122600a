"""What a replay is asked to do, independent of how a scenario is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from l2liq.chains.clocks import Clocks
from l2liq.chains.dated import Dated
from l2liq.liquidators import Competition, Costs, Liquidator, Spike
from l2liq.liquidity import Markets, Selling
from l2liq.market import ParameterTimeline
from l2liq.outcome.schema import World
from l2liq.protocols.interface import Historian, Machine, Moment, Venue
from l2liq.replay.calldata import Calldata
from l2liq.replay.disruption import Disruption

VenueOf = Callable[[ParameterTimeline[Any]], Venue]
"""The market's rules under a parameter timeline; the market itself is fixed."""

MachineOf = Callable[[ParameterTimeline[Any], int], Machine]
"""The market as recorded at a key, going on under a parameter timeline."""

HistorianOf = Callable[[int], Historian]
"""Follows history after a key."""


@dataclass(frozen=True, slots=True)
class Rules:
    """A protocol's rules for one market: account by account over recorded interest, and as a whole."""

    venue: VenueOf
    machine: MachineOf
    historian: HistorianOf


Progress = Callable[[str, float], None]
"""Told what is being done and how far it is, between 0 and 1."""


class Infeasible(StrEnum):
    """What becomes of a transaction that the changed world no longer allows (DESIGN §9)."""

    SKIP = "skip"
    CLIP = "clip"
    FREEZE = "freeze"


class AtStart(StrEnum):
    """Whom the change meets (DESIGN §11)."""

    AS_IS = "as_is"
    EXCLUDE_UNDERWATER = "exclude_underwater"
    GRANDFATHER = "grandfather"


class Interest(StrEnum):
    """Where indices and rates come from (DESIGN §9)."""

    RECORDED = "recorded"
    REEXECUTED = "reexecuted"


@dataclass(frozen=True, slots=True)
class Plan:
    """One replay.

    Attributes
    ----------
    first, last : all worlds start from the recorded state after ``first``; nothing after ``last`` happens
    actual, alternative : parameter timelines; equal objects where nothing changes
    change : the first log (or the window's start) that meets the changed rules, None where nothing changes
    liquidator : who liquidates in control and alternative
    infeasible, at_start : see :class:`Infeasible`, :class:`AtStart`
    heartbeat_s : longest time between two looks at an account [s]
    seed : of all draws
    reject_unfunded : skip a transaction whose inflow history paid for with an outflow that this world skipped
    dust_share : an account so small that rounding decides about its health is looked at again when a value has moved by
        this share; 0 = at every tick, like all others
    reanchor_s : return to the recorded state every so many seconds, None = never
    interest : see :class:`Interest`
    clocks : of the chain; none = liquidations carry only the time of their execution
    costs : what a liquidation costs whoever does it, None = that is left out
    spike : when that costs otherwise in the alternative, None = never
    disruption : what the alternative's rollup does that the recorded one did not
    liquidity : where liquidators sell, None = at the world's price, and nothing is told of sales
    calldata : what re-executed transactions were called with, None = their logs alone say what was asked for
    """

    first: Moment
    last: Moment
    actual: ParameterTimeline[Any] = field(repr=False)
    alternative: ParameterTimeline[Any] = field(repr=False)
    change: Moment | None
    liquidator: Liquidator | Competition
    infeasible: Infeasible = Infeasible.SKIP
    at_start: AtStart = AtStart.AS_IS
    heartbeat_s: int = 60
    seed: int = 0
    reject_unfunded: bool = False
    dust_share: float = 0.01
    reanchor_s: int | None = None
    interest: Interest = Interest.RECORDED
    clocks: Dated[Clocks] = field(default_factory=Dated)
    costs: Costs | None = None
    spike: Spike | None = None
    disruption: Disruption | None = None
    liquidity: Markets | None = None
    calldata: Calldata | None = field(default=None, repr=False, compare=False)

    def selling(self, world: World) -> Selling | None:
        """How the liquidators of a world begin to sell; None where nobody asked, and in the actual world."""
        if self.liquidity is None or world is World.ACTUAL:
            return None
        return Selling(self.liquidity, world, (self.change or self.first).key)

    def costs_in(self, world: World) -> Costs | None:
        """What a liquidation costs in a world."""
        if self.costs is None or self.spike is None or world is not World.ALTERNATIVE:
            return self.costs
        return replace(self.costs, spike=self.spike)

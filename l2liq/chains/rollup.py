"""What makes a chain a rollup: who orders it, how far its clocks run apart, what a transaction costs on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from l2liq.chains.clocks import Clocks
from l2liq.chains.dated import Dated
from l2liq.chains.fees import FeeRule


class Kind(StrEnum):
    """How L1 comes to accept a chain's state."""

    OPTIMISTIC = "optimistic"
    """By nobody proving it wrong."""
    VALIDITY = "validity"
    """By a proof that it is right."""
    SIDECHAIN = "sidechain"
    """Not at all."""
    UNKNOWN = "unknown"


class Ordering(StrEnum):
    """Whose transaction comes first."""

    FIRST_COME = "first_come"
    PRIORITY_FEE = "priority_fee"
    EXPRESS_LANE = "express_lane"
    """First come, but all who did not buy the lane wait (Arbitrum Timeboost)."""
    OPERATOR = "operator"
    """As the operator likes."""


@dataclass(frozen=True, slots=True)
class OrderingPolicy:
    """``lane_delay_ms``: how long those outside an express lane wait [ms]."""

    policy: Ordering
    lane_delay_ms: int = 0


@dataclass(frozen=True, slots=True)
class Rollup:
    """A rollup's rules, dated.

    Attributes
    ----------
    kind : how its state settles
    genesis_s : nothing happened on it before
    ordering, clocks, fees : see there; nothing holds where nothing is known
    forced_inclusion_s : how long a sequencer can hold back what L1 was given; None where it can for ever
    uptime_feed : proxy of the feed that says whether the sequencer is up, 20 bytes; None where there is none
    """

    kind: Kind = Kind.UNKNOWN
    genesis_s: int = 0
    ordering: Dated[OrderingPolicy] = field(default_factory=Dated)
    clocks: Dated[Clocks] = field(default_factory=Dated)
    fees: Dated[FeeRule] = field(default_factory=Dated)
    forced_inclusion_s: int | None = None
    uptime_feed: bytes | None = None

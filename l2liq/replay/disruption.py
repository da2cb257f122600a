"""A rollup that does not work as it did: what is assumed of it (DESIGN §10).

Everything here is about time. Transactions of users come at other moments than recorded, or never; for a while nothing
is executed; a stretch of the chain is undone. What the market sees of it (prices, the uptime feed) is another matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from l2liq.chains.failures import NO_FAILURES, Failures
from l2liq.chains.outages import Outage
from l2liq.liquidators import Delays


class Users(StrEnum):
    """What becomes of transactions that could not be executed when they were sent, or were undone."""

    QUEUE = "queue"
    """They come later, in their order."""
    LOST = "lost"
    """They never come."""


@dataclass(frozen=True, slots=True)
class Standstill:
    """The sequencer stands still.

    Attributes
    ----------
    outages : in order, apart from each other
    users : what becomes of transactions sent meanwhile
    users_after_s : how long after the restart they come [s]
    """

    outages: tuple[Outage, ...] = ()
    users: Users = Users.QUEUE
    users_after_s: int = 0


@dataclass(frozen=True, slots=True)
class Censorship:
    """Transactions of some accounts are not let in over [``from_s``, ``to_s``) [s since 1970].

    Attributes
    ----------
    accounts : addresses
    """

    accounts: frozenset[bytes]
    from_s: int
    to_s: int


@dataclass(frozen=True, slots=True)
class Messages:
    """Collateral added and debt repaid in stress came as messages from another layer, with another delay.

    Attributes
    ----------
    share : of such transactions that came so
    below_health_wad : an account is in stress below this health just before the transaction
    recorded_s, delay_s : how long messages took in history, and how long they take
    """

    share: float
    below_health_wad: int
    recorded_s: Delays
    delay_s: Delays


@dataclass(frozen=True, slots=True)
class Reversal:
    """At ``at_s`` [s since 1970] all blocks since ``from_s`` are undone; the chain goes on from the state before."""

    from_s: int
    at_s: int
    users: Users = Users.LOST


@dataclass(frozen=True, slots=True)
class Disruption:
    """What the alternative's rollup does that the recorded one did not.

    Attributes
    ----------
    forced_after_s : users who are not let in go through L1, which takes so long [s]; None = they wait
    """

    standstill: Standstill = field(default_factory=Standstill)
    censorships: tuple[Censorship, ...] = ()
    forced_after_s: int | None = None
    messages: Messages | None = None
    reversals: tuple[Reversal, ...] = ()
    failures: Failures = NO_FAILURES

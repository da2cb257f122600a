"""The course of one world: what is known of every account that needs exact rules, and what happens when."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count
from typing import Any

from l2liq.liquidators import Draws, Race
from l2liq.outcome.schema import World
from l2liq.protocols.interface import Action, Liquidated, Moment, Request, Situation, State, Venue
from l2liq.replay.beginning import beginning
from l2liq.replay.chronicle import Transaction
from l2liq.replay.ground import Ground
from l2liq.replay.plan import AtStart, Plan
from l2liq.replay.rows import Deal, Rows

ARRIVAL = -1
"""Number of an attempt that is a liquidator's arrival: nothing that holds others up makes it void."""


class Order(IntEnum):
    """What comes first at one moment."""

    KEEP = 0
    """A state of the chain that it will return to."""
    REVERSE = 1
    """The chain returns to a state that was kept."""
    HELD = 2
    """A recorded transaction does not happen when it did."""
    MOVED = 3
    """A recorded transaction happens when it did not."""
    ADMISSION = 4
    """A recorded transaction that the changed rules take otherwise."""
    SHORT = 5
    """A recorded transaction that a reserve can no longer afford."""
    AGENDA = 6
    """The next recorded transaction of an account that left its history."""
    UNPAID = 7
    """A recorded liquidation moved cash, and did not in this world."""
    LEAVE = 8
    ANCHOR = 9
    RECOVERED = 10
    LOOK = 11
    LIQUIDATE = 12
    SAMPLE = 13
    REMOVAL = 14
    """A recorded liquidation will not happen: the borrower leaves history just before the transaction that held it."""


@dataclass(slots=True)
class Episode:
    """A span in which an account is liquidatable.

    Attributes
    ----------
    since : first moment of it
    cause : what brought it about
    race : who comes for the account
    attempt : number of the attempt to liquidate that is due; older ones are void
    waits : nothing is due until something holds it up no more
    held_by : reasons for which it was held up so far
    """

    since: Moment
    cause: str
    race: Race
    attempt: int = 0
    waits: bool = False
    held_by: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Position:
    """An account under exact rules.

    Attributes
    ----------
    own : its state where it left its history, None while it follows it
    diverged_at_s : when it first left its history
    version : looks ordered before the last change of plans are void
    epoch : transactions ordered before the last return to history are void
    agenda : recorded transactions still to come, next one last
    acts_in : recorded transactions in which an action touches the account
    acted_at : key of the last transaction that was executed for it
    frozen : does nothing any more
    left : takes no part in this world
    """

    account: int
    address: bytes
    own: dict[int, int] | None = None
    diverged_at_s: int | None = None
    version: int = 0
    epoch: int = 0
    agenda: list[tuple[Moment, Transaction]] = field(default_factory=list)
    acts_in: set[Transaction] = field(default_factory=set)
    acted_at: int = -1
    episode: Episode | None = None
    frozen: bool = False
    left: bool = False
    liquidations: int = 0
    lost_usd: float = 0.0
    repaid_usd: float = 0.0

    def liquidated(
        self,
        rows: Rows,
        episode: Episode,
        now: Moment,
        request: Request,
        done: Liquidated,
        deal: Deal,
        market_health_wad: int | None,
    ) -> None:
        """Tell an accepted liquidation and what it leaves unpaid, and add it up."""
        cause, since_s = "gate" if episode.held_by else episode.cause, episode.since.timestamp_s
        lost, repaid = rows.liquidation(
            now, request, done, since_s=since_s, cause=cause, deal=deal, market_health_wad=market_health_wad
        )
        self.liquidations += 1
        self.lost_usd += lost
        self.repaid_usd += repaid
        for asset, amount in done.deficits.items():
            price = done.debt_price if asset == request.debt_asset else None
            rows.deficit(now, self.account, asset, amount, price)


class Course:
    """One world as it unfolds; the handlers of events share it."""

    def __init__(self, ground: Ground, plan: Plan, world: World, venue: Venue) -> None:
        self.ground = ground
        self.plan = plan
        self.world = world
        self.venue = venue
        self.detours, self.rows, self.counters = beginning(ground, plan, world)
        self.draws = Draws(plan.seed)
        self.positions: dict[int, Position] = {}
        self.cash_change: dict[int, int] = defaultdict(int)
        self.wallet: dict[tuple[int, int], int] = defaultdict(int)
        self.short_of: dict[int, set[int]] = defaultdict(set)
        """Asset to accounts whose liquidation waits, perhaps for cash of it."""
        self.left_at: dict[int, Moment] = {}
        self.changed_itself: list[int] = []
        timelines = (venue.timeline, plan.actual) if self._grandfathers else (venue.timeline,)
        pairs = [ground.lenses(timeline) for timeline in timelines]
        self.lenses = tuple(short for short, _ in pairs)
        """Lenses that together show every account that may be liquidatable in this world."""
        self.recovery_lenses = tuple(safe for _, safe in pairs)
        """Lenses that together show every account that may be safe again."""
        self._moved: dict[int, int] = {}
        self._heap: list[tuple[int, int, int, bytes, int, Any]] = []
        self._number = count()

    # The queue

    def push(self, moment: Moment, order: Order, payload: Any, address: bytes = b"") -> None:
        """Order an event; what lies after the window never happens. Equal moments go by order, then by address."""
        if (moment.key, moment.timestamp_s) <= (self.plan.last.key, self.plan.last.timestamp_s):
            event = (moment.key, moment.timestamp_s, int(order), address, next(self._number), payload)
            heapq.heappush(self._heap, event)

    def pop(self) -> tuple[Moment, Order, Any] | None:
        """The next event."""
        if not self._heap:
            return None
        key, timestamp_s, order, _, _, payload = heapq.heappop(self._heap)
        return Moment(key, timestamp_s), Order(order), payload

    # Accounts

    def position(self, account: int) -> Position:
        """The account under exact rules from now on."""
        found = self.positions.get(account)
        if found is None:
            found = self.positions[account] = Position(account, self.ground.market.address(account))
            self.counters.candidates += 1
        return found

    def state(self, account: int, key: int) -> State:
        """State of an account in this world, after ``key``."""
        found = self.positions.get(account)
        if found is not None and found.own is not None:
            return found.own
        return self.ground.chronicle.state(account, key)

    def book(self, key: int) -> Callable[[int], State]:
        """States of all accounts in this world, after ``key``."""
        return lambda account: self.state(account, key)

    def cash(self, key: int) -> Callable[[int], int]:
        """Cash of all reserves in this world, after ``key`` [base units]."""
        return lambda asset: self.venue.recorded_cash(asset, key) + self.cash_change[asset]

    # Rules

    def at(self, account: int, moment: Moment) -> Situation:
        """The rules that hold for an account at a moment."""
        return self.rules_at(account, moment).at(moment)

    def at_action(self, action: Action) -> Situation:
        """The rules that a user action meets."""
        return self.at(action.account, action.moment)

    @property
    def _grandfathers(self) -> bool:
        return self.world is World.ALTERNATIVE and self.plan.at_start is AtStart.GRANDFATHER

    def rules_at(self, account: int, moment: Moment) -> Venue:
        """The venue whose rules hold for an account at a moment."""
        change = self.plan.change
        if not self._grandfathers or change is None or moment.key >= self._moves_at(account, change):
            return self.venue
        return self.ground.actual

    def _moves_at(self, account: int, change: Moment) -> int:
        """Key from which the new rules hold for an account: its first action of its own from the change on."""
        if account not in self._moved:
            start = max(change.key - 1, self.plan.first.key)
            actions = self.venue.actions_of(account, start, self.plan.last.key)
            own = (action.moment.key for action in actions if action.account == account)
            self._moved[account] = next(own, self.plan.last.key + 1)
        return self._moved[account]

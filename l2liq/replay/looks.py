"""When to look at an account again: the screen says, for states of history and for states of its own."""

from __future__ import annotations

from collections.abc import Iterable

from l2liq.market import LegKind
from l2liq.outcome.schema import World
from l2liq.protocols.interface import Health, Moment, State
from l2liq.replay.course import Course, Order, Position
from l2liq.replay.screen import Floats, Ints, Lens

PRICE_SHARE = 1e-5
"""A value that moves by more than this share from one tick to the next moved because of its price."""


def later(a: Moment, b: Moment) -> Moment:
    """The later of two moments."""
    return a if (a.key, a.timestamp_s) >= (b.key, b.timestamp_s) else b


class Looks:
    """Orders looks, and tells why an account fell short."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._ground = course.ground
        self._screen = course.ground.screen
        known = set(course.plan.actual.keys)
        changed = {key for key in course.venue.timeline.keys if key not in known}
        if course.plan.change is not None:
            changed.add(course.plan.change.key)
        self._changes = [(key, self._screen.first_key_from(key)) for key in sorted(changed)]
        """Where the scenario changes parameters: from the change to the end of the transaction that it falls into."""

    def order_from(self, position: Position, now: Moment, *, tick: int | None = None) -> None:
        """Look at the account at its next hit from ``tick`` on (default: the one in force), not before ``now``."""
        position.version += 1
        start = self._screen.tick_at(now) if tick is None else tick
        hit = self._first(position, self._course.lenses, start)
        if hit is not None:
            self._push(position, later(hit, now))

    def order_after(self, position: Position, now: Moment) -> None:
        """The account is safe at ``now``: look again at its next hit, or right after an own change before that."""
        position.version += 1
        moment = self.next_look(position, now)
        if moment is not None:
            self._push(position, moment)

    def next_look(self, position: Position, now: Moment) -> Moment | None:
        """Next hit of an account that is safe at ``now``, or the end of an own change before that."""
        change = self._change_before_tick(position, now, self._screen.tick_at(now) + 1)
        return change or self._first(position, self._course.lenses, self.next_tick(position, now))

    def next_relief(self, position: Position, now: Moment) -> Moment | None:
        """First tick or own recorded change after ``now`` at which the account may be safe again."""
        tick, key = self.next_recovery(position, now), self._ground.chronicle.trail(position.account).next_key(now.key)
        if key is None or key > self._course.plan.last.key or (tick is not None and tick.key < key):
            return tick
        own = later(self._ground.chronicle.end_of(key), Moment(key, self._ground.chronicle.time_of(key)))
        return own if tick is None or own.key < tick.key else tick

    def next_recovery(self, position: Position, now: Moment) -> Moment | None:
        """First tick after ``now`` at which the account may be safe again."""
        return self._first(position, self._course.recovery_lenses, self.next_tick(position, now))

    def first_short(self, position: Position) -> Moment | None:
        """First tick at which the account may be liquidatable."""
        return self._first(position, self._course.lenses, 0)

    def next_tick(self, position: Position, now: Moment) -> int:
        """The tick after ``now``; for dust, whose margin is always within the guard, the next that matters to it.

        Otherwise an account with a thousandth of a cent would be looked at on every tick of the window.
        """
        tick = self._screen.tick_at(now)
        _, columns, quantities = self._entries(position, now)
        if not self._screen.is_dust(columns, quantities, self._course.lenses[0], tick):
            return tick + 1
        stop = self._screen.next_move(columns, tick, self._course.plan.dust_share)
        own = self._ground.chronicle.trail(position.account).next_key(now.key) if position.own is None else None
        if own is not None:
            stop = min(stop, self._screen.tick_at(Moment(own, self._ground.chronicle.time_of(own))))
        return max(stop, tick + 1)

    def next_attempt(self, position: Position, now: Moment, *, prices: bool) -> Moment | None:
        """When what holds up a liquidation may be gone: at other parameters, an own change, a moved price."""
        tick = self._screen.tick_at(now)
        _, columns, quantities = self._entries(position, now)
        dust = self._screen.is_dust(columns, quantities, self._course.lenses[0], tick)
        share = self._course.plan.dust_share if dust else PRICE_SHARE
        stop = self._screen.next_move(columns if prices else columns[:0], tick, share)
        found = [self._screen.moment(stop)] if stop < self._screen.ticks else []
        if prices and not dust:
            found += self._ground.world_prices_after(now, self._assets(position, now))
        if position.own is None:
            own = self._ground.chronicle.trail(position.account).next_key(now.key)
            found += [] if own is None else [self._ground.chronicle.end_of(own)]
        return min(found, key=lambda moment: (moment.key, moment.timestamp_s), default=None)

    def cause(self, position: Position, now: Moment, *, own_action: bool) -> str:
        """Why the account is liquidatable now: start, change, action, governance, price or interest."""
        course, tick = self._course, self._screen.tick_at(now)
        changed = any(start <= now.key <= stop for start, stop in self._changes)
        if changed and course.world is World.ALTERNATIVE and self._sound_as_before(position, now):
            return "change"
        if now == course.plan.first:
            return "start"
        if own_action or (position.own is None and self._acted(position, now, tick)):
            return "action"
        if self._screen.set_changes_at(tick):
            return "governance"
        _, columns, _ = self._entries(position, now)
        return "price" if self._screen.moved(columns, tick, PRICE_SHARE) else "interest"

    def gross_usd(self, position: Position, now: Moment) -> float:
        """Collateral and debt of an account [USD]."""
        _, columns, quantities = self._entries(position, now)
        return self._ground.gross_usd(columns, quantities, self._screen.tick_at(now))

    def _first(self, position: Position, lenses: Iterable[Lens], tick: int) -> Moment | None:
        hits = [hit for lens in lenses if (hit := self._hit(position, lens, tick)) >= 0]
        return self._screen.moment(min(hits)) if hits else None

    def _hit(self, position: Position, lens: Lens, tick: int) -> int:
        if position.own is None:
            return self._screen.first_hit_of(position.account, lens, tick)
        start = max(tick, 0)
        if start >= self._screen.ticks or not self._owes(position.own):
            return -1
        holding = self._screen.holding(*self._course.venue.screen_entries(self._screen.table, position.own), start)
        return start if holding is None else self._screen.first_hit(holding, lens, start)

    def _owes(self, state: State) -> bool:
        legs = self._ground.market.legs
        return any(legs[leg].kind is LegKind.DEBT for leg in state)

    def _push(self, position: Position, moment: Moment) -> None:
        self._course.push(moment, Order.LOOK, (position, position.version), position.address)

    def _change_before_tick(self, position: Position, now: Moment, tick: int) -> Moment | None:
        """End of the transaction that next changes an account of history, if that is before a tick."""
        if position.own is not None:
            return None
        key = self._ground.chronicle.trail(position.account).next_key(now.key)
        if key is None or (tick < self._screen.ticks and key >= self._screen.moment(tick).key):
            return None
        end = self._ground.chronicle.end_of(key)
        return end if now.key < end.key <= self._course.plan.last.key else None

    def _entries(self, position: Position, now: Moment) -> tuple[int, Ints, Floats]:
        state = self._course.state(position.account, now.key)
        return self._course.venue.screen_entries(self._screen.table, state)

    def _assets(self, position: Position, now: Moment) -> set[int]:
        legs = self._ground.market.legs
        return {legs[leg].asset for leg in self._course.state(position.account, now.key)}

    def _acted(self, position: Position, now: Moment, tick: int) -> bool:
        since = self._screen.moment(tick - 1).key if tick > 0 else self._course.plan.first.key
        return bool(self._course.venue.actions_of(position.account, since, now.key))

    def _sound_as_before(self, position: Position, now: Moment) -> bool:
        health: Health = self._ground.history.at(now).health(self._course.state(position.account, now.key))
        return not health.liquidatable

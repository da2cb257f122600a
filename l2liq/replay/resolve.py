"""Resolve: one queue by position, exact integers, and only accounts that may differ from their history (DESIGN §9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from l2liq.liquidators import at_second
from l2liq.outcome.schema import World
from l2liq.protocols.interface import Moment, Venue
from l2liq.replay.acting import Acting
from l2liq.replay.course import Course, Order
from l2liq.replay.detours import Stretch
from l2liq.replay.ground import Ground
from l2liq.replay.liquidating import Liquidating
from l2liq.replay.looks import Looks
from l2liq.replay.plan import Plan, Progress
from l2liq.replay.result import Divergence
from l2liq.replay.reversing import Reversing

DAY_S = 86_400
_EVENTS_PER_REPORT = 256


def resolve(
    ground: Ground,
    plan: Plan,
    world: World,
    venue: Venue,
    leaving: Mapping[int, Moment],
    progress: Progress | None,
) -> tuple[Course, tuple[Divergence, ...]]:
    """Decide what happens in control or alternative.

    Parameters
    ----------
    ground : Ground
        Of the plan's window.
    plan : Plan
        What to do.
    world : World
        Which of the two.
    venue : Venue
        The rules of this world.
    leaving : Mapping[int, Moment]
        Accounts that take no part from a moment on.
    progress : Progress | None
        Told how far it is.
    """
    return _Resolver(ground, plan, world, venue).run(leaving, progress)


class _Resolver:
    """Orders what is known beforehand, then handles events until none is left."""

    def __init__(self, ground: Ground, plan: Plan, world: World, venue: Venue) -> None:
        self._ground, self._plan = ground, plan
        self._course = Course(ground, plan, world, venue)
        self._looks = Looks(self._course)
        self._acting = Acting(self._course, self._looks)
        self._liquidating = Liquidating(self._course, self._looks, self._acting)
        self._reversing = Reversing(self._course, self._looks, self._acting)
        self._samples: list[Divergence] = []

    def run(self, leaving: Mapping[int, Moment], progress: Progress | None) -> tuple[Course, tuple[Divergence, ...]]:
        course, plan = self._course, self._plan
        self._order_looks()
        self._order_history(leaving)
        self._order_calendar()
        self._order_detours()
        handlers = self._handlers()
        span = max(plan.last.timestamp_s - plan.first.timestamp_s, 1)
        handled = 0
        while (event := course.pop()) is not None:
            now, order, payload = event
            handlers[order](payload, now)
            handled += 1
            if progress is not None and handled % _EVENTS_PER_REPORT == 0:
                progress(course.world.value, (now.timestamp_s - plan.first.timestamp_s) / span)
        course.counters.diverged = sum(p.diverged_at_s is not None for p in course.positions.values())
        return course, tuple(self._samples)

    def _order_looks(self) -> None:
        course, ground = self._course, self._ground
        first = dict(ground.hits(course.venue.timeline).first_tick)
        if len(course.lenses) > 1:
            for account, tick in ground.hits(self._plan.actual).first_tick.items():
                first[account] = min(tick, first.get(account, tick))
        for account, tick in first.items():
            position = course.position(account)
            moment = ground.screen.moment(tick)
            course.push(moment, Order.LOOK, (position, position.version), position.address)

    def _order_history(self, leaving: Mapping[int, Moment]) -> None:
        course, plan = self._course, self._plan
        chronicle = self._ground.chronicle
        for taken in self._ground.liquidations():
            group, address = chronicle.group(taken.transaction), self._ground.market.address(taken.account)
            course.push(Moment(group.before, taken.moment.timestamp_s), Order.REMOVAL, taken, address)
            course.push(group.last, Order.UNPAID, taken, address)
        sees_otherwise = self._ground.history is not self._ground.actual
        changed = plan.alternative != plan.actual or sees_otherwise
        if course.world is World.ALTERNATIVE and plan.change is not None and changed:
            for group in self._ground.not_as_recorded(course.venue, plan.change):
                course.push(group.last, Order.ADMISSION, group.transaction)
        for account, moment in leaving.items():
            course.push(moment, Order.LEAVE, account, self._ground.market.address(account))

    def _order_calendar(self) -> None:
        plan, clock = self._plan, self._ground.market.clock
        for every, order in ((DAY_S, Order.SAMPLE), (plan.reanchor_s, Order.ANCHOR)):
            for second in range(plan.first.timestamp_s + every, plan.last.timestamp_s, every) if every else ():
                self._course.push(at_second(second, plan.first, clock), order, None)
        self._course.push(plan.last, Order.SAMPLE, None)

    def _order_detours(self) -> None:
        course, chronicle = self._course, self._ground.chronicle
        for transaction, moment in course.detours.moved.items():
            course.push(chronicle.group(transaction).last, Order.HELD, transaction)
            if moment is not None:
                course.push(moment, Order.MOVED, transaction)
        for stretch in course.detours.stretches:
            course.push(stretch.before, Order.KEEP, stretch)
            course.push(stretch.at, Order.REVERSE, stretch)

    def _handlers(self) -> Mapping[Order, Callable[[Any, Moment], None]]:
        """What takes care of which event: functions of its payload and the moment."""
        acting, liquidating = self._acting, self._liquidating
        return {
            Order.KEEP: lambda stretch, now: self._reversing.keep(stretch),
            Order.REVERSE: self._reverse,
            Order.HELD: lambda transaction, now: acting.held(transaction),
            Order.MOVED: acting.moved,
            Order.ADMISSION: lambda transaction, now: acting.group(transaction),
            Order.SHORT: acting.short,
            Order.AGENDA: lambda payload, now: acting.agenda(*payload),
            Order.UNPAID: acting.unpaid,
            Order.LEAVE: lambda account, now: liquidating.leave(self._course.position(account), now),
            Order.ANCHOR: lambda payload, now: self._return_to_history(now),
            Order.RECOVERED: liquidating.recovered,
            Order.LOOK: liquidating.look,
            Order.LIQUIDATE: liquidating.liquidate,
            Order.SAMPLE: lambda payload, now: self._sample(now),
            Order.REMOVAL: acting.removal,
        }

    def _reverse(self, stretch: Stretch, now: Moment) -> None:
        self._liquidating.forget(stretch.before)
        self._reversing.reverse(stretch, now)

    def _return_to_history(self, now: Moment) -> None:
        course = self._course
        course.cash_change.clear()
        course.wallet.clear()
        self._liquidating.forget(self._plan.first)
        for position in course.positions.values():
            if position.own is not None or position.episode is not None:
                position.own, position.episode, position.frozen = None, None, False
                position.epoch += 1
                self._looks.order_from(position, now)

    def _sample(self, now: Moment) -> None:
        off_history = [p for p in self._course.positions.values() if p.own is not None]
        diverged = sum(self._looks.gross_usd(position, now) for position in off_history)
        total = self._ground.total_usd(max(self._ground.screen.tick_at(now), 0))
        self._samples.append(Divergence(now.timestamp_s, diverged, total))

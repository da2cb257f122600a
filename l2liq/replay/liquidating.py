"""From a look at an account to its liquidation: exact tests, the liquidator's delay, gates, rounds."""

from __future__ import annotations

from l2liq.liquidators import Trial, at_second
from l2liq.protocols.interface import Health, Moment, Rejection, Situation
from l2liq.replay.acting import Acting
from l2liq.replay.choosing import SYNTHETIC, UNPROFITABLE, Choosing, Taken
from l2liq.replay.course import ARRIVAL, Course, Episode, Order, Position
from l2liq.replay.looks import Looks
from l2liq.replay.plan import AtStart

STANDSTILL = "sequencer_down"
"""Why a liquidation waits while no block is made."""


class Liquidating:
    """Handles looks, recoveries and liquidations."""

    def __init__(self, course: Course, looks: Looks, acting: Acting) -> None:
        self._course = course
        self._looks = looks
        self._acting = acting
        plan = course.plan
        self._choosing = Choosing(plan, course.rows, course.draws, course.ground.market)
        self._openings = list(course.venue.ticks_of_change(plan.first, plan.last))
        costs = plan.costs_in(course.world)
        if costs is not None and costs.spike is not None:
            self._openings.append(at_second(costs.spike.until_s, plan.first, course.ground.market.clock))
            self._openings.sort(key=lambda moment: (moment.key, moment.timestamp_s))
        self._free_s = 0

    def look(self, due: tuple[Position, int], now: Moment) -> None:
        """Test an account exactly; where it is liquidatable, the liquidator model decides when."""
        position, version = due
        if version != position.version or position.left or position.episode is not None:
            return
        course = self._course
        health = self._health(position, now)
        if not health.liquidatable:
            self._looks.order_after(position, now)
            return
        cause = self._looks.cause(position, now, own_action=position.acted_at == now.key)
        if cause == "change":
            course.changed_itself.append(position.account)
            if course.plan.at_start is AtStart.EXCLUDE_UNDERWATER:
                self.leave(position, now)
                return
        race = self._choosing.begin(position.address, now, cause)
        episode = position.episode = Episode(now, cause, race)
        course.rows.margin_call(now, position.account, health, cause)
        if not race.entrants:
            self._await_recovery(position, now)
        for arrival in race.arrivals:
            course.push(arrival, Order.LIQUIDATE, (position, episode, ARRIVAL), position.address)

    def forget(self, since: Moment) -> None:
        """What liquidators did after a moment is undone."""
        self._choosing.forget(since)

    def leave(self, position: Position, now: Moment) -> None:
        """The account takes no part in this world from now on."""
        position.left, position.own, position.episode = True, None, None
        position.version += 1
        position.epoch += 1
        self._course.left_at[position.account] = now

    def recovered(self, due: tuple[Position, Episode], now: Moment) -> None:
        """The account may be safe again though nobody liquidated it."""
        position, episode = due
        if position.episode is not episode:
            return
        if self._health(position, now).liquidatable:
            self._await_recovery(position, now)
        else:
            position.episode = None
            self._looks.order_after(position, now)

    def _await_recovery(self, position: Position, now: Moment) -> None:
        moment = self._looks.next_recovery(position, now)
        if moment is not None:
            self._course.push(moment, Order.RECOVERED, (position, position.episode), position.address)

    def liquidate(self, due: tuple[Position, Episode, int], now: Moment) -> None:
        """Liquidate until the account is solvent, or something holds it up, or nothing is left to take."""
        position, episode, attempt = due
        restart = self._course.detours.restart(now)
        if position.episode is not episode and attempt == ARRIVAL and restart is None:
            self._choosing.late(episode.race, position.account, now)
        if position.episode is not episode or attempt not in (ARRIVAL, episode.attempt):
            return
        if restart is not None:
            self._stand_still(position, episode, now, restart)
            return
        if now.timestamp_s < self._free_s:
            self._order_when_free(position, episode, now)
            return
        while True:
            health = self._health(position, now)
            if not health.liquidatable:
                self._choosing.closed(episode.race, position.account, now)
                position.episode = None
                self._looks.order_after(position, now)
                return
            situation = self._course.at(position.account, now)
            gate = situation.gate(self._course.state(position.account, now.key))
            if gate is not None:
                self._hold(position, episode, now, health, gate.reason, gate.until_s)
                return
            done = self._best(position, episode, situation, now)
            if isinstance(done, Rejection):
                self._hold(position, episode, now, health, done.reason, None)
                self._await_cash(position, episode, situation, now)
                return
            if done is None:
                self._hold(position, episode, now, health, "", None)
                self._await_recovery(position, now)
                return
            self._settle(position, episode, now, situation, done)
            if self._choosing.spacing_s:
                self._free_s = now.timestamp_s + self._choosing.spacing_s
                self._order_when_free(position, episode, now)
                return

    def _stand_still(self, position: Position, episode: Episode, now: Moment, restart: Moment) -> None:
        """Nothing is executed until the restart."""
        if STANDSTILL not in episode.held_by:
            episode.held_by.add(STANDSTILL)
            health = self._health(position, now)
            self._course.rows.blocked(now, position.account, health, STANDSTILL, episode.since.timestamp_s)
        self._course.push(restart, Order.LIQUIDATE, (position, episode, episode.attempt), position.address)

    def _order_when_free(self, position: Position, episode: Episode, now: Moment) -> None:
        """Go on when the liquidator has time again."""
        when = at_second(self._free_s, now, self._course.ground.market.clock)
        self._course.push(when, Order.LIQUIDATE, (position, episode, episode.attempt), position.address)

    def _health(self, position: Position, now: Moment) -> Health:
        self._course.counters.tests += 1
        return self._course.at(position.account, now).health(self._course.state(position.account, now.key))

    def _best(
        self, position: Position, episode: Episode, situation: Situation, now: Moment
    ) -> Taken | Rejection | None:
        """The best liquidation that is accepted, or why the best one is not; None where there is nothing to take."""
        course = self._course
        trial = Trial(situation, course.book(now.key), course.cash(now.key), self._choosing.unit)
        return self._choosing.best(episode.race, position.account, now, trial)

    def _await_cash(self, position: Position, episode: Episode, situation: Situation, now: Moment) -> None:
        """Try again too when a reserve of the account's collateral has more cash, by history or by this world."""
        course = self._course
        requests = situation.requests(position.account, course.state(position.account, now.key), SYNTHETIC)
        for asset in sorted({request.collateral_asset for request in requests}):
            course.short_of[asset].add(position.account)
            rise = self._acting.watch.next_rise(asset, now)
            if rise is not None:
                course.push(rise, Order.LIQUIDATE, (position, episode, episode.attempt), position.address)

    def _settle(self, position: Position, episode: Episode, now: Moment, situation: Situation, taken: Taken) -> None:
        """Write an accepted liquidation into the world; what others would receive stays outside (DESIGN §9)."""
        course, done = self._course, taken.done
        state = dict(course.state(position.account, now.key))
        market_health_wad = course.rows.health_at_world_prices(situation, state, now)
        for (account, leg), quantity in done.step.after.items():
            if account == position.account and quantity:
                state[leg] = quantity
            elif account == position.account:
                state.pop(leg, None)
        self._acting.set_state(position, state, now)
        for asset, change in done.step.cash.items():
            self._acting.change_cash(asset, change, now)
        position.liquidated(course.rows, episode, now, taken.request, done, taken.deal, market_health_wad)

    def _hold(
        self, position: Position, episode: Episode, now: Moment, health: Health, reason: str, until_s: int | None
    ) -> None:
        """Say once why a liquidation waits, and try again when that may be over."""
        if reason and reason not in episode.held_by:
            episode.held_by.add(reason)
            self._course.rows.blocked(now, position.account, health, reason, episode.since.timestamp_s)
        episode.attempt += 1
        again = self._choosing.again(now)
        episode.waits = again is None
        if again is not None:
            self._course.push(again, Order.LIQUIDATE, (position, episode, episode.attempt), position.address)
            return
        found = [self._looks.next_attempt(position, now, prices=bool(reason))]
        if until_s is not None and until_s > now.timestamp_s:
            found.append(at_second(until_s, now, self._course.ground.market.clock))
        better_s = self._course.rows.sells_better_s(now) if reason == UNPROFITABLE.reason else None
        if better_s is not None:
            found.append(at_second(better_s, now, self._course.ground.market.clock))
        found.append(next((m for m in self._openings if _after(m, now)), None))
        found.append(self._choosing.money_again(episode.race, now))
        moments = [moment for moment in found if moment is not None and _after(moment, now)]
        if moments:
            moment = min(moments, key=lambda m: (m.key, m.timestamp_s))
            payload = (position, episode, episode.attempt)
            self._course.push(moment, Order.LIQUIDATE, payload, position.address)


def _after(moment: Moment, now: Moment) -> bool:
    return (moment.key, moment.timestamp_s) > (now.key, now.timestamp_s)

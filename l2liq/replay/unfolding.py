"""One world in which the whole market is executed again: transactions, liquidations and all rates (DESIGN §9)."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import count
from typing import Any

from l2liq.liquidators import Draws, Trial, at_second
from l2liq.market import LegKind
from l2liq.outcome.schema import Kind, World
from l2liq.protocols.interface import (
    Action,
    Call,
    Health,
    Liquidated,
    Machine,
    Moment,
    Receipt,
    Rejection,
    Request,
    Situation,
    State,
)
from l2liq.replay.beginning import beginning
from l2liq.replay.choosing import Choosing, Taken
from l2liq.replay.course import ARRIVAL, Episode, Position
from l2liq.replay.detours import Stretch
from l2liq.replay.disruption import Users
from l2liq.replay.ground import Ground
from l2liq.replay.liquidating import STANDSTILL
from l2liq.replay.looks import PRICE_SHARE
from l2liq.replay.plan import Infeasible, Plan, Progress
from l2liq.replay.result import Divergence
from l2liq.replay.reversing import UNTOUCHED, Standing, of_users, restore
from l2liq.replay.script import Script, Transaction

APART = 10_000
"""Amounts that differ by less than a ten-thousandth part differ by interest, not by what somebody did."""

DAY_S = 86_400
_EVENTS_PER_REPORT = 256


class Order(IntEnum):
    """What comes first at one moment."""

    KEEP = 0
    """A state of the chain that it will return to."""
    REVERSE = 1
    """The chain returns to a state that was kept."""
    LOST = 2
    """A recorded transaction does not happen at all."""
    TRANSACTION = 3
    LOOK = 4
    RETRY = 5
    """A price moves in the world that the market does not see: what did not pay may pay now."""
    LIQUIDATE = 6
    SAMPLE = 7


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a transaction is not done as recorded."""

    reason: str


@dataclass(frozen=True)
class _Kept:
    """A world before a stretch that is undone later."""

    machine: Machine
    standings: Mapping[int, Standing]
    wallet: Mapping[tuple[int, int], int]
    counters: Mapping[str, float]
    rows: int


class Unfolding:
    """Runs one world from the recorded state at the window's start.

    Attributes
    ----------
    rows, counters, positions, samples, changed_itself : as in the other mode
    machine : the market at the end
    """

    def __init__(self, ground: Ground, plan: Plan, world: World, machine: Machine, script: Script) -> None:
        self.machine = machine
        self._detours, self.rows, self.counters = beginning(ground, plan, world)
        self.counters.ambiguous = len(script.disagreeing)
        self.positions: dict[int, Position] = {}
        self.samples: list[Divergence] = []
        self.changed_itself: list[int] = []
        self._ground = ground
        self._plan = plan
        self._world = world
        self._script = script
        self._kept: dict[Stretch, _Kept] = {}
        self._choosing = Choosing(plan, self.rows, Draws(plan.seed), ground.market)
        self._wallet: dict[tuple[int, int], int] = defaultdict(int)
        self._open: dict[int, Position] = {}
        self._free_s = 0
        self._acted: set[int] = set()
        self._heap: list[tuple[int, int, int, bytes, int, Any]] = []
        self._number = count()
        self._debt_legs = {leg for leg, found in enumerate(ground.market.legs) if found.kind is LegKind.DEBT}
        self._timeline = plan.actual if world is World.CONTROL else plan.alternative
        known = set(plan.actual.keys)
        changed = {key for key in self._timeline.keys if key not in known}
        if plan.change is not None and world is World.ALTERNATIVE:
            changed.add(plan.change.key)
        self._changes = [(key, ground.screen.first_key_from(key)) for key in sorted(changed)]

    def run(self, progress: Progress | None = None) -> None:
        """Everything that happens until the window's end."""
        plan = self._plan
        span = max(plan.last.timestamp_s - plan.first.timestamp_s, 1)
        handle: dict[Order, Callable[[Any, Moment], Any]] = {
            Order.KEEP: self._keep,
            Order.REVERSE: self._reverse,
            Order.LOST: self._lose,
            Order.TRANSACTION: self._transact,
            Order.LOOK: self._look,
            Order.RETRY: self._retry,
            Order.LIQUIDATE: self._liquidate,
            Order.SAMPLE: self._sample,
        }
        for number, (now, order, payload) in enumerate(self._events()):
            handle[order](payload, now)
            if progress is not None and number % _EVENTS_PER_REPORT == 0:
                progress(self._world.value, (now.timestamp_s - plan.first.timestamp_s) / span)
        self.counters.diverged = sum(p.diverged_at_s is not None for p in self.positions.values())

    # What happens when

    def _events(self) -> Iterator[tuple[Moment, Order, Any]]:
        """The calendar, and whatever is ordered on the way; equal moments go by order, then by address."""
        for entry in self._calendar():
            while self._heap and self._heap[0] < entry:
                yield _event(heapq.heappop(self._heap))
            yield _event(entry)
        while self._heap:
            yield _event(heapq.heappop(self._heap))

    def _calendar(self) -> list[tuple[int, int, int, bytes, int, Any]]:
        """Recorded transactions, looks at all accounts, and samples, in order."""
        plan, table = self._plan, self._ground.screen.table
        entries: list[tuple[int, int, int, bytes, int, Any]] = []

        def add(moment: Moment, order: Order, payload: Any) -> None:
            entries.append((moment.key, moment.timestamp_s, int(order), b"", next(self._number), payload))

        for stretch in self._detours.stretches:
            add(stretch.before, Order.KEEP, stretch)
            add(stretch.at, Order.REVERSE, stretch)
        for transaction in self._script.transactions:
            moment = self._detours.moved.get(transaction.group.transaction, transaction.group.last)
            if transaction.calls and moment is None:
                add(transaction.group.last, Order.LOST, transaction)
            elif transaction.calls and moment is not None and _within(moment, plan.last):
                add(moment, Order.TRANSACTION, transaction)
                add(moment, Order.LOOK, None)
        for tick, (key, timestamp_s) in enumerate(zip(table.key.tolist(), table.timestamp_s.tolist(), strict=True)):
            add(Moment(key, timestamp_s), Order.LOOK, tick)
        for series in self._ground.unseen_prices.values():
            for key, timestamp_s in zip(series.key.tolist(), series.timestamp_s.tolist(), strict=True):
                if plan.first.key < key <= plan.last.key:
                    add(Moment(key, timestamp_s), Order.RETRY, None)
        for second in range(plan.first.timestamp_s + DAY_S, plan.last.timestamp_s, DAY_S):
            add(at_second(second, plan.first, self._ground.market.clock), Order.SAMPLE, None)
        add(plan.last, Order.SAMPLE, None)
        return sorted(entries)

    def _push(self, moment: Moment, position: Position, episode: Episode, attempt: int | None = None) -> None:
        """Order a liquidation (``attempt`` None = the one that is due); what lies after the window never happens."""
        last = self._plan.last
        if (moment.key, moment.timestamp_s) <= (last.key, last.timestamp_s):
            payload = (position, episode, episode.attempt if attempt is None else attempt)
            entry = (
                moment.key,
                moment.timestamp_s,
                int(Order.LIQUIDATE),
                position.address,
                next(self._number),
                payload,
            )
            heapq.heappush(self._heap, entry)

    # Users

    def _transact(self, transaction: Transaction, now: Moment) -> None:
        if now != transaction.group.last:
            transaction = moved_to(transaction, now)
        calls, counters = transaction.calls, self.counters
        done: Receipt | Rejection | _Refusal = _Refusal("frozen")
        if not any(position.frozen for position in self._actors(calls)):
            done = self._execute(transaction, calls)
        if not isinstance(done, Receipt):
            clipped = self._clipped(transaction, done.reason)
            if clipped is None:
                self._reject(transaction, calls, done.reason, now)
                done = Receipt((), {})
            else:
                done = clipped
        for (account, asset), amount in sorted(self._missing(transaction, done.wallet).items()):
            counters.unfunded += 1
            action = _as_logged(transaction, _paying(calls, account, asset))
            counters.unfunded_usd += self.rows.action(Kind.UNFUNDED, action, now, amount, "skipped_outflow")
            self._wallet[account, asset] += amount
        for place in {**done.wallet, **transaction.wallet}:
            self._wallet[place] += done.wallet.get(place, 0) - transaction.wallet.get(place, 0)
        self._note_divergence(transaction, now)

    def _execute(self, transaction: Transaction, calls: tuple[Call, ...]) -> Receipt | Rejection | _Refusal:
        if self._plan.reject_unfunded:
            expected = self._missing(transaction, transaction.wallet)
            if expected:
                return _Refusal("unfunded")
        return self.machine.execute(calls)

    def _actors(self, calls: tuple[Call, ...]) -> Iterator[Position]:
        for call in calls:
            if isinstance(call.what, Action) and call.what.account in self.positions:
                yield self.positions[call.what.account]

    def _clipped(self, transaction: Transaction, reason: str) -> Receipt | None:
        """The largest amount that is feasible, where the transaction has one action with an amount."""
        calls = transaction.calls
        action = calls[0].what
        if self._plan.infeasible is not Infeasible.CLIP or len(calls) != 1 or not isinstance(action, Action):
            return None
        if reason in ("unfunded", "frozen") or action.asset < 0:
            return None
        situation = self.machine.at(calls[0].moment)
        most = situation.largest(self.machine.state, action, cash=self.machine.cash)
        if not 0 < most < action.amount:
            return None
        done = self.machine.execute((replace(calls[0], what=replace(action, amount=most, whole=False)),))
        if isinstance(done, Rejection):
            return None
        self.counters.clipped += 1
        cut = self.rows.action(
            Kind.CLIPPED, _as_logged(transaction, action), transaction.group.last, action.amount - most, reason
        )
        self.counters.clipped_usd += cut
        return done

    def _reject(self, transaction: Transaction, calls: tuple[Call, ...], reason: str, now: Moment) -> None:
        for action in transaction.group.actions:
            if action.account >= 0:
                self.counters.rejected += 1
                self.counters.rejected_usd += self.rows.action(Kind.REJECTED, action, now, action.amount, reason)
        first = calls[0].what
        if self._plan.infeasible is Infeasible.FREEZE and first.account >= 0:
            self._position(first.account).frozen = True

    def _missing(self, transaction: Transaction, wallet: Mapping[tuple[int, int], int]) -> dict[tuple[int, int], int]:
        """(account, asset) to what it pays in without having it: its wallet would hold less than history's."""
        missing = {}
        for place, change in wallet.items():
            after = self._wallet.get(place, 0) + change - transaction.wallet.get(place, 0)
            if change < 0 and -after * APART > -change:
                missing[place] = min(-change, -after)
        return missing

    def _note_divergence(self, transaction: Transaction, now: Moment) -> None:
        """Remember who acted, and who no longer stands where history has it."""
        chronicle = self._ground.chronicle
        end = transaction.group.end if now == transaction.group.last else now.key
        for call in transaction.calls:
            assert isinstance(call.what, Action), "liquidations are not in the script"
            for account in (call.what.account, call.what.other):
                if account < 0:
                    continue
                self._acted.add(account)
                if _apart(chronicle.state(account, end), self.machine.state(account)):
                    position = self._position(account)
                    position.diverged_at_s = position.diverged_at_s or now.timestamp_s

    def _position(self, account: int) -> Position:
        found = self.positions.get(account)
        if found is None:
            found = self.positions[account] = Position(account, self._ground.market.address(account))
            self.counters.candidates += 1
        return found

    # Looks

    def _look(self, tick: int | None, now: Moment) -> None:
        """Test everybody who may be liquidatable; those held up try again."""
        short = self._retry(None, now)
        for account in sorted(short - self._open.keys(), key=self._ground.market.address):
            self._test(account, tick, now)
        self._acted.clear()

    def _retry(self, payload: None, now: Moment) -> set[int]:
        """Those held up try again. Returns all who may be liquidatable."""
        short = set(self.machine.candidates(now))
        for account, position in sorted(self._open.items(), key=lambda item: item[1].address):
            episode = position.episode
            assert episode is not None, "open positions have one"
            if episode.waits and account not in short:
                self._close(position)
            elif episode.waits:
                self._liquidate((position, episode, episode.attempt), now)
        return short

    def _test(self, account: int, tick: int | None, now: Moment) -> None:
        situation = self.machine.at(now)
        health = self._health(situation, account)
        if not health.liquidatable:
            return
        position = self._position(account)
        cause = self._cause(position, tick, now)
        if cause == "change":
            self.changed_itself.append(account)
        race = self._choosing.begin(position.address, now, cause)
        episode = position.episode = Episode(now, cause, race)
        self._open[account] = position
        self.rows.margin_call(now, account, health, cause)
        for arrival in race.arrivals:
            self._push(arrival, position, episode, ARRIVAL)

    def _health(self, situation: Situation, account: int) -> Health:
        self.counters.tests += 1
        return situation.health(self.machine.state(account))

    def _cause(self, position: Position, tick: int | None, now: Moment) -> str:
        """Why the account is liquidatable now: start, change, action, governance, price or interest."""
        state, screen = self.machine.state(position.account), self._ground.screen
        changed = any(start <= now.key <= stop for start, stop in self._changes)
        if changed and not self._ground.history.at(now).health(state).liquidatable:
            return "change"
        if now == self._plan.first:
            return "start"
        if position.account in self._acted:
            return "action"
        place = screen.tick_at(now) if tick is None else tick
        if screen.set_changes_at(place):
            return "governance"
        _, columns, _ = self._ground.actual.screen_entries(screen.table, state)
        return "price" if screen.moved(columns, place, PRICE_SHARE) else "interest"

    # A chain that returns

    def _keep(self, stretch: Stretch, now: Moment) -> None:
        standings = {account: Standing.of(position) for account, position in self.positions.items()}
        self._kept[stretch] = _Kept(
            self.machine.fork(), standings, dict(self._wallet), of_users(self.counters), len(self.rows)
        )

    def _reverse(self, stretch: Stretch, now: Moment) -> None:
        """Go on from the state before a stretch; its transactions are lost, or come again now in their order."""
        kept = self._kept.pop(stretch)
        self._choosing.forget(stretch.before)
        self.rows.revert(kept.rows)
        restore(self.counters, kept.counters)
        self.machine = kept.machine
        for account, position in self.positions.items():
            kept.standings.get(account, UNTOUCHED).restored(position)
            position.episode = None
        self._open.clear()
        self._wallet.clear()
        self._wallet.update(kept.wallet)
        executed, lost = self._undone(stretch)
        for transaction in lost if stretch.users is Users.QUEUE else (*executed, *lost):
            self._lose(transaction, now)
        for transaction in executed if stretch.users is Users.QUEUE else ():
            self._transact(transaction, now)
        self._look(None, now)

    def _undone(self, stretch: Stretch) -> tuple[list[Transaction], list[Transaction]]:
        """Transactions that were executed in a stretch, in their order, and those that were lost in it."""
        executed: list[tuple[tuple[int, int, tuple[int, int]], Transaction]] = []
        lost = []
        for transaction in (one for one in self._script.transactions if one.calls):
            group = transaction.group
            moment = self._detours.moved.get(group.transaction, group.last)
            if moment is None and stretch.holds(group.last):
                lost.append(transaction)
            elif moment is not None and stretch.holds(moment):
                executed.append(((moment.key, moment.timestamp_s, group.transaction), transaction))
        return [transaction for _, transaction in sorted(executed, key=lambda one: one[0])], lost

    def _lose(self, transaction: Transaction, now: Moment) -> None:
        """A transaction does not happen; what it moved in history outside the market does not move."""
        for place, change in transaction.wallet.items():
            self._wallet[place] -= change

    # Liquidations

    def _liquidate(self, due: tuple[Position, Episode, int], now: Moment) -> None:
        """Liquidate until the account is solvent, or something holds it up, or nothing is left to take."""
        position, episode, attempt = due
        restart = self._detours.restart(now)
        if position.episode is not episode and attempt == ARRIVAL and restart is None:
            self._choosing.late(episode.race, position.account, now)
        if position.episode is not episode or attempt not in (ARRIVAL, episode.attempt):
            return
        if restart is not None:
            if STANDSTILL not in episode.held_by:
                episode.held_by.add(STANDSTILL)
                health = self._health(self.machine.at(now), position.account)
                self.rows.blocked(now, position.account, health, STANDSTILL, episode.since.timestamp_s)
            self._push(restart, position, episode)
            return
        if now.timestamp_s < self._free_s:
            self._push(at_second(self._free_s, now, self._ground.market.clock), position, episode)
            return
        while True:
            situation = self.machine.at(now)
            health = self._health(situation, position.account)
            if not health.liquidatable:
                self._choosing.closed(episode.race, position.account, now)
                self._close(position)
                return
            gate = situation.gate(self.machine.state(position.account))
            if gate is not None:
                self._hold(position, episode, now, health, gate.reason)
                return
            state = self.machine.state(position.account)
            done = self._best(position, episode, situation, now)
            if isinstance(done, Rejection) or done is None:
                self._hold(position, episode, now, health, "" if done is None else done.reason)
                return
            market_health_wad = self.rows.health_at_world_prices(situation, state, now)
            self._settle(position, episode, now, done, market_health_wad)
            if self._choosing.spacing_s:
                self._free_s = now.timestamp_s + self._choosing.spacing_s
                self._push(at_second(self._free_s, now, self._ground.market.clock), position, episode)
                return

    def _best(
        self, position: Position, episode: Episode, situation: Situation, now: Moment
    ) -> Taken | Rejection | None:
        """The best liquidation that is accepted, executed; or why the best one is not, or None where there is none."""
        machine = self.machine

        def execute(request: Request) -> Liquidated | Rejection:
            receipt = machine.execute((Call(now, request),))
            if isinstance(receipt, Rejection):
                return receipt
            done = receipt.done[0]
            assert done is not None, "a liquidation tells its amounts"
            return done

        trial = Trial(situation, machine.state, machine.cash, self._choosing.unit)
        return self._choosing.best(episode.race, position.account, now, trial, execute)

    def _settle(
        self, position: Position, episode: Episode, now: Moment, taken: Taken, market_health_wad: int | None
    ) -> None:
        position.diverged_at_s = position.diverged_at_s or now.timestamp_s
        position.liquidated(self.rows, episode, now, taken.request, taken.done, taken.deal, market_health_wad)

    def _hold(self, position: Position, episode: Episode, now: Moment, health: Health, reason: str) -> None:
        """Say once why a liquidation waits; it is tried again when the liquidator looks again, or at every look."""
        if reason and reason not in episode.held_by:
            episode.held_by.add(reason)
            self.rows.blocked(now, position.account, health, reason, episode.since.timestamp_s)
        episode.attempt += 1
        again = self._choosing.again(now)
        episode.waits = again is None
        following = again or self._choosing.money_again(episode.race, now)
        if following is not None:
            self._push(following, position, episode)

    def _close(self, position: Position) -> None:
        position.episode = None
        self._open.pop(position.account, None)

    # Validity

    def _sample(self, payload: None, now: Moment) -> None:
        """How much of the market, by value, is not where history has it."""
        diverged = total = 0.0
        tick = max(self._ground.screen.tick_at(now), 0)
        for account in self.machine.owing():
            state = self.machine.state(account)
            _, columns, quantities = self._ground.actual.screen_entries(self._ground.screen.table, state)
            value = self._ground.gross_usd(columns, quantities, tick)
            total += value
            if account >= 0 and _apart(self._ground.chronicle.state(account, now.key), state):
                diverged += value
        self.samples.append(Divergence(now.timestamp_s, diverged, total))


def _apart(recorded: State, state: State) -> bool:
    """Whether an account stands elsewhere than in history, by more than other interest explains."""
    for leg in {*recorded, *state}:
        one, other = recorded.get(leg, 0), state.get(leg, 0)
        if abs(one - other) * APART > max(one, other):
            return True
    return False


def moved_to(transaction: Transaction, now: Moment) -> Transaction:
    """A transaction at another moment."""
    calls = tuple(
        replace(call, moment=now, what=replace(call.what, moment=now)) if isinstance(call.what, Action) else call
        for call in transaction.calls
    )
    return replace(transaction, calls=calls)


def _within(moment: Moment, last: Moment) -> bool:
    return (moment.key, moment.timestamp_s) <= (last.key, last.timestamp_s)


def _event(entry: tuple[int, int, int, bytes, int, Any]) -> tuple[Moment, Order, Any]:
    key, timestamp_s, order, _, _, payload = entry
    return Moment(key, timestamp_s), Order(order), payload


def _as_logged(transaction: Transaction, action: Action) -> Action:
    """An action at the moment of its log."""
    return next((one for one in transaction.group.actions if one.row == action.row), action)


def _paying(calls: tuple[Call, ...], account: int, asset: int) -> Action:
    """The action by which an account paid in an asset."""
    actions = [call.what for call in calls if isinstance(call.what, Action)]
    exact = (action for action in actions if action.asset == asset and account in (action.account, action.other))
    return next(exact, actions[0])

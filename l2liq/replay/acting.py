"""What users did, in a world that may no longer be the one in which they did it (DESIGN §9, after divergence)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from l2liq.outcome.schema import Kind
from l2liq.protocols.interface import Action, Moment
from l2liq.replay.cash import CashWatch
from l2liq.replay.chronicle import Group, Recorded, Transaction
from l2liq.replay.course import Course, Order, Position
from l2liq.replay.groups import Refusal, Run, execute
from l2liq.replay.looks import Looks
from l2liq.replay.plan import Infeasible


class Acting:
    """Executes recorded transactions where they may come out otherwise than recorded."""

    def __init__(self, course: Course, looks: Looks) -> None:
        self._course = course
        self._looks = looks
        self._ground = course.ground
        self._chronicle = course.ground.chronicle
        self.watch = CashWatch(course)
        self._done: set[Transaction] = set()
        self._elsewhere = set(course.detours.moved)
        """Transactions that happen at another moment than recorded."""

    # Leaving history

    def set_state(self, position: Position, state: dict[int, int], now: Moment) -> None:
        """The account has another state than history gives it."""
        first_time = position.own is None
        position.own = state
        if first_time:
            position.diverged_at_s = now.timestamp_s if position.diverged_at_s is None else position.diverged_at_s
            self._plan_agenda(position, now)

    def change_cash(self, asset: int, change: int, now: Moment) -> None:
        """A reserve's cash moves away from history by ``change`` [base units]."""
        self._course.cash_change[asset] += change
        if change < 0:
            self.watch.order_next(asset, now)
        for account in self._course.short_of.pop(asset, ()) if change > 0 else ():
            self._try_again(self._course.position(account), now)

    def removal(self, taken: Recorded, now: Moment) -> None:
        """A recorded liquidation will not happen in this world: its borrower is on its own from here."""
        position = self._course.position(taken.account)
        if position.own is None and not position.left:
            self.set_state(position, dict(self._chronicle.state(taken.account, now.key)), now)
            if position.episode is None:
                self._looks.order_from(position, now)

    def unpaid(self, taken: Recorded, now: Moment) -> None:
        """The cash that a recorded liquidation moved stays where it was; what it paid in kind is kept (DESIGN §9)."""
        course = self._course
        self.change_cash(taken.debt_asset, -taken.debt, now)
        kept = taken.protocol_fee + (taken.collateral if taken.receives_token else 0)
        course.counters.exogenous_usd += course.rows.usd(taken.collateral_asset, kept, taken.moment.key) or 0.0
        if not taken.receives_token:
            self.change_cash(taken.collateral_asset, taken.collateral, now)

    # Transactions

    def agenda(self, position: Position, epoch: int, transaction: Transaction) -> None:
        """The next recorded transaction of an account that left its history."""
        if epoch != position.epoch:
            return
        group = self._chronicle.group(transaction)
        if transaction in self._elsewhere and self._ground.recorded(group) is not None:
            pass
        elif transaction in position.acts_in:
            self.group(transaction)
        elif all(taken.account != position.account for taken in group.liquidations):
            self._drift([position], group)
            self._look_again(position, group.last)
        self._push_agenda(position)

    def group(self, transaction: Transaction) -> None:
        """Execute one recorded transaction in this world, once."""
        if transaction in self._done:
            return
        self._done.add(transaction)
        self._execute(self._chronicle.group(transaction))

    def held(self, transaction: Transaction) -> None:
        """A recorded transaction does not happen when it did; one that the rules do not reproduce cannot be held."""
        self._done.add(transaction)
        group = self._chronicle.group(transaction)
        recorded = self._ground.recorded(group)
        if recorded is None:
            self._course.counters.ambiguous += 1
            self._follow_history(group)
        else:
            self._leave_out(group, recorded)

    def moved(self, transaction: Transaction, now: Moment) -> None:
        """A recorded transaction happens now."""
        group = self._chronicle.group(transaction)
        if self._ground.recorded(group) is not None:
            self._elsewhere.add(transaction)
            self._execute(shifted(group, now))

    def _execute(self, group: Group) -> None:
        if any(self._has_left(action.account) for action in group.actions):
            self._follow_history(group)
            return
        outcome = self._frozen(group) or self._run(group, group.actions)
        if isinstance(outcome, Run) and self._course.plan.reject_unfunded:
            outcome = self._unpaid(group, outcome) or outcome
        if isinstance(outcome, Run):
            self._accept(group, outcome)
        elif not self._clip(group, outcome):
            self._reject(group, outcome)

    def short(self, due: tuple[int, Transaction], now: Moment) -> None:
        """A reserve (asset) cannot afford a recorded transaction any more."""
        asset, transaction = due
        if self.watch.is_due(asset, now):
            self.group(transaction)
            self.watch.order_next(asset, now)

    def _run(self, group: Group, actions: Iterable[Action]) -> Run | Refusal:
        course = self._course
        cash = course.cash(group.before)
        return execute(group, tuple(actions), self._chronicle, course.book(group.before), course.at_action, cash)

    def _has_left(self, account: int) -> bool:
        found = self._course.positions.get(account)
        return found is not None and found.left

    def _frozen(self, group: Group) -> Refusal | None:
        for action in group.actions:
            found = self._course.positions.get(action.account)
            if found is not None and found.frozen:
                return Refusal(action, "frozen")
        return None

    def _accept(self, group: Group, run: Run) -> None:
        touched = []
        for account, state in run.states.items():
            found = self._course.positions.get(account)
            if self._has_left(account):
                continue
            if found is None or found.own is None:
                if self._as_recorded(group, account, state):
                    continue
                found = self._course.position(account)
            self.set_state(found, state, group.last)
            touched.append(found)
        if touched:
            self._book_difference(group, run)
        for position in touched:
            self._look_again(position, group.last)

    def _as_recorded(self, group: Group, account: int, state: dict[int, int]) -> bool:
        if self._is_elsewhere(group):
            return False
        if state == self._chronicle.state(account, group.end):
            return True
        recorded = self._ground.recorded(group)
        return recorded is None or recorded.states.get(account) == state

    def _clip(self, group: Group, refusal: Refusal) -> bool:
        """Do as much of a transaction's only action as is possible; False where that is nothing."""
        course = self._course
        single = course.plan.infeasible is Infeasible.CLIP and len(group.actions) == 1
        if not single or refusal.reason == "unfunded" or refusal.action.asset < 0:
            return False
        action = refusal.action
        book, cash = course.book(group.before), course.cash(group.before)
        most = course.at_action(action).largest(book, action, cash=cash)
        run = self._run(group, [replace(action, amount=most, whole=False)]) if 0 < most < action.amount else refusal
        if isinstance(run, Refusal):
            return False
        course.counters.clipped += 1
        course.counters.clipped_usd += course.rows.action(
            Kind.CLIPPED, self._as_logged(action), group.last, action.amount - most, refusal.reason
        )
        self._accept(group, run)
        return True

    def _reject(self, group: Group, refusal: Refusal) -> None:
        course = self._course
        recorded = self._ground.recorded(group)
        if recorded is None:
            course.counters.ambiguous += 1
            self._follow_history(group)
            return
        for action in group.actions:
            course.counters.rejected += 1
            course.counters.rejected_usd += course.rows.action(
                Kind.REJECTED, self._as_logged(action), group.last, action.amount, refusal.reason
            )
        self._leave_out(group, recorded)
        if course.plan.infeasible is Infeasible.FREEZE:
            course.position(refusal.action.account).frozen = True

    def _leave_out(self, group: Group, recorded: Run) -> None:
        """What a recorded transaction did does not happen."""
        course, touched = self._course, []
        for account, state in recorded.states.items():
            before = self._course.state(account, group.before)
            found = course.positions.get(account)
            if (found is None or (found.own is None and not found.left)) and state != before:
                found = course.position(account)
                self.set_state(found, dict(before), group.last)
            if found is not None and found.own is not None:
                touched.append(found)
        self._book_difference(group, Run())
        for position in touched:
            self._look_again(position, group.last)

    def _follow_history(self, group: Group) -> None:
        """Accounts move as history has it.

        For what the rules do not reproduce even from the recorded state, and for what accounts did that are not of this
        world any more: what others had from it, they have.
        """
        moved = (self._course.positions.get(account) for account in self._chronicle.accounts_changed(group))
        off_history = [position for position in moved if position is not None and position.own is not None]
        self._drift(off_history, group)
        for position in off_history:
            self._look_again(position, group.last)

    def _drift(self, positions: Iterable[Position], group: Group) -> None:
        for position in positions:
            assert position.own is not None
            drift = self._chronicle.drift(position.account, group.before, group.end)
            position.own = self._chronicle.drifted(position.own, drift)

    # Money

    def _book_difference(self, group: Group, run: Run) -> None:
        """Keep how cash and wallets differ from history, and report what nobody paid for."""
        course = self._course
        recorded = Run() if self._is_elsewhere(group) else self._ground.recorded(group)
        if recorded is None:
            course.counters.ambiguous += 1
            return
        for asset in sorted({**run.cash, **recorded.cash}):
            self.change_cash(asset, run.cash.get(asset, 0) - recorded.cash.get(asset, 0), group.last)
        missing = {} if self._is_early(group) else self._missing(run, recorded)
        for place in {**run.wallet, **recorded.wallet}:
            difference = run.wallet.get(place, 0) - recorded.wallet.get(place, 0)
            course.wallet[place] += difference + missing.get(place, 0)
        for (account, asset), amount in sorted(missing.items()):
            action = self._as_logged(_paying(group, account, asset))
            course.counters.unfunded += 1
            course.counters.unfunded_usd += course.rows.action(
                Kind.UNFUNDED, action, group.last, amount, "skipped_outflow"
            )

    def _missing(self, run: Run, recorded: Run) -> dict[tuple[int, int], int]:
        """(account, asset) to what it pays in without having it: its wallet would hold less than history's."""
        missing = {}
        for place, change in run.wallet.items():
            after = self._course.wallet.get(place, 0) + change - recorded.wallet.get(place, 0)
            if change < 0 and after < 0:
                missing[place] = min(-change, -after)
        return missing

    def _unpaid(self, group: Group, run: Run) -> Refusal | None:
        recorded = Run() if self._is_elsewhere(group) else self._ground.recorded(group)
        missing = {} if recorded is None or self._is_early(group) else self._missing(run, recorded)
        if not missing:
            return None
        return Refusal(_paying(group, *min(missing)), "unfunded")

    def _is_elsewhere(self, group: Group) -> bool:
        """Whether a group is a recorded one at another moment."""
        return group.last != self._chronicle.group(group.transaction).last

    def _is_early(self, group: Group) -> bool:
        """Whether a group happens before it did; then what it pays with was on its way."""
        return group.last.key < self._chronicle.group(group.transaction).last.key

    def _as_logged(self, action: Action) -> Action:
        """An action at the moment of its log."""
        logged = self._chronicle.group(action.transaction).actions
        return next((one for one in logged if one.row == action.row), action)

    # What comes next

    def _look_again(self, position: Position, now: Moment) -> None:
        position.acted_at = now.key
        if position.episode is None:
            self._looks.order_from(position, now)
        else:
            self._try_again(position, now)

    def _try_again(self, position: Position, now: Moment) -> None:
        episode = position.episode
        if episode is not None and episode.waits:
            episode.attempt += 1
            self._course.push(now, Order.LIQUIDATE, (position, episode, episode.attempt), position.address)

    def _plan_agenda(self, position: Position, now: Moment) -> None:
        first, last = now, self._course.plan.last
        actions = self._course.venue.actions_of(position.account, first.key, last.key)
        position.acts_in = {action.transaction for action in actions}
        agenda = self._chronicle.agenda(position.account, actions, first, last)
        position.agenda = [entry for entry in reversed(agenda) if entry[0].key > now.key]
        position.epoch += 1
        self._push_agenda(position)

    def _push_agenda(self, position: Position) -> None:
        if position.agenda:
            moment, transaction = position.agenda.pop()
            payload = (position, position.epoch, transaction)
            self._course.push(moment, Order.AGENDA, payload, position.address)


def _paying(group: Group, account: int, asset: int) -> Action:
    """The action of a group by which an account paid in an asset."""
    exact = (action for action in group.actions if action.asset == asset and account in (action.account, action.other))
    return next(exact, group.actions[0])


def shifted(group: Group, now: Moment) -> Group:
    """A recorded transaction at another moment."""
    actions = tuple(replace(action, moment=now) for action in group.actions)
    return replace(group, before=now.key, last=now, end=now.key, actions=actions, liquidations=())

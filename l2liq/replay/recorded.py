"""The null test of the replay: with the rules as they were and the recorded liquidations, history comes out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from l2liq.events.log import block_of
from l2liq.protocols.interface import (
    Action,
    Book,
    Liquidated,
    Moment,
    Rejection,
    Request,
    Situation,
    State,
    Step,
    Venue,
)
from l2liq.replay.chronicle import Chronicle, Group, Recorded, Transaction
from l2liq.replay.groups import Cash, Run, merge


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Something that came out otherwise than recorded.

    Attributes
    ----------
    kind : ``refused`` (an action or liquidation), ``liquidation`` (amounts), ``balance`` (an account's final leg)
    account : address
    transaction : (block number, transaction index); of the window's end for balances
    field : action kind, amount or leg
    expected, actual : as recorded and as replayed; a refusal's reason as text
    """

    kind: str
    account: bytes
    transaction: Transaction
    field: str
    expected: str
    actual: str


@dataclass(frozen=True, slots=True)
class RecordedReplay:
    """Result of :func:`replay_recorded`.

    Attributes
    ----------
    accounts, equal : accounts that the window changed, and those of them that end exactly as in the ledger
    actions, liquidations : executed by the rules
    exogenous : changes of accounts that no action explains (taken from the ledger)
    discrepancies : in order of the chain, balances last
    """

    accounts: int
    equal: int
    actions: int
    liquidations: int
    exogenous: int
    discrepancies: tuple[Discrepancy, ...]


def replay_recorded(venue: Venue, first: Moment, last: Moment) -> RecordedReplay:
    """Execute every recorded action and liquidation in (first, last] by the rules, from the state after ``first``.

    Parameters
    ----------
    venue : Venue
        The market under its actual parameters.
    first, last : Moment
        The window.
    """
    return _Null(venue, first, last).run()


class _Null:
    def __init__(self, venue: Venue, first: Moment, last: Moment) -> None:
        self._venue, self._first, self._last = venue, first, last
        self._market = venue.market
        self._chronicle = Chronicle(venue.market)
        self._states: dict[int, dict[int, int]] = {}
        self._changed: set[int] = set()
        self._found: list[Discrepancy] = []
        self._actions = self._liquidations = self._exogenous = 0

    def run(self) -> RecordedReplay:
        for transaction in self._chronicle.codes_in(self._first, self._last):
            self._execute(self._chronicle.group(transaction))
        equal = sum(self._compare(account) for account in sorted(self._changed, key=self._market.address))
        return RecordedReplay(
            accounts=len(self._changed),
            equal=equal,
            actions=self._actions,
            liquidations=self._liquidations,
            exogenous=self._exogenous,
            discrepancies=tuple(self._found),
        )

    def _execute(self, group: Group) -> None:
        run = Run()

        def book(account: int) -> State:
            found = run.states.get(account)
            return self._present(account) if found is None else found

        def cash(asset: int) -> int:
            return self._venue.recorded_cash(asset, group.before) + run.cash.get(asset, 0)

        steps: Sequence[Action | Recorded] = sorted((*group.actions, *group.liquidations), key=lambda s: s.moment.key)
        for step in steps:
            situation = self._venue.at(step.moment)
            done: Step | Rejection
            if isinstance(step, Action):
                self._actions += 1
                done, what = situation.apply(book, step, cash=cash), step.kind
            else:
                self._liquidations += 1
                done, what = self._liquidate(situation, step, book, cash), "liquidation"
            if isinstance(done, Rejection):
                self._say("refused", step.account, group.transaction, what, "accepted", done.reason)
                continue
            merge(run, done.after, book)
            for asset, change in done.cash.items():
                run.cash[asset] += change
        changed = self._chronicle.accounts_changed(group)
        for account in changed - run.states.keys():
            drift = self._chronicle.drift(account, group.before, group.end)
            run.states[account] = self._chronicle.drifted(self._present(account), drift)
            self._exogenous += 1
        self._states.update(run.states)
        self._changed |= changed | run.states.keys()

    def _liquidate(self, situation: Situation, step: Recorded, book: Book, cash: Cash) -> Step | Rejection:
        """A recorded liquidation; its choice of assets and amount is input, all else is computed.

        The log holds what was repaid, not what was asked for: who asked for more than the collateral allows got all of
        it, which what was repaid need not reach again after rounding. So the second try asks for as much as possible.
        """
        exact = Request(
            step.account, step.liquidator, step.collateral_asset, step.debt_asset, step.debt, step.receives_token
        )
        expected = (step.debt, step.collateral, step.protocol_fee)
        first, most = (
            situation.liquidate(book, request, cash=cash) for request in (exact, replace(exact, amount=None))
        )
        for done in (first, most):
            if isinstance(done, Liquidated) and _amounts(done) == expected:
                return done.step
        if isinstance(first, Rejection):
            return first
        actual = str(_amounts(first))
        self._say("liquidation", step.account, step.transaction, "amounts", str(expected), actual)
        return first.step

    def _present(self, account: int) -> State:
        found = self._states.get(account)
        return self._chronicle.state(account, self._first.key) if found is None else found

    def _compare(self, account: int) -> bool:
        expected, actual = self._chronicle.state(account, self._last.key), self._present(account)
        for leg in sorted({*expected, *actual}):
            if expected.get(leg, 0) != actual.get(leg, 0):
                field = self._market.legs[leg].name
                place = (block_of(self._last.key), 0)
                self._say("balance", account, place, field, str(expected.get(leg, 0)), str(actual.get(leg, 0)))
        return dict(expected) == dict(actual)

    def _say(self, kind: str, account: int, where: Transaction, field: str, expected: str, actual: str) -> None:
        self._found.append(Discrepancy(kind, self._market.address(account), where, field, expected, actual))


def _amounts(done: Liquidated) -> tuple[int, int, int]:
    return done.debt_repaid, done.collateral_to_liquidator, done.protocol_fee

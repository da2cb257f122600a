"""What a protocol would make of requests that nobody has made yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from l2liq.protocols.interface import Book, Liquidated, Rejection, Request, Situation, State

MOST_ROUNDS = 64
"""Liquidations of one account at one moment after which nobody looks further ahead."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One moment of one world; whatever is tried changes nothing.

    Attributes
    ----------
    situation, book, cash : the rules, the states of accounts, the cash of reserves [base units]
    unit : base units per whole unit of an asset
    """

    situation: Situation
    book: Book
    cash: Callable[[int], int]
    unit: Callable[[int], int]

    def liquidate(self, request: Request) -> Liquidated | Rejection:
        """What a request comes to."""
        return self.situation.liquidate(self.book, request, cash=self.cash)

    def after(self, account: int, done: Liquidated) -> Trial:
        """The moment as an accepted liquidation of ``account`` would leave it."""
        state: State = {
            **self.book(account),
            **{leg: quantity for (who, leg), quantity in done.step.after.items() if who == account},
        }
        left = {leg: quantity for leg, quantity in state.items() if quantity}
        book, cash, moved = self.book, self.cash, done.step.cash
        return replace(
            self,
            book=lambda who: left if who == account else book(who),
            cash=lambda asset: cash(asset) + moved.get(asset, 0),
        )

    def gain(self, request: Request, done: Liquidated) -> Fraction:
        """Worth of what the liquidator gets less what it repays, at oracle prices [base currency], exact."""
        got = Fraction(done.collateral_to_liquidator * done.collateral_price, self.unit(request.collateral_asset))
        return got - Fraction(done.debt_repaid * done.debt_price, self.unit(request.debt_asset))

    def rounds(self, first: Request) -> Iterator[tuple[Request, Liquidated]]:
        """The liquidation asked for, then the best and largest one each, while the account is liquidatable."""
        trial, request = self, first
        for _ in range(MOST_ROUNDS):
            done = trial.liquidate(request)
            if not isinstance(done, Liquidated):
                return
            yield request, done
            trial = trial.after(first.account, done)
            state = trial.book(first.account)
            if not done.health_after.liquidatable or trial.situation.gate(state) is not None:
                return
            following = trial.situation.requests(first.account, state, first.liquidator)
            accepted = (one for one in following if isinstance(trial.liquidate(one), Liquidated))
            found = next(accepted, None)
            if found is None:
                return
            request = found

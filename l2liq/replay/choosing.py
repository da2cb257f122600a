"""Which of the liquidations that the protocol accepts the liquidators of one world do, and who of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from l2liq.liquidators import (
    Capital,
    Competition,
    Contestant,
    Draws,
    Entrant,
    Race,
    Trial,
    at_second,
    largest,
)
from l2liq.market import Clock, Market
from l2liq.protocols.interface import Liquidated, Moment, Rejection, Request
from l2liq.replay.plan import Plan
from l2liq.replay.rows import Deal, Rows

SYNTHETIC = -1
"""The first model liquidator, and the others below: nobody in the market."""

UNPROFITABLE = Rejection("unprofitable")
"""Why a liquidator leaves a liquidation alone that it could do."""

NO_CAPITAL = Rejection("no_capital")
"""Why a liquidator cannot do what it wants."""

Execute = Callable[[Request], Liquidated | Rejection]
"""Does a request, in a world where doing may be refused though trying out was not."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An accepted liquidation, and what is particular about who did it."""

    request: Request
    done: Liquidated
    deal: Deal


class Choosing:
    """Chooses among liquidators and requests; what they remember within one world is kept here."""

    def __init__(self, plan: Plan, rows: Rows, draws: Draws, market: Market) -> None:
        self._field = Competition.of(plan.liquidator)
        self._capital = Capital(self._field.contestants)
        self._rows = rows
        self._draws = draws
        self._clock: Clock = market.clock
        self._era = 0
        self._market = market

    @property
    def spacing_s(self) -> int:
        """Time from one liquidation to the next one, whichever account that is of [s]."""
        return self._field.spacing_s

    def unit(self, asset: int) -> int:
        """Base units of one whole unit."""
        return self._market.assets[asset].unit

    def begin(self, address: bytes, now: Moment, cause: str) -> Race:
        """Who comes for an account that has become liquidatable."""
        found = self._field.race(
            lambda purpose: self._draws.next(address, purpose, now.timestamp_s), now, cause, self._clock
        )
        found.era = self._era
        return found

    def again(self, now: Moment) -> Moment | None:
        """When liquidators look again at what something holds up; None = whenever that may have changed."""
        return self._field.again(now, self._clock)

    def money_again(self, race: Race, now: Moment) -> Moment | None:
        """When one of those who are there has money again; None where none of them waits for any."""
        numbers = (one.number for one in self._field.present(race, now) if one.short)
        back_s = self._capital.next_return_s(numbers, now.timestamp_s)
        return None if back_s is None else at_second(back_s, now, self._clock)

    def forget(self, since: Moment) -> None:
        """What happened after a moment is undone: capital is back, and nobody is on the way any more."""
        self._capital.return_since(since.timestamp_s)
        self._era += 1

    def best(
        self, race: Race, account: int, now: Moment, trial: Trial, execute: Execute | None = None
    ) -> Taken | Rejection | None:
        """The first request that the protocol accepts and somebody who is there wants and can pay.

        Parameters
        ----------
        race : Race
            For the account.
        account : int
            Whom to liquidate.
        now : Moment
            When.
        trial : Trial
            The world at that moment.
        execute : Execute | None
            None = a world in which what was tried can be done.

        Returns
        -------
        Taken | Rejection | None
            The liquidation, done where ``execute`` is given; or why the best one is not; None where there is nothing
            to take.
        """
        requests: Sequence[Request] | None = None
        refused: Rejection | None = None
        for entrant in self._field.present(race, now):
            entrant.short = self._capital.free(entrant.number, now.timestamp_s) == 0
            if entrant.short:
                entrant.declined, refused = now, refused or NO_CAPITAL
                continue
            if requests is None:
                requests = trial.situation.requests(account, trial.book(account), SYNTHETIC)
            for request in requests:
                found = self._do(entrant, race, request, now, trial, execute)
                if isinstance(found, Taken):
                    entrant.took, race.last = True, now
                    return found
                refused = refused or found
            entrant.declined = now
        return refused

    def _do(
        self, entrant: Entrant, race: Race, request: Request, now: Moment, trial: Trial, execute: Execute | None
    ) -> Taken | Rejection:
        """One pair, by one liquidator."""
        refused: Rejection | None = None
        whole = replace(request, liquidator=SYNTHETIC - entrant.number)
        most = self._most(entrant, whole, now, trial)
        for amount in self._field.sizing.amounts(whole, trial, most, again=race.last == now):
            wish, done = self._affordable(
                entrant, whole if amount is None else replace(whole, amount=amount), most, trial
            )
            deal = None
            if isinstance(done, Liquidated):
                deal, wanted = self._deal(entrant, wish, done, now)
                if not wanted:
                    done = UNPROFITABLE
            if execute is not None and done not in (UNPROFITABLE, NO_CAPITAL):
                deal, done = None, execute(wish)
            if isinstance(done, Liquidated):
                if most is not None:
                    price = self._rows.price(wish.debt_asset, now.key) or done.debt_price
                    unit = self.unit(wish.debt_asset)
                    self._capital.pay(entrant.number, now.timestamp_s, done.debt_repaid, price, unit)
                return Taken(wish, done, deal or self._deal(entrant, wish, done, now)[0])
            refused = refused or done
        assert refused is not None, "a sizing asks for something"
        return refused

    def _most(self, entrant: Entrant, request: Request, now: Moment, trial: Trial) -> int | None:
        """What a liquidator can pay of the debt [base units]; None = without end."""
        asset, now_s = request.debt_asset, now.timestamp_s
        price = self._rows.price(asset, now.key) if self._capital.free(entrant.number, now_s) is not None else None
        return None if price is None else self._capital.affordable(entrant.number, now_s, price, self.unit(asset))

    def _affordable(
        self, entrant: Entrant, wish: Request, most: int | None, trial: Trial
    ) -> tuple[Request, Liquidated | Rejection]:
        """The request cut to the liquidator's capital, and what comes of it.

        Where the protocol accepts the whole and refuses what the capital allows, as that would leave dust, the largest
        amount that it accepts.
        """
        done = trial.liquidate(wish)
        if not isinstance(done, Liquidated) or most is None or done.debt_repaid <= most:
            return wish, done
        for amount in self._amounts_up_to(most, wish, trial) if most else ():
            less = trial.liquidate(replace(wish, amount=amount))
            if isinstance(less, Liquidated):
                return replace(wish, amount=amount), less
        entrant.short = True
        return wish, NO_CAPITAL

    def _amounts_up_to(self, most: int, wish: Request, trial: Trial) -> Iterator[int]:
        def accepted(amount: int) -> bool:
            return isinstance(trial.liquidate(replace(wish, amount=amount)), Liquidated)

        yield most
        found = largest(accepted, most, most - 1)
        if found:
            yield found

    def _deal(self, entrant: Entrant, request: Request, done: Liquidated, now: Moment) -> tuple[Deal, bool]:
        """What a liquidation means to who does it, and whether it wants that."""
        one, offer = self._contestant(entrant), self._rows.offer(request, done, now)
        bid_usd = self._field.bid_usd(entrant, offer, now)
        offer = replace(offer, bid_usd=bid_usd)
        recaptured_usd = self._field.recaptured_usd(entrant, bid_usd, now)
        return (
            Deal(one.address, bid_usd if self._field.pays_bids else None, recaptured_usd, one.model.left_usd(offer)),
            one.model.wants(offer),
        )

    def _contestant(self, entrant: Entrant) -> Contestant:
        return self._field.contestants[entrant.number]

    def closed(self, race: Race, account: int, now: Moment) -> None:
        """The account is safe. If a liquidation of this moment made it so, others who are there come too late."""
        if race.last != now:
            return
        race.closed = now
        for entrant in self._field.present(race, now):
            if not entrant.took and entrant.declined != now:
                self._fail(entrant, account, now)

    def late(self, race: Race, account: int, now: Moment) -> None:
        """Somebody arrives where nothing is left to liquidate."""
        if race.era == self._era and self._field.tries_late(race, now):
            for entrant in race.entrants:
                if entrant.due == now:
                    self._fail(entrant, account, now)

    def _fail(self, entrant: Entrant, account: int, now: Moment) -> None:
        if self._capital.free(entrant.number, now.timestamp_s) != 0:
            self._rows.failed(now, account, self._contestant(entrant).address)

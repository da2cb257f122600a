"""One moment of an Aave v3 market: prices and indices are fixed, accounts are handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Protocol

from l2liq.errors import InputError
from l2liq.events.log import block_of
from l2liq.protocols.aave_v3 import admission, seizing, solvency
from l2liq.protocols.aave_v3.auction import paid_bonus_bps
from l2liq.protocols.aave_v3.execution import Execution
from l2liq.protocols.aave_v3.gates import Gates
from l2liq.protocols.aave_v3.layout import COLLATERAL, DEBT, Layout, Memo, Tables
from l2liq.protocols.aave_v3.liquidation import repaid_for_all
from l2liq.protocols.aave_v3.reasons import ARITHMETIC, Refused
from l2liq.protocols.aave_v3.solvency import AccountData, Totals
from l2liq.protocols.interface import (
    Action,
    Backing,
    Book,
    Gate,
    Health,
    Liquidated,
    Moment,
    Rejection,
    Request,
    State,
    Step,
)


class Record(Protocol):
    """What the market's series say about a moment; None where they say nothing."""

    def price(self, asset: int, key: int) -> int | None: ...

    def price_of_source(self, source: bytes, key: int) -> int | None:
        """Price that the oracle gives for an address which is no reserve."""

    def income_index_ray(self, asset: int, moment: Moment) -> int | None: ...

    def debt_index_ray(self, asset: int, moment: Moment) -> int | None: ...

    def sequencer(self, key: int) -> tuple[int, int] | None:
        """Answer of the uptime feed (0 = up) and the time from which the sentinel counts its grace period."""

    def account_of(self, address: bytes) -> int | None:
        """Account index of an address, None where the market never saw it."""


class AaveSituation:
    """See :class:`l2liq.protocols.interface.Situation`.

    Caps (supply, borrow, debt ceiling) are not checked: they compare totals of the whole market, which a replay with
    recorded interest does not rebuild. Roles (isolated collateral suppliers, position managers) and allowances are
    not either: they are about who calls, and logs tell the position only.
    """

    def __init__(self, moment: Moment, tables: Tables, record: Record, prices: Mapping[int, int] | None = None) -> None:
        self.moment = moment
        self.tables = tables
        self.rules = tables.rules
        self.record = record
        reading = (record, tables.layout, moment)
        self.prices = Memo(partial(_price, *reading, prices or {}))
        self.income_ray = Memo(partial(_income_index, *reading))
        self.debt_index_ray = Memo(partial(_debt_index, *reading))
        self._mode_prices: dict[int, Memo] = {}

    def at_prices(self, prices: Mapping[int, int]) -> AaveSituation:
        """The same moment with other prices, asset to price [base currency]; those left out stay as they are."""
        return AaveSituation(self.moment, self.tables, self.record, prices)

    @cached_property
    def gates(self) -> Gates:
        """What can forbid a liquidation now."""
        return Gates(self)

    def health(self, state: State) -> Health:
        """Exact health. Raises InputError naming asset and block where a price is missing."""
        return self.health_of(self.totals(state))

    def health_of(self, totals: Totals) -> Health:
        """Health of an account with these totals."""
        factor = solvency.health_factor_wad(totals, self.rules)
        return Health(
            factor_wad=factor,
            collateral_base=totals.collateral_base,
            debt_base=totals.debt_base,
            threshold_base=solvency.threshold_base(totals, self.rules),
            liquidatable=factor is not None and factor < solvency.LIQUIDATION_HEALTH_WAD,
        )

    def backing(self, state: State) -> Backing:
        """What the collateral stands for: by LTV, and by the terms of its liquidation."""
        category = state.get(self.tables.layout.emode, 0)
        totals, terms, repayable = self.totals(state, category), self.tables.terms(category), 0
        factor = solvency.health_factor_wad(totals, self.rules)
        held = dict(self._collateral(state, category))
        for asset, value in held.items():
            term = terms[asset]
            assert term is not None, "only a listed reserve counts as collateral"
            bonus_bps = paid_bonus_bps(term.bonus_bps, factor, self.tables.parameters)
            repayable += repaid_for_all(value, bonus_bps, self.rules)
        return Backing(solvency.borrowable_base(totals, self.rules), repayable, held)

    def account_data(self, state: State) -> AccountData:
        """What ``getUserAccountData`` answers about an account in this state."""
        return solvency.account_data(self.totals(state), self.rules)

    def totals(self, state: State, category: int | None = None) -> Totals:
        """Sums over an account, in its own e-mode or in another ``category``."""
        tables, balance_of = self.tables, state.get
        if category is None:
            category = balance_of(tables.layout.emode, 0)
        summands, prices = tables.summands(category), self.prices_in(category)
        collateral = debt = weighted_threshold = weighted_ltv = 0
        has_zero_ltv = False
        for leg, quantity in state.items():
            kind, asset, balance_leg, threshold_bps, ltv_bps, unit = summands[leg]
            if kind == COLLATERAL:
                scaled = balance_of(balance_leg)
                if scaled:
                    value = tables.math.atoken_balance(scaled, self.income_ray[asset]) * prices[asset] // unit
                    collateral += value
                    weighted_threshold += value * threshold_bps
                    weighted_ltv += value * ltv_bps
                if not ltv_bps:
                    has_zero_ltv = True
            elif kind == DEBT:
                amount = tables.math.debt_balance(quantity, self.debt_index_ray[asset])
                debt += tables.math.debt_value(amount, prices[asset], unit)
        return Totals(collateral, debt, weighted_threshold, weighted_ltv, has_zero_ltv)

    def _collateral(self, state: State, category: int) -> Iterator[tuple[int, int]]:
        """Assets that count as collateral, and their values [base currency]."""
        summands, prices = self.tables.summands(category), self.prices_in(category)
        for leg in state:
            kind, asset, balance_leg, _, _, unit = summands[leg]
            if kind == COLLATERAL and (scaled := state.get(balance_leg)):
                yield asset, self.tables.math.atoken_balance(scaled, self.income_ray[asset]) * prices[asset] // unit

    def prices_in(self, category: int) -> Mapping[int, int]:
        """Prices by asset as an account of an e-mode category sees them [base currency]."""
        if not category:
            return self.prices
        mode = self.tables.mode(category)
        if mode is None or mode.price_source is None:
            return self.prices
        found = self._mode_prices.get(category)
        if found is None:
            source = self.price_of_source(mode.price_source)
            members = mode.collateral
            found = self._mode_prices[category] = Memo(lambda asset: source if asset in members else self.prices[asset])
        return found

    def price_of_source(self, source: bytes) -> int:
        """Price that the oracle gives for the address which an e-mode names as its price source."""
        addresses = self.tables.layout.addresses
        if source in addresses:
            return self.prices[addresses.index(source)]
        found = self.record.price_of_source(source, self.moment.key)
        if found is None or found <= 0:
            raise InputError(
                f"block {block_of(self.moment.key)}: an e-mode takes its price from 0x{source.hex()}, which has no "
                "price. Ingest its price source or give a price table."
            )
        return found

    def apply(self, book: Book, action: Action, *, cash: Callable[[int], int]) -> Step | Rejection:
        """Execute one user action by the contract's rules; ``cash(asset)``: the reserve's cash in this world."""
        execution = Execution(self, book, cash)
        try:
            admission.execute(execution, action)
        except Refused as refused:
            return refused.rejection
        except ArithmeticError:
            return Rejection(ARITHMETIC)
        return execution.step()

    def largest(self, book: Book, action: Action, *, cash: Callable[[int], int]) -> int:
        """Largest amount [base units], up to what ``action`` asks for, at which it is accepted; 0 = none.

        With averaged thresholds (until 3.4) the floor to whole bps makes admission not quite monotone: within one bp of
        the account's collateral a larger amount may be admissible again. What is returned is admissible, and one base
        unit more is not.
        """
        return admission.largest(self, book, action, cash)

    def gate(self, state: State) -> Gate | None:
        """What forbids liquidating this account now, None = nothing (margin is not looked at)."""
        return self.gates.of(state)

    def requests(self, account: int, state: State, liquidator: int) -> Sequence[Request]:
        """Every open pair, best first: by value received less value repaid at oracle prices, ties by asset address."""
        return seizing.requests(self, account, state, liquidator)

    def liquidate(self, book: Book, request: Request, *, cash: Callable[[int], int]) -> Liquidated | Rejection:
        """Execute one liquidation by the contract's rules."""
        execution = Execution(self, book, cash)
        try:
            return seizing.execute(execution, request)
        except Refused as refused:
            return refused.rejection
        except ArithmeticError:
            return Rejection(ARITHMETIC)


def _price(record: Record, layout: Layout, moment: Moment, given: Mapping[int, int], asset: int) -> int:
    found = given.get(asset)
    if found is None:
        found = record.price(asset, moment.key)
    if found is None or found <= 0:
        raise InputError(
            f"{_place(layout, moment, asset)} has no price. Ingest its price source or give a price table."
        )
    return found


def _income_index(record: Record, layout: Layout, moment: Moment, asset: int) -> int:
    found = record.income_index_ray(asset, moment)
    if found is None:
        raise InputError(
            f"{_place(layout, moment, asset)} has no liquidity index. Ingest the market from its deployment."
        )
    return found


def _debt_index(record: Record, layout: Layout, moment: Moment, asset: int) -> int:
    found = record.debt_index_ray(asset, moment)
    if found is None:
        raise InputError(f"{_place(layout, moment, asset)} has no borrow index. Ingest the market from its deployment.")
    return found


def _place(layout: Layout, moment: Moment, asset: int) -> str:
    return f"block {block_of(moment.key)}: asset 0x{layout.addresses[asset].hex()}"

"""One transaction over a pool whose indices and rates respond to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from l2liq.errors import InputError
from l2liq.events.log import block_of
from l2liq.numeric import (
    RAY,
    percent_mul_half_up,
    ray_div_half_up,
    ray_mul_half_up,
)
from l2liq.protocols.aave_v3.execution import Execution
from l2liq.protocols.aave_v3.layout import Role
from l2liq.protocols.aave_v3.pool.reserve import PoolReserve
from l2liq.protocols.aave_v3.reasons import NO_LIQUIDITY, Reason, refuse
from l2liq.protocols.aave_v3.scaled import RAY_DIV
from l2liq.protocols.aave_v3.situation import AaveSituation

if TYPE_CHECKING:
    from l2liq.protocols.aave_v3.pool.pool import Pool

_WAD_TO_RAY = 10**9
_CEILING_DECIMALS = 2
_NONE: frozenset[int] = frozenset()


class PoolExecution(Execution):
    """States of the accounts and reserves concerned; the pool stays as it was until :meth:`commit`.

    Source: Aave v3 ReserveLogic, ValidationLogic (caps), IsolationModeLogic, FlashLoanLogic, PoolLogic (DOMAIN §1).
    """

    def __init__(self, pool: Pool, situation: AaveSituation) -> None:
        super().__init__(situation, pool.state, pool.cash)
        self._pool = pool
        self._reserves: dict[int, PoolReserve] = {}
        self._accrued: dict[int, int] = {}
        self._on_the_way: dict[int, int] = {}
        self._to_lend: list[tuple[int, int]] = []
        self._idle: dict[int, frozenset[int]] = {}

    def go_on(self, situation: AaveSituation) -> None:
        """Go on at a later moment of the same transaction, with the indices that it has brought about so far."""
        self.situation = situation
        now_s = situation.moment.timestamp_s
        for asset, reserve in self._reserves.items():
            situation.income_ray[asset] = reserve.income_ray(now_s)
            situation.debt_index_ray[asset] = reserve.debt_index_ray(now_s, situation.rules.compounding)
        self.tables = situation.tables
        self.math = situation.tables.math
        self.rules = situation.rules

    def commit(self) -> None:
        """Write everything that changed into the pool."""
        self._arrive()
        for account, state in self._states.items():
            self._pool.write(account, state)
        for account, assets in self._idle.items():
            self._pool.idle_borrowings[account] = assets
        for asset, reserve in self._reserves.items():
            self._pool.reserves[asset] = reserve

    def of(self, asset: int) -> PoolReserve:
        """The reserve as changed so far."""
        found = self._reserves.get(asset)
        if found is None:
            found = self._reserves[asset] = self._pool.reserves[asset].copy()
        return found

    @property
    def wallet(self) -> Mapping[tuple[int, int], int]:
        """(account, asset) to change of what the account holds outside the protocol [base units]."""
        return self._wallet_change

    @property
    def touched(self) -> Iterable[int]:
        """Assets whose reserves were looked at or changed."""
        return self._reserves

    def finish_call(self) -> None:
        """A call is over: what was to come last has come."""
        self._arrive()
        self._accrued.clear()

    def _arrive(self) -> None:
        if self._on_the_way:
            for asset, amount in self._on_the_way.items():
                self.of(asset).cash += amount
            self._on_the_way.clear()

    # Balances, with the totals of the tokens

    def add_collateral(self, account: int, asset: int, scaled: int) -> None:
        super().add_collateral(account, asset, scaled)
        self.of(asset).scaled_supply += scaled

    def add_debt(self, account: int, asset: int, scaled: int) -> None:
        super().add_debt(account, asset, scaled)
        self.of(asset).scaled_debt += scaled

    # Borrowing bits that outlive their debt

    def borrowed(self, account: int) -> list[int]:
        """Assets whose borrowing bit is set, in the order of the market."""
        owed, idle = super().borrowed(account), self._idle_of(account)
        return sorted({*owed, *idle}) if idle else owed

    def debt_repaid(self, account: int, asset: int, *, entirely: bool) -> None:
        """The borrowing bit after a repayment; ``entirely``: of all that was owed, in base units."""
        if entirely or self.rules.borrowing_bit_follows_debt:
            self._idle[account] = self._idle_of(account) - {asset}
        elif not self.scaled_debt(account, asset):
            self._idle[account] = self._idle_of(account) | {asset}

    def _idle_of(self, account: int) -> frozenset[int]:
        found = self._idle.get(account)
        return self._pool.idle_borrowings.get(account, _NONE) if found is None else found

    # Interest

    def accrue(self, asset: int) -> None:
        """Store grown indices and the treasury's share (updateState)."""
        reserve = self.of(asset)
        now_s = self.situation.moment.timestamp_s
        if reserve.updated_s != now_s:
            self._accrued[asset] = reserve.accrue(now_s, self.rules, self._reserve_factor_bps(asset, reserve))

    def accrue_again(self, asset: int) -> None:
        """Repeat the treasury's share of the last accrual, if that was part of this liquidation."""
        self.of(asset).accrued_to_treasury += self._accrued.get(asset, 0)

    def _reserve_factor_bps(self, asset: int, reserve: PoolReserve) -> int:
        """The factor for the time since the last update; a change of it synchronises first, where the version does."""
        return (
            reserve.reserve_factor_bps if self.rules.factor_change_accrues else self.reserve(asset).reserve_factor_bps
        )

    def settle(self, asset: int) -> None:
        """Let rates follow a change of debt or bad debt that nobody paid for (updateInterestRates)."""
        reserve = self.of(asset)
        reserve.update_rates(reserve.cash, self.reserve(asset), self.rules)

    def synchronise(self, asset: int) -> None:
        """Accrue at the former terms, then let rates follow the present ones (syncIndexesState, syncRatesState)."""
        self.accrue(asset)
        self.settle(asset)

    # Underlying

    def pay_in(self, asset: int, amount: int, payer: int) -> None:
        """Underlying that the reserve receives; rates follow."""
        self.of(asset).cash += amount
        self.settle(asset)
        self._pay(payer, asset, -amount)

    def pay_in_last(self, asset: int, amount: int, payer: int) -> None:
        """As :meth:`pay_in`; before virtual accounting the tokens themselves count, and they come last."""
        if self.rules.virtual_accounting:
            self.pay_in(asset, amount, payer)
            return
        reserve = self.of(asset)
        reserve.update_rates(reserve.cash + amount, self.reserve(asset), self.rules)
        self._on_the_way[asset] = self._on_the_way.get(asset, 0) + amount
        self._pay(payer, asset, -amount)

    def pay_out(self, asset: int, amount: int, receiver: int) -> None:
        """Underlying that the reserve pays; rates follow. Reverts where it has too little."""
        self._release(asset, amount)
        self.settle(asset)
        self._pay(receiver, asset, amount)

    def take_flash_loan(self, asset: int, amount: int) -> None:
        """Underlying that leaves for a flash loan once all its assets are validated; rates do not see it."""
        self._to_lend.append((asset, amount))

    def lend(self) -> None:
        """Everything that a flash loan asks for is validated: it leaves."""
        for asset, amount in self._to_lend:
            self._release(asset, amount)
        self._to_lend.clear()

    def _release(self, asset: int, amount: int) -> None:
        reserve = self.of(asset)
        if amount > reserve.cash:
            refuse(NO_LIQUIDITY)
        reserve.cash -= amount

    def keep_flash_loan(self, asset: int, amount: int, receiver: int) -> None:
        """A flash loan becomes debt: the underlying has left when it was taken."""
        self.settle(asset)
        self._pay(receiver, asset, amount)

    def repay_flash_loan(self, asset: int, amount: int, premium: int) -> None:
        """A flash loan comes back with its premium; suppliers and treasury share that."""
        self.accrue(asset)
        reserve = self.of(asset)
        share = premium
        if self.rules.flash_premium_bumps_index:
            share = percent_mul_half_up(premium, self.tables.parameters.flash_premium_to_protocol_bps)
            self._give_to_suppliers(asset, reserve, premium - share)
        reserve.accrued_to_treasury += RAY_DIV[self.rules.atoken_mint](share, reserve.liquidity_index_ray)
        reserve.cash += amount + premium
        self.settle(asset)

    def _give_to_suppliers(self, asset: int, reserve: PoolReserve, amount: int) -> None:
        """Raise the liquidity index so that all suppliers together have ``amount`` more (cumulateToLiquidityIndex)."""
        index = reserve.liquidity_index_ray
        supplied = ray_mul_half_up(reserve.scaled_supply, index) + ray_mul_half_up(reserve.accrued_to_treasury, index)
        growth = ray_div_half_up(amount * _WAD_TO_RAY, supplied * _WAD_TO_RAY) + RAY
        reserve.liquidity_index_ray = self.situation.income_ray[asset] = ray_mul_half_up(growth, index)

    def receive_gift(self, asset: int, amount: int) -> None:
        """Tokens that somebody sent to the reserve without supplying them: rates see them with the next call."""
        if not self.rules.virtual_accounting:
            self.of(asset).cash += amount

    # Limits

    def require_room_to_supply(self, asset: int, amount: int, scaled: int) -> None:
        """The supply cap; what the treasury has not minted yet counts."""
        cap = self.reserve(asset).supply_cap
        if not cap:
            return
        reserve, index = self.of(asset), self.situation.income_ray[asset]
        claims = reserve.scaled_supply + reserve.accrued_to_treasury
        if self.rules.scaled_amounts:
            supplied = self.math.atoken_balance(claims + scaled, index)
        else:
            supplied = self.math.atoken_balance(claims, index) + amount
        self.require(supplied <= cap * self.layout.units[asset], Reason.SUPPLY_CAP_EXCEEDED)

    def require_room_to_borrow(self, asset: int, amount: int, scaled: int) -> None:
        """The borrow cap."""
        cap = self.reserve(asset).borrow_cap
        if not cap:
            return
        reserve, index = self.of(asset), self.situation.debt_index_ray[asset]
        if self.rules.scaled_amounts:
            owed = self.math.debt_balance(reserve.scaled_debt + scaled, index)
        else:
            owed = self.math.debt_balance(reserve.scaled_debt, index) + amount
        self.require(owed <= cap * self.layout.units[asset], Reason.BORROW_CAP_EXCEEDED)

    def require_supplied(self, asset: int, amount: int) -> None:
        """At least ``amount`` is supplied in all, where the version asks for that."""
        if self.rules.supply_bounds_loans:
            supplied = self.math.atoken_balance(self.of(asset).scaled_supply, self.situation.income_ray[asset])
            self.require(supplied >= amount, Reason.INVALID_AMOUNT)

    # Isolation mode

    def raise_isolated_debt(self, collateral: int, asset: int, amount: int) -> None:
        """Debt against an isolated collateral grows, within its ceiling."""
        reserve = self.of(collateral)
        after = reserve.isolated_debt + self._isolated_units(asset, amount)
        self.require(after <= self.reserve(collateral).debt_ceiling, Reason.DEBT_CEILING_EXCEEDED)
        reserve.isolated_debt = after

    def lower_isolated_debt(self, account: int, asset: int, amount: int) -> None:
        """Debt against the account's isolated collateral, if it has one, is repaid."""
        if self.rules.isolation_mode and self._pool.has_ceilings and self.isolated(account):
            self._lower(self.assets_in(account, Role.USES_AS_COLLATERAL)[0], asset, amount)

    def lower_isolated_debt_of(self, account: int, collateral: int, asset: int, amount: int) -> None:
        """Debt against ``collateral``, if that is isolated, is repaid by a liquidation."""
        if not self.rules.isolated_debt_by_ceiling:
            self.lower_isolated_debt(account, asset, amount)
        elif self.rules.isolation_mode and self.reserve(collateral).debt_ceiling:
            self._lower(collateral, asset, amount)

    def _lower(self, collateral: int, asset: int, amount: int) -> None:
        reserve = self.of(collateral)
        reserve.isolated_debt = max(0, reserve.isolated_debt - self._isolated_units(asset, amount))

    def _isolated_units(self, asset: int, amount: int) -> int:
        """An amount of an asset in the unit of debt ceilings, rounded down."""
        return amount * 10**_CEILING_DECIMALS // self.layout.units[asset]

    # Bad debt and the treasury

    def record_deficit(self, asset: int, amount: int) -> None:
        """The reserve records bad debt."""
        self.of(asset).deficit += amount

    def cover_deficit(self, asset: int, amount: int) -> int:
        """What of ``amount`` is written off the recorded bad debt."""
        reserve = self.of(asset)
        self.require(reserve.deficit != 0, Reason.RESERVE_NOT_IN_DEFICIT)
        covered = min(amount, reserve.deficit)
        reserve.deficit -= covered
        return covered

    def treasury_due(self, asset: int, amount: int) -> int:
        """Everything that has accrued and was not minted yet [scaled units]."""
        reserve = self.of(asset)
        due, reserve.accrued_to_treasury = reserve.accrued_to_treasury, 0
        return due

    def mint_unbacked(self, asset: int) -> None:
        """A bridge supplies what it will pay later: not re-executed."""
        block = block_of(self.situation.moment.key)
        raise InputError(
            f"block {block:,}: a bridge mints aTokens of asset 0x{self.layout.addresses[asset].hex()} that it has not "
            "paid for, which re-execution does not know. Use recorded interest, or a window without it."
        )

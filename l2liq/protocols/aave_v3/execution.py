"""One transaction in the making: states as it changes them, checks that several kinds of action share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from l2liq.numeric import checked
from l2liq.protocols.aave_v3 import solvency
from l2liq.protocols.aave_v3.layout import Role
from l2liq.protocols.aave_v3.parameters import ReserveParameters
from l2liq.protocols.aave_v3.reasons import NO_LIQUIDITY, Reason, Refused, refuse, rejection
from l2liq.protocols.aave_v3.solvency import Totals
from l2liq.protocols.interface import Book, State, Step

if TYPE_CHECKING:
    from l2liq.protocols.aave_v3.situation import AaveSituation


class Execution:
    """States of the accounts concerned while one action is executed; the book itself stays as it was.

    An account below 0 is someone outside the market (a synthetic liquidator): it has no state and nothing is recorded.
    """

    def __init__(self, situation: AaveSituation, book: Book, cash: Callable[[int], int]) -> None:
        self.situation = situation
        self.tables = situation.tables
        self.layout = situation.tables.layout
        self.math = situation.tables.math
        self.rules = situation.rules
        self._book = book
        self._cash = cash
        self._before: dict[int, State] = {}
        self._states: dict[int, dict[int, int]] = {}
        self._cash_change: dict[int, int] = {}
        self._wallet_change: dict[tuple[int, int], int] = {}

    def step(self) -> Step:
        """Everything that changed."""
        after = {}
        for account, state in self._states.items():
            before = self._before[account]
            for leg in {**before, **state}:
                if state.get(leg, 0) != before.get(leg, 0) and account >= 0:
                    after[account, leg] = state.get(leg, 0)
        return Step(
            after=after,
            cash={asset: change for asset, change in self._cash_change.items() if change},
            wallet={who: change for who, change in self._wallet_change.items() if change},
        )

    def require(self, condition: bool, reason: Reason) -> None:
        """Revert with ``reason`` unless ``condition`` holds."""
        if not condition:
            raise Refused(rejection(reason, self.rules))

    def reserve(self, asset: int) -> ReserveParameters:
        """Configuration of a listed reserve."""
        found = self.tables.reserve(asset)
        if found is None:
            raise Refused(rejection(Reason.ASSET_NOT_LISTED, self.rules))
        return found

    # What accounts have

    def state(self, account: int) -> dict[int, int]:
        """State of an account as changed so far."""
        found = self._states.get(account)
        if found is None:
            before = self._before[account] = self._book(account) if account >= 0 else {}
            found = self._states[account] = dict(before)
        return found

    def scaled_collateral(self, account: int, asset: int) -> int:
        return self.state(account).get(self.layout.collateral[asset], 0)

    def scaled_debt(self, account: int, asset: int) -> int:
        return self.state(account).get(self.layout.debt[asset], 0)

    def collateral(self, account: int, asset: int) -> int:
        """Balance of aTokens [base units]."""
        return self.math.atoken_balance(self.scaled_collateral(account, asset), self.situation.income_ray[asset])

    def debt(self, account: int, asset: int) -> int:
        """Variable debt [base units]."""
        return self.math.debt_balance(self.scaled_debt(account, asset), self.situation.debt_index_ray[asset])

    def uses_as_collateral(self, account: int, asset: int) -> bool:
        return self.layout.uses_as_collateral[asset] in self.state(account)

    def assets_in(self, account: int, role: Role) -> list[int]:
        """Assets of the non-zero legs of one role, in the order of the market."""
        return sorted(asset for leg in self.state(account) for r, asset in (self.layout.roles[leg],) if r == role)

    def borrowed(self, account: int) -> list[int]:
        """Assets whose borrowing bit is set, in the order of the market."""
        return self.assets_in(account, Role.DEBT)

    def category(self, account: int) -> int:
        return self.state(account).get(self.layout.emode, 0)

    def totals(self, account: int) -> Totals:
        return self.situation.totals(self.state(account))

    # What changes

    def set(self, account: int, leg: int, quantity: int) -> None:
        """Set a leg; an uint256 that would become negative reverts."""
        state = self.state(account)
        if checked(quantity):
            state[leg] = quantity
        else:
            state.pop(leg, None)

    def add_collateral(self, account: int, asset: int, scaled: int) -> None:
        self.set(account, self.layout.collateral[asset], self.scaled_collateral(account, asset) + scaled)

    def add_debt(self, account: int, asset: int, scaled: int) -> None:
        self.set(account, self.layout.debt[asset], self.scaled_debt(account, asset) + scaled)

    def use_as_collateral(self, account: int, asset: int, use: bool) -> None:
        self.set(account, self.layout.uses_as_collateral[asset], int(use))

    def debt_repaid(self, account: int, asset: int, *, entirely: bool) -> None:
        """The borrowing bit after a repayment; ``entirely``: of all that was owed, in base units."""

    # What reserves go through. With recorded interest history has it all, and only cash moves away from history; an
    # execution over a pool whose rates respond does the rest.

    def accrue(self, asset: int) -> None:
        """Store grown indices and the treasury's share (updateState)."""

    def accrue_again(self, asset: int) -> None:
        """Repeat the treasury's share of the last accrual, if that was part of this liquidation."""

    def settle(self, asset: int) -> None:
        """Let rates follow a change of debt or bad debt that nobody paid for (updateInterestRates)."""

    def pay_in(self, asset: int, amount: int, payer: int) -> None:
        """Underlying that the reserve receives; rates follow."""
        self._move(asset, amount, payer)

    def pay_in_last(self, asset: int, amount: int, payer: int) -> None:
        """As :meth:`pay_in`, where rates follow at once and the tokens come when the call is over."""
        self._move(asset, amount, payer)

    def pay_out(self, asset: int, amount: int, receiver: int) -> None:
        """Underlying that the reserve pays; rates follow. Reverts where it has too little."""
        if amount > self._cash(asset) + self._cash_change.get(asset, 0):
            refuse(NO_LIQUIDITY)
        self._move(asset, -amount, receiver)

    def _move(self, asset: int, into_reserve: int, account: int) -> None:
        self._cash_change[asset] = self._cash_change.get(asset, 0) + into_reserve
        self._pay(account, asset, -into_reserve)

    def _pay(self, account: int, asset: int, amount: int) -> None:
        """What an account holds outside the protocol changes."""
        if account >= 0:
            self._wallet_change[account, asset] = self._wallet_change.get((account, asset), 0) + amount

    def require_room_to_supply(self, asset: int, amount: int, scaled: int) -> None:
        """The supply cap."""

    def require_room_to_borrow(self, asset: int, amount: int, scaled: int) -> None:
        """The borrow cap."""

    def require_supplied(self, asset: int, amount: int) -> None:
        """At least ``amount`` is supplied in all, where the version asks for that."""

    def raise_isolated_debt(self, collateral: int, asset: int, amount: int) -> None:
        """Debt against an isolated collateral grows, within its ceiling."""

    def lower_isolated_debt(self, account: int, asset: int, amount: int) -> None:
        """Debt against the account's isolated collateral, if it has one, is repaid."""

    def lower_isolated_debt_of(self, account: int, collateral: int, asset: int, amount: int) -> None:
        """Debt against ``collateral``, if that is isolated, is repaid by a liquidation."""

    def record_deficit(self, asset: int, amount: int) -> None:
        """The reserve records bad debt."""

    def cover_deficit(self, asset: int, amount: int) -> int:
        """What of ``amount`` is written off the recorded bad debt."""
        return amount

    def treasury_due(self, asset: int, amount: int) -> int:
        """Scaled units to be minted to the treasury; recorded as ``amount`` of underlying."""
        return self.math.atoken_burn(amount, self.situation.income_ray[asset])

    def take_flash_loan(self, asset: int, amount: int) -> None:
        """Underlying that leaves for a flash loan once all its assets are validated; rates do not see it."""

    def keep_flash_loan(self, asset: int, amount: int, receiver: int) -> None:
        """A flash loan becomes debt."""
        self.pay_out(asset, amount, receiver)

    def repay_flash_loan(self, asset: int, amount: int, premium: int) -> None:
        """A flash loan comes back with its premium; suppliers and treasury share that."""

    def receive_gift(self, asset: int, amount: int) -> None:
        """Tokens that somebody sent to the reserve without supplying them."""

    def synchronise(self, asset: int) -> None:
        """The configurator changes what rates depend on: accrue at the former rates, then let them follow."""

    def mint_unbacked(self, asset: int) -> None:
        """A bridge supplies what it will pay later."""

    # What several actions check

    def require_usable(self, asset: int) -> ReserveParameters:
        """The reserve is active and not paused."""
        reserve = self.reserve(asset)
        self.require(reserve.active, Reason.RESERVE_INACTIVE)
        self.require(not reserve.paused, Reason.RESERVE_PAUSED)
        return reserve

    def require_sound(self, account: int) -> Totals:
        """The account's health factor is at least one (validateHealthFactor)."""
        totals = self.totals(account)
        self.require_health(totals)
        return totals

    def require_health(self, totals: Totals) -> None:
        """The health factor of an account with these totals is at least one."""
        factor = solvency.health_factor_wad(totals, self.rules)
        self.require(
            factor is None or factor >= solvency.LIQUIDATION_HEALTH_WAD,
            Reason.HEALTH_FACTOR_LOWER_THAN_LIQUIDATION_THRESHOLD,
        )

    def require_sound_after_taking(self, account: int, asset: int) -> None:
        """Sound, and collateral with LTV 0 goes first (validateHFAndLtv, later validateHFAndLtvzero)."""
        totals = self.require_sound(account)
        self.require(not totals.has_zero_ltv or self._ltv_of_taken(account, asset) == 0, Reason.LTV_VALIDATION_FAILED)

    def may_use_as_collateral(self, account: int, asset: int, *, automatic: bool) -> bool:
        """Whether a collateral switch may be turned on (validateUseAsCollateral, validateAutomaticUseAsCollateral)."""
        reserve = self.reserve(asset)
        if automatic and self.rules.isolated_not_automatic and self.rules.isolation_mode and reserve.debt_ceiling:
            return False
        if self.rules.ltv_zero_not_enabled and self._ltv_of_taken(account, asset) == 0:
            return False
        if not self.rules.isolation_mode or not self.assets_in(account, Role.USES_AS_COLLATERAL):
            return True
        return not self.isolated(account) and reserve.debt_ceiling == 0

    def enable_received(self, account: int, asset: int) -> None:
        """Switch on collateral that an account just received as its first of the asset, if the rules allow it."""
        if self.may_use_as_collateral(account, asset, automatic=True):
            self.use_as_collateral(account, asset, True)

    def isolated(self, account: int) -> bool:
        """Whether the account is in isolation mode: its only collateral has a debt ceiling."""
        used = self.assets_in(account, Role.USES_AS_COLLATERAL)
        return self.rules.isolation_mode and len(used) == 1 and self.reserve(used[0]).debt_ceiling != 0

    def _ltv_of_taken(self, account: int, asset: int) -> int:
        """LTV that decides about one asset: the reserve's own, since e-modes list theirs the account's."""
        if not self.rules.emode_ltv_zero:
            return self.reserve(asset).ltv_bps
        terms = self.tables.terms(self.category(account))[asset]
        return 0 if terms is None else terms.ltv_bps

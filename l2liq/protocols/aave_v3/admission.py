"""What users do: each action by the contract's rules, or refused with the contract's reason.

Source: Aave v3 SupplyLogic, BorrowLogic, EModeLogic, ValidationLogic of each version (DOMAIN §1.3, §1.4, §1.8).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from l2liq.errors import InputError
from l2liq.numeric import mul_div_floor, percent_div_ceil, percent_div_half_up
from l2liq.protocols.aave_v3 import solvency
from l2liq.protocols.aave_v3.balances import PERCENT_MUL
from l2liq.protocols.aave_v3.execution import Execution
from l2liq.protocols.aave_v3.layout import Role
from l2liq.protocols.aave_v3.reasons import Reason
from l2liq.protocols.aave_v3.versions import EModeKind
from l2liq.protocols.interface import Action, Book, Rejection

if TYPE_CHECKING:
    from l2liq.protocols.aave_v3.situation import AaveSituation


UNBACKED = 1
"""Mode of a supply by a bridge, which pays later."""

FLASH_TAKE = "flash_take"
"""Kind of the action that begins a flash loan of one asset."""

EXEMPT = 1
"""Mode of a flash loan for which no premium is asked."""


def execute(execution: Execution, action: Action) -> None:
    """Execute one action. Raises InputError for a kind that Aave v3 does not have."""
    kind = _KINDS.get(action.kind)
    if kind is None:
        raise InputError(f"Aave v3 has no user action {action.kind!r}. Known: {', '.join(_KINDS)}")
    kind(execution, action)


def largest(situation: AaveSituation, book: Book, action: Action, cash: Callable[[int], int]) -> int:
    """See :meth:`AaveSituation.largest`."""

    def accepted(amount: int) -> bool:
        tried = situation.apply(book, replace(action, amount=amount, whole=False), cash=cash)
        return not isinstance(tried, Rejection)

    execution = Execution(situation, book, cash)
    bound = _bound(execution, action)
    if bound <= 0:
        return 0
    if accepted(bound):
        return bound
    low = min(bound, _smallest(execution, action))
    if not accepted(low):
        return 0
    high = bound
    while high - low > 1:
        middle = (low + high) // 2
        if accepted(middle):
            low = middle
        else:
            high = middle
    return low


def _bound(execution: Execution, action: Action) -> int:
    """Upper bound of the admissible amount: what is asked for, what there is, what the collateral can carry."""
    account, asset = action.account, action.asset
    if action.kind in ("collateral_on", "collateral_off", "emode") or asset < 0:
        return 0
    if action.kind in ("withdraw", "transfer"):
        held = execution.collateral(account, asset)
        return held if action.whole else min(action.amount, held)
    if action.kind == "repay":
        owed = execution.debt(account, asset)
        return owed if action.whole else min(action.amount, owed)
    if action.kind == "repay_with_atokens":
        most = min(execution.debt(account, asset), execution.collateral(account, asset))
        return most if action.whole else min(action.amount, most)
    if action.kind in ("borrow", "flash_borrow"):
        return min(action.amount, _borrowable(execution, account, asset))
    return action.amount


def _borrowable(execution: Execution, account: int, asset: int) -> int:
    """Upper bound of what an account may borrow [base units]: its capacity at oracle prices, roundings included."""
    totals = execution.totals(account)
    spare_base = totals.weighted_ltv // 10_000 + 3 - totals.debt_base
    price = execution.situation.prices_in(execution.category(account))[asset]
    return max(0, (spare_base * execution.layout.units[asset]) // price + 1)


def _smallest(execution: Execution, action: Action) -> int:
    """Smallest amount that is at least one scaled unit in any rounding."""
    if action.kind in ("borrow", "flash_borrow", "repay"):
        index = execution.situation.debt_index_ray[action.asset]
    elif action.kind == "repay_with_atokens":
        index = max(execution.situation.debt_index_ray[action.asset], execution.situation.income_ray[action.asset])
    else:
        index = execution.situation.income_ray[action.asset]
    return -(-index // 10**27)


def _supply(execution: Execution, action: Action) -> None:
    account, asset, amount = action.account, action.asset, action.amount
    execution.accrue(asset)
    scaled = execution.math.atoken_mint(amount, execution.situation.income_ray[asset])
    execution.require((scaled if execution.rules.scaled_amounts else amount) != 0, Reason.INVALID_AMOUNT)
    reserve = execution.require_usable(asset)
    execution.require(not reserve.frozen, Reason.RESERVE_FROZEN)
    execution.require_room_to_supply(asset, amount, scaled)
    first = execution.scaled_collateral(account, asset) == 0
    if action.mode == UNBACKED:
        execution.mint_unbacked(asset)
    else:
        execution.pay_in(asset, amount, action.other if action.other >= 0 else account)
    execution.require(scaled != 0, Reason.INVALID_MINT_AMOUNT)
    execution.add_collateral(account, asset, scaled)
    if first:
        execution.enable_received(account, asset)


def _withdraw(execution: Execution, action: Action) -> None:
    account, asset = action.account, action.asset
    execution.accrue(asset)
    index = execution.situation.income_ray[asset]
    held, balance = execution.scaled_collateral(account, asset), execution.collateral(account, asset)
    amount = balance if action.whole else action.amount
    scaled = held if action.whole and execution.rules.scaled_amounts else execution.math.atoken_burn(amount, index)
    if execution.rules.scaled_amounts:
        execution.require(scaled != 0, Reason.INVALID_AMOUNT)
        execution.require(scaled <= held, Reason.NOT_ENOUGH_AVAILABLE_USER_BALANCE)
    else:
        execution.require(amount != 0, Reason.INVALID_AMOUNT)
        execution.require(amount <= balance, Reason.NOT_ENOUGH_AVAILABLE_USER_BALANCE)
    execution.require_usable(asset)
    execution.pay_out(asset, amount, action.other if action.other >= 0 else account)
    execution.require(scaled != 0, Reason.INVALID_BURN_AMOUNT)
    used = execution.uses_as_collateral(account, asset)
    execution.add_collateral(account, asset, -scaled)
    if used:
        if scaled == held if execution.rules.scaled_amounts else amount == balance:
            execution.use_as_collateral(account, asset, False)
        if execution.borrowed(account):
            execution.require_sound_after_taking(account, asset)


def _transfer(execution: Execution, action: Action) -> None:
    """An aToken transfer. The e-mode and the health that count are the sender's."""
    sender, receiver, asset = action.account, action.other, action.asset
    index = execution.situation.income_ray[asset]
    held, balance = execution.scaled_collateral(sender, asset), execution.collateral(sender, asset)
    amount = balance if action.whole else action.amount
    scaled = execution.math.atoken_transfer(amount, index)
    first = execution.scaled_collateral(receiver, asset) == 0
    execution.add_collateral(sender, asset, -scaled)
    execution.add_collateral(receiver, asset, scaled)
    execution.require(not execution.reserve(asset).paused, Reason.RESERVE_PAUSED)
    if sender == receiver or (scaled if execution.rules.scaled_amounts else amount) == 0:
        return
    if execution.uses_as_collateral(sender, asset):
        if scaled == held if execution.rules.scaled_amounts else amount == balance:
            execution.use_as_collateral(sender, asset, False)
        if execution.borrowed(sender):
            execution.require_sound_after_taking(sender, asset)
    if first and execution.rules.receiver_auto_collateral:
        execution.enable_received(receiver, asset)


def _borrow(execution: Execution, action: Action) -> None:
    _lend(execution, action, execution.pay_out)


def _flash_borrow(execution: Execution, action: Action) -> None:
    """A flash loan that is kept as debt."""
    execution.require_usable(action.asset)
    execution.require(execution.reserve(action.asset).flash_loans, Reason.FLASHLOAN_DISABLED)
    _lend(execution, action, execution.keep_flash_loan)


def _lend(execution: Execution, action: Action, release: Callable[[int, int, int], None]) -> None:
    account, asset, amount, rules = action.account, action.asset, action.amount, execution.rules
    execution.accrue(asset)
    index = execution.situation.debt_index_ray[asset]
    scaled = execution.math.debt_mint(amount, index)
    execution.require((scaled if rules.scaled_amounts else amount) != 0, Reason.INVALID_AMOUNT)
    reserve = execution.require_usable(asset)
    execution.require(not reserve.frozen, Reason.RESERVE_FROZEN)
    if rules.emode_governs_borrowing and execution.category(account):
        _require_mode_allows(execution, account, asset)
    else:
        execution.require(reserve.borrowing, Reason.BORROWING_NOT_ENABLED)
    execution.require_supplied(asset, execution.math.debt_balance(scaled, index) if rules.scaled_amounts else amount)
    execution.require(execution.situation.gates.sentinel is None, Reason.PRICE_ORACLE_SENTINEL_CHECK_FAILED)
    execution.require_room_to_borrow(asset, amount, scaled)
    if not rules.isolation_checked_after:
        _require_isolation_allows(execution, account, asset, amount)
    if not rules.emode_governs_borrowing:
        _require_mode_allows(execution, account, asset)
    if not rules.borrow_validated_after:
        _require_capacity_before(execution, account, asset, amount)
    _require_silo_allows(execution, account, asset)
    execution.require(scaled != 0, Reason.INVALID_MINT_AMOUNT)
    execution.add_debt(account, asset, scaled)
    if rules.isolation_checked_after:
        _require_isolation_allows(execution, account, asset, amount)
    release(asset, amount, action.other if action.other >= 0 else account)
    if rules.borrow_validated_after:
        _require_capacity_after(execution, account)


def _flash_take(execution: Execution, action: Action) -> None:
    """A flash loan begins: what is done with it comes next, its return or the debt that it leaves after that."""
    reserve = execution.reserve(action.asset)
    execution.require(not reserve.paused, Reason.RESERVE_PAUSED)
    execution.require(reserve.active, Reason.RESERVE_INACTIVE)
    execution.require(reserve.flash_loans, Reason.FLASHLOAN_DISABLED)
    execution.require_supplied(action.asset, action.amount)
    execution.take_flash_loan(action.asset, action.amount)


def _flash_repay(execution: Execution, action: Action) -> None:
    """A flash loan ends. Whom governance exempts pays no premium."""
    premium_bps = 0 if action.mode == EXEMPT else execution.tables.parameters.flash_premium_total_bps
    premium = PERCENT_MUL[execution.rules.flash_premium](action.amount, premium_bps)
    execution.repay_flash_loan(action.asset, action.amount, premium)


def _require_mode_allows(execution: Execution, account: int, asset: int) -> None:
    """The account's e-mode, if it has one, lets it borrow the asset."""
    category = execution.category(account)
    if category:
        mode = execution.tables.mode(category)
        single = execution.rules.emode is EModeKind.SINGLE_CATEGORY
        reason = Reason.INCONSISTENT_EMODE_CATEGORY if single else Reason.NOT_BORROWABLE_IN_EMODE
        execution.require(mode is not None and asset in mode.borrowable, reason)


def _require_isolation_allows(execution: Execution, account: int, asset: int, amount: int) -> None:
    if execution.isolated(account):
        allowed = execution.reserve(asset).borrowable_in_isolation
        execution.require(allowed, Reason.ASSET_NOT_BORROWABLE_IN_ISOLATION)
        execution.raise_isolated_debt(execution.assets_in(account, Role.USES_AS_COLLATERAL)[0], asset, amount)


def _require_silo_allows(execution: Execution, account: int, asset: int) -> None:
    """A siloed asset is borrowed alone."""
    owed = execution.borrowed(account)
    if not execution.rules.isolation_mode or not owed:
        return
    if len(owed) == 1 and execution.reserve(owed[0]).siloed:
        execution.require(owed[0] == asset, Reason.SILOED_BORROWING_VIOLATION)
    else:
        execution.require(not execution.reserve(asset).siloed, Reason.SILOED_BORROWING_VIOLATION)


def _require_capacity_before(execution: Execution, account: int, asset: int, amount: int) -> None:
    """Collateral covers debt and the new borrow, both valued before it (validateBorrow until 3.4)."""
    totals = execution.totals(account)
    execution.require(totals.collateral_base != 0, Reason.COLLATERAL_BALANCE_IS_ZERO)
    execution.require(totals.ltv_bps != 0, Reason.LTV_VALIDATION_FAILED)
    factor = solvency.health_factor_wad(totals, execution.rules)
    execution.require(
        factor is None or factor > solvency.LIQUIDATION_HEALTH_WAD,
        Reason.HEALTH_FACTOR_LOWER_THAN_LIQUIDATION_THRESHOLD,
    )
    mode = execution.tables.mode(execution.category(account))
    if mode is not None and mode.price_source is not None:
        price = execution.situation.price_of_source(mode.price_source)
    else:
        price = execution.situation.prices[asset]
    borrowed_base = mul_div_floor(price, amount, execution.layout.units[asset])
    needed_base = percent_div_half_up(totals.debt_base + borrowed_base, totals.ltv_bps)
    execution.require(needed_base <= totals.collateral_base, Reason.COLLATERAL_CANNOT_COVER_NEW_BORROW)


def _require_capacity_after(execution: Execution, account: int) -> None:
    """Collateral covers the debt that the borrow leaves (validateHFAndLtv since 3.5)."""
    totals = execution.totals(account)
    execution.require(totals.ltv_bps != 0, Reason.LTV_VALIDATION_FAILED)
    execution.require_health(totals)
    covered = totals.collateral_base >= percent_div_ceil(totals.debt_base, totals.ltv_bps)
    execution.require(covered, Reason.COLLATERAL_CANNOT_COVER_NEW_BORROW)


def _repay(execution: Execution, action: Action) -> None:
    """A repayment above the debt pays the debt."""
    account, asset = action.account, action.asset
    execution.accrue(asset)
    paid = _burn_repaid_debt(execution, action, execution.debt(account, asset))
    execution.pay_in(asset, paid, action.other if action.other >= 0 else account)
    execution.lower_isolated_debt(account, asset, paid)


def _repay_with_atokens(execution: Execution, action: Action) -> None:
    account, asset = action.account, action.asset
    execution.accrue(asset)
    owed, balance = execution.debt(account, asset), execution.collateral(account, asset)
    paid = _burn_repaid_debt(execution, action, min(owed, balance) if action.whole else owed)
    execution.settle(asset)
    execution.lower_isolated_debt(account, asset, paid)
    scaled = execution.math.atoken_burn(paid, execution.situation.income_ray[asset])
    execution.require(scaled != 0, Reason.INVALID_BURN_AMOUNT)
    execution.add_collateral(account, asset, -scaled)
    if execution.uses_as_collateral(account, asset):
        if execution.rules.atoken_repay_clears_collateral and execution.scaled_collateral(account, asset) == 0:
            execution.use_as_collateral(account, asset, False)
        if execution.rules.atoken_repay_checks_health and execution.borrowed(account):
            execution.require_sound(account)


def _burn_repaid_debt(execution: Execution, action: Action, most: int) -> int:
    """Burn debt for the asked amount or ``most``; what was paid [base units]."""
    account, asset = action.account, action.asset
    execution.require(action.whole or action.amount != 0, Reason.INVALID_AMOUNT)
    execution.require_usable(asset)
    execution.require(execution.scaled_debt(account, asset) != 0, Reason.NO_DEBT_OF_SELECTED_TYPE)
    owed = execution.debt(account, asset)
    paid = most if action.whole else min(action.amount, most)
    scaled = execution.math.debt_burn(paid, execution.situation.debt_index_ray[asset])
    execution.require(scaled != 0, Reason.INVALID_BURN_AMOUNT)
    execution.add_debt(account, asset, -scaled)
    execution.debt_repaid(account, asset, entirely=paid == owed)
    return paid


def _collateral_on(execution: Execution, action: Action) -> None:
    account, asset = action.account, action.asset
    has_balance = execution.scaled_collateral(account, asset) != 0
    execution.require(has_balance or not execution.rules.switching_off_needs_balance, Reason.UNDERLYING_BALANCE_ZERO)
    execution.require_usable(asset)
    if execution.uses_as_collateral(account, asset):
        return
    execution.require(has_balance, Reason.UNDERLYING_BALANCE_ZERO)
    allowed = execution.may_use_as_collateral(account, asset, automatic=False)
    execution.require(allowed, Reason.USER_IN_ISOLATION_MODE_OR_LTV_ZERO)
    execution.use_as_collateral(account, asset, True)


def _collateral_off(execution: Execution, action: Action) -> None:
    account, asset = action.account, action.asset
    has_balance = execution.scaled_collateral(account, asset) != 0
    execution.require(has_balance or not execution.rules.switching_off_needs_balance, Reason.UNDERLYING_BALANCE_ZERO)
    execution.require_usable(asset)
    if execution.uses_as_collateral(account, asset):
        execution.use_as_collateral(account, asset, False)
        execution.require_sound_after_taking(account, asset)


def _emode(execution: Execution, action: Action) -> None:
    account, category = action.account, action.mode
    former = execution.category(account)
    if category == former and execution.rules.emode_entry_checks_health:
        return
    mode = execution.tables.mode(category)
    known = category == 0 or (mode is not None and mode.liquidation_threshold_bps != 0)
    execution.require(known, Reason.INCONSISTENT_EMODE_CATEGORY)
    if execution.rules.emode_governs_borrowing:
        _require_position_allowed(execution, account, category)
    else:
        _require_debts_allowed(execution, account, category)
    if execution.layout.emode >= 0:
        execution.set(account, execution.layout.emode, category)
    if former or execution.rules.emode_entry_checks_health:
        execution.require_sound(account)


def _require_debts_allowed(execution: Execution, account: int, category: int) -> None:
    """Every debt may be owed in the category that is entered (validateSetUserEMode until 3.5)."""
    mode = execution.tables.mode(category)
    single = execution.rules.emode is EModeKind.SINGLE_CATEGORY
    reason = Reason.INCONSISTENT_EMODE_CATEGORY if single else Reason.NOT_BORROWABLE_IN_EMODE
    for asset in execution.borrowed(account):
        execution.require(mode is None or asset in mode.borrowable, reason)


def _require_position_allowed(execution: Execution, account: int, category: int) -> None:
    """Reserve by reserve, its debt may be owed and its collateral has an LTV there (validateSetUserEMode since 3.6)."""
    mode, terms = execution.tables.mode(category), execution.tables.terms(category)
    borrowed, used = execution.borrowed(account), execution.assets_in(account, Role.USES_AS_COLLATERAL)
    for asset in sorted({*borrowed, *used}):
        if asset in borrowed:
            allowed = execution.reserve(asset).borrowing if mode is None else asset in mode.borrowable
            execution.require(allowed, Reason.INVALID_DEBT_IN_EMODE)
        if asset in used:
            term = terms[asset]
            execution.require(term is not None and term.ltv_bps != 0, Reason.INVALID_COLLATERAL_IN_EMODE)


def _mint_to_treasury(execution: Execution, action: Action) -> None:
    """Accrued fees minted as aTokens; the amount states their balance, from which the scaled units follow."""
    if execution.reserve(action.asset).active:
        execution.add_collateral(action.account, action.asset, execution.treasury_due(action.asset, action.amount))


def _donate(execution: Execution, action: Action) -> None:
    """Tokens sent to an aToken: before virtual accounting they count as the reserve's own."""
    execution.receive_gift(action.asset, action.amount)


def _synchronise(execution: Execution, action: Action) -> None:
    execution.synchronise(action.asset)


def _cover_deficit(execution: Execution, action: Action) -> None:
    """Burn one's aTokens against bad debt that the reserve recorded (eliminateReserveDeficit)."""
    account, asset = action.account, action.asset
    execution.require(action.amount != 0, Reason.INVALID_AMOUNT)
    amount = execution.cover_deficit(asset, action.amount)
    execution.require(not execution.borrowed(account), Reason.USER_CANNOT_HAVE_DEBT)
    execution.accrue(asset)
    execution.require(execution.reserve(asset).active, Reason.RESERVE_INACTIVE)
    held, balance = execution.scaled_collateral(account, asset), execution.collateral(account, asset)
    scaled = execution.math.atoken_burn(amount, execution.situation.income_ray[asset])
    enough = scaled <= held if execution.rules.scaled_amounts else amount <= balance
    execution.require(enough, Reason.NOT_ENOUGH_AVAILABLE_USER_BALANCE)
    execution.require(scaled != 0, Reason.INVALID_BURN_AMOUNT)
    execution.add_collateral(account, asset, -scaled)
    all_gone = scaled == held if execution.rules.scaled_amounts else amount == balance
    if all_gone and execution.uses_as_collateral(account, asset):
        execution.use_as_collateral(account, asset, False)
    execution.settle(asset)


_KINDS: dict[str, Callable[[Execution, Action], None]] = {
    "supply": _supply,
    "withdraw": _withdraw,
    "transfer": _transfer,
    "borrow": _borrow,
    "flash_borrow": _flash_borrow,
    FLASH_TAKE: _flash_take,
    "flash_repay": _flash_repay,
    "repay": _repay,
    "repay_with_atokens": _repay_with_atokens,
    "collateral_on": _collateral_on,
    "collateral_off": _collateral_off,
    "emode": _emode,
    "mint_to_treasury": _mint_to_treasury,
    "cover_deficit": _cover_deficit,
    "synchronise": _synchronise,
    "donate": _donate,
}

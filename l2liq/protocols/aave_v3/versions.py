"""What distinguishes the versions of Aave v3, as named properties; rules ask for a property, never for a version.

Each version is the one before it with what it changed, so a new one is a short, visible difference. Source: DOMAIN §1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from l2liq.errors import InputError


class Rounding(StrEnum):
    FLOOR = "floor"
    HALF_UP = "half_up"
    CEIL = "ceil"


class HealthFormula(StrEnum):
    """How the health factor follows from values and thresholds (DOMAIN §1.4)."""

    AVERAGED = "averaged"
    """Average threshold floored to whole bps, percentMul half up, wadDiv half up."""
    WEIGHTED_SUM = "weighted_sum"
    """wadDiv(sum of value * threshold, debt) // 10_000."""


class CloseFactor(StrEnum):
    """How much of a debt one liquidation may repay (DOMAIN §1.6)."""

    SHARE_OF_RESERVE_DEBT = "share_of_reserve_debt"
    """Half of the debt in the reserve above the health threshold, all below."""
    BY_POSITION = "by_position"
    """All, unless both sides are large and health is above the threshold: then half of the account's total debt."""


class BadDebt(StrEnum):
    """When a liquidation writes off the account's remaining debts (DOMAIN §1.6)."""

    KEPT = "kept"
    """Never: the debt stays and accrues."""
    BY_VALUE = "by_value"
    """When what is seized is worth the account's whole collateral."""
    BY_SCALED_CONSUMPTION = "by_scaled_consumption"
    """As by value, with the scaled balance that the payout consumes."""


class Compounding(StrEnum):
    """Growth of the borrow index (DOMAIN §1.1)."""

    BINOMIAL = "binomial"
    """Terms n, n(n-1), n(n-1)(n-2)."""
    TAYLOR = "taylor"
    """Plain powers of rate * time."""


class EModeKind(StrEnum):
    SINGLE_CATEGORY = "single_category"
    """A reserve belongs to one category, which may have its own price source."""
    BITMAPS = "bitmaps"
    """A category lists its collateral and its borrowable reserves."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one version.

    Attributes
    ----------
    version : its name
    atoken_balance : scaled to underlying; ``atoken_mint``, ``atoken_burn``, ``atoken_transfer``: underlying to scaled
    debt_balance : scaled to underlying; ``debt_mint``, ``debt_burn``: underlying to scaled
    debt_value : debt to base currency (collateral always floors)
    health : formula of the health factor
    zero_threshold_ignored : collateral whose own reserve threshold is 0 does not count, in e-mode neither
    close_factor : kind; ``dust_rule``: leftovers of both sides must be worth a minimum or nothing
    bad_debt : when remaining debts are written off
    bonus_multiply : percentMul of the bonus; ``bonus_divide_collateral``: percentDiv that finds the bonus part of the
        collateral; ``bonus_divide_debt``: percentDiv that finds the debt a capped collateral pays; ``protocol_fee``:
        percentMul of the fee
    disable_counts_fee : the test whether collateral is used up includes the protocol fee
    liquidation_needs_threshold : collateral must have a reserve threshold other than 0
    self_liquidation : borrower and liquidator may be the same
    receiver_auto_collateral : who receives aTokens in a liquidation may get them enabled as collateral
    liquidation_accrues_first : a liquidation accrues both reserves before all else; paid in aTokens, it does so to the
        collateral's without ReserveDataUpdated
    sentinel : the price oracle sentinel is asked; ``sentinel_waits_from_start``: its grace period runs from the start
        of the feed's round, otherwise from the feed's last report
    grace_period : reserves have a liquidation grace period
    emode : kind; ``emode_ltv_zero``: categories have a list of collateral with LTV 0
    isolation_mode : isolation mode and siloed borrowing exist
    freeze_zeroes_ltv : freezing a reserve sets its LTV to 0 and keeps the former one pending
    compounding : formula of the borrow index
    treasury_accrual : rounding of the treasury's share; ``treasury_of_index_difference``: it is computed from the
        difference of indices, not of balances
    flash_premium_bumps_index : the suppliers' part of a flash-loan premium raises the liquidity index
    factor_change_accrues : changing a reserve factor first accrues at the former one
    virtual_accounting : the reserve records its own cash, so that donations do not count
    stable_debt : stable-rate debt may exist
    transfer_value_scaled : BalanceTransfer carries scaled units; otherwise underlying, to be divided by the index
    transfer_accrues : a transfer emits accrual Mint events for both sides
    custom_errors : reverts carry custom errors; otherwise the numbers of named constants
    available_borrows : rounding of what an account may still borrow
    fee_capped : the protocol fee is capped at what the borrower still holds; otherwise too large a fee reverts
    scaled_amounts : amounts of supply, withdraw, borrow and transfer are validated in scaled units
    borrow_validated_after : LTV and health are checked on the state that the borrow leaves
    ltv_zero_not_enabled : collateral with LTV 0 can't be switched on
    isolated_not_automatic : isolated collateral is not switched on by supplying it (a role's holders aside)
    switching_off_needs_balance : a collateral switch, off too, needs a balance
    atoken_repay_clears_collateral : repaying with all of one's aTokens switches the collateral off
    atoken_repay_checks_health : repaying with aTokens used as collateral must leave a sound position
    emode_entry_checks_health : entering the first mode checks health too, and choosing the present one does nothing
    emode_governs_borrowing : in a mode its list alone says what may be borrowed, collateral with LTV 0 bars entering
    weighted_overall_rate : the liquidity rate goes through the average over stable and variable debt, which rounds
    deficit_widens_supply : recorded bad debt counts as supplied when the liquidity rate is computed
    flash_premium : percentMul of the premium of a flash loan
    supply_bounds_loans : a borrow or flash loan may not exceed what is supplied
    liquidation_accrues_twice : a liquidation of a debt against collateral of the same asset reads the reserve twice
        before it accrues, so that the treasury's share accrues twice
    isolated_debt_by_ceiling : a liquidation lowers the isolated debt of its collateral wherever that has a debt
        ceiling; otherwise where the account is still in isolation mode
    borrowing_bit_follows_debt : the borrowing bit falls with the last scaled unit of the debt; otherwise only when all
        of the debt is repaid in base units, so that one unit less may leave the bit without a debt
    isolation_checked_after : isolation mode is checked after the debt is minted
    """

    version: str
    atoken_balance: Rounding = Rounding.HALF_UP
    atoken_mint: Rounding = Rounding.HALF_UP
    atoken_burn: Rounding = Rounding.HALF_UP
    atoken_transfer: Rounding = Rounding.HALF_UP
    debt_balance: Rounding = Rounding.HALF_UP
    debt_mint: Rounding = Rounding.HALF_UP
    debt_burn: Rounding = Rounding.HALF_UP
    debt_value: Rounding = Rounding.FLOOR
    health: HealthFormula = HealthFormula.AVERAGED
    zero_threshold_ignored: bool = True
    close_factor: CloseFactor = CloseFactor.SHARE_OF_RESERVE_DEBT
    dust_rule: bool = False
    bad_debt: BadDebt = BadDebt.KEPT
    bonus_multiply: Rounding = Rounding.HALF_UP
    bonus_divide_collateral: Rounding = Rounding.HALF_UP
    bonus_divide_debt: Rounding = Rounding.HALF_UP
    protocol_fee: Rounding = Rounding.HALF_UP
    disable_counts_fee: bool = False
    liquidation_needs_threshold: bool = True
    self_liquidation: bool = True
    receiver_auto_collateral: bool = True
    liquidation_accrues_first: bool = False
    sentinel: bool = True
    sentinel_waits_from_start: bool = False
    grace_period: bool = False
    emode: EModeKind = EModeKind.SINGLE_CATEGORY
    emode_ltv_zero: bool = False
    isolation_mode: bool = True
    freeze_zeroes_ltv: bool = False
    compounding: Compounding = Compounding.BINOMIAL
    treasury_accrual: Rounding = Rounding.HALF_UP
    treasury_of_index_difference: bool = False
    flash_premium_bumps_index: bool = True
    factor_change_accrues: bool = False
    virtual_accounting: bool = False
    stable_debt: bool = True
    transfer_value_scaled: bool = False
    transfer_accrues: bool = False
    custom_errors: bool = False
    available_borrows: Rounding = Rounding.HALF_UP
    fee_capped: bool = False
    scaled_amounts: bool = False
    borrow_validated_after: bool = False
    ltv_zero_not_enabled: bool = False
    isolated_not_automatic: bool = False
    switching_off_needs_balance: bool = True
    atoken_repay_clears_collateral: bool = False
    atoken_repay_checks_health: bool = False
    emode_entry_checks_health: bool = False
    emode_governs_borrowing: bool = False
    weighted_overall_rate: bool = True
    deficit_widens_supply: bool = False
    flash_premium: Rounding = Rounding.HALF_UP
    supply_bounds_loans: bool = False
    liquidation_accrues_twice: bool = False
    isolated_debt_by_ceiling: bool = False
    borrowing_bit_follows_debt: bool = False
    isolation_checked_after: bool = False


_V300 = RuleSet("3.0.0")
_V301 = replace(
    _V300,
    version="3.0.1",
    transfer_value_scaled=True,
    transfer_accrues=True,
    disable_counts_fee=True,
    fee_capped=True,
)
_V302 = replace(_V301, version="3.0.2", ltv_zero_not_enabled=True, isolated_not_automatic=True)
_V310 = replace(
    _V302,
    version="3.1",
    sentinel_waits_from_start=True,
    factor_change_accrues=True,
    virtual_accounting=True,
    grace_period=True,
    freeze_zeroes_ltv=True,
    atoken_repay_clears_collateral=True,
    supply_bounds_loans=True,
)
_V320 = replace(
    _V310,
    version="3.2",
    emode=EModeKind.BITMAPS,
    stable_debt=False,
    emode_entry_checks_health=True,
    weighted_overall_rate=False,
)
_V321 = replace(_V320, version="3.2.1")
_V330 = replace(
    _V321,
    version="3.3",
    close_factor=CloseFactor.BY_POSITION,
    dust_rule=True,
    bad_debt=BadDebt.BY_VALUE,
    deficit_widens_supply=True,
    isolated_debt_by_ceiling=True,
)
_V340 = replace(
    _V330,
    version="3.4",
    compounding=Compounding.TAYLOR,
    flash_premium_bumps_index=False,
    self_liquidation=False,
    custom_errors=True,
    switching_off_needs_balance=False,
    borrowing_bit_follows_debt=True,
    isolation_checked_after=True,
)
_V350 = replace(
    _V340,
    version="3.5",
    atoken_balance=Rounding.FLOOR,
    atoken_mint=Rounding.FLOOR,
    atoken_burn=Rounding.CEIL,
    atoken_transfer=Rounding.CEIL,
    debt_balance=Rounding.CEIL,
    debt_mint=Rounding.CEIL,
    debt_burn=Rounding.FLOOR,
    debt_value=Rounding.CEIL,
    health=HealthFormula.WEIGHTED_SUM,
    bonus_divide_debt=Rounding.CEIL,
    treasury_accrual=Rounding.FLOOR,
    treasury_of_index_difference=True,
    liquidation_accrues_first=True,
    available_borrows=Rounding.FLOOR,
    scaled_amounts=True,
    borrow_validated_after=True,
    atoken_repay_checks_health=True,
    flash_premium=Rounding.CEIL,
    liquidation_accrues_twice=True,
)
_V360 = replace(
    _V350,
    version="3.6",
    zero_threshold_ignored=False,
    liquidation_needs_threshold=False,
    receiver_auto_collateral=False,
    emode_ltv_zero=True,
    emode_governs_borrowing=True,
)
_V370 = replace(
    _V360,
    version="3.7",
    bad_debt=BadDebt.BY_SCALED_CONSUMPTION,
    bonus_multiply=Rounding.FLOOR,
    bonus_divide_collateral=Rounding.FLOOR,
    protocol_fee=Rounding.CEIL,
    sentinel=False,
    isolation_mode=False,
    liquidation_accrues_twice=False,
)

_ALL = (_V300, _V301, _V302, _V310, _V320, _V321, _V330, _V340, _V350, _V360, _V370)
_BY_VERSION = {rules.version: rules for rules in _ALL}

VERSIONS = tuple(_BY_VERSION)
"""Known versions, oldest first."""


def rule_set(version: str) -> RuleSet:
    """Rules of a version such as ``3.0.2`` or ``3.6``; a trailing ``.0`` may be written or left out.

    Raises
    ------
    InputError
        Unknown version.
    """
    found = _BY_VERSION.get(version) or _BY_VERSION.get(version.removesuffix(".0")) or _BY_VERSION.get(version + ".0")
    if found is None:
        raise InputError(f"Aave v3 version {version!r} is unknown. Known: {', '.join(VERSIONS)}")
    return found

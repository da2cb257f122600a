"""Why the contracts refuse something, in their own words."""

from __future__ import annotations

from enum import Enum
from typing import NoReturn

from l2liq.protocols.aave_v3.versions import RuleSet
from l2liq.protocols.interface import Rejection

NO_LIQUIDITY = "no_liquidity"
"""The reserve holds less of the underlying than has to be paid out; the token's transfer (later the virtual balance)
reverts without a reason of the Pool's own."""

ARITHMETIC = "arithmetic"
"""A sum, difference or division that a contract checks and reverts on."""


class Reason(Enum):
    """Reasons of the Pool: the member's name is the constant until 3.3, its value the custom error since 3.4."""

    INVALID_AMOUNT = "InvalidAmount"
    INVALID_MINT_AMOUNT = "InvalidMintAmount"
    INVALID_BURN_AMOUNT = "InvalidBurnAmount"
    RESERVE_INACTIVE = "ReserveInactive"
    RESERVE_PAUSED = "ReservePaused"
    RESERVE_FROZEN = "ReserveFrozen"
    BORROWING_NOT_ENABLED = "BorrowingNotEnabled"
    FLASHLOAN_DISABLED = "FlashloanDisabled"
    NOT_ENOUGH_AVAILABLE_USER_BALANCE = "NotEnoughAvailableUserBalance"
    PRICE_ORACLE_SENTINEL_CHECK_FAILED = "PriceOracleSentinelCheckFailed"
    LIQUIDATION_GRACE_SENTINEL_CHECK_FAILED = "LiquidationGraceSentinelCheckFailed"
    ASSET_NOT_BORROWABLE_IN_ISOLATION = "AssetNotBorrowableInIsolation"
    INCONSISTENT_EMODE_CATEGORY = "InconsistentEModeCategory"
    NOT_BORROWABLE_IN_EMODE = "NotBorrowableInEMode"
    INVALID_DEBT_IN_EMODE = "InvalidDebtInEmode"
    INVALID_COLLATERAL_IN_EMODE = "InvalidCollateralInEmode"
    SILOED_BORROWING_VIOLATION = "SiloedBorrowingViolation"
    COLLATERAL_BALANCE_IS_ZERO = "CollateralBalanceIsZero"
    LTV_VALIDATION_FAILED = "LtvValidationFailed"
    HEALTH_FACTOR_LOWER_THAN_LIQUIDATION_THRESHOLD = "HealthFactorLowerThanLiquidationThreshold"
    HEALTH_FACTOR_NOT_BELOW_THRESHOLD = "HealthFactorNotBelowThreshold"
    COLLATERAL_CANNOT_COVER_NEW_BORROW = "CollateralCannotCoverNewBorrow"
    COLLATERAL_CANNOT_BE_LIQUIDATED = "CollateralCannotBeLiquidated"
    SPECIFIED_CURRENCY_NOT_BORROWED_BY_USER = "SpecifiedCurrencyNotBorrowedByUser"
    NO_DEBT_OF_SELECTED_TYPE = "NoDebtOfSelectedType"
    UNDERLYING_BALANCE_ZERO = "UnderlyingBalanceZero"
    USER_IN_ISOLATION_MODE_OR_LTV_ZERO = "UserInIsolationModeOrLtvZero"
    SELF_LIQUIDATION = "SelfLiquidation"
    MUST_NOT_LEAVE_DUST = "MustNotLeaveDust"
    USER_CANNOT_HAVE_DEBT = "UserCannotHaveDebt"
    ASSET_NOT_LISTED = "AssetNotListed"
    SUPPLY_CAP_EXCEEDED = "SupplyCapExceeded"
    BORROW_CAP_EXCEEDED = "BorrowCapExceeded"
    DEBT_CEILING_EXCEEDED = "DebtCeilingExceeded"
    RESERVE_NOT_IN_DEFICIT = "ReserveNotInDeficit"


class Refused(Exception):  # noqa: N818 - not an error: a transaction that reverts
    """Unwinds an execution that the contracts would revert."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.reason)
        self.rejection = rejection


def rejection(reason: Reason, rules: RuleSet) -> Rejection:
    """The rejection as this version words it."""
    return Rejection(reason.value if rules.custom_errors else reason.name)


def refuse(reason: str) -> NoReturn:
    """Revert for a reason that is not the Pool's own."""
    raise Refused(Rejection(reason))

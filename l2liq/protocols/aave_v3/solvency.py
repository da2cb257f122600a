"""From values and thresholds to the health factor and the six numbers of an account.

Source: Aave v3 GenericLogic.calculateUserAccountData, calculateAvailableBorrows (DOMAIN §1.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from l2liq.numeric import BPS, UINT256_MAX, WAD, percent_mul_half_up, wad_div_half_up
from l2liq.protocols.aave_v3.balances import PERCENT_MUL
from l2liq.protocols.aave_v3.versions import HealthFormula, RuleSet

LIQUIDATION_HEALTH_WAD = WAD
"""An account is liquidatable strictly below it."""

SENTINEL_HEALTH_WAD = 95 * WAD // 100
"""Below it a sentinel does not protect an account."""


class Totals(NamedTuple):
    """Sums over an account's collateral and debt.

    Attributes
    ----------
    collateral_base, debt_base : values [base currency]
    weighted_threshold, weighted_ltv : sums of collateral value times ratio [base currency x bps]
    has_zero_ltv : some collateral has an LTV of 0
    """

    collateral_base: int
    debt_base: int
    weighted_threshold: int
    weighted_ltv: int
    has_zero_ltv: bool

    @property
    def threshold_bps(self) -> int:
        """Average liquidation threshold, floored to whole bps."""
        return self.weighted_threshold // self.collateral_base if self.collateral_base else 0

    @property
    def ltv_bps(self) -> int:
        """Average LTV, floored to whole bps."""
        return self.weighted_ltv // self.collateral_base if self.collateral_base else 0


@dataclass(frozen=True, slots=True)
class AccountData:
    """The six numbers of ``getUserAccountData``; the health factor without debt is 2^256 - 1."""

    collateral_base: int
    debt_base: int
    available_borrows_base: int
    liquidation_threshold_bps: int
    ltv_bps: int
    health_factor_wad: int


def threshold_base(totals: Totals, rules: RuleSet) -> int:
    """Debt [base currency] from about which on the account is liquidatable."""
    if rules.health is HealthFormula.AVERAGED:
        return percent_mul_half_up(totals.collateral_base, totals.threshold_bps)
    return totals.weighted_threshold // BPS


def health_factor_wad(totals: Totals, rules: RuleSet) -> int | None:
    """Health factor; None without debt."""
    if totals.debt_base == 0:
        return None
    if rules.health is HealthFormula.AVERAGED:
        return wad_div_half_up(threshold_base(totals, rules), totals.debt_base)
    return wad_div_half_up(totals.weighted_threshold, totals.debt_base) // BPS


def borrowable_base(totals: Totals, rules: RuleSet) -> int:
    """Debt [base currency] that the collateral admits at borrowing; what is owed already is part of it."""
    return PERCENT_MUL[rules.available_borrows](totals.collateral_base, totals.ltv_bps)


def account_data(totals: Totals, rules: RuleSet) -> AccountData:
    """What the Pool answers about an account with these totals."""
    factor = health_factor_wad(totals, rules)
    return AccountData(
        collateral_base=totals.collateral_base,
        debt_base=totals.debt_base,
        available_borrows_base=max(borrowable_base(totals, rules) - totals.debt_base, 0),
        liquidation_threshold_bps=totals.threshold_bps,
        ltv_bps=totals.ltv_bps,
        health_factor_wad=UINT256_MAX if factor is None else factor,
    )

"""How much one liquidation repays, seizes and leaves.

Source: Aave v3 LiquidationLogic (DOMAIN §1.6).
"""

from __future__ import annotations

from dataclasses import dataclass

from l2liq.numeric import mul_div_floor, percent_mul_half_up
from l2liq.protocols.aave_v3.balances import PERCENT_DIV, PERCENT_MUL, token_math
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.versions import CloseFactor, RuleSet


@dataclass(frozen=True, slots=True)
class Pair:
    """A collateral and a debt at one moment: prices [base currency], units [base units], terms of the seizure."""

    collateral_price: int
    collateral_unit: int
    debt_price: int
    debt_unit: int
    bonus_bps: int
    protocol_fee_bps: int


@dataclass(frozen=True, slots=True)
class Holding:
    """What the account has in the two reserves [base units] and as a whole [base currency, wad]."""

    collateral: int
    debt: int
    total_debt_base: int
    health_factor_wad: int


@dataclass(frozen=True, slots=True)
class Amounts:
    """One liquidation [base units]: collateral to the liquidator, protocol fee apart, and debt repaid."""

    to_liquidator: int
    debt: int
    protocol_fee: int

    @property
    def seized(self) -> int:
        """Collateral that leaves the account."""
        return self.to_liquidator + self.protocol_fee


def repayable_debt(holding: Holding, pair: Pair, parameters: AaveParameters) -> int:
    """Most that one liquidation may repay of the debt [base units].

    Source: _calculateDebt until 3.2, executeLiquidationCall since 3.3.
    """
    healthy_enough = holding.health_factor_wad > parameters.close_factor_hf_threshold_wad
    if parameters.rules.close_factor is CloseFactor.SHARE_OF_RESERVE_DEBT:
        share_bps = parameters.default_close_factor_bps if healthy_enough else 10_000
        return percent_mul_half_up(holding.debt, share_bps)
    collateral_base = mul_div_floor(holding.collateral, pair.collateral_price, pair.collateral_unit)
    debt_base = token_math(parameters.rules).debt_value(holding.debt, pair.debt_price, pair.debt_unit)
    large = parameters.min_base_max_close_factor_threshold_base
    if healthy_enough and collateral_base >= large and debt_base >= large:
        cap_base = percent_mul_half_up(holding.total_debt_base, parameters.default_close_factor_bps)
        if debt_base > cap_base:
            return mul_div_floor(cap_base, pair.debt_unit, pair.debt_price)
    return holding.debt


def seizure(debt: int, collateral_balance: int, pair: Pair, rules: RuleSet) -> Amounts:
    """What repaying ``debt`` takes from a balance of collateral, and what it really repays where that is too little.

    Source: _calculateAvailableCollateralToLiquidate.
    """
    base = mul_div_floor(pair.debt_price * debt, pair.collateral_unit, pair.collateral_price * pair.debt_unit)
    collateral = PERCENT_MUL[rules.bonus_multiply](base, pair.bonus_bps)
    if collateral > collateral_balance:
        collateral = collateral_balance
        worth = mul_div_floor(
            pair.collateral_price * collateral, pair.debt_unit, pair.debt_price * pair.collateral_unit
        )
        debt = PERCENT_DIV[rules.bonus_divide_debt](worth, pair.bonus_bps)
    fee = 0
    if pair.protocol_fee_bps:
        bonus = collateral - PERCENT_DIV[rules.bonus_divide_collateral](collateral, pair.bonus_bps)
        fee = PERCENT_MUL[rules.protocol_fee](bonus, pair.protocol_fee_bps)
    return Amounts(collateral - fee, debt, fee)


def repaid_for_all(collateral_base: int, bonus_bps: int, rules: RuleSet) -> int:
    """Debt that a liquidator repays for all of a collateral, C / (1 + b) [base currency]; 0 where it would get nothing.

    Source: DOMAIN §7.4; the division is that of _calculateAvailableCollateralToLiquidate for a seizure of everything.
    """
    return PERCENT_DIV[rules.bonus_divide_debt](collateral_base, bonus_bps) if bonus_bps else 0


def leaves_dust(amounts: Amounts, holding: Holding, pair: Pair, parameters: AaveParameters) -> bool:
    """Whether both sides would be left, and one of them too small to be worth liquidating."""
    debt_left = holding.debt - amounts.debt
    collateral_left = holding.collateral - amounts.seized
    if not parameters.rules.dust_rule or debt_left <= 0 or collateral_left <= 0:
        return False
    debt_base = token_math(parameters.rules).debt_value(debt_left, pair.debt_price, pair.debt_unit)
    collateral_base = mul_div_floor(collateral_left, pair.collateral_price, pair.collateral_unit)
    return min(debt_base, collateral_base) < parameters.min_leftover_base


def largest_seizure(holding: Holding, pair: Pair, parameters: AaveParameters) -> Amounts | None:
    """What the largest admissible repayment repays and takes; None where dust forbids any.

    The contract refuses the largest repayment where it would leave dust; a liquidator then asks for less, so that what
    is left on both sides is worth the minimum. Smaller repayments leave more, so the largest is found by bisection.
    """
    most = repayable_debt(holding, pair, parameters)
    amounts = seizure(most, holding.collateral, pair, parameters.rules)
    if not leaves_dust(amounts, holding, pair, parameters):
        return amounts
    admissible, refused = 0, most
    while refused - admissible > 1:
        middle = (admissible + refused) // 2
        tried = seizure(middle, holding.collateral, pair, parameters.rules)
        if leaves_dust(tried, holding, pair, parameters):
            refused = middle
        else:
            admissible = middle
    return seizure(admissible, holding.collateral, pair, parameters.rules) if admissible else None

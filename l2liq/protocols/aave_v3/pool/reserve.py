"""One reserve as the Pool stores it, and what time does to it.

Source: Aave v3 ReserveLogic of each version (DOMAIN §1.2).
"""

from __future__ import annotations

from l2liq.numeric import RAY, percent_mul_half_up, ray_mul_floor, ray_mul_half_up
from l2liq.protocols.aave_v3.interest import borrow_index_at, liquidity_index_at
from l2liq.protocols.aave_v3.parameters import ReserveParameters
from l2liq.protocols.aave_v3.pool.rates import rates
from l2liq.protocols.aave_v3.scaled import RAY_DIV, RAY_MUL
from l2liq.protocols.aave_v3.versions import Compounding, RuleSet


class PoolReserve:
    """Storage of one reserve; an execution works on a copy and hands it in when it succeeds.

    Attributes
    ----------
    liquidity_index_ray, borrow_index_ray, liquidity_rate_ray, borrow_rate_ray, updated_s : as stored
    accrued_to_treasury : scaled aToken units not minted yet
    deficit : recorded bad debt [base units]
    cash : underlying that counts as available [base units]: the virtual balance, before 3.1 the aToken's own balance
    scaled_supply, scaled_debt : totals of the two tokens
    isolated_debt : debt against this reserve as isolated collateral [US dollars with 2 decimals]
    reserve_factor_bps : in force when the reserve was last synchronised
    """

    __slots__ = (
        "accrued_to_treasury",
        "borrow_index_ray",
        "borrow_rate_ray",
        "cash",
        "deficit",
        "isolated_debt",
        "liquidity_index_ray",
        "liquidity_rate_ray",
        "reserve_factor_bps",
        "scaled_debt",
        "scaled_supply",
        "updated_s",
    )

    def __init__(self) -> None:
        self.liquidity_index_ray = RAY
        self.borrow_index_ray = RAY
        self.liquidity_rate_ray = 0
        self.borrow_rate_ray = 0
        self.updated_s = 0
        self.accrued_to_treasury = 0
        self.deficit = 0
        self.cash = 0
        self.scaled_supply = 0
        self.scaled_debt = 0
        self.isolated_debt = 0
        self.reserve_factor_bps = 0

    def copy(self) -> PoolReserve:
        """A copy of its own."""
        made = PoolReserve.__new__(PoolReserve)
        made.liquidity_index_ray = self.liquidity_index_ray
        made.borrow_index_ray = self.borrow_index_ray
        made.liquidity_rate_ray = self.liquidity_rate_ray
        made.borrow_rate_ray = self.borrow_rate_ray
        made.updated_s = self.updated_s
        made.accrued_to_treasury = self.accrued_to_treasury
        made.deficit = self.deficit
        made.cash = self.cash
        made.scaled_supply = self.scaled_supply
        made.scaled_debt = self.scaled_debt
        made.isolated_debt = self.isolated_debt
        made.reserve_factor_bps = self.reserve_factor_bps
        return made

    def income_ray(self, now_s: int) -> int:
        """The liquidity index as it reads now (getNormalizedIncome)."""
        return liquidity_index_at(self.liquidity_index_ray, self.liquidity_rate_ray, now_s - self.updated_s)

    def debt_index_ray(self, now_s: int, compounding: Compounding) -> int:
        """The borrow index as an action finds it now; without debt it stays."""
        if not self.scaled_debt:
            return self.borrow_index_ray
        return borrow_index_at(self.borrow_index_ray, self.borrow_rate_ray, now_s - self.updated_s, compounding)

    def accrue(self, now_s: int, rules: RuleSet, reserve_factor_bps: int) -> int:
        """Store the indices as they read now, and the treasury's share (updateState); that share [scaled units]."""
        if self.updated_s == now_s:
            return 0
        before = self.borrow_index_ray
        self.liquidity_index_ray = self.income_ray(now_s)
        self.borrow_index_ray = after = self.debt_index_ray(now_s, rules.compounding)
        self.updated_s = now_s
        if not reserve_factor_bps or after == before:
            return 0
        if rules.treasury_of_index_difference:
            earned = ray_mul_floor(self.scaled_debt, after - before)
        else:
            earned = ray_mul_half_up(self.scaled_debt, after) - ray_mul_half_up(self.scaled_debt, before)
        share = percent_mul_half_up(earned, reserve_factor_bps)
        scaled = RAY_DIV[rules.treasury_accrual](share, self.liquidity_index_ray)
        self.accrued_to_treasury += scaled
        return scaled

    def update_rates(self, available: int, terms: ReserveParameters, rules: RuleSet) -> None:
        """Let rates follow, with ``available`` [base units] held by the reserve (updateInterestRates)."""
        debt = RAY_MUL[rules.debt_balance](self.scaled_debt, self.borrow_index_ray)
        self.liquidity_rate_ray, self.borrow_rate_ray = rates(debt, available, self.deficit, terms, rules)
        self.reserve_factor_bps = terms.reserve_factor_bps

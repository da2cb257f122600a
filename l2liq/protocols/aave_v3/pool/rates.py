"""Interest rates of a reserve from its use.

Source: Aave v3 DefaultReserveInterestRateStrategy (3.0), DefaultReserveInterestRateStrategyV2 (since 3.1); DOMAIN §1.2.
"""

from __future__ import annotations

from typing import NamedTuple

from l2liq.numeric import BPS, RAY, percent_mul_half_up, ray_div_half_up, ray_mul_half_up
from l2liq.protocols.aave_v3.parameters import ReserveParameters
from l2liq.protocols.aave_v3.versions import RuleSet

_WAD_TO_RAY = 10**9
_MOST = 1 << 120
"""More than any token has [base units]."""


class Rates(NamedTuple):
    """What suppliers earn and borrowers pay, per year [ray]."""

    liquidity_ray: int
    borrow_ray: int


def rates(debt: int, available: int, deficit: int, terms: ReserveParameters, rules: RuleSet) -> Rates:
    """Rates of a reserve.

    Parameters
    ----------
    debt, available : int
        Owed in all, and held by the reserve [base units].
    deficit : int
        Recorded bad debt [base units].
    terms : ReserveParameters
        The curve and the reserve factor.
    rules : RuleSet
        How the version computes them.
    """
    if debt == 0:
        return Rates(0, terms.base_rate_ray)
    supplied = available + debt
    usage = ray_div_half_up(debt, supplied)
    optimal = terms.optimal_usage_ray
    if usage > optimal:
        excess = ray_div_half_up(usage - optimal, RAY - optimal)
        borrow = terms.base_rate_ray + terms.slope1_ray + ray_mul_half_up(terms.slope2_ray, excess)
    else:
        borrow = terms.base_rate_ray + ray_div_half_up(ray_mul_half_up(terms.slope1_ray, usage), optimal)
    if rules.deficit_widens_supply:
        usage = ray_div_half_up(debt, supplied + deficit)
    overall = _through_average(debt, borrow) if rules.weighted_overall_rate else borrow
    return Rates(percent_mul_half_up(ray_mul_half_up(overall, usage), BPS - terms.reserve_factor_bps), borrow)


def available_at(borrow_ray: int, debt: int, terms: ReserveParameters, rules: RuleSet) -> int | None:
    """What a reserve with this debt holds whose borrow rate is this one [base units]; None where none does.

    The rate falls as what is held grows, and a ray is so fine that one base unit shows.
    """

    def rate(available: int) -> int:
        return rates(debt, available, 0, terms, rules).borrow_ray

    if not debt or not rate(0) >= borrow_ray:
        return None
    low, high = 0, debt
    while rate(high) > borrow_ray:
        low, high = high, 2 * high
        if high > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if rate(middle) > borrow_ray:
            low = middle
        else:
            high = middle
    return next((found for found in (low, high) if rate(found) == borrow_ray), None)


def _through_average(debt: int, rate_ray: int) -> int:
    """The average over stable and variable debt, of which the former is none: a product and a quotient that round."""
    weighted = debt * _WAD_TO_RAY
    return ray_div_half_up(ray_mul_half_up(weighted, rate_ray), weighted)

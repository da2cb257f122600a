"""Interest rates of a reserve from its use.

Source: Aave v3 DefaultReserveInterestRateStrategy (3.0), DefaultReserveInterestRateStrategyV2 (since 3.1); DOMAIN §1.2.
"""

from __future__ import annotations

from typing import NamedTuple

from l2liq.numeric import BPS, RAY, percent_mul_half_up, ray_div_half_up, ray_mul_half_up
from l2liq.protocols.aave_v3.parameters import ReserveParameters
from l2liq.protocols.aave_v3.versions import RuleSet

_WAD_TO_RAY = 10**9


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


def _through_average(debt: int, rate_ray: int) -> int:
    """The average over stable and variable debt, of which the former is none: a product and a quotient that round."""
    weighted = debt * _WAD_TO_RAY
    return ray_div_half_up(ray_mul_half_up(weighted, rate_ray), weighted)

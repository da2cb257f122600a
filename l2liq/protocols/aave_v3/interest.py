"""Growth of the two indices of a reserve between updates (DOMAIN §1.1, §1.2)."""

from __future__ import annotations

from collections.abc import Callable

from l2liq.numeric import RAY, ray_mul_half_up
from l2liq.protocols.aave_v3.versions import Compounding

SECONDS_PER_YEAR = 31_536_000


def linear_growth(rate_ray: int, seconds: int) -> int:
    """Factor [ray] by which supply grows. Source: MathUtils.calculateLinearInterest, all versions."""
    return RAY + rate_ray * seconds // SECONDS_PER_YEAR


def binomial_growth(rate_ray: int, seconds: int) -> int:
    """Factor [ray] by which debt grows. Source: MathUtils.calculateCompoundedInterest, 3.0 to 3.3."""
    if seconds == 0:
        return RAY
    less_one, less_two = seconds - 1, max(seconds - 2, 0)
    square = ray_mul_half_up(rate_ray, rate_ray) // (SECONDS_PER_YEAR * SECONDS_PER_YEAR)
    cube = ray_mul_half_up(square, rate_ray) // SECONDS_PER_YEAR
    return (
        RAY
        + rate_ray * seconds // SECONDS_PER_YEAR
        + seconds * less_one * square // 2
        + seconds * less_one * less_two * cube // 6
    )


def taylor_growth(rate_ray: int, seconds: int) -> int:
    """Factor [ray] by which debt grows. Source: MathUtils.calculateCompoundedInterest, since 3.4."""
    x = rate_ray * seconds // SECONDS_PER_YEAR
    return RAY + x + ray_mul_half_up(x, x // 2 + ray_mul_half_up(x, x // 6))


DEBT_GROWTH: dict[Compounding, Callable[[int, int], int]] = {
    Compounding.BINOMIAL: binomial_growth,
    Compounding.TAYLOR: taylor_growth,
}


def liquidity_index_at(index_ray: int, rate_ray: int, seconds: int) -> int:
    """The liquidity index ``seconds`` after its last update; a zero rate or no time leaves it."""
    if not rate_ray or not seconds:
        return index_ray
    return ray_mul_half_up(linear_growth(rate_ray, seconds), index_ray)


def borrow_index_at(index_ray: int, rate_ray: int, seconds: int, compounding: Compounding) -> int:
    """The variable borrow index ``seconds`` after its last update, for a reserve that has debt."""
    if not seconds:
        return index_ray
    return ray_mul_half_up(DEBT_GROWTH[compounding](rate_ray, seconds), index_ray)

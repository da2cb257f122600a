"""Fixed-point integers against exact fractions, rounded as named."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from l2liq import numeric
from l2liq.numeric import BPS, RAY, UINT256_MAX, WAD, Overflow

UINTS = st.integers(0, UINT256_MAX) | st.integers(0, 2**130) | st.integers(0, 10**30) | st.integers(0, 20_000)
Round = Callable[[Fraction], int]


def half_up(exact: Fraction) -> int:
    return math.floor(exact + Fraction(1, 2))


ROUNDINGS: dict[str, Round] = {"half_up": half_up, "floor": math.floor, "ceil": math.ceil}
UNITS = {"wad": (WAD, ["half_up"]), "ray": (RAY, list(ROUNDINGS)), "percent": (BPS, list(ROUNDINGS))}
PRODUCTS = [(name, unit, way) for name, (unit, ways) in UNITS.items() for way in ways]


def outcome(compute: Callable[[], int]) -> int | type[ArithmeticError]:
    try:
        return compute()
    except ArithmeticError as failure:
        return type(failure)


@pytest.mark.parametrize(("name", "unit", "way"), PRODUCTS)
def test_products_are_the_exact_product_rounded_as_named(name: str, unit: int, way: str) -> None:
    multiply = getattr(numeric, f"{name}_mul_{way}")
    half = unit // 2 if way == "half_up" else 0

    @given(UINTS, UINTS)
    @example(UINT256_MAX, 0)
    @example(0, UINT256_MAX)
    @example(UINT256_MAX - half, 1)
    @example(UINT256_MAX - half + 1, 1)
    @example((UINT256_MAX - half) // unit, unit)
    @example((UINT256_MAX - half) // unit + 1, unit)
    def holds(a: int, b: int) -> None:
        fits = a * b + half <= UINT256_MAX
        expected = ROUNDINGS[way](Fraction(a * b, unit)) if fits else Overflow
        assert outcome(lambda: multiply(a, b)) == expected

    holds()


@pytest.mark.parametrize(("name", "unit", "way"), PRODUCTS)
def test_quotients_are_the_exact_quotient_rounded_as_named(name: str, unit: int, way: str) -> None:
    divide = getattr(numeric, f"{name}_div_{way}")

    @given(UINTS, UINTS)
    @example(1, 0)
    @example(1, 2 * unit)
    @example(UINT256_MAX // unit, 1)
    @example(UINT256_MAX // unit + 1, 1)
    @example(UINT256_MAX // unit, UINT256_MAX)
    def holds(a: int, b: int) -> None:
        half = b // 2 if way == "half_up" else 0
        expected: int | type[ArithmeticError]
        if a * unit + half > UINT256_MAX:
            expected = Overflow
        elif b == 0:
            expected = ZeroDivisionError
        else:
            expected = ROUNDINGS[way](Fraction(a * unit, b))
        assert outcome(lambda: divide(a, b)) == expected

    holds()


@given(UINTS, UINTS, UINTS)
@example(2**255, 2, 1)
@example(2**255, 1, 0)
def test_mul_div_is_the_exact_ratio_rounded_as_named(a: int, b: int, divisor: int) -> None:
    for compute, rounded in ((numeric.mul_div_floor, math.floor), (numeric.mul_div_ceil, math.ceil)):
        if a * b > UINT256_MAX:
            expected: int | type[ArithmeticError] = Overflow
        elif divisor == 0:
            expected = ZeroDivisionError
        else:
            expected = rounded(Fraction(a * b, divisor))
        assert outcome(lambda compute=compute: compute(a, b, divisor)) == expected


@given(st.integers(-(2**256), 2**257))
@example(-1)
@example(0)
@example(UINT256_MAX)
@example(UINT256_MAX + 1)
def test_checked_lets_through_exactly_the_uint256_range(value: int) -> None:
    assert outcome(lambda: numeric.checked(value)) == (value if 0 <= value < 2**256 else Overflow)

"""Unsigned fixed-point arithmetic with the contracts' own rounding and their own overflow.

All arguments are non-negative integers below 2^256; nobody checks that again here, because these functions run many
times per event. What is checked is what a contract checks: an intermediate product (with its rounding term) above
2^256 - 1 raises :class:`Overflow`, a zero divisor raises :class:`ZeroDivisionError`. Both are ``ArithmeticError``: a
replay treats them as a revert of the transaction, not as a failure of l2liq.

Rounding: ``half_up`` adds half of the divisor (an odd divisor's half is rounded down) and floors; it has no
tie-to-even rule.

Source: Aave WadRayMath, PercentageMath, MathUtils, all versions (DOMAIN §1.1).
"""

from __future__ import annotations

WAD = 10**18
RAY = 10**27
BPS = 10_000
UINT256_MAX = 2**256 - 1

_HALF_WAD = WAD // 2
_HALF_RAY = RAY // 2
_HALF_BPS = BPS // 2


class Overflow(OverflowError):  # noqa: N818 - named like the event it stands for
    """A value that does not fit into a uint256: the contract would have reverted."""

    def __init__(self) -> None:
        super().__init__("value outside 0 … 2^256 - 1")


def checked(value: int) -> int:
    """``value`` itself, or :class:`Overflow` where a checked uint256 sum or difference would revert."""
    if not 0 <= value <= UINT256_MAX:
        raise Overflow
    return value


def mul_div_floor(a: int, b: int, divisor: int) -> int:
    """``a · b / divisor`` rounded down; the product must fit into 256 bits."""
    product = a * b
    if product > UINT256_MAX:
        raise Overflow
    return product // divisor


def mul_div_ceil(a: int, b: int, divisor: int) -> int:
    """``a · b / divisor`` rounded up; the product must fit into 256 bits."""
    product = a * b
    if product > UINT256_MAX:
        raise Overflow
    return -(-product // divisor)


def wad_mul_half_up(a: int, b: int) -> int:
    """Product of two wads, rounded half up."""
    product = a * b + _HALF_WAD
    if product > UINT256_MAX:
        raise Overflow
    return product // WAD


def wad_div_half_up(a: int, b: int) -> int:
    """Quotient of two wads, rounded half up."""
    dividend = a * WAD + b // 2
    if dividend > UINT256_MAX:
        raise Overflow
    return dividend // b


def ray_mul_half_up(a: int, b: int) -> int:
    """Product of two rays, rounded half up."""
    product = a * b + _HALF_RAY
    if product > UINT256_MAX:
        raise Overflow
    return product // RAY


def ray_mul_floor(a: int, b: int) -> int:
    """Product of two rays, rounded down."""
    product = a * b
    if product > UINT256_MAX:
        raise Overflow
    return product // RAY


def ray_mul_ceil(a: int, b: int) -> int:
    """Product of two rays, rounded up."""
    product = a * b
    if product > UINT256_MAX:
        raise Overflow
    return -(-product // RAY)


def ray_div_half_up(a: int, b: int) -> int:
    """Quotient of two rays, rounded half up."""
    dividend = a * RAY + b // 2
    if dividend > UINT256_MAX:
        raise Overflow
    return dividend // b


def ray_div_floor(a: int, b: int) -> int:
    """Quotient of two rays, rounded down."""
    dividend = a * RAY
    if dividend > UINT256_MAX:
        raise Overflow
    return dividend // b


def ray_div_ceil(a: int, b: int) -> int:
    """Quotient of two rays, rounded up."""
    dividend = a * RAY
    if dividend > UINT256_MAX:
        raise Overflow
    return -(-dividend // b)


def percent_mul_half_up(value: int, share_bps: int) -> int:
    """``share_bps`` of ``value``, rounded half up."""
    product = value * share_bps + _HALF_BPS
    if product > UINT256_MAX:
        raise Overflow
    return product // BPS


def percent_mul_floor(value: int, share_bps: int) -> int:
    """``share_bps`` of ``value``, rounded down."""
    product = value * share_bps
    if product > UINT256_MAX:
        raise Overflow
    return product // BPS


def percent_mul_ceil(value: int, share_bps: int) -> int:
    """``share_bps`` of ``value``, rounded up."""
    product = value * share_bps
    if product > UINT256_MAX:
        raise Overflow
    return -(-product // BPS)


def percent_div_half_up(value: int, share_bps: int) -> int:
    """The whole of which ``value`` is ``share_bps``, rounded half up."""
    dividend = value * BPS + share_bps // 2
    if dividend > UINT256_MAX:
        raise Overflow
    return dividend // share_bps


def percent_div_floor(value: int, share_bps: int) -> int:
    """The whole of which ``value`` is ``share_bps``, rounded down."""
    dividend = value * BPS
    if dividend > UINT256_MAX:
        raise Overflow
    return dividend // share_bps


def percent_div_ceil(value: int, share_bps: int) -> int:
    """The whole of which ``value`` is ``share_bps``, rounded up."""
    dividend = value * BPS
    if dividend > UINT256_MAX:
        raise Overflow
    return -(-dividend // share_bps)

"""Uniswap v3's ticks: prices as whole powers of 1.0001, in its own fixed-point arithmetic.

Source: Uniswap v3-core TickMath, v3-periphery OracleLibrary.consult (DOMAIN §6.3).
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext

MIN_TICK, MAX_TICK = -887_272, 887_272
Q96 = 1 << 96
Q128 = 1 << 128


def _factors() -> tuple[int, ...]:
    """2^128 times the square root of 1.0001^-(2^i), for every bit of a tick."""
    with localcontext() as context:
        context.prec = 120
        root = Decimal("1.0001").sqrt()
        return tuple(
            int((Decimal(Q128) / root ** (1 << bit)).to_integral_value(rounding=ROUND_HALF_UP)) for bit in range(20)
        )


_FACTORS = _factors()


def sqrt_price_at_tick(tick: int) -> int:
    """Square root of 1.0001^``tick`` as Q64.96, rounded up. ValueError outside the ticks that there are."""
    if not MIN_TICK <= tick <= MAX_TICK:
        raise ValueError(f"tick {tick} is outside {MIN_TICK} to {MAX_TICK}")
    ratio = Q128
    for bit, factor in enumerate(_FACTORS):
        if abs(tick) >> bit & 1:
            ratio = ratio * factor >> 128
    if tick > 0:
        ratio = ((1 << 256) - 1) // ratio
    return -(-ratio >> 32)


def tick_at_sqrt_price(sqrt_price: int) -> int:
    """The greatest tick whose square-root price [Q64.96] is at most this one."""
    low, high = MIN_TICK, MAX_TICK
    if not sqrt_price_at_tick(low) <= sqrt_price < sqrt_price_at_tick(high):
        raise ValueError(f"{sqrt_price} is no square-root price")
    while high - low > 1:
        middle = (low + high) // 2
        if sqrt_price_at_tick(middle) <= sqrt_price:
            low = middle
        else:
            high = middle
    return low


def mean_tick(cumulative: int, seconds: int) -> int:
    """Mean of ticks from their sum over time, rounded toward negative infinity."""
    return cumulative // seconds

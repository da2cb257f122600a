"""One swap against concentrated liquidity, in the integers and with the rounding of Uniswap v3's pool.

Prices are square roots of token1 per token0 as Q64.96. What a trader pays is rounded up, what it gets down, and the
price in between in the pool's favour.

Source: Uniswap v3-core 1.0.1 SqrtPriceMath, SwapMath, TickBitmap, UniswapV3Pool.swap (DOMAIN §7.2).
"""

from __future__ import annotations

import typing
from dataclasses import dataclass, field, replace

from l2liq.numeric import UINT256_MAX
from l2liq.numeric.ticks import MAX_TICK, MIN_TICK, Q96, sqrt_price_at_tick, tick_at_sqrt_price

FEE_UNIT = 10**6
"""Fees are in millionths of what is paid in."""

LOWEST, HIGHEST = sqrt_price_at_tick(MIN_TICK) + 1, sqrt_price_at_tick(MAX_TICK) - 1
"""Square-root prices at which a swap stops in any case."""

WORD = 256
"""Ticks that one word of the pool's bitmap holds: a swap pauses at its end, and rounds there."""


def _ceil(value: int, divisor: int) -> int:
    return -(-value // divisor)


def token0_between(one: int, other: int, liquidity: int, *, up: bool) -> int:
    """Token0 that lies between two square-root prices [base units]. Source: SqrtPriceMath.getAmount0Delta."""
    low, high = min(one, other), max(one, other)
    product = (liquidity << 96) * (high - low)
    return _ceil(_ceil(product, high), low) if up else product // high // low


def token1_between(one: int, other: int, liquidity: int, *, up: bool) -> int:
    """Token1 that lies between two square-root prices [base units]. Source: SqrtPriceMath.getAmount1Delta."""
    product = liquidity * abs(one - other)
    return _ceil(product, Q96) if up else product // Q96


def price_after(sqrt_price: int, liquidity: int, paid_in: int, *, zero_for_one: bool) -> int:
    """Square-root price after paying in token0 or token1. Source: SqrtPriceMath.getNextSqrtPriceFromInput."""
    if not zero_for_one:
        return sqrt_price + (paid_in << 96) // liquidity
    if paid_in == 0:
        return sqrt_price
    shifted, product = liquidity << 96, paid_in * sqrt_price
    if shifted + product > UINT256_MAX:
        return _ceil(shifted, shifted // sqrt_price + paid_in)
    return _ceil(shifted * sqrt_price, shifted + product)


@dataclass(frozen=True, slots=True)
class Step:
    """What happens within one range of constant liquidity: the price after it, and amounts [base units]."""

    sqrt_price: int
    paid_in: int
    out: int
    fee: int


def swap_step(sqrt_price: int, target: int, liquidity: int, remaining: int, fee: int) -> Step:
    """Swap up to ``remaining`` towards ``target`` and not beyond.

    Parameters
    ----------
    sqrt_price, target : int
        Square-root prices; a target below the price means that token0 is paid in.
    liquidity : int
        In the range.
    remaining : int
        What is left to be paid in, fee included [base units].
    fee : int
        Millionths of what is paid in.

    Source: SwapMath.computeSwapStep for an exact input.
    """
    zero_for_one = sqrt_price >= target
    paid, given = (token0_between, token1_between) if zero_for_one else (token1_between, token0_between)
    less_fee = remaining * (FEE_UNIT - fee) // FEE_UNIT
    paid_in = paid(target, sqrt_price, liquidity, up=True)
    reached = less_fee >= paid_in
    after = target if reached else price_after(sqrt_price, liquidity, less_fee, zero_for_one=zero_for_one)
    if after != target:
        paid_in = paid(after, sqrt_price, liquidity, up=True)
        charged = remaining - paid_in
    else:
        charged = _ceil(paid_in * fee, FEE_UNIT - fee)
    return Step(after, paid_in, given(after, sqrt_price, liquidity, up=False), charged)


class Ticks(typing.Protocol):
    """The ticks at which liquidity changes, at one moment."""

    def neighbour(self, tick: int, limit: int, *, down: bool) -> int | None:
        """The nearest such tick, at or below ``tick`` going down, above it going up; None beyond ``limit``."""

    def net(self, tick: int) -> int:
        """Liquidity that comes in when the price rises through a tick."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool at one moment.

    Attributes
    ----------
    sqrt_price, tick, liquidity : as in slot0 and ``liquidity()``
    ticks : see there
    """

    sqrt_price: int
    tick: int
    liquidity: int
    ticks: Ticks = field(repr=False)

    def swap(self, amount: int, fee: int, spacing: int, *, zero_for_one: bool) -> Swap:
        """Pay in up to ``amount`` of token0 (or token1) and take what the pool gives for it.

        ``fee`` in millionths, ``spacing`` of the pool's ticks; what no liquidity is there for is not paid in.
        """
        price, tick, liquidity = self.sqrt_price, self.tick, self.liquidity
        limit = LOWEST if zero_for_one else HIGHEST
        remaining, out = amount, 0
        while remaining and price != limit:
            start = price
            border, real = self._next_border(tick, spacing, down=zero_for_one)
            at_border = sqrt_price_at_tick(border)
            target = max(at_border, limit) if zero_for_one else min(at_border, limit)
            step = swap_step(price, target, liquidity, remaining, fee)
            price = step.sqrt_price
            remaining -= step.paid_in + step.fee
            out += step.out
            if price == at_border:
                if real:
                    liquidity += -self.ticks.net(border) if zero_for_one else self.ticks.net(border)
                tick = border - 1 if zero_for_one else border
            elif price != start:
                tick = tick_at_sqrt_price(price)
        return Swap(amount - remaining, out, replace(self, sqrt_price=price, tick=tick, liquidity=liquidity))

    def moved_to(self, sqrt_price: int) -> Pool:
        """The pool at another price, as if somebody had traded it there."""
        price = min(max(sqrt_price, LOWEST), HIGHEST)
        tick = tick_at_sqrt_price(price)
        liquidity, at = self.liquidity, self.tick
        while at > tick:
            crossed = self.ticks.neighbour(at, tick + 1, down=True)
            if crossed is None:
                break
            liquidity, at = liquidity - self.ticks.net(crossed), crossed - 1
        while at < tick:
            crossed = self.ticks.neighbour(at, tick, down=False)
            if crossed is None:
                break
            liquidity, at = liquidity + self.ticks.net(crossed), crossed
        return replace(self, sqrt_price=price, tick=tick, liquidity=liquidity)

    def _next_border(self, tick: int, spacing: int, *, down: bool) -> tuple[int, bool]:
        """Where the next step ends: a tick with liquidity, or the end of the bitmap's word; and which of the two."""
        compressed = tick // spacing
        if down:
            end = (compressed // WORD * WORD) * spacing
        else:
            end = ((compressed + 1) // WORD * WORD + WORD - 1) * spacing
        found = self.ticks.neighbour(tick, end, down=down)
        border = end if found is None else found
        return min(max(border, MIN_TICK), MAX_TICK), found is not None


@dataclass(frozen=True, slots=True)
class Swap:
    """What a swap did: paid in with the fee, given out [base units], and the pool after it."""

    paid_in: int
    out: int
    after: Pool = field(repr=False)

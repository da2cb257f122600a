"""Outlets that a few numbers describe: a pool of constant product, and a curve of market depth."""

from __future__ import annotations

import math
from dataclasses import dataclass

from l2liq.liquidity.outlet import Sale, Sold
from l2liq.numeric import BPS

UNIT = 10**8
"""Units of a pool's reserves in one US dollar, as in the market's prices."""


@dataclass(frozen=True, slots=True)
class ConstantProduct:
    """A pool that holds ``depth_usd`` of the asset and as much of what it is sold for, when nothing is displaced.

    Reserves are whole units of 10^-8 dollars, and a sale is Uniswap v2's ``getAmountOut``. The fee goes to the pool's
    owners and does not deepen it.

    Attributes
    ----------
    place : see Outlet
    depth_usd : value of each side [USD], > 0
    fee_bps : share of what is sold [bps]
    half_life_s : see Outlet

    Source: DOMAIN §7.2; Uniswap v2 UniswapV2Library.getAmountOut.
    """

    place: str
    depth_usd: float
    fee_bps: int
    half_life_s: int | None

    @property
    def direction(self) -> int:
        """Always 1."""
        return 1

    def sell(self, sale: Sale, displacement: float) -> Sold:
        """The output of the pool, rounded down."""
        depth = round(self.depth_usd * UNIT)
        held = max(round(depth * math.exp(-displacement / 2)), 1)
        other = depth * depth // held
        paid_in = round(sale.usd * UNIT)
        out = amount_out(paid_in, held, other, self.fee_bps)
        after = held + paid_in * (BPS - self.fee_bps) // BPS
        return Sold(out / UNIT, 2 * math.log(depth / after) if paid_in else displacement)

    def words(self) -> str:
        """The model in a few words."""
        return f"constant product, ${self.depth_usd:,.0f} a side{_fee(self.fee_bps)}"


def amount_out(amount_in: int, reserve_in: int, reserve_out: int, fee_bps: int) -> int:
    """What a pool of constant product gives, rounded down [units of ``reserve_out``].

    Source: Uniswap v2 UniswapV2Library.getAmountOut, with the fee as a parameter (DOMAIN §7.2).
    """
    after_fee = amount_in * (BPS - fee_bps)
    return after_fee * reserve_out // (reserve_in * BPS + after_fee)


@dataclass(frozen=True, slots=True)
class DepthCurve:
    """All markets together as one curve: ``depth_usd`` moves the price by ``move_bps``, other sizes by a power.

    Having sold q at once displaces the price by ``m (q / depth) ** exponent``, where m = -ln(1 - move). Each dollar's
    worth is sold at the price that those before it left, so one large sale yields what several small ones do that
    follow each other at once.

    Attributes
    ----------
    place : see Outlet
    depth_usd : size to which ``move_bps`` belongs [USD], > 0
    move_bps : how far that size moves the price [bps], between 0 and all of it
    exponent : 1 = twice the size moves the price twice as far; 0.5 = the square-root law
    fee_bps : share of what is sold [bps]
    half_life_s : see Outlet
    """

    place: str
    depth_usd: float
    move_bps: int
    exponent: float
    fee_bps: int
    half_life_s: int | None

    @property
    def direction(self) -> int:
        """Always 1."""
        return 1

    def sell(self, sale: Sale, displacement: float) -> Sold:
        """The area under the price between what was sold before and what will have been."""
        size = sale.usd * (1 - self.fee_bps / BPS)
        before = self._sold_for(-displacement)
        if size < before * _SMALL:
            proceeds = size * sum(w * math.exp(-self._moved_by(before + size * place)) for place, w in _GAUSS)
        else:
            proceeds = self._area(before + size) - self._area(before)
        return Sold(proceeds, -self._moved_by(before + size) if size else displacement)

    @property
    def _at_depth(self) -> float:
        return -math.log1p(-self.move_bps / BPS)

    def _moved_by(self, size: float) -> float:
        return self._at_depth * (size / self.depth_usd) ** self.exponent

    def _sold_for(self, moved: float) -> float:
        """Size [USD] that moves the price so far; inverse of :meth:`_moved_by`."""
        return self.depth_usd * float(max(moved, 0.0) / self._at_depth) ** (1 / self.exponent)

    def _area(self, size: float) -> float:
        """Integral of exp(-moved) from 0 to ``size``: size · e^-x · M(1, 1 + 1/exponent, x), Kummer's function."""
        moved = self._moved_by(size)
        if moved > _FLAT:
            whole = math.lgamma(1 + 1 / self.exponent) - math.log(self._at_depth) / self.exponent
            return self.depth_usd * math.exp(whole)
        term = total = 1.0
        place = 1 / self.exponent
        while term > total * 1e-17:
            place += 1
            term *= moved / place
            total += term
        return size * math.exp(-moved) * total

    def words(self) -> str:
        """The model in a few words."""
        power = "" if self.exponent == 1 else f" with exponent {self.exponent:g}"
        return f"depth curve, {self.move_bps / 100:g} % at ${self.depth_usd:,.0f}{power}{_fee(self.fee_bps)}"


_SMALL = 1e-3
"""Share of what was sold before up to which the price changes so little that three points give its mean."""

_GAUSS = ((0.5 - math.sqrt(0.15), 5 / 18), (0.5, 4 / 9), (0.5 + math.sqrt(0.15), 5 / 18))
"""Places between 0 and 1 and their weights (Gauss-Legendre)."""

_FLAT = 40.0
"""Displacement beyond which another dollar's worth yields less than a double can tell."""


def _fee(bps: int) -> str:
    return f", fee {bps / 100:g} %" if bps else ""

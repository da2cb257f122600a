"""Scaled balances: to the underlying and back, and what an event says about them, per version (DOMAIN §1.3, §1.10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from l2liq.numeric import (
    RAY,
    UINT256_MAX,
    Overflow,
    ray_div_ceil,
    ray_div_floor,
    ray_div_half_up,
    ray_mul_ceil,
    ray_mul_floor,
    ray_mul_half_up,
)
from l2liq.protocols.aave_v3.versions import Rounding, RuleSet

RayFunction = Callable[[int, int], int]

RAY_MUL: dict[Rounding, RayFunction] = {
    Rounding.FLOOR: ray_mul_floor,
    Rounding.HALF_UP: ray_mul_half_up,
    Rounding.CEIL: ray_mul_ceil,
}
RAY_DIV: dict[Rounding, RayFunction] = {
    Rounding.FLOOR: ray_div_floor,
    Rounding.HALF_UP: ray_div_half_up,
    Rounding.CEIL: ray_div_ceil,
}


def from_floored_balance(balance: int, index: int) -> tuple[int, int]:
    """The least scaled balance that is worth ``balance`` at ``index`` [ray], and what it is worth, rounded down.

    That is ``balance`` itself unless no scaled balance is worth just that, as happens at an index above a ray.
    """
    dividend = balance * RAY
    if dividend > UINT256_MAX:
        raise Overflow
    negative, surplus = divmod(-dividend, index)
    return -negative, balance + surplus // RAY


def from_ceiled_balance(balance: int, index: int) -> tuple[int, int]:
    """The greatest scaled balance that is worth at most ``balance`` at ``index`` [ray], and its worth, rounded up."""
    dividend = balance * RAY
    if dividend > UINT256_MAX:
        raise Overflow
    scaled, missing = divmod(dividend, index)
    return scaled, balance - missing // RAY


_INVERSE = {Rounding.FLOOR: from_floored_balance, Rounding.CEIL: from_ceiled_balance}


@dataclass(frozen=True, slots=True)
class ScaledMath:
    """Rounding of one kind of token.

    Attributes
    ----------
    balance : (scaled, index) to underlying
    mint, burn : (underlying, index) to scaled
    inverse : (balance, index) to the scaled balance it comes from and that one's balance; None where a balance is
        rounded half up, and amounts in events are exact instead
    """

    balance: RayFunction
    mint: RayFunction
    burn: RayFunction
    inverse: Callable[[int, int], tuple[int, int]] | None

    def after(self, scaled: int, balance: int, change: int, index: int) -> tuple[int, int]:
        """Scaled balance and balance after a Mint or Burn event that changed the balance by ``change`` beyond interest.

        ``balance`` is what ``scaled`` was worth at ``index`` just before. A Mint's change is value - balanceIncrease,
        negative where interest outgrew what was burned; a Burn's is -(value + balanceIncrease).
        """
        if self.inverse is not None:
            return self.inverse(balance + change, index)
        scaled = scaled + self.mint(change, index) if change > 0 else scaled - self.burn(-change, index)
        return scaled, self.balance(scaled, index)


def atoken_math(rules: RuleSet) -> ScaledMath:
    """Rounding of aTokens."""
    return ScaledMath(
        RAY_MUL[rules.atoken_balance],
        RAY_DIV[rules.atoken_mint],
        RAY_DIV[rules.atoken_burn],
        _INVERSE.get(rules.atoken_balance),
    )


def debt_math(rules: RuleSet) -> ScaledMath:
    """Rounding of variable debt tokens."""
    return ScaledMath(
        RAY_MUL[rules.debt_balance],
        RAY_DIV[rules.debt_mint],
        RAY_DIV[rules.debt_burn],
        _INVERSE.get(rules.debt_balance),
    )

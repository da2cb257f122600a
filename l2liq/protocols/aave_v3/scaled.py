"""Scaled balances: to the underlying and back, and what an event says about them, per version (DOMAIN §1.3, §1.10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from l2liq.numeric import (
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
_INVERSE = {Rounding.FLOOR: ray_div_ceil, Rounding.CEIL: ray_div_floor}
"""The scaled balance whose balance, rounded that way, is a given one; unique because an index is at least a ray."""


@dataclass(frozen=True, slots=True)
class ScaledMath:
    """Rounding of one kind of token.

    Attributes
    ----------
    balance : (scaled, index) to underlying
    mint, burn : (underlying, index) to scaled
    inverse : (balance, index) to the scaled balance it comes from; None where a balance is rounded half up, and amounts
        in events are exact instead
    """

    balance: RayFunction
    mint: RayFunction
    burn: RayFunction
    inverse: RayFunction | None

    def after(self, scaled: int, change: int, index: int) -> int:
        """The scaled balance after a Mint or Burn event that changed the balance by ``change`` beyond interest.

        A Mint's change is value - balanceIncrease, negative where interest outgrew what was burned; a Burn's is
        -(value + balanceIncrease).
        """
        if change == 0:
            return scaled
        if self.inverse is not None:
            return self.inverse(self.balance(scaled, index) + change, index)
        return scaled + self.mint(change, index) if change > 0 else scaled - self.burn(-change, index)


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

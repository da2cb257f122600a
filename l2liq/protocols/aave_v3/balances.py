"""Every conversion of amounts under one rule set, looked up once.

Source: Aave v3 ScaledBalanceTokenBase, AToken, VariableDebtToken, TokenMath (DOMAIN §1.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from l2liq.numeric import (
    mul_div_ceil,
    mul_div_floor,
    percent_div_ceil,
    percent_div_floor,
    percent_div_half_up,
    percent_mul_ceil,
    percent_mul_floor,
    percent_mul_half_up,
)
from l2liq.protocols.aave_v3.scaled import RAY_DIV, RAY_MUL
from l2liq.protocols.aave_v3.versions import Rounding, RuleSet

Binary = Callable[[int, int], int]

PERCENT_MUL: Mapping[Rounding, Binary] = {
    Rounding.FLOOR: percent_mul_floor,
    Rounding.HALF_UP: percent_mul_half_up,
    Rounding.CEIL: percent_mul_ceil,
}
PERCENT_DIV: Mapping[Rounding, Binary] = {
    Rounding.FLOOR: percent_div_floor,
    Rounding.HALF_UP: percent_div_half_up,
    Rounding.CEIL: percent_div_ceil,
}


@dataclass(frozen=True, slots=True)
class TokenMath:
    """Conversions of one rule set, each a function of (amount, index [ray]).

    ``*_balance`` turn scaled units into underlying, the others underlying into the scaled units that are minted, burned
    or transferred. ``debt_value`` is a function of (amount, price, unit) into base currency; collateral always floors.
    """

    atoken_balance: Binary
    atoken_mint: Binary
    atoken_burn: Binary
    atoken_transfer: Binary
    debt_balance: Binary
    debt_mint: Binary
    debt_burn: Binary
    debt_value: Callable[[int, int, int], int]


@cache
def token_math(rules: RuleSet) -> TokenMath:
    """The conversions of a rule set."""
    return TokenMath(
        atoken_balance=RAY_MUL[rules.atoken_balance],
        atoken_mint=RAY_DIV[rules.atoken_mint],
        atoken_burn=RAY_DIV[rules.atoken_burn],
        atoken_transfer=RAY_DIV[rules.atoken_transfer],
        debt_balance=RAY_MUL[rules.debt_balance],
        debt_mint=RAY_DIV[rules.debt_mint],
        debt_burn=RAY_DIV[rules.debt_burn],
        debt_value=mul_div_ceil if rules.debt_value is Rounding.CEIL else mul_div_floor,
    )

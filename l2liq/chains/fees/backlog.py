"""Arbitrum's base fee: exponential in the gas that was used beyond a speed limit and is not paid off yet.

Source: OffchainLabs/nitro arbos/l2pricing/model.go, updatePricingModelLegacy, updatePricingModelSingleConstraints;
util/arbmath/math.go, ApproxExpBasisPoints (DOMAIN §5.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BPS = 10_000
TERMS = 4
"""Degree of the polynomial that stands for e^x."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A target of gas per second, and what becomes of the price when it is exceeded.

    Attributes
    ----------
    target : gas that is paid off each second [gas/s]
    window : the price rises e-fold per ``target`` times this of backlog [s]
    tolerance : backlog of so many seconds at the target costs nothing [s]
    """

    target: int
    window: int
    tolerance: int = 0

    def exponent(self, backlog: int) -> int:
        """What this constraint adds to the exponent [bps]."""
        excess = backlog - self.tolerance * self.target
        return BPS * excess // (self.window * self.target) if excess > 0 else 0

    def paid_off(self, backlog: int, seconds: int) -> int:
        """Backlog after so much time without use [gas]."""
        return max(backlog - self.target * seconds, 0)


LEGACY = (Constraint(7_000_000, 102, 10),)
"""Before ArbOS 51, since ArbOS 6: inertia 102, tolerance 10, 7 million gas a second."""

ARBOS_51 = tuple(
    Constraint(target * 1_000_000, window)
    for target, window in ((60, 9), (41, 52), (29, 329), (20, 2_105), (14, 13_485), (10, 86_400))
)
"""Targets and windows of ArbOS 51 on Arbitrum One (DOMAIN §5.3)."""


def base_fee(constraints: Sequence[Constraint], backlogs: Sequence[int], minimum: int) -> int:
    """Base fee of the next block [wei per gas] from each constraint's backlog [gas], paid off up to now."""
    pairs = zip(constraints, backlogs, strict=True)
    exponent = sum(constraint.exponent(backlog) for constraint, backlog in pairs)
    return minimum * exp_bps(exponent) // BPS


def exp_bps(exponent: int) -> int:
    """e^x [bps] for x >= 0 [bps], as ArbOS reckons it: four terms by Horner's rule, each division rounded down."""
    found = BPS + exponent // TERMS
    for term in range(TERMS - 1, 0, -1):
        found = BPS + found * exponent // (term * BPS)
    return found


def lowest_backlog(constraint: Constraint, exponent: int) -> int:
    """Smallest backlog that has an exponent [bps] of at least this."""
    if exponent <= 0:
        return 0
    return constraint.tolerance * constraint.target - (-exponent * constraint.window * constraint.target // BPS)

"""How much a liquidator repays at once: as much as it may, as much as pays, in two steps, or just enough."""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from l2liq.liquidators.trial import Trial
from l2liq.numeric import WAD
from l2liq.protocols.interface import Health, Liquidated, Request

WORTHWHILE = Fraction(10_001, 10_000)
"""Two transactions that yield less than a ten-thousandth more than one do so by rounding only."""


class Sizing(typing.Protocol):
    """Turns a request without an amount into requests with one."""

    def amounts(self, request: Request, trial: Trial, most: int | None, *, again: bool) -> Sequence[int | None]:
        """Amounts of debt to ask for [base units], the wanted one first; None = as much as the rules allow.

        ``most`` is what the liquidator can pay [base units], None = without end; ``again``: the same account was
        liquidated at this very moment before.
        """

    def words(self) -> str:
        """The rule in one sentence, empty where there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Largest:
    """As much as the rules allow."""

    def amounts(self, request: Request, trial: Trial, most: int | None, *, again: bool) -> Sequence[int | None]:
        """All of it."""
        return (None,)

    def words(self) -> str:
        """Nothing to say."""
        return ""


@dataclass(frozen=True, slots=True)
class AsMuchAsPays:
    """As much as the rules allow, or the largest half of a half of it that is worth it.

    A sale that moves the price pays the less the larger it is: where all of a position does not pay, a part of it may.
    """

    def amounts(self, request: Request, trial: Trial, most: int | None, *, again: bool) -> Sequence[int | None]:
        """All of it, then a half, a quarter …; down to one part of 64."""
        whole = trial.liquidate(request)
        if not isinstance(whole, Liquidated):
            return (None,)
        asked = whole.debt_repaid if most is None else min(most, whole.debt_repaid)
        return (None, *(asked >> halved for halved in range(1, _MOST_HALVED + 1) if asked >> halved))

    def words(self) -> str:
        """The rule in one sentence."""
        return "Where repaying all it may does not pay, a liquidator repays a half of it, or of that, as far as pays."


_MOST_HALVED = 6


@dataclass(frozen=True, slots=True)
class TwoStep:
    """First as much as leaves the account liquidatable, then as much as the rules allow; where that yields more.

    Source: Qin et al. 2021, optimal fixed-spread liquidation (DOMAIN §7.5). The first step is found on the protocol's
    own integers: one base unit more would make the account safe, or be refused.
    """

    def amounts(self, request: Request, trial: Trial, most: int | None, *, again: bool) -> Sequence[int | None]:
        """The first step, where the two together yield more than the largest amount at once."""
        whole = trial.liquidate(request)
        if again or not isinstance(whole, Liquidated) or whole.health_after.liquidatable:
            return (None,)
        if most is not None and most < whole.debt_repaid:
            return (None,)

        def leaves_liquidatable(amount: int) -> bool:
            done = trial.liquidate(replace(request, amount=amount))
            return isinstance(done, Liquidated) and done.health_after.liquidatable

        first = largest(leaves_liquidatable, whole.debt_repaid, _amount_for(WAD, request, whole, trial))
        if first == 0:
            return (None,)
        stepped, at_once = (
            sum(trial.gain(*one) for one in trial.rounds(replace(request, amount=amount))) for amount in (first, None)
        )
        return (first, None) if stepped > at_once * WORTHWHILE else (None,)

    def words(self) -> str:
        """The rule in one sentence."""
        return (
            "Where it yields more, a liquidator first repays as much as leaves the account liquidatable, and then as "
            "much as the rules allow."
        )


@dataclass(frozen=True, slots=True)
class ToHealth:
    """Only as much as brings the account to a health factor; where that is refused or out of reach, all it may.

    ``factor_wad`` >= 1.
    """

    factor_wad: int

    def amounts(self, request: Request, trial: Trial, most: int | None, *, again: bool) -> Sequence[int | None]:
        """The smallest amount that is enough."""
        whole = trial.liquidate(request)
        if not isinstance(whole, Liquidated) or not self._reached(whole.health_after):
            return (None,)

        def falls_short(amount: int) -> bool:
            done = trial.liquidate(replace(request, amount=amount))
            return isinstance(done, Liquidated) and not self._reached(done.health_after)

        guess = _amount_for(self.factor_wad, request, whole, trial)
        enough = largest(falls_short, whole.debt_repaid, guess) + 1
        if enough == whole.debt_repaid or not isinstance(trial.liquidate(replace(request, amount=enough)), Liquidated):
            return (None,)
        return (enough,)

    def _reached(self, health: Health) -> bool:
        return health.factor_wad is None or health.factor_wad >= self.factor_wad

    def words(self) -> str:
        """The rule in one sentence."""
        return (
            f"A liquidator repays only as much as restores health {self.factor_wad / WAD:g}, or all it may where the "
            "protocol refuses so little or health stays lower."
        )


def largest(holds: Callable[[int], bool], stop: int, guess: int) -> int:
    """Largest number below ``stop`` for which ``holds``, 0 where it holds for none.

    ``holds`` must not become true again once it is false. Searched outwards from ``guess``, then by bisection.
    """
    low, high, step = 0, stop, max(1, stop >> 20)
    guess = min(max(guess, 1), stop - 1)
    if high - low > 1 and holds(guess):
        low = guess
        while low + step < high and holds(low + step):
            low, step = low + step, 2 * step
        high = min(high, low + step)
    elif high - low > 1:
        high = guess
        while high - step > low and not holds(high - step):
            high, step = high - step, 2 * step
        low = max(low, high - step)
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


def _amount_for(factor_wad: int, request: Request, whole: Liquidated, trial: Trial) -> int:
    """About the amount that brings health to a factor: d* = (h D - B) / (h - t) (DOMAIN §7.3)."""
    before, after, wanted = whole.health_before, whole.health_after, factor_wad / WAD
    repaid = whole.debt_repaid * whole.debt_price / trial.unit(request.debt_asset)
    if before.factor_wad is None or after.factor_wad is None or not repaid:
        return whole.debt_repaid // 2
    borne = before.factor_wad / WAD * before.debt_base
    share = (borne - after.factor_wad / WAD * after.debt_base) / repaid
    if share >= wanted:
        return whole.debt_repaid // 2
    needed = (wanted * before.debt_base - borne) / (wanted - share)
    return round(needed / repaid * whole.debt_repaid)

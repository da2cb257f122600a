"""Distributions of delays, as inverse distribution functions: one uniform in, one delay out (DESIGN §2)."""

from __future__ import annotations

import math
import typing
from bisect import bisect_right
from dataclasses import dataclass
from statistics import NormalDist


class Delays(typing.Protocol):
    """A distribution of non-negative delays, in the unit of the model that holds it."""

    def quantile(self, draw: float) -> float | None:
        """Delay at a uniform ``draw`` in [0, 1); never decreasing in it; None = never."""

    def words(self, unit: str) -> str:
        """The distribution in words, e.g. ``exactly 3 blocks``."""


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same delay."""

    delay: float

    def quantile(self, draw: float) -> float | None:
        """The delay."""
        return self.delay

    def words(self, unit: str) -> str:
        """The distribution in words."""
        return f"exactly {self.delay:g} {unit}"


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A delay whose logarithm is normal.

    Attributes
    ----------
    median : > 0
    sigma : standard deviation of the natural logarithm, >= 0; 0 = constant
    """

    median: float
    sigma: float

    def quantile(self, draw: float) -> float | None:
        """Inverse of the distribution function."""
        if draw <= 0.0 or self.sigma == 0.0:
            return 0.0 if self.sigma else self.median
        return self.median * math.exp(self.sigma * NormalDist().inv_cdf(draw))

    def words(self, unit: str) -> str:
        """The distribution in words."""
        return f"in the median {self.median:g} {unit} (log-normal, σ = {self.sigma:g})"


@dataclass(frozen=True, slots=True)
class Empirical:
    """A step function from data.

    Attributes
    ----------
    delays : increasing
    reached : probability that the delay is at most the one at the same place; non-decreasing, last <= 1; what is
        missing to 1 never happens within what was observed
    """

    delays: tuple[float, ...]
    reached: tuple[float, ...]

    def quantile(self, draw: float) -> float | None:
        """Smallest delay whose probability exceeds ``draw``; None beyond the last."""
        place = bisect_right(self.reached, draw)
        return self.delays[place] if place < len(self.delays) else None

    def within(self, delay: float) -> float:
        """Probability of a delay of at most ``delay``."""
        place = bisect_right(self.delays, delay)
        return self.reached[place - 1] if place else 0.0

    def words(self, unit: str) -> str:
        """The distribution in words."""
        median = self.quantile(0.5)
        share = self.reached[-1] if self.reached else 0.0
        middle = "mostly never" if median is None else f"in the median {median:g} {unit}"
        return f"{middle} (fitted from {len(self.delays)} different delays; {share:.1%} are liquidated at all)"

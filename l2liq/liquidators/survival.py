"""Fit of delays from what was observed, when some positions were never liquidated, and how far two fits are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from l2liq.errors import InputError
from l2liq.liquidators.delays import Empirical


def kaplan_meier(durations: Sequence[float], liquidated: Sequence[bool]) -> Empirical:
    """Distribution of delays from durations of which some are censored.

    Parameters
    ----------
    durations : Sequence[float]
        Time from liquidatable to liquidated, or to the end of observation (position cured or still open).
    liquidated : Sequence[bool]
        False = censored; a censored duration counts as still open at its own time.

    Raises
    ------
    InputError
        Nothing was liquidated, so there is nothing to fit.

    Source: Kaplan & Meier 1958, product-limit estimator.
    """
    time, event = np.asarray(durations, dtype=np.float64), np.asarray(liquidated, dtype=bool)
    if not event.any():
        raise InputError(
            "no liquidation in the period from which delays are to be fitted. Choose another period, or give a delay."
        )
    delays = np.unique(time[event])
    at_risk = len(time) - np.searchsorted(np.sort(time), delays, side="left")
    died = np.searchsorted(np.sort(time[event]), delays, side="right") - np.searchsorted(
        np.sort(time[event]), delays, side="left"
    )
    reached = 1.0 - np.cumprod(1.0 - died / at_risk)
    return Empirical(tuple(delays.tolist()), tuple(reached.tolist()))


@dataclass(frozen=True, slots=True)
class Apart:
    """How far two distributions of delays are apart up to where both were observed.

    Attributes
    ----------
    kolmogorov_smirnov : greatest difference of the two probabilities of being done by some delay, in [0, 1]
    wasserstein_1 : area between the two distribution functions [unit of the delays]: how much earlier or later
        liquidations come, those that do not come by then counted as if they came at the end
    """

    kolmogorov_smirnov: float
    wasserstein_1: float


def apart(one: Empirical, other: Empirical, until: float) -> Apart:
    """The distances of two distributions on [0, ``until``]."""
    steps = sorted({0.0, *(delay for delay in (*one.delays, *other.delays) if delay <= until)})
    gaps = [abs(one.within(delay) - other.within(delay)) for delay in steps]
    widths = (stop - start for start, stop in pairwise([*steps, max(until, steps[-1])]))
    return Apart(max(gaps), sum(gap * width for gap, width in zip(gaps, widths, strict=True)))

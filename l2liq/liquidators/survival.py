"""Fit of delays from what was observed, when some positions were never liquidated: Kaplan–Meier's estimator."""

from __future__ import annotations

from collections.abc import Sequence

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

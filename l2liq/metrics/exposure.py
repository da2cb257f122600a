"""Value that was executed on the rollup and could still be undone: until when, how much, at most how much."""

from __future__ import annotations

import numpy as np

from l2liq.metrics.events import Floats, Integers


def exposure(executed_s: Integers, until_s: Floats, value: Floats) -> tuple[Integers, Floats]:
    """Sum of the values that are open, as a step function: (times, sum from each time on), shape (m,) each.

    A value is open in [executed_s, until_s); where ``until_s`` is NaN nobody knows its end and it does not count.
    """
    known = ~np.isnan(until_s)
    opened, closed, size = executed_s[known], until_s[known].astype(np.int64), value[known]
    times, place = np.unique(np.concatenate([opened, closed]), return_inverse=True)
    change = np.bincount(place, weights=np.concatenate([size, -size]), minlength=len(times))
    open_after = np.cumsum(change)
    return times, np.where(np.abs(open_after) < _DUST_USD, 0.0, open_after)


_DUST_USD = 1e-6
"""Less than this is what adding and subtracting doubles left over."""


def peak(executed_s: Integers, until_s: Floats, value: Floats) -> float | None:
    """Most that is open at once; None where no end is known."""
    if np.isnan(until_s).all():
        return None
    return float(exposure(executed_s, until_s, value)[1].max())

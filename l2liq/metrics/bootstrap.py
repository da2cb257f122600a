"""Intervals of effects: calendar days are drawn in blocks, with replacement, the same days in both worlds (DESIGN §2).

Liquidations cluster, so days and not events are what repeats (DOMAIN §8.3). The blocks are circular: each day is drawn
equally often.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from l2liq.metrics.events import Floats, Integers
from l2liq.metrics.measure import Flow

DAY_S = 86_400
LEVEL = (0.025, 0.975)
_CHUNK = 64
"""Resamples that are worked on at once, so that quantiles of many waits need little memory."""


@dataclass(frozen=True)
class Resampling:
    """How often each day of a window occurs in each resample.

    Attributes
    ----------
    first_day : days since 1970 of the window's first calendar day (UTC)
    weights : shape (resamples, days); each row sums to days
    """

    first_day: int
    weights: npt.NDArray[np.int32] = field(repr=False)

    def day(self, timestamp_s: Integers) -> Integers:
        """Index of the day, in the window."""
        return np.clip(timestamp_s // DAY_S - self.first_day, 0, self.weights.shape[1] - 1)


def resample_days(window_s: tuple[int, int], block_days: int, resamples: int, seed: int) -> Resampling | None:
    """Draw days of the window (first and last second) in blocks; None where fewer than two fit, or none is wanted."""
    first_day = window_s[0] // DAY_S
    days = window_s[1] // DAY_S - first_day + 1
    if resamples < 1 or days < 2 * block_days:
        return None
    draws = np.random.Generator(np.random.PCG64(seed))
    blocks = -(-days // block_days)
    starts = draws.integers(0, days, size=(resamples, blocks))
    drawn = (starts[:, :, None] + np.arange(block_days)).reshape(resamples, -1)[:, :days] % days
    weights = np.zeros((resamples, days), dtype=np.int32)
    np.add.at(weights, (np.arange(resamples)[:, None], drawn), 1)
    return Resampling(first_day, weights)


def flow_interval(control: Flow, alternative: Flow, days: Resampling) -> tuple[float, float]:
    """95 % interval of alternative minus control of a sum."""
    count = days.weights.shape[1]
    by_day = [np.bincount(days.day(f.timestamp_s), weights=f.value, minlength=count) for f in (control, alternative)]
    return _interval(days.weights @ (by_day[1] - by_day[0]))


def wait_interval(control: Flow, alternative: Flow, share: float, days: Resampling) -> tuple[float, float] | None:
    """95 % interval of alternative minus control of a quantile; None where most resamples have nothing to measure."""
    drawn = [_quantiles(flow, share, days) for flow in (control, alternative)]
    effect = drawn[1] - drawn[0]
    known = effect[~np.isnan(effect)]
    return _interval(known) if len(known) > len(effect) // 2 else None


def _quantiles(waits: Flow, share: float, days: Resampling) -> Floats:
    """The quantile in each resample, NaN where it has no waits."""
    found = np.full(len(days.weights), np.nan)
    if not len(waits.value):
        return found
    order = np.argsort(waits.value, kind="stable")
    value, day = waits.value[order], days.day(waits.timestamp_s[order])
    for start in range(0, len(found), _CHUNK):
        reached = np.cumsum(days.weights[start : start + _CHUNK, day], axis=1)
        total = reached[:, -1]
        place = (reached < np.ceil(share * total)[:, None]).sum(axis=1)
        found[start : start + _CHUNK] = np.where(total > 0, value[np.minimum(place, len(value) - 1)], np.nan)
    return found


def _interval(draws: Floats) -> tuple[float, float]:
    low, high = np.quantile(draws, LEVEL)
    return float(low), float(high)

"""How far the prices that the market saw were from the world's, through another oracle."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from l2liq.market import PRICE, Market, Series
from l2liq.replay import Plan

GAPS = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("asset", pa.int16(), nullable=False),
        pa.field("compared_s", pa.int64(), nullable=False),
        pa.field("mean_share", pa.float64(), nullable=False),
        pa.field("most_above_share", pa.float64(), nullable=False),
        pa.field("most_below_share", pa.float64(), nullable=False),
        pa.field("apart_s", pa.int64(), nullable=False),
    ]
)
"""Assets whose price the alternative's market saw through another oracle; ``asset`` is the market's number.

``compared_s`` from the change to the window's end; ``mean_share`` mean distance of the seen price over that time, as a
share of the world's; ``most_above_share``, ``most_below_share`` the farthest it was above and below, 0 where it never
was; ``apart_s`` how long it was more than :data:`APART` away."""

APART = 0.01


def price_gaps(market: Market, seen: Market, plan: Plan, run_id: str) -> pa.Table:
    """The gap of every asset with another oracle, from the change on; no rows where there is none."""
    first_s, last_s = (plan.change or plan.first).timestamp_s, plan.last.timestamp_s
    rows = []
    for asset in seen_otherwise(market, seen):
        times, world, shown = both(market.series[PRICE, asset], seen.series[PRICE, asset], first_s, last_s)
        held = np.diff(np.append(times, last_s))
        gap, whole = shown / world - 1, int(held.sum())
        rows.append(
            {
                "run_id": run_id,
                "asset": asset,
                "compared_s": whole,
                "mean_share": float((np.abs(gap) * held).sum() / whole) if whole else 0.0,
                "most_above_share": max(float(gap.max()), 0.0),
                "most_below_share": max(float(-gap.min()), 0.0),
                "apart_s": int(held[np.abs(gap) > APART].sum()),
            }
        )
    return pa.Table.from_pylist(rows, GAPS)


def seen_otherwise(market: Market, seen: Market) -> list[int]:
    """Assets whose price the two markets do not share."""
    return [
        asset
        for asset in range(len(market.assets))
        if (PRICE, asset) in seen.series and seen.series[PRICE, asset] is not market.series.get((PRICE, asset))
    ]


def both(
    world: Series, seen: Series, first_s: int, last_s: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Seconds of [``first_s``, ``last_s``] at which either price steps, the first included, and both prices there."""
    times = np.union1d(world.timestamp_s, seen.timestamp_s)
    times = np.union1d([first_s], times[(times > first_s) & (times <= last_s)])
    return times, _at(world, times), _at(seen, times)


def _at(series: Series, times: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The last price at or before each time; the first one before it."""
    step = np.searchsorted(series.timestamp_s, times, side="right") - 1
    found: npt.NDArray[np.float64] = series.floats[np.maximum(step, 0)]
    return found

"""What a report draws besides its numbers: price paths, and debt by health before the worst hour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.chains.outages import Outage
from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.market import PRICE, SEQUENCER_ANSWER, SEQUENCER_STARTED, Market, Series
from l2liq.outcome import Kind
from l2liq.protocols.interface import Moment
from l2liq.replay import Plan, Result
from pipelines.gaps import both, seen_otherwise

PATHS = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("asset", pa.int16(), nullable=False),
        pa.field("timestamp_s", pa.int64(), nullable=False),
        pa.field("usd", pa.float64(), nullable=False),
        pa.field("seen_usd", pa.float64()),
    ]
)
"""Prices of the assets that matter most, thinned to what a screen shows; ``asset`` is the market's number, ``seen_usd``
what the alternative's market saw through another oracle, null where it has none."""

HEALTH = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("world", pa.string(), nullable=False),
        pa.field("at_s", pa.int64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),
        pa.field("high", pa.float64(), nullable=False),
        pa.field("debt_usd", pa.float64(), nullable=False),
    ]
)
"""Debt by health factor [low, high) just before ``at_s``, per world."""

EDGES = (0.0, 0.9, 0.95, 1.0, 1.02, 1.05, 1.1, 1.2, 1.3, 1.5, 2.0, 1e9)
HOUR_S = 3_600
MAX_PATHS = 4
BINS = 400
BASE_UNIT = 10**8
"""One US dollar in the base currency of prices (DOMAIN §1.4)."""


def price_paths(market: Market, seen: Market, outcomes: pa.Table, plan: Plan, run_id: str) -> pa.Table:
    """Prices in the window of the assets with the most collateral liquidated, most first, and as ``seen`` has them."""
    rows = []
    otherwise = seen_otherwise(market, seen)
    for asset in _most_liquidated(market, outcomes)[:MAX_PATHS]:
        series = market.series.get((PRICE, asset))
        if series is None:
            continue
        if asset in otherwise:
            rows += _both_paths(series, seen.series[PRICE, asset], asset, plan, run_id)
            continue
        times, values = _in_window(series, plan)
        for at in thinned(values, BINS):
            rows.append({"run_id": run_id, "asset": asset, "timestamp_s": int(times[at]), "usd": float(values[at])})
    return pa.Table.from_pylist(rows, PATHS)


def _both_paths(world: Series, seen: Series, asset: int, plan: Plan, run_id: str) -> list[dict[str, Any]]:
    """The world's price and the market's, thinned so that neither loses a spike and their gap none."""
    last_s = plan.last.timestamp_s
    times, usd, seen_usd = both(world, seen, plan.first.timestamp_s, last_s)
    kept = sorted({place for one in (usd, seen_usd, seen_usd - usd) for place in thinned(one, BINS)})
    rows = [
        {
            "run_id": run_id,
            "asset": asset,
            "timestamp_s": int(times[at]),
            "usd": float(usd[at]) / BASE_UNIT,
            "seen_usd": float(seen_usd[at]) / BASE_UNIT,
        }
        for at in kept
    ]
    return [*rows, {**rows[-1], "timestamp_s": last_s}]


def _most_liquidated(market: Market, outcomes: pa.Table) -> list[int]:
    mine = outcomes.filter(pc.equal(outcomes["kind"], Kind.LIQUIDATION.value))
    summed = mine.group_by("collateral_asset").aggregate([("collateral_usd", "sum")]).to_pylist()
    worth = {row["collateral_asset"]: row["collateral_usd_sum"] or 0.0 for row in summed}
    order = sorted(range(len(market.assets)), key=lambda n: -worth.get(market.assets[n].address, 0.0))
    return [n for n in order if worth.get(market.assets[n].address)] or order[:1]


def _in_window(series: Series, plan: Plan) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Steps in the window, the value at its start and its end included."""
    start, stop = max(series.step_at(plan.first.key), 0), series.step_at(plan.last.key) + 1
    times = np.clip(series.timestamp_s[start:stop], plan.first.timestamp_s, plan.last.timestamp_s)
    values = series.floats[start:stop] / BASE_UNIT
    if not len(values):
        return times, values
    return np.append(times, plan.last.timestamp_s), np.append(values, values[-1])


def thinned(values: npt.NDArray[np.float64], bins: int) -> list[int]:
    """Places to keep: first, last, lowest and highest of each of ``bins`` stretches, so that no spike is lost."""
    if len(values) <= 2 * bins:
        return list(range(len(values)))
    kept = {0, len(values) - 1}
    for stretch in np.array_split(np.arange(len(values)), bins):
        kept |= {int(stretch[values[stretch].argmin()]), int(stretch[values[stretch].argmax()])}
    return sorted(kept)


def health_before_worst_hour(
    replayed: Callable[[Plan], Result], market: Market, plan: Plan, outcomes: pa.Table, run_id: str
) -> pa.Table:
    """Debt by health factor in each world just before the hour in which most debt was liquidated in any of them.

    Costs a replay (``replayed``, all worlds of a plan) up to that hour; no rows where nothing was liquidated.
    """
    hour_s = worst_hour(outcomes)
    if hour_s is None or hour_s <= plan.first.timestamp_s:
        return HEALTH.empty_table()
    block = market.clock.last_block_at(hour_s - 1)
    at = Moment(max(key_of(block, END_OF_BLOCK), plan.first.key), hour_s - 1)
    change = None if plan.change is None or plan.change.key > at.key else plan.change
    alternative = plan.actual if change is None else plan.alternative
    accounts = replayed(replace(plan, last=at, change=change, alternative=alternative)).accounts
    rows: list[dict[str, Any]] = []
    for world in accounts["world"].unique().to_pylist():
        mine = accounts.filter(pc.and_(pc.equal(accounts["world"], world), pc.is_valid(accounts["health_wad"])))
        health = mine["health_wad"].cast(pa.float64()).to_numpy() / 1e18
        debt = mine["debt_base"].cast(pa.float64()).to_numpy() / BASE_UNIT
        found, _ = np.histogram(np.clip(health, 0, EDGES[-1]), bins=EDGES, weights=debt)
        for low, high, usd in zip(EDGES, EDGES[1:], found, strict=False):
            row = {"run_id": run_id, "world": world, "at_s": hour_s, "low": low, "high": high, "debt_usd": float(usd)}
            rows.append(row)
    return pa.Table.from_pylist(rows, HEALTH)


def worst_hour(outcomes: pa.Table) -> int | None:
    """First second of the clock hour with the most debt liquidated in any one world; None without liquidations."""
    mine = outcomes.filter(pc.equal(outcomes["kind"], Kind.LIQUIDATION.value))
    if mine.num_rows == 0:
        return None
    hours = mine["timestamp_s"].to_numpy() // HOUR_S * HOUR_S
    table = pa.table({"world": mine["world"], "hour": hours, "usd": mine["debt_usd"]})
    summed = table.group_by(["world", "hour"]).aggregate([("usd", "sum")]).to_pylist()
    return int(max(summed, key=lambda row: (row["usd_sum"] or 0.0, -row["hour"]))["hour"])


def sequencer_down(market: Market, plan: Plan, outages: Sequence[Outage] = ()) -> list[tuple[int, int]]:
    """Spans of the window [first, last second] in which the sequencer was down: by its uptime feed, or as assumed."""
    answers = market.series.get((SEQUENCER_ANSWER, -1))
    started = market.series.get((SEQUENCER_STARTED, -1))
    if answers is None:
        return [(outage.from_s, outage.to_s) for outage in outages]
    since = answers.timestamp_s if started is None or len(started.values) != len(answers.values) else started.values
    spans: list[tuple[int, int]] = []
    down: int | None = None
    for value, at in zip(answers.values, since, strict=True):
        if value == 1 and down is None:
            down = int(at)
        elif value == 0 and down is not None:
            spans.append((down, int(at)))
            down = None
    if down is not None:
        spans.append((down, plan.last.timestamp_s))
    first, last = plan.first.timestamp_s, plan.last.timestamp_s
    return [(max(start, first), min(stop, last)) for start, stop in spans if stop > first and start < last]

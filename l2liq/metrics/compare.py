"""The three worlds side by side: effect, model error net and gross, interval (DESIGN §2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from l2liq.market import Asset
from l2liq.metrics.bootstrap import Resampling, flow_interval, wait_interval
from l2liq.metrics.catalogue import METRIC
from l2liq.metrics.events import Events, Floats, Integers
from l2liq.metrics.measure import WAIT_QUANTILES, Measures, Parts
from l2liq.outcome import METRICS, World

BY_CHANGE = frozenset({"liquidated_by_change", "debt_repaid_by_change_usd", "user_loss_by_change_usd"})
"""Metrics of one dated event, which resampling days can say nothing about."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One metric in the three worlds.

    Attributes
    ----------
    metric : name in the catalogue
    actual, control, alternative : values; None where a world has none
    effect, model_error : alternative - control, control - actual
    gross_error : sum over accounts of abs(control - actual), where mistakes do not cancel; None for what is no such sum
    low, high : 95 % interval of the effect; None where days cannot be resampled
    within_error : the effect is smaller than the model's error, in either direction
    """

    metric: str
    actual: float | None
    control: float | None
    alternative: float | None
    effect: float | None
    model_error: float | None
    gross_error: float | None
    low: float | None
    high: float | None
    within_error: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as a manifest holds it."""
        return asdict(self)


def effects(worlds: Mapping[World, Measures], days: Resampling | None) -> list[Effect]:
    """Every metric of the catalogue, compared; ``days`` None leaves the intervals out."""
    values = {world: measures.values() for world, measures in worlds.items()}
    found = []
    for metric in METRIC:
        actual, control, alternative = (values[world].get(metric) for world in World)
        effect, error = _difference(alternative, control), _difference(control, actual)
        low, high = _interval(metric, worlds, days) if effect is not None and days is not None else (None, None)
        gross = gross_error(*(worlds[world].parts.get(metric) for world in (World.ACTUAL, World.CONTROL)))
        within = effect is not None and error is not None and abs(effect) < abs(error)
        found.append(Effect(metric, actual, control, alternative, effect, error, gross, low, high, within))
    return found


def gross_error(actual: Parts | None, control: Parts | None) -> float | None:
    """Sum over accounts of abs(control - actual); None where a world has no parts."""
    if actual is None or control is None:
        return None
    accounts = actual.keys() | control.keys()
    return math.fsum(abs(control.get(account, 0.0) - actual.get(account, 0.0)) for account in accounts)


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _interval(metric: str, worlds: Mapping[World, Measures], days: Resampling) -> tuple[float | None, float | None]:
    control, alternative = worlds[World.CONTROL], worlds[World.ALTERNATIVE]
    if metric in WAIT_QUANTILES:
        return wait_interval(control.waits, alternative.waits, WAIT_QUANTILES[metric], days) or (None, None)
    if metric in BY_CHANGE:
        return None, None
    if metric == "bad_debt_usd":
        realised = "bad_debt_realised_usd"
        still_open = (alternative.ends["bad_debt_open_usd"] or 0.0) - (control.ends["bad_debt_open_usd"] or 0.0)
        ends = flow_interval(control.flows[realised], alternative.flows[realised], days)
        return tuple(None if end is None else end + still_open for end in ends)  # type: ignore[return-value]
    if metric in control.flows:
        return flow_interval(control.flows[metric], alternative.flows[metric], days)
    return None, None


def metrics_table(
    run_id: str, measures: Mapping[World, Measures], events: Mapping[World, Events], assets: Sequence[Asset]
) -> pa.Table:
    """METRICS of a run: the whole market in the catalogue's order, then per asset."""
    rows: list[dict[str, Any]] = []
    for world in World:
        values = measures[world].values()
        rows.extend(_row(run_id, world, metric, None, values.get(metric)) for metric in METRIC)
        for metric, by_asset in asset_values(events[world]).items():
            rows.extend(
                _row(run_id, world, metric, name, by_asset[address])
                for address, name in asset_names(assets).items()
                if address in by_asset
            )
    return pa.Table.from_pylist(rows, METRICS)


def _row(run_id: str, world: World, metric: str, asset: str | None, value: float | None) -> dict[str, Any]:
    unit = METRIC[metric].unit
    return {"run_id": run_id, "world": world.value, "metric": metric, "asset": asset, "value": value, "unit": unit}


def asset_names(assets: Sequence[Asset]) -> dict[bytes, str]:
    """What to call each asset: its symbol, with the address where it has none or shares it."""
    symbols = [asset.symbol for asset in assets]
    return {
        asset.address: asset.symbol
        if asset.symbol and symbols.count(asset.symbol) == 1
        else f"{asset.symbol} 0x{asset.address.hex()}".strip()
        for asset in assets
    }


def asset_values(events: Events) -> dict[str, dict[bytes, float]]:
    """Metrics of one world by asset address."""
    done = events.liquidations

    def summed(asset: Integers, value: Floats) -> dict[bytes, float]:
        known = asset >= 0
        totals = np.bincount(asset[known], weights=value[known])
        return {events.addresses[number]: float(totals[number]) for number in np.unique(asset[known])}

    return {
        "collateral_seized_usd": summed(done.collateral_asset, done.collateral_usd + done.fee_usd),
        "debt_repaid_usd": summed(done.debt_asset, done.debt_usd),
        "bad_debt_realised_usd": summed(events.deficit_asset, events.deficit_usd),
    }

"""Outcome events of a run as sections of a report read them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.outcome import Kind, World
from l2liq.report.bundle import RunBundle
from l2liq.report.figures import COLOURS, DASH, instants

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MODELLED = (World.CONTROL, World.ALTERNATIVE)
"""The two worlds in which a model decides."""


def events(bundle: RunBundle, world: World, kind: Kind) -> pa.Table:
    """A world's events of one kind, in order."""
    table = bundle.outcomes
    return table.filter(pc.and_(pc.equal(table["world"], world.value), pc.equal(table["kind"], kind.value)))


def liquidations(bundle: RunBundle, world: World) -> pa.Table:
    """A world's liquidations, in order."""
    return events(bundle, world, Kind.LIQUIDATION)


def floats(table: pa.Table, column: str) -> Floats:
    """A column as doubles, NaN where it is null; shape (n,)."""
    return table[column].cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)


def total(table: pa.Table, column: str) -> float:
    """Sum of a column, nulls left out."""
    return float(np.nansum(floats(table, column))) if table.num_rows else 0.0


def seized(done: pa.Table) -> Floats:
    """What accounts lost in liquidations, protocol fee included, at the prices that the market saw [USD]."""
    return np.nan_to_num(floats(done, "collateral_usd")) + np.nan_to_num(floats(done, "protocol_fee_usd"))


def add_steps(
    bundle: RunBundle, figure: go.Figure, world: World, times_s: Integers, usd: Floats, name: str = ""
) -> None:
    """A step line of dollars over the window: ``usd`` holds from ``times_s`` on, zero before the first."""
    first, last = bundle.window_s
    inside = times_s <= last
    at_end = usd[inside][-1] if inside.any() else 0.0
    figure.add_scatter(
        x=instants(np.concatenate([[first], times_s[inside], [last]])),
        y=np.concatenate([[0.0], usd[inside], [at_end]]),
        name=name or world.value,
        mode="lines",
        line={"color": COLOURS[world], "shape": "hv", "dash": "dash" if name else DASH[world], "width": 2},
        hovertemplate="%{y:$,.0f}",
    )


def of_accounts(table: pa.Table, accounts: set[bytes]) -> pa.Table:
    """Rows of some accounts."""
    return table.filter(pc.is_in(table["account"], pa.array(sorted(accounts), table.schema.field("account").type)))


def block_of_scenario(bundle: RunBundle, name: str) -> dict[str, Any]:
    """A block of the scenario as it was written; empty where it has none."""
    return bundle.manifest["scenario"].get(name) or {}


def second_of(text: str) -> int:
    """A time of the scenario [s since 1970]."""
    return int(np.datetime64(text.removesuffix("Z"), "s").astype(np.int64))

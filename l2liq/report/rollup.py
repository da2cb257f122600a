"""The rollup in a report: what was executed and could still be undone, and what liquidators paid for transactions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.metrics.exposure import exposure, peak
from l2liq.outcome import Kind, World
from l2liq.report.bundle import RunBundle
from l2liq.report.figures import COLOURS, DASH, instants, mark_change, mark_outages, new_figure

CLOCKS = (
    ("published_s", "not yet in a batch on L1"),
    ("l1_final_s", "batch not yet final on L1"),
    ("settled_s", "state not yet settled on L1"),
)
"""Columns of later clocks, and what holds before them."""


def at_risk_before_settlement(bundle: RunBundle) -> go.Figure | None:
    """Collateral seized on the rollup and not yet settled on L1, per world; None where the chain has no clocks."""
    if not bundle.clocks:
        return None
    figure = new_figure()
    first, last = bundle.window_s
    for world in World:
        done = _liquidations(bundle, world)
        times, usd = exposure(done["timestamp_s"].to_numpy(), _floats(done, "settled_s"), _seized(done))
        inside = times <= last
        at_end = usd[inside][-1] if inside.any() else 0.0
        figure.add_scatter(
            x=instants(np.concatenate([[first], times[inside], [last]])),
            y=np.concatenate([[0.0], usd[inside], [at_end]]),
            name=world.value,
            mode="lines",
            line={"color": COLOURS[world], "shape": "hv", "dash": DASH[world], "width": 2},
            hovertemplate="%{y:$,.0f}",
        )
    mark_outages(bundle, figure)
    mark_change(bundle, figure)
    figure.update_yaxes(tickformat="$,.3s", rangemode="tozero")
    return figure


def peaks(bundle: RunBundle) -> list[tuple[str, dict[str, float | None]]]:
    """Most collateral at once that had not reached each clock [usd], by world; none where the chain has no clocks."""
    if not bundle.clocks:
        return []
    worlds = {world.value: _liquidations(bundle, world) for world in World}
    return [
        (words, {name: peak(t["timestamp_s"].to_numpy(), _floats(t, column), _seized(t)) for name, t in worlds.items()})
        for column, words in CLOCKS
    ]


@dataclass(frozen=True, slots=True)
class Paid:
    """What the liquidators of one world paid for transactions: in the gas token [wei] and in dollars."""

    world: str
    liquidations: int
    gas: int
    l2_wei: int
    l1_wei: int
    usd: float

    @property
    def l1_share(self) -> float:
        """Share of L1 data in it."""
        total = self.l1_wei + self.l2_wei
        return self.l1_wei / total if total else 0.0


def paid(bundle: RunBundle) -> list[Paid]:
    """Transaction costs by world; none where the scenario has no fees."""
    found = []
    for world in World:
        done = _liquidations(bundle, world)
        done = done.filter(pc.is_valid(done["gas_used"]))
        gas, l2, l1 = (sum(map(int, done[name].to_pylist())) for name in ("gas_used", "l2_fee_wei", "l1_fee_wei"))
        found.append(Paid(world.value, done.num_rows, gas, l2, l1, float(np.nansum(_floats(done, "fee_usd")))))
    return found if any(one.liquidations for one in found) else []


def _liquidations(bundle: RunBundle, world: World) -> pa.Table:
    table = bundle.outcomes
    chosen = pc.and_(pc.equal(table["world"], world.value), pc.equal(table["kind"], Kind.LIQUIDATION.value))
    return table.filter(chosen)


def _floats(table: pa.Table, column: str) -> npt.NDArray[np.float64]:
    return table[column].cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)


def _seized(done: pa.Table) -> npt.NDArray[np.float64]:
    return np.nan_to_num(_floats(done, "collateral_usd")) + np.nan_to_num(_floats(done, "protocol_fee_usd"))

"""Pictures of a report, as Plotly figures. Worlds keep their colours: grey actual, blue control, orange alternative."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import pyarrow.compute as pc

from l2liq.outcome import Kind, World
from l2liq.report.bundle import RunBundle

COLOURS = {World.ACTUAL: "#6b7280", World.CONTROL: "#1d6fb8", World.ALTERNATIVE: "#d9580d"}
DASH = {World.ACTUAL: "dot", World.CONTROL: "solid", World.ALTERNATIVE: "solid"}
_PRICE_COLOUR = "#b8bec9"


def new_figure(*, height: int = 340) -> go.Figure:
    """An empty figure in the reports' looks."""
    figure = go.Figure()
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 56, "r": 56, "t": 16, "b": 40},
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#1f2733"},
        legend={"orientation": "h", "y": -0.18, "x": 0},
        hovermode="x unified",
        dragmode=False,
    )
    return figure


def instants(seconds: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.datetime64]:
    """Seconds since 1970 as times that an axis understands."""
    return np.asarray(seconds, dtype="datetime64[s]")


def _events(bundle: RunBundle, world: World, kind: Kind) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Times [s] and debt [usd] of a world's events of one kind, in order of time."""
    table = bundle.outcomes
    chosen = table.filter(pc.and_(pc.equal(table["world"], world.value), pc.equal(table["kind"], kind.value)))
    times = chosen["timestamp_s"].to_numpy()
    values = pc.fill_null(chosen["debt_usd"], 0.0).to_numpy()
    order = np.argsort(times, kind="stable")
    return times[order], values[order]


def _cumulative(bundle: RunBundle, figure: go.Figure, kind: Kind) -> None:
    for world in World:
        times, values = _events(bundle, world, kind)
        first, last = bundle.window_s
        figure.add_scatter(
            x=instants(np.concatenate([[first], times, [last]])),
            y=np.concatenate([[0.0], np.cumsum(values), [values.sum()]]),
            name=world.value,
            mode="lines",
            line={"color": COLOURS[world], "shape": "hv", "dash": DASH[world], "width": 2},
            hovertemplate="%{y:$,.0f}",
        )


def mark_outages(bundle: RunBundle, figure: go.Figure) -> None:
    """Shade the spans in which the sequencer was down."""
    for start, stop in bundle.sequencer_down_s:
        figure.add_vrect(
            x0=instants([start])[0], x1=instants([stop])[0], fillcolor="#f3c6c0", opacity=0.5, line_width=0
        )


def zoom(figure: go.Figure, spans: Sequence[tuple[int, int]]) -> None:
    """Show only what happens around some spans [s]."""
    if spans:
        first, last = min(start for start, _ in spans), max(stop for _, stop in spans)
        around = max(last - first, 3_600)
        figure.update_xaxes(range=list(instants([first - around, last + 2 * around])))


def shade(figure: go.Figure, spans: Sequence[tuple[int, int]]) -> None:
    """Shade spans [s] in which something failed."""
    for start, stop in spans:
        x0, x1 = instants([start, stop])
        figure.add_vrect(x0=x0, x1=x1, fillcolor="#e3d5f0", opacity=0.5, line_width=0)


def mark_change(bundle: RunBundle, figure: go.Figure) -> None:
    """A line where the change takes effect."""
    if bundle.change_s is not None and bundle.window_s[0] < bundle.change_s < bundle.window_s[1]:
        figure.add_vline(x=instants([bundle.change_s])[0], line={"color": COLOURS[World.ALTERNATIVE], "dash": "dash"})


def liquidations_over_time(bundle: RunBundle) -> go.Figure:
    """Debt repaid in liquidations so far, per world, on the price of the first path."""
    figure = new_figure(height=380)
    if bundle.paths:
        path = bundle.paths[0]
        figure.add_scatter(
            x=instants(path.timestamp_s),
            y=path.usd,
            name=f"{bundle.assets[path.asset].symbol} price (right axis)",
            yaxis="y2",
            mode="lines",
            line={"color": _PRICE_COLOUR, "shape": "hv", "width": 1.2},
            hovertemplate="%{y:$,.2f}",
        )
        figure.update_layout(yaxis2={"overlaying": "y", "side": "right", "showgrid": False, "tickformat": "$,.3s"})
    _cumulative(bundle, figure, Kind.LIQUIDATION)
    mark_outages(bundle, figure)
    mark_change(bundle, figure)
    figure.update_yaxes(tickformat="$,.3s", rangemode="tozero", selector={"overlaying": None})
    return figure


def bad_debt_over_time(bundle: RunBundle) -> go.Figure | None:
    """Bad debt that the protocol realised so far, per world; None where no world has any."""
    if not any(len(_events(bundle, world, Kind.DEFICIT)[0]) for world in World):
        return None
    figure = new_figure()
    _cumulative(bundle, figure, Kind.DEFICIT)
    mark_outages(bundle, figure)
    mark_change(bundle, figure)
    figure.update_yaxes(tickformat="$,.3s", rangemode="tozero")
    return figure


def health_before_worst_hour(bundle: RunBundle) -> go.Figure | None:
    """Debt by health factor, per world, just before the worst hour."""
    if bundle.health is None:
        return None
    edges = bundle.health.edges
    names = [f"{low:.2f}–{high:.2f}" for low, high in pairwise(edges[:-1])] + [f"≥ {edges[-2]:.2f}"]
    figure = new_figure()
    for world in World:
        if world.value in bundle.health.debt_usd:
            figure.add_bar(
                x=names,
                y=bundle.health.debt_usd[world.value],
                name=world.value,
                marker_color=COLOURS[world],
                hovertemplate="%{y:$,.0f}",
            )
    figure.update_layout(barmode="group", bargap=0.25)
    figure.update_yaxes(tickformat="$,.3s")
    figure.update_xaxes(title="health factor", type="category")
    return figure


def time_to_liquidation(bundle: RunBundle) -> go.Figure | None:
    """Share of liquidations done within a time of the position becoming liquidatable, per world."""
    figure, drawn = new_figure(), False
    table = bundle.outcomes
    for world in World:
        mask = pc.and_(pc.equal(table["world"], world.value), pc.equal(table["kind"], Kind.LIQUIDATION.value))
        chosen = table.filter(pc.and_(mask, pc.is_valid(table["liquidatable_since_s"])))
        if chosen.num_rows == 0:
            continue
        waits = np.sort(chosen["timestamp_s"].to_numpy() - chosen["liquidatable_since_s"].to_numpy())
        drawn = True
        figure.add_scatter(
            x=np.maximum(waits, 1),
            y=np.arange(1, len(waits) + 1) / len(waits),
            name=world.value,
            mode="lines",
            line={"color": COLOURS[world], "shape": "hv", "dash": DASH[world], "width": 2},
            hovertemplate="%{y:.0%}",
        )
    if not drawn:
        return None
    ticks = {1: "≤ 1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 21600: "6 h", 86400: "1 d", 604800: "7 d"}
    figure.update_xaxes(
        type="log", tickvals=list(ticks), ticktext=list(ticks.values()), title="since health fell below 1"
    )
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure

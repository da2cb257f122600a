"""The page of a series of runs: what the same scenario said on each of the last nights, and how wrong the model was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from l2liq.metrics.catalogue import Metric
from l2liq.outcome import World
from l2liq.report.figures import COLOURS, new_figure
from l2liq.report.render import environment, script_json

SHOWN = ("liquidated_accounts", "bad_debt_usd", "debt_repaid_usd", "user_loss_usd", "waiting_median_s")
"""Metrics that have a picture."""

VALIDITY = ("skipped_value_share", "unfunded_value_share", "diverged_value_share")
_VALIDITY_MEANING = "Shares of value that the alternative world could not follow as recorded."
_TICKS = {"usd": "$,.3s", "share": ".0%"}


@dataclass(frozen=True, slots=True)
class Point:
    """One night; ``link``: its report relative to the page, None where it is deleted."""

    night: date
    window_s: tuple[int, int]
    run_id: str
    link: str | None
    version: str
    metrics: Mapping[str, Mapping[str, float | None]]
    validity: Mapping[str, float | None]

    def value(self, metric: str, name: str) -> float | None:
        """A number of a metric, None where the night has none."""
        return self.metrics.get(metric, {}).get(name)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A series: its nights, oldest first; ``breaks``: nights from which on another question is answered, and why."""

    series_id: str
    market: str
    title: str
    changes: Sequence[str]
    points: Sequence[Point]
    breaks: Mapping[date, str]
    metrics: Sequence[Metric]
    alerts: Sequence[str]

    @property
    def before(self) -> Sequence[Point]:
        """The nights that the last one stands beside: those before it that answer the same question."""
        since = max(self.breaks, default=None)
        return [one for one in self.points[:-1] if since is None or one.night >= since]


def render_history(page: HistoryPage) -> str:
    """The page as one self-contained HTML file. Everything foreign is escaped."""
    drawn = [(metric.name, metric.label, metric.meaning, _picture(page, metric)) for metric in page.metrics]
    drawn.append(("validity", "What the alternative rests on", _VALIDITY_MEANING, _validity(page)))
    pictures = [{"name": n, "title": t, "meaning": m, "json": script_json(figure)} for n, t, m, figure in drawn]
    return (
        environment()
        .get_template("history.html.j2")
        .render(
            page=page,
            tonight=page.points[-1],
            rows=[_row(page, metric) for metric in page.metrics],
            pictures=pictures,
            first=page.metrics[0],
            plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),
        )
    )


def _row(page: HistoryPage, metric: Metric) -> dict[str, Any]:
    """Tonight's effect and error beside the median of the nights before."""
    return {
        "metric": metric,
        "effect": page.points[-1].value(metric.name, "effect"),
        "usual_effect": _median(page.before, metric.name, "effect"),
        "error": page.points[-1].value(metric.name, "model_error"),
        "usual_error": _median(page.before, metric.name, "model_error"),
        "gross": page.points[-1].value(metric.name, "gross_error"),
        "usual_gross": _median(page.before, metric.name, "gross_error"),
    }


def _median(points: Sequence[Point], metric: str, name: str) -> float | None:
    values = [value for one in points if (value := one.value(metric, name)) is not None]
    return median(values) if values else None


def _picture(page: HistoryPage, metric: Metric) -> go.Figure:
    """The three worlds night by night, the model's error shaded between actual and control; lines end at breaks."""
    figure = new_figure(height=300)
    _shade_error(figure, page, metric)
    for world in World:
        values = [one.value(metric.name, world.value) for one in page.points]
        _line(figure, page, values, world.value, COLOURS[world], world is World.ACTUAL)
    _finish(figure, page, _TICKS.get(metric.unit))
    if metric.unit == "s":
        figure.update_yaxes(ticksuffix=" s")
    return figure


def _shade_error(figure: go.Figure, page: HistoryPage, metric: Metric) -> None:
    """One area per stretch of nights without a break or a missing number: Plotly's own filling knows no gaps."""
    for stretch in _stretches(page, metric):
        nights = [str(one.night) for one in stretch]
        actual, control = (
            [one.value(metric.name, world.value) for one in stretch] for world in (World.ACTUAL, World.CONTROL)
        )
        figure.add_scatter(
            x=[*nights, *reversed(nights)],
            y=[*actual, *reversed(control)],
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor="rgba(29, 111, 184, 0.12)",
            hoverinfo="skip",
            showlegend=False,
        )


def _stretches(page: HistoryPage, metric: Metric) -> list[list[Point]]:
    found: list[list[Point]] = [[]]
    for one in page.points:
        if one.night in page.breaks:
            found.append([])
        if one.value(metric.name, World.ACTUAL.value) is None or one.value(metric.name, World.CONTROL.value) is None:
            found.append([])
        else:
            found[-1].append(one)
    return [stretch for stretch in found if len(stretch) > 1]


def _validity(page: HistoryPage) -> go.Figure:
    figure = new_figure(height=300)
    colours = (COLOURS[World.ALTERNATIVE], COLOURS[World.CONTROL], COLOURS[World.ACTUAL])
    for name, colour in zip(VALIDITY, colours, strict=True):
        values = [one.validity.get(name) for one in page.points]
        _line(figure, page, values, name.removesuffix("_share").replace("_", " "), colour, False)
    _finish(figure, page, ".1%")
    return figure


def _line(
    figure: go.Figure, page: HistoryPage, values: Sequence[float | None], name: str, colour: str, dotted: bool
) -> None:
    nights: list[str | None] = []
    heights: list[float | None] = []
    for one, value in zip(page.points, values, strict=True):
        if one.night in page.breaks and nights:
            nights.append(nights[-1])
            heights.append(None)
        nights.append(str(one.night))
        heights.append(value)
    figure.add_scatter(
        x=nights,
        y=heights,
        name=name,
        mode="lines+markers",
        connectgaps=False,
        line={"color": colour, "width": 2, "dash": "dot" if dotted else "solid"},
        marker={"size": 6},
    )


def _finish(figure: go.Figure, page: HistoryPage, ticks: str | None) -> None:
    for night in page.breaks:
        figure.add_vline(x=f"{night}T00:00:00", line={"color": "#5b6574", "dash": "dash", "width": 1.5})
    figure.update_xaxes(type="date", tickformat="%d %b", nticks=10)
    figure.update_yaxes(rangemode="tozero", tickformat=ticks)

"""One self-contained HTML file per run: opens offline, reads on a phone, prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from l2liq.outcome import World
from l2liq.report import (
    auction,
    competition,
    figures,
    late_margin,
    liquidity,
    oracle,
    rollup,
    undone,
    unsettled,
    waiting,
    words,
)
from l2liq.report.bundle import RunBundle
from l2liq.report.headline import headline
from l2liq.report.reading import seen_first, verdict
from l2liq.report.section import Section

_PICTURES = (
    ("liquidations", "Liquidated debt over time", figures.liquidations_over_time),
    ("bad-debt", "Bad debt over time", figures.bad_debt_over_time),
    ("health", "Debt by health factor at the start of the worst hour", figures.health_before_worst_hour),
    ("waiting", "Time to liquidation", figures.time_to_liquidation),
)

SECTIONS: tuple[Callable[[RunBundle], Section | None], ...] = (
    waiting.sequencer,
    undone.reverted,
    late_margin.messages,
    unsettled.failing,
    oracle.oracle,
    auction.auction,
    liquidity.liquidity,
    competition.competition,
    rollup.costs,
    rollup.settlement,
    waiting.grace,
)
"""What a report says of the models of the surroundings, each where the run used it."""

_FIRST = (
    "liquidated_accounts",
    "bad_debt_usd",
    "debt_repaid_usd",
    "user_loss_usd",
    "waiting_median_s",
    "waiting_p90_s",
    "left_open_accounts",
    "liquidated_by_change",
)
"""Metrics that a reader sees at once; the others are folded away behind them."""


_VALIDITY = {
    "model_false_accounts": "accounts that the model liquidates and the chain did not",
    "model_missed_accounts": "accounts that the chain liquidated and the model does not",
    "model_gross_debt_repaid_usd": "debt repaid that the model puts elsewhere than the chain, account by account",
    "model_gross_bad_debt_usd": "bad debt that the model puts elsewhere than the chain, account by account",
    "skipped_action_share": "recorded actions left out",
    "skipped_value_share": "their share of all value moved",
    "clipped_action_share": "recorded actions cut to what is possible",
    "clipped_value_share": "what was cut, of all value moved",
    "unfunded_action_share": "actions paid for with money that this world does not have",
    "unfunded_value_share": "that money, of all value moved",
    "diverged_value_share": "value in accounts that left history by the end",
    "half_diverged_at_s": "half of all value had left history",
    "diverged_accounts": "accounts that left history",
    "ambiguous_transactions": "transactions whose intent the log does not tell",
    "exogenous_usd": "paid to real liquidators by history, kept as it was",
}
"""What the numbers under "What this rests on" are, in words."""


@cache
def environment() -> Environment:
    """Templates with everything escaped and every unknown name an error."""
    made = Environment(
        loader=PackageLoader("l2liq.report", "templates"),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["words"] = words
    return made


def script_json(figure: go.Figure) -> Markup:
    """A figure as JSON; Plotly writes ``<`` and ``>`` as escapes, so it cannot end the script element it stands in."""
    return Markup(figure.to_json())


def _pictures(bundle: RunBundle) -> list[dict[str, Any]]:
    drawn = ((name, title, draw(bundle)) for name, title, draw in _PICTURES)
    return [{"name": n, "title": t, "json": script_json(f)} for n, t, f in drawn if f is not None]


def _plots(sections: Sequence[Section]) -> list[dict[str, Any]]:
    return [{"name": s.name, "json": script_json(s.figure)} for s in sections if s.figure is not None]


def asset_rows(bundle: RunBundle) -> list[dict[str, Any]]:
    """Per asset: liquidated collateral, repaid debt and bad debt [usd] in every world."""
    table = bundle.metrics.filter(pc.is_valid(bundle.metrics["asset"]))
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in table.to_pylist():
        found.setdefault(row["asset"], {}).setdefault(row["metric"], {})[row["world"]] = row["value"]
    return [{"asset": asset, "metrics": metrics} for asset, metrics in sorted(found.items())]


def metric_columns(bundle: RunBundle) -> list[tuple[str, str]]:
    """Names and units of the per-asset metrics, in order of first appearance."""
    table = bundle.metrics.filter(pc.is_valid(bundle.metrics["asset"]))
    return list(dict.fromkeys((row["metric"], row["unit"]) for row in table.to_pylist()))


def outcome_counts(outcomes: pa.Table) -> dict[str, dict[str, int]]:
    """Number of outcome rows by kind and world."""
    counts: dict[str, dict[str, int]] = {}
    for row in outcomes.group_by(["kind", "world"]).aggregate([([], "count_all")]).to_pylist():
        counts.setdefault(row["kind"], {})[row["world"]] = row["count_all"]
    return dict(sorted(counts.items()))


def render(bundle: RunBundle) -> str:
    """The report as HTML.

    Everything that came from a chain, a file or a scenario is escaped. The only script is Plotly and the figures' data.
    """
    first = seen_first(bundle.comparisons, _FIRST)
    pictures = _pictures(bundle)
    sections = [section for make in SECTIONS if (section := make(bundle)) is not None]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            bundle=bundle,
            headline=headline(bundle),
            worlds=[world.value for world in World],
            first_rows=[row for row in bundle.comparisons if row.metric in first],
            first_metrics=first,
            other_rows=[row for row in bundle.comparisons if row.metric not in first],
            pictures=pictures,
            sections=sections,
            plots=pictures + _plots(sections),
            asset_rows=asset_rows(bundle),
            asset_columns=metric_columns(bundle),
            outcome_counts=outcome_counts(bundle.outcomes),
            plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),
            manifest=json.dumps(bundle.manifest, indent=2, sort_keys=True, default=str),
            verdict=verdict,
            validity_words=_VALIDITY,
        )
    )

"""Liquidity in a report: what selling the collateral cost, by size, and what the outcome owes to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import pyarrow.compute as pc

from l2liq.metrics.catalogue import METRIC
from l2liq.outcome import Kind, World
from l2liq.report import words
from l2liq.report.bundle import Feedback, RunBundle
from l2liq.report.figures import COLOURS, new_figure
from l2liq.report.outcomes import events, floats, liquidations
from l2liq.report.section import Section, Table

LEAST_USD = 1.0
"""Sales below it say nothing of a price."""

MOST_POINTS = 2_000
"""Points that a world may have in the picture; the largest sales are drawn."""

IMPACTS = (("none", "no impact"), ("given", "as given"), ("double", "twice the impact"))

Impacts = Mapping[str, Mapping[str, float]]
"""Impact, by its key in :data:`IMPACTS`, to metric to the alternative's value."""

_TOLD = (
    "liquidations",
    "debt_repaid_usd",
    "bad_debt_usd",
    "left_open_accounts",
    "left_open_debt_usd",
    "bad_debt_market_adjusted_usd",
    "slippage_usd",
    "liquidator_profit_after_sale_usd",
)
"""Metrics of the small table of impacts."""

_BOTH = (World.CONTROL, World.ALTERNATIVE)


@dataclass(frozen=True)
class Sales:
    """The sales of one world: worth at the world's price and slippage [usd], and how far each left the price displaced.

    ``unprofitable``: accounts that liquidators left alone at some time because it did not pay.
    """

    worth_usd: npt.NDArray[np.float64] = field(repr=False)
    slippage_usd: npt.NDArray[np.float64] = field(repr=False)
    displaced: npt.NDArray[np.float64] = field(repr=False)
    unprofitable: int

    @property
    def cost_share(self) -> float | None:
        """Slippage of all that was sold; None without sales."""
        worth = float(self.worth_usd.sum())
        return float(self.slippage_usd.sum()) / worth if worth else None

    @property
    def furthest(self) -> float | None:
        """The largest displacement that a sale left; None without sales."""
        return float(self.displaced.max()) if len(self.displaced) else None


def liquidity(bundle: RunBundle) -> Section | None:
    """What sales cost; None where the scenario says nothing of liquidity."""
    impacts = _impacts(bundle)
    if not impacts:
        return None
    sales = {world: _sales(bundle, world) for world in _BOTH}
    return Section(
        "liquidity",
        "What liquidators got for the collateral",
        " ".join(_finding(impacts, sales[World.CONTROL], sales[World.ALTERNATIVE])),
        _cost_by_size(sales),
        (
            Table(
                ("world", "sales", "at the world's price", "slippage", "of it", "furthest displaced", "unprofitable"),
                tuple(
                    (
                        world.value,
                        words.count(len(one.worth_usd)),
                        words.usd(float(one.worth_usd.sum())),
                        words.usd(float(one.slippage_usd.sum())),
                        words.share(one.cost_share),
                        words.share(one.furthest),
                        words.count(one.unprofitable),
                    )
                    for world, one in sales.items()
                ),
            ),
            _by_impact(impacts),
        ),
        (
            *_rounds(bundle.feedback),
            "Twice the impact: as if every market had half the depth. Unprofitable: accounts that liquidators left "
            "alone at some time because it would not have paid. A sale that costs more than others of its size found "
            "the price where earlier sales had left it.",
        ),
    )


def _sales(bundle: RunBundle, world: World) -> Sales:
    done = liquidations(bundle, world)
    done = done.filter(pc.is_valid(done["proceeds_usd"]))
    held = events(bundle, world, Kind.BLOCKED)
    held = held.filter(pc.equal(held["cause"], "unprofitable"))
    return Sales(
        floats(done, "collateral_market_usd"),
        floats(done, "slippage_usd"),
        floats(done, "displaced_share"),
        len(set(held["account"].to_pylist())),
    )


def _finding(impacts: Impacts, control: Sales, alternative: Sales) -> Iterator[str]:
    if len(alternative.worth_usd):
        yield (
            f"In the alternative world {_many(len(alternative.worth_usd), 'liquidation')} sold collateral worth "
            f"{words.usd(float(alternative.worth_usd.sum()))}; slippage took "
            f"{words.usd(float(alternative.slippage_usd.sum()))} of it, {words.share(alternative.cost_share)}, and "
            f"prices stood up to {words.share(alternative.furthest)} below where they would have been without these "
            "sales."
        )
    else:
        yield "In the alternative world nothing was liquidated, and so nothing sold."
    yield (
        f"In the control world {_many(len(control.worth_usd), 'liquidation')} sold "
        f"{words.usd(float(control.worth_usd.sum()))} with {words.usd(float(control.slippage_usd.sum()))} of slippage."
    )
    if alternative.unprofitable or control.unprofitable:
        yield (
            f"At some time it was not worth liquidating {_many(alternative.unprofitable, 'account')} in the "
            f"alternative, {words.count(control.unprofitable)} in control."
        )
    debt = {key: values["bad_debt_usd"] for key, values in impacts.items() if "bad_debt_usd" in values}
    if len(debt) == len(IMPACTS):
        yield (
            f"Bad debt of the alternative is {words.usd(debt['given'])}; it would be {words.usd(debt['none'])} if "
            f"sales moved no prices, and {words.usd(debt['double'])} if they had half the depth."
        )


def _many(number: int, thing: str) -> str:
    return f"{words.count(number)} {thing}{'' if number == 1 else 's'}"


def _rounds(feedback: Feedback | None) -> Iterator[str]:
    if feedback is None:
        return
    replays = _many(feedback.rounds, "replay")
    if feedback.final_until_s is None:
        yield f"The oracles follow the sales; prices and liquidations agreed with each other after {replays}."
    else:
        yield (
            f"The oracles follow the sales; after {replays}, the most that the scenario allows, prices and "
            f"liquidations agreed up to {words.moment(feedback.final_until_s)}. The last replay still put "
            f"{words.usd(feedback.moving_usd)} of debt repaid elsewhere; allow more `rounds` to see what is final."
        )


def _impacts(bundle: RunBundle) -> Impacts:
    """The alternative's metrics by impact; empty where the scenario says nothing of liquidity."""
    others = bundle.variants.get("liquidity", {})
    if not others:
        return {}
    given = {row.metric: row.alternative for row in bundle.comparisons if row.alternative is not None}
    return {"given": given, **others}


def _by_impact(impacts: Impacts) -> Table:
    rows = []
    for metric in (METRIC[name] for name in _TOLD if name in impacts["given"]):
        values = (words.number(impacts[key].get(metric.name), metric.unit) for key, _ in IMPACTS)
        rows.append((metric.label, *values))
    return Table(("the alternative with", *(name for _, name in IMPACTS)), tuple(rows))


def _cost_by_size(sales: Mapping[World, Sales]) -> go.Figure | None:
    """Slippage by size of the sale; None where no sale cost anything."""
    figure, drawn = new_figure(), False
    for world, one in sales.items():
        order = np.argsort(-one.worth_usd, kind="stable")[:MOST_POINTS]
        order = order[one.worth_usd[order] >= LEAST_USD]
        if not np.any(one.slippage_usd[order]):
            continue
        drawn = True
        figure.add_scatter(
            x=one.worth_usd[order],
            y=one.slippage_usd[order] / one.worth_usd[order],
            name=world.value,
            mode="markers",
            marker={"color": COLOURS[world], "size": 7, "opacity": 0.7},
            hovertemplate="%{x:$,.0f}: %{y:.2%}",
        )
    if not drawn:
        return None
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(type="log", title="collateral sold, at the world's price", tickformat="$,.2s")
    figure.update_yaxes(tickformat=".1%", title="lost to slippage")
    return figure

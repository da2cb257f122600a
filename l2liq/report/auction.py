"""The auctioned bonus in a report: what liquidators got for the debt they repaid, by the health they found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from l2liq.outcome import World
from l2liq.report import words
from l2liq.report.bundle import RunBundle
from l2liq.report.figures import COLOURS, new_figure
from l2liq.report.outcomes import floats, liquidations, seized
from l2liq.report.reading import instead
from l2liq.report.section import Section, Table

_TOLD = {
    "user_loss_usd": "users lost",
    "liquidated_accounts": "the number of accounts liquidated was",
    "waiting_p90_s": "nine of ten liquidations came within",
    "bad_debt_usd": "bad debt was",
}
LEAST_USD = 1.0
"""Repayments below it say nothing of a bonus: rounding is most of it."""

MOST_POINTS = 2_000
"""Points that a world may have in the picture; the largest liquidations are drawn."""


@dataclass(frozen=True)
class Bonus:
    """The liquidations of one world that repaid more than dust: debt and collateral taken [usd], health before."""

    world: World
    debt_usd: npt.NDArray[np.float64]
    taken_usd: npt.NDArray[np.float64]
    health: npt.NDArray[np.float64]

    @property
    def share(self) -> float | None:
        """Bonus paid for each dollar repaid, protocol fee included; None without liquidations."""
        repaid = float(self.debt_usd.sum())
        return float(self.taken_usd.sum()) / repaid - 1 if repaid else None

    @property
    def median_health(self) -> float | None:
        return float(np.median(self.health)) if len(self.health) else None


def auction(bundle: RunBundle) -> Section | None:
    """What an auction of the bonus changed; None where the scenario has none."""
    if not _asked_for(bundle):
        return None
    found = {world: _bonus(bundle, world) for world in World}
    return Section(
        "auction",
        "The bonus by auction",
        _finding(bundle, found[World.CONTROL], found[World.ALTERNATIVE]),
        _picture(list(found.values())),
        (
            Table(
                ("world", "liquidations", "debt repaid", "bonus paid", "of the debt", "median health before"),
                tuple(
                    (
                        one.world.value,
                        words.count(len(one.debt_usd)),
                        words.usd(float(one.debt_usd.sum())),
                        words.usd(float(one.taken_usd.sum() - one.debt_usd.sum())),
                        words.share(one.share),
                        _health(one.median_health),
                    )
                    for one in found.values()
                ),
            ),
        ),
        (f"Liquidations that repaid less than {words.usd(LEAST_USD)} are left out here.",),
    )


def _asked_for(bundle: RunBundle) -> bool:
    scenario = bundle.manifest.get("scenario")
    change = scenario.get("change") if isinstance(scenario, Mapping) else None
    return isinstance(change, Mapping) and bool(change.get("bonus_auction_start"))


def _bonus(bundle: RunBundle, world: World) -> Bonus:
    done = liquidations(bundle, world)
    debt, taken, health = floats(done, "debt_usd"), seized(done), floats(done, "health_before_wad") / 1e18
    fit = (debt >= LEAST_USD) & np.isfinite(health)
    return Bonus(world, debt[fit], taken[fit], health[fit])


def _finding(bundle: RunBundle, control: Bonus, alternative: Bonus) -> str:
    text = (
        f"Liquidators got {words.share(alternative.share)} on the debt they repaid instead of "
        f"{words.share(control.share)}, at a median health of {_health(alternative.median_health)} instead of "
        f"{_health(control.median_health)}."
    )
    told = instead(bundle.comparisons, _TOLD)
    return f"{text} {'; '.join(told).capitalize()}." if told else text


def _picture(found: list[Bonus]) -> go.Figure:
    """Bonus paid against health at the liquidation, a point for each."""
    figure = new_figure()
    for one in found:
        drawn = np.sort(np.argsort(-one.debt_usd, kind="stable")[:MOST_POINTS])
        figure.add_scatter(
            x=one.health[drawn],
            y=one.taken_usd[drawn] / one.debt_usd[drawn] - 1,
            customdata=one.debt_usd[drawn],
            name=one.world.value,
            mode="markers",
            marker={"color": COLOURS[one.world], "size": 6, "opacity": 0.6},
            hovertemplate="%{y:.2%} at %{x:.4f}, %{customdata:$,.0f} repaid",
        )
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(title="health factor before the liquidation", autorange="reversed")
    figure.update_yaxes(tickformat=".1%", title="bonus paid")
    return figure


def _health(value: float | None) -> str:
    return words.ABSENT if value is None else f"{value:.3f}"

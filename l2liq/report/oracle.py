"""Other oracles in a report: the price that the market saw beside the world's, and what their gap did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from l2liq.outcome import World
from l2liq.report import words
from l2liq.report.bundle import Gap, Path, RunBundle
from l2liq.report.figures import COLOURS, instants, mark_change, mark_outages, new_figure
from l2liq.report.outcomes import floats, liquidations
from l2liq.report.reading import instead
from l2liq.report.rollup import unprofitable
from l2liq.report.section import Section, Table
from l2liq.scenario.quantities import parse_duration_s

_TOLD = {"bad_debt_usd": "bad debt was", "waiting_p90_s": "nine of ten liquidations came within"}
SOUND = 1e18
MOVED = 0.01
HELD_S = 60
_WORLD_COLOUR = "#6b7280"


@dataclass(frozen=True, slots=True)
class Sales:
    """The liquidations of one world, and what they were worth to whom.

    Attributes
    ----------
    liquidations, accounts : how many
    seen_usd, market_usd : collateral to liquidators at the prices that the market saw, and at the world's
    at_a_loss : those whose collateral is worth less than the debt repaid, at the world's prices
    sound, sound_usd : those of accounts that were sound at the world's prices, and the debt they repaid
    """

    liquidations: int
    accounts: frozenset[bytes]
    seen_usd: float
    market_usd: float
    at_a_loss: int
    sound: int
    sound_usd: float


def oracle(bundle: RunBundle) -> Section | None:
    """What another oracle changed; None where the alternative's market sees the recorded prices."""
    if not bundle.gaps:
        return None
    sales = {world: _sales(bundle, world) for world in World}
    shown = next((path for path in bundle.paths if path.seen_usd is not None), None)
    return Section(
        "oracle",
        "What the market saw",
        _finding(bundle, _matters_most(bundle, shown), sales[World.CONTROL], sales[World.ALTERNATIVE]),
        None if shown is None else _picture(bundle, shown),
        (
            Table(
                ("seen price against the world's", "mean distance", "most above", "most below", "more than 1 % apart"),
                tuple(
                    (
                        bundle.assets[gap.asset].symbol,
                        words.share(gap.mean_share),
                        words.share(gap.most_above_share),
                        words.share(gap.most_below_share),
                        words.duration(gap.apart_s),
                    )
                    for gap in bundle.gaps
                ),
            ),
            Table(
                (
                    "world",
                    "liquidations",
                    "collateral as the market saw it",
                    "at the world's prices",
                    "at a loss",
                    "sound at the world's prices",
                    "debt repaid for those",
                ),
                tuple(
                    (
                        world.value,
                        words.count(one.liquidations),
                        words.usd(one.seen_usd),
                        words.usd(one.market_usd),
                        words.count(one.at_a_loss),
                        words.count(one.sound),
                        words.usd(one.sound_usd),
                    )
                    for world, one in sales.items()
                ),
            ),
        ),
        (
            *_manipulation(bundle),
            "At a loss: the collateral was worth less than the debt repaid to whoever sold it at once. Sound at the "
            "world's prices: the account's health was 1 or more at the world's prices when it was liquidated.",
        ),
    )


def _sales(bundle: RunBundle, world: World) -> Sales:
    done = liquidations(bundle, world)
    market, debt = floats(done, "collateral_market_usd"), floats(done, "debt_market_usd")
    sound = floats(done, "health_before_market_wad") >= SOUND
    return Sales(
        done.num_rows,
        frozenset(done["account"].to_pylist()),
        float(np.nansum(floats(done, "collateral_usd"))),
        float(np.nansum(market)),
        int((market < debt).sum()),
        int(sound.sum()),
        float(np.nansum(floats(done, "debt_usd")[sound])),
    )


def _matters_most(bundle: RunBundle, shown: Path | None) -> Gap:
    """The gap of the asset in the picture; of the first where there is no picture."""
    asset = None if shown is None else shown.asset
    return next((gap for gap in bundle.gaps if gap.asset == asset), bundle.gaps[0])


def _finding(bundle: RunBundle, gap: Gap, control: Sales, alternative: Sales) -> str:
    only, spared = alternative.accounts - control.accounts, control.accounts - alternative.accounts
    above, below = words.share(gap.most_above_share), words.share(gap.most_below_share)
    told = "".join(f"; {one}" for one in instead(bundle.comparisons, _TOLD))
    short = alternative.seen_usd - alternative.market_usd
    waited = words.counted(len(unprofitable(bundle, World.ALTERNATIVE)), "account")
    return " ".join(
        (
            f"The market saw {bundle.assets[gap.asset].symbol} up to {above} above and {below} below the world's "
            f"price, on average {words.share(gap.mean_share)} away, and for {words.duration(gap.apart_s)} more than "
            "1 %.",
            f"Collateral that it valued at {words.usd(alternative.seen_usd)} brought liquidators "
            f"{words.usd(alternative.market_usd)} at the world's prices, {words.usd(abs(short))} "
            f"{'less' if short >= 0 else 'more'}: {words.count(alternative.at_a_loss)} of "
            f"{words.counted(alternative.liquidations, 'liquidation')} were at a loss, and {waited} waited at first "
            "because theirs would not have paid.",
            f"{words.counted(alternative.sound, 'liquidation')}, of {words.usd(alternative.sound_usd)} of debt, "
            "struck whoever was sound at the world's prices just then."
            if alternative.sound or not alternative.liquidations
            else "All of them struck accounts that were short at the world's prices as well.",
            f"Of the accounts that are liquidated in one world only, {words.count(len(only))} are in the alternative "
            f"and {words.count(len(spared))} in the control world{told}.",
        )
    )


def _manipulation(bundle: RunBundle) -> Iterator[str]:
    """What moving a mean takes: a spot price m x W / h ticks away for h seconds moves one over W by m (DOMAIN §6.3)."""
    scenario = bundle.manifest.get("scenario")
    asked = scenario.get("oracle") if isinstance(scenario, Mapping) else None
    if isinstance(asked, Mapping) and asked.get("model") == "twap" and asked.get("mean") != "arithmetic":
        window_s = parse_duration_s(asked["window"])
        if window_s > HELD_S:
            factor = (1 + MOVED) ** (window_s / HELD_S)
            yield (
                f"To move this mean by {words.share(MOVED)}, somebody has to hold the price at "
                f"{words.factor(factor)} times its level for {words.duration(HELD_S)}."
            )


def _picture(bundle: RunBundle, path: Path) -> go.Figure:
    """Both prices of one asset, and above them how far the seen one is away."""
    assert path.seen_usd is not None
    figure, times = new_figure(height=380), instants(path.timestamp_s)
    for name, values, colour, dash in (
        ("the world's price", path.usd, _WORLD_COLOUR, "dot"),
        ("what the market saw", path.seen_usd, COLOURS[World.ALTERNATIVE], "solid"),
    ):
        figure.add_scatter(
            x=times,
            y=values,
            name=f"{bundle.assets[path.asset].symbol}, {name}",
            mode="lines",
            line={"color": colour, "shape": "hv", "dash": dash, "width": 1.6},
            hovertemplate="%{y:$,.2f}",
        )
    figure.add_scatter(
        x=times,
        y=path.seen_usd / path.usd - 1,
        name="gap (right axis)",
        yaxis="y2",
        mode="lines",
        line={"color": "#e8b08f", "shape": "hv", "width": 1},
        fill="tozeroy",
        hovertemplate="%{y:.2%}",
    )
    figure.update_layout(yaxis2={"overlaying": "y", "side": "right", "showgrid": False, "tickformat": ".0%"})
    mark_outages(bundle, figure)
    mark_change(bundle, figure)
    figure.update_yaxes(tickformat="$,.3s", selector={"overlaying": None})
    return figure

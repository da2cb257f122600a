"""The rollup in a report: what was executed and could still be undone, and what liquidators paid for transactions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import pyarrow.compute as pc

from l2liq.metrics.exposure import exposure, peak
from l2liq.outcome import Kind, World
from l2liq.report import words
from l2liq.report.bundle import Delays, RunBundle
from l2liq.report.figures import mark_change, mark_outages, new_figure
from l2liq.report.outcomes import add_steps, events, floats, liquidations, seized
from l2liq.report.reading import instead
from l2liq.report.section import Section, Table

_TOLD = {
    "waiting_p90_s": "nine of ten liquidations came within",
    "left_open_debt_usd": "debt left below health 1 at the end was",
    "bad_debt_usd": "bad debt was",
}
CLOCKS = (
    ("published_s", "not yet in a batch on L1"),
    ("l1_final_s", "batch not yet final on L1"),
    ("settled_s", "state not yet settled on L1"),
)
"""Columns of later clocks, and what holds before them."""


def settlement(bundle: RunBundle) -> Section | None:
    """What was executed and could still be undone; None where the chain has no clocks."""
    figure, most = at_risk_before_settlement(bundle), peaks(bundle)
    if figure is None:
        return None
    worlds = [world.value for world in World]
    *_, (_, unsettled) = most
    control, alternative = (words.usd(unsettled[world.value] or 0.0) for world in (World.CONTROL, World.ALTERNATIVE))
    return Section(
        "at-risk",
        "At risk before settlement",
        "A liquidation is executed at once and settled much later; until L1 has accepted the state, what it moved "
        f"could still be undone. At most {control} of seized collateral waited for settlement at once in the control "
        f"world and {alternative} in the alternative. The line is the collateral seized within the window that had not "
        "settled.",
        figure,
        (
            Table(
                ("most at once", *worlds),
                tuple((what, *(words.usd(by_world[world]) for world in worlds)) for what, by_world in most),
            ),
        ),
        tuple(_delays(span, several=len(bundle.clocks) > 1) for span in bundle.clocks),
    )


def _delays(span: Delays, *, several: bool) -> str:
    when = f"From {words.moment(span.from_s)}: on" if several else "On"
    return (
        f"{when} L1 {words.duration(span.publication_s)} after execution; final there "
        f"{words.duration(span.l1_finality_s)} and settled {words.duration(span.settlement_s)} after that. "
        f"{span.source}"
    )


def costs(bundle: RunBundle) -> Section | None:
    """What liquidators paid for transactions; None where the scenario has no fees."""
    found = paid(bundle)
    if not found:
        return None
    of = {one.world: one for one in found}
    control, alternative = of[World.CONTROL.value], of[World.ALTERNATIVE.value]
    return Section(
        "costs",
        "What liquidators paid for transactions",
        f"In the alternative world {words.count(alternative.liquidations)} liquidations cost "
        f"{words.usd(alternative.usd)} in fees, {words.share(alternative.l1_share)} of it for data on L1, and the "
        f"dearest one {words.usd(alternative.dearest_usd)}; in the control world {words.count(control.liquidations)} "
        f"cost {words.usd(control.usd)}, the dearest one {words.usd(control.dearest_usd)}.{_not_worth_it(bundle)}",
        _fees_by_world(found),
        (
            Table(
                (
                    "world",
                    "liquidations",
                    "gas",
                    "L2 execution (gas token)",
                    "L1 data (gas token)",
                    "in all",
                    "L1 data",
                ),
                tuple(
                    (
                        one.world,
                        words.count(one.liquidations),
                        words.count(one.gas),
                        words.amount(one.l2_wei, 18),
                        words.amount(one.l1_wei, 18),
                        words.usd(one.usd),
                        words.share(one.l1_share),
                    )
                    for one in found
                ),
            ),
        ),
    )


def _not_worth_it(bundle: RunBundle) -> str:
    """What liquidators left alone because it would not have paid; nothing where they act whether it pays or not."""
    held = {world: unprofitable(bundle, world) for world in (World.CONTROL, World.ALTERNATIVE)}
    if not any(held.values()):
        return ""
    control, alternative = held[World.CONTROL], held[World.ALTERNATIVE]
    never = {world: len(accounts - _liquidated(bundle, world)) for world, accounts in held.items()}
    end = (
        f"{words.count(never[World.ALTERNATIVE])} of them were never liquidated, in the control world "
        f"{words.count(never[World.CONTROL])}"
        if any(never.values())
        else "all were liquidated later"
    )
    return (
        f" In the alternative {words.counted(len(alternative), 'account')} waited at first because fees and the other "
        f"costs would have eaten what a liquidation brings, in the control world {words.count(len(control))}; "
        f"{'; '.join((end, *instead(bundle.comparisons, _TOLD)))}."
    )


def unprofitable(bundle: RunBundle, world: World) -> set[bytes]:
    """Accounts of a world whose liquidation did not pay at some time."""
    blocked = events(bundle, world, Kind.BLOCKED)
    return set(blocked.filter(pc.equal(blocked["cause"], "unprofitable"))["account"].to_pylist())


def _liquidated(bundle: RunBundle, world: World) -> set[bytes]:
    return set(liquidations(bundle, world)["account"].to_pylist())


def _fees_by_world(found: list[Paid]) -> go.Figure:
    """Fees of each world in dollars, L1 data apart from execution."""
    figure = new_figure(height=240)
    names = [one.world for one in found]
    for what, part, colour in (
        ("L2 execution", [one.usd * (1 - one.l1_share) for one in found], "#93a3b8"),
        ("L1 data", [one.usd * one.l1_share for one in found], "#334a66"),
    ):
        figure.add_bar(y=names, x=part, name=what, orientation="h", marker={"color": colour})
    figure.update_layout(barmode="stack", hovermode="y unified")
    figure.update_xaxes(tickformat="$,.3s", rangemode="tozero")
    figure.update_yaxes(autorange="reversed")
    return figure


def at_risk_before_settlement(bundle: RunBundle) -> go.Figure | None:
    """Collateral seized on the rollup and not yet settled on L1, per world; None where the chain has no clocks."""
    if not bundle.clocks:
        return None
    figure = new_figure()
    for world in World:
        done = liquidations(bundle, world)
        settled = exposure(done["timestamp_s"].to_numpy(), floats(done, "settled_s"), seized(done))
        add_steps(bundle, figure, world, *settled)
    mark_outages(bundle, figure)
    mark_change(bundle, figure)
    figure.update_yaxes(tickformat="$,.3s", rangemode="tozero")
    return figure


def peaks(bundle: RunBundle) -> list[tuple[str, dict[str, float | None]]]:
    """Most collateral at once that had not reached each clock [usd], by world; none where the chain has no clocks."""
    if not bundle.clocks:
        return []
    worlds = {world.value: liquidations(bundle, world) for world in World}
    return [
        (words, {name: peak(t["timestamp_s"].to_numpy(), floats(t, column), seized(t)) for name, t in worlds.items()})
        for column, words in CLOCKS
    ]


@dataclass(frozen=True, slots=True)
class Paid:
    """What the liquidators of one world paid for transactions: in the gas token [wei], in dollars, and the dearest."""

    world: str
    liquidations: int
    gas: int
    l2_wei: int
    l1_wei: int
    usd: float
    dearest_usd: float

    @property
    def l1_share(self) -> float:
        """Share of L1 data in it."""
        total = self.l1_wei + self.l2_wei
        return self.l1_wei / total if total else 0.0


def paid(bundle: RunBundle) -> list[Paid]:
    """Transaction costs by world; none where the scenario has no fees."""
    found = []
    for world in World:
        done = liquidations(bundle, world)
        done = done.filter(pc.is_valid(done["gas_used"]))
        gas, l2, l1 = (sum(map(int, done[name].to_pylist())) for name in ("gas_used", "l2_fee_wei", "l1_fee_wei"))
        usd = np.nan_to_num(floats(done, "fee_usd"))
        found.append(Paid(world.value, done.num_rows, gas, l2, l1, float(usd.sum()), float(usd.max(initial=0.0))))
    return found if any(one.liquidations for one in found) else []

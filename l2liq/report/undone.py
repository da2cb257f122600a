"""What reverted blocks took back, and what became of those whom it concerned, in a report."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.outcome import Kind, World
from l2liq.report import words
from l2liq.report.bundle import RunBundle
from l2liq.report.figures import new_figure, shade, zoom
from l2liq.report.outcomes import (
    MODELLED,
    add_steps,
    block_of_scenario,
    events,
    floats,
    liquidations,
    of_accounts,
    second_of,
    seized,
    total,
)
from l2liq.report.section import Section, Table


def reverted(bundle: RunBundle) -> Section | None:
    """What was undone, and what became of those whom it concerned; None where no block was reverted."""
    if not block_of_scenario(bundle, "settlement").get("reverted"):
        return None
    undone = events(bundle, World.ALTERNATIVE, Kind.REVERTED)
    undone = undone.filter(pc.equal(undone["action"], Kind.LIQUIDATION.value))
    accounts = set(undone["account"].to_pylist())
    after = of_accounts(liquidations(bundle, World.ALTERNATIVE), accounts)
    after = after.filter(pc.greater_equal(after["timestamp_s"], _end(bundle)))
    again = set(after["account"].to_pylist())
    lost, gained = total(undone, "collateral_market_usd"), total(undone, "debt_market_usd")
    later = float(seized(after).sum())
    first = float(seized(undone).sum())
    bad = total(of_accounts(events(bundle, World.ALTERNATIVE, Kind.DEFICIT), accounts), "debt_usd")
    bad_control = total(of_accounts(events(bundle, World.CONTROL, Kind.DEFICIT), accounts), "debt_usd")
    spared = len(accounts) - len(again)
    finding = (
        f"{words.several(undone.num_rows, 'liquidation')} of {words.several(len(accounts), 'account')} undone, with "
        f"{words.usd(total(undone, 'debt_usd'))} of debt repaid. Liquidators get back what they repaid and give back "
        f"what they seized, which was worth {words.usd(lost - gained)} more at the time. Liquidated again afterwards: "
        f"{words.several(len(again), 'account')}, losing {words.usd(later)} of collateral where the first time took "
        f"{words.usd(first)} from all of them; spared within the window: {words.count(spared)}. They leave "
        f"{words.usd(bad)} of bad debt, in the control world {words.usd(bad_control)}."
        if undone.num_rows
        else "No liquidation fell into the blocks that were reverted."
    )
    return Section(
        "reverted",
        "What was undone",
        finding,
        _standing_and_undone(bundle, undone),
        (
            Table(
                ("who", "undone", "afterwards"),
                (
                    ("borrowers: collateral lost", words.usd(first), words.usd(later)),
                    ("liquidators: bonus", words.usd(lost - gained), words.usd(_bonus(after))),
                    (
                        "protocol: liquidation fees",
                        words.usd(total(undone, "protocol_fee_usd")),
                        words.usd(total(after, "protocol_fee_usd")),
                    ),
                    ("accounts", words.count(len(accounts)), words.count(len(again))),
                ),
            ),
        ),
    )


def _bonus(done: pa.Table) -> float:
    return total(done, "collateral_market_usd") - total(done, "debt_market_usd")


def _standing_and_undone(bundle: RunBundle, undone: pa.Table) -> go.Figure:
    """Debt repaid so far: control, alternative, and the alternative as it looked before blocks were reverted."""
    figure = new_figure()
    for world in MODELLED:
        done = liquidations(bundle, world)
        add_steps(bundle, figure, world, *_so_far(done))
    seen = pa.concat_tables([liquidations(bundle, World.ALTERNATIVE), undone]).sort_by("timestamp_s")
    end = _end(bundle)
    times, usd = _so_far(seen.filter(pc.less(seen["timestamp_s"], end)))
    falls = usd[-1] - total(undone, "debt_usd") if len(usd) else 0.0
    as_seen = np.append(times, end), np.append(usd, falls)
    add_steps(bundle, figure, World.ALTERNATIVE, *as_seen, "alternative, as it then looked")
    spans = [
        (second_of(one["from"]), second_of(one["to"])) for one in block_of_scenario(bundle, "settlement")["reverted"]
    ]
    shade(figure, spans)
    zoom(figure, spans)
    figure.update_yaxes(tickformat="$,.3s", rangemode="tozero")
    return figure


def _so_far(done: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    return done["timestamp_s"].to_numpy(), np.cumsum(np.nan_to_num(floats(done, "debt_usd")))


def _end(bundle: RunBundle) -> int:
    """When the last blocks were reverted [s]."""
    return max(second_of(one["to"]) for one in block_of_scenario(bundle, "settlement")["reverted"])

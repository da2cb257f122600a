"""Whom the sequencer, and the grace after its return, held up, in a report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import pyarrow.compute as pc

from l2liq.metrics.exposure import exposure
from l2liq.outcome import Kind, World
from l2liq.report import words
from l2liq.report.bundle import RunBundle
from l2liq.report.figures import mark_outages, new_figure, zoom
from l2liq.report.outcomes import (
    MODELLED,
    add_steps,
    block_of_scenario,
    events,
    floats,
    liquidations,
    of_accounts,
    total,
)
from l2liq.report.section import Section, Table

GATES = ("sentinel", "sequencer_down")
"""Causes of a blocked liquidation that come from the sequencer."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Accounts of one world that the sequencer held up.

    Attributes
    ----------
    accounts : their number
    late_usd : debt of theirs that was liquidated later
    median_s, longest_s : from below health 1 to the liquidation; None without one
    bad_debt_usd : what they left unpaid
    """

    accounts: int
    late_usd: float
    median_s: float | None
    longest_s: float | None
    bad_debt_usd: float


def waiting(bundle: RunBundle, world: World) -> Waiting:
    """Who waited in a world, and what came of it."""
    blocked = events(bundle, world, Kind.BLOCKED)
    accounts = {
        account
        for account, cause in zip(blocked["account"].to_pylist(), blocked["cause"].to_pylist(), strict=True)
        if cause in GATES
    }
    late = of_accounts(liquidations(bundle, world), accounts)
    late = late.filter(pc.equal(late["cause"], "gate"))
    waits = late["timestamp_s"].to_numpy() - floats(late, "liquidatable_since_s")
    return Waiting(
        len(accounts),
        total(late, "debt_usd"),
        float(np.median(waits)) if len(waits) else None,
        float(waits.max()) if len(waits) else None,
        total(of_accounts(events(bundle, world, Kind.DEFICIT), accounts), "debt_usd"),
    )


def sequencer(bundle: RunBundle) -> Section | None:
    """What another sequencer did to liquidations; None where the scenario has none."""
    return _held_up(bundle) if block_of_scenario(bundle, "sequencer") else None


def grace(bundle: RunBundle) -> Section | None:
    """Whom the recorded sequencer, and the grace after its return, held up; None where that was nobody."""
    return None if block_of_scenario(bundle, "sequencer") else _held_up(bundle)


def _held_up(bundle: RunBundle) -> Section | None:
    found = {world: waiting(bundle, world) for world in World if world in MODELLED}
    if not any(one.accounts for one in found.values()) and not block_of_scenario(bundle, "sequencer"):
        return None
    control, alternative = found[World.CONTROL], found[World.ALTERNATIVE]
    moved, lost = (bundle.manifest["worlds"]["alternative"].get(name, 0) for name in ("moved", "lost"))
    users = (
        f" Of the users' transactions {words.count(moved)} come at another moment than recorded and "
        f"{words.count(lost)} never."
        if block_of_scenario(bundle, "sequencer") and (moved or lost)
        else ""
    )
    debts = next((row for row in bundle.comparisons if row.metric == "bad_debt_usd"), None)
    in_all = (
        f" In all, the alternative is left with {words.usd(debts.alternative)} of bad debt instead of "
        f"{words.usd(debts.control)}: prices that moved meanwhile meet all accounts at once when it returns."
        if debts is not None and block_of_scenario(bundle, "sequencer").get("outages")
        else ""
    )
    return Section(
        "sequencer",
        "Sequencer and grace",
        f"While the sequencer is down nobody can be liquidated, and while the market's grace period lasts after its "
        f"return only those far below health 1. In the alternative world that holds up {_accounts(alternative)}; in "
        f"the control world {_accounts(control)}.{in_all}{users}",
        _waiting_debt(bundle),
        (
            Table(
                ("", *(world.value for world in MODELLED)),
                (
                    ("accounts held up", *(words.count(found[world].accounts) for world in MODELLED)),
                    ("debt liquidated late", *(words.usd(found[world].late_usd) for world in MODELLED)),
                    ("wait until then, median", *(words.duration(found[world].median_s) for world in MODELLED)),
                    ("longest wait", *(words.duration(found[world].longest_s) for world in MODELLED)),
                    ("bad debt that they leave", *(words.usd(found[world].bad_debt_usd) for world in MODELLED)),
                ),
            ),
        ),
    )


def _accounts(one: Waiting) -> str:
    if not one.accounts:
        return "no account"
    if one.longest_s is None:
        return f"{words.several(one.accounts, 'account')}, none of which is liquidated afterwards"
    return (
        f"{words.several(one.accounts, 'account')}, of whose debt {words.usd(one.late_usd)} is liquidated late, in the "
        f"median {words.duration(one.median_s)} and at most {words.duration(one.longest_s)} after health fell "
        f"below 1; they leave {words.usd(one.bad_debt_usd)} of bad debt"
    )


def _waiting_debt(bundle: RunBundle) -> go.Figure:
    """Debt that could not be liquidated yet, per world, as far as it was liquidated later."""
    figure = new_figure()
    for world in MODELLED:
        late = liquidations(bundle, world)
        late = late.filter(pc.equal(late["cause"], "gate"))
        since = np.nan_to_num(floats(late, "liquidatable_since_s")).astype(np.int64)
        times, usd = exposure(since, floats(late, "timestamp_s"), np.nan_to_num(floats(late, "debt_usd")))
        add_steps(bundle, figure, world, times, usd)
    mark_outages(bundle, figure)
    zoom(figure, bundle.sequencer_down_s)
    figure.update_yaxes(tickformat="$,.3s", rangemode="tozero")
    return figure

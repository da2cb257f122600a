"""Whom the delay of messages from other layers cost or spared, in a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from l2liq.outcome import World
from l2liq.protocols.levers import Scale
from l2liq.report import words
from l2liq.report.bundle import RunBundle
from l2liq.report.figures import COLOURS, new_figure
from l2liq.report.outcomes import (
    MODELLED,
    block_of_scenario,
    liquidations,
    of_accounts,
    seized,
)
from l2liq.report.section import Section, Table
from l2liq.scenario.quantities import stored_value


def messages(bundle: RunBundle) -> Section | None:
    """Whom the delay of messages from other layers cost or spared; None where the scenario has none."""
    spec = block_of_scenario(bundle, "messages")
    if not spec:
        return None
    of = {world: _liquidated(bundle, world) for world in MODELLED}
    struck, spared = of[World.ALTERNATIVE] - of[World.CONTROL], of[World.CONTROL] - of[World.ALTERNATIVE]
    losses = {world: liquidations(bundle, world) for world in MODELLED}
    more = float(seized(of_accounts(losses[World.ALTERNATIVE], struck)).sum())
    less = float(seized(of_accounts(losses[World.CONTROL], spared)).sum())
    counts = bundle.manifest["worlds"]["alternative"]
    moved, lost, rejected = (counts.get(name, 0) for name in ("moved", "lost", "rejected"))
    return Section(
        "messages",
        "Margin from other layers",
        f"{words.several(moved + lost, 'transaction')} of those that added margin in stress come as messages that take "
        f"{_median(spec, 'delay')} instead of {_median(spec, 'recorded_delay')} in the median. Liquidated though "
        f"margin in time would have saved them: {words.several(len(struck), 'account')}, losing {words.usd(more)} of "
        f"collateral. Spared: {words.several(len(spared), 'account')}, with {words.usd(less)} lost in the control "
        f"world. Left out in all: {words.several(rejected, 'action')} of users, borrowings and withdrawals among "
        "them that the margin would have allowed in time.",
        _by_delay(bundle, spec),
        (_delays(bundle, spec),),
    )


def _delays(bundle: RunBundle, spec: dict[str, Any]) -> Table:
    rows = {row.metric: row for row in bundle.comparisons}
    shown = [rows[name] for name in _COMPARED if name in rows]
    settings = _by_setting(bundle, spec)
    return Table(
        ("delay", *(row.label.lower() for row in shown)),
        (
            *(
                (words.duration(delay_s), *(words.number(found.get(row.metric), row.unit) for row in shown))
                for delay_s, found in settings.items()
            ),
            ("as recorded", *(words.number(row.control, row.unit) for row in shown)),
        ),
    )


def _median(spec: dict[str, Any], name: str) -> str:
    """The median of a delay as it was given, or of the observed ones (the lower of two in the middle)."""
    given: list[str] = spec.get(f"{name}s") or [spec[name]]
    ordered = sorted(given, key=lambda text: stored_value(text, Scale.DURATION))
    return ordered[(len(ordered) - 1) // 2]


def _by_setting(bundle: RunBundle, spec: dict[str, Any]) -> dict[int, Mapping[str, float | None]]:
    """Delays that were tried [s], shortest first, and the alternative's metrics under each."""
    here: Mapping[str, float | None] = {row.metric: row.alternative for row in bundle.comparisons}
    found = {_median(spec, "delay"): here, **bundle.variants.get("messages", {})}
    by_seconds = {stored_value(text, Scale.DURATION): values for text, values in found.items()}
    return dict(sorted(by_seconds.items()))


_COMPARED = ("liquidated_accounts", "debt_repaid_usd", "user_loss_usd", "bad_debt_usd")


def _by_delay(bundle: RunBundle, spec: dict[str, Any]) -> go.Figure:
    """Accounts liquidated at each delay."""
    figure = new_figure(height=260)
    row = next(row for row in bundle.comparisons if row.metric == "liquidated_accounts")
    found = {"as recorded": row.control}
    found |= {words.duration(s): values.get(row.metric) for s, values in _by_setting(bundle, spec).items()}
    colours = [COLOURS[World.CONTROL]] + [COLOURS[World.ALTERNATIVE]] * (len(found) - 1)
    figure.add_bar(x=list(found), y=list(found.values()), marker_color=colours, name="accounts liquidated")
    figure.update_xaxes(type="category", title="delay of messages")
    figure.update_yaxes(rangemode="tozero")
    return figure


def _liquidated(bundle: RunBundle, world: World) -> set[bytes]:
    return set(liquidations(bundle, world)["account"].to_pylist())

"""Who liquidated, in a report: each liquidator's part in each world, and what it was left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from l2liq.metrics.winnings import Winnings, winnings
from l2liq.outcome import World
from l2liq.report import words
from l2liq.report.bundle import Comparison, RunBundle
from l2liq.report.figures import COLOURS, new_figure
from l2liq.report.reading import instead
from l2liq.report.section import Section, Table

MODELLED = (World.CONTROL, World.ALTERNATIVE)

MOST_SHOWN = 12
"""Liquidators of a world that a reader sees one by one; the others are added up."""

ALONE = "the model"
OTHERS = "all others"

_TOLD = {
    "waiting_p90_s": "nine of ten liquidations came within",
    "bad_debt_usd": "bad debt was",
    "over_liquidation_cost_usd": "being liquidated beyond need cost users",
    "toxic_liquidations": "liquidations that left an account worse were",
}


def competition(bundle: RunBundle) -> Section | None:
    """Who liquidated; None where one liquidator is alone, takes all it may and bids in no auction."""
    asked = _asked_for(bundle)
    if not bundle.liquidators and not asked:
        return None
    found = {world: winnings(bundle.outcomes, world) for world in World}
    return Section(
        "liquidators",
        "Who liquidated",
        _finding(bundle, found),
        _picture(bundle, found),
        tuple(_table(bundle, world, found[world]) for world in MODELLED if found[world]) + _actual(found[World.ACTUAL]),
        tuple(_remarks(bundle, found)),
    )


def _asked_for(bundle: RunBundle) -> bool:
    scenario = bundle.manifest.get("scenario")
    said = scenario.get("liquidator") if isinstance(scenario, Mapping) else None
    return isinstance(said, Mapping) and (said.get("oev") is not None or said.get("sizing") is not None)


def name_of(bundle: RunBundle, liquidator: bytes | None) -> str:
    """What to call a liquidator."""
    if liquidator is None:
        return ALONE
    name = bundle.liquidators.get(liquidator, "")
    return name if name and not name.startswith("0x") else words.short(liquidator)


def _finding(bundle: RunBundle, found: Mapping[World, Sequence[Winnings]]) -> str:
    if not any(found[world] for world in MODELLED):
        return "Nobody liquidated anything in the control and the alternative world."
    sentences = [_most(bundle, world, found[world]) for world in reversed(MODELLED)]
    sentences += [_too_late(found), _revenue(bundle.comparisons)]
    told = "; ".join(instead(bundle.comparisons, _TOLD))
    return " ".join([one for one in sentences if one] + ([f"{told[:1].upper()}{told[1:]}."] if told else []))


def _most(bundle: RunBundle, world: World, found: Sequence[Winnings]) -> str:
    """Who repaid most."""
    if not any(one.liquidations for one in found):
        return f"In the {world.value} world nobody liquidated anything."
    total, first = sum(one.debt_usd for one in found), found[0]
    name = name_of(bundle, first.liquidator)
    if len([one for one in found if one.liquidations]) == 1:
        return (
            f"In the {world.value} world {name} repaid all of the {words.usd(total)} and was left "
            f"{words.usd(first.profit_usd)}."
        )
    best = max(found, key=lambda one: one.profit_usd)
    profit = (
        f", and was left most, {words.usd(best.profit_usd)}"
        if best is first
        else f"; {name_of(bundle, best.liquidator)} was left most, {words.usd(best.profit_usd)}"
    )
    return (
        f"In the {world.value} world {name} repaid most, {words.usd(first.debt_usd)} or "
        f"{words.share(first.debt_usd / total if total else 0.0)} of the debt{profit}."
    )


def _too_late(found: Mapping[World, Sequence[Winnings]]) -> str:
    control, alternative = (sum(one.failed for one in found[world]) for world in MODELLED)
    if not control and not alternative:
        return ""
    paid = {world: sum(one.failed_usd for one in found[world]) for world in MODELLED}
    cost = (
        f", which cost {words.usd(paid[World.ALTERNATIVE])} and {words.usd(paid[World.CONTROL])}"
        if any(paid.values())
        else ""
    )
    return f"{words.counted(alternative, 'attempt')} came too late, in the control world {words.count(control)}{cost}."


def _revenue(comparisons: Iterable[Comparison]) -> str:
    row = next((one for one in comparisons if one.metric == "oev_revenue_usd"), None)
    if row is None:
        return ""
    return (
        f"Auctions of oracle updates brought the protocol {words.usd(row.alternative)}, in the control world "
        f"{words.usd(row.control)}."
    )


def _table(bundle: RunBundle, world: World, found: Sequence[Winnings]) -> Table:
    total = sum(one.debt_usd for one in found)
    rows = [_row(name_of(bundle, one.liquidator), one, total) for one in found[:MOST_SHOWN]]
    rest = found[MOST_SHOWN:]
    if rest:
        rows.append(_row(f"{OTHERS} ({len(rest)})", _added(rest), total))
    head = (world.value, "liquidations", "debt repaid", "of it", "bonus", "fees", "bids", "failed attempts", "left")
    return Table(head, tuple(rows))


def _row(name: str, one: Winnings, total: float) -> tuple[str, ...]:
    return (
        name,
        words.count(one.liquidations),
        words.usd(one.debt_usd),
        words.share(one.debt_usd / total if total else 0.0),
        words.usd(one.bonus_usd),
        words.usd(one.fees_usd + one.failed_usd),
        words.usd(one.bids_usd),
        words.count(one.failed),
        words.usd(one.profit_usd),
    )


def _added(found: Sequence[Winnings]) -> Winnings:
    sums: dict[str, Any] = {
        name: sum(getattr(one, name) for one in found) for name in Winnings.__dataclass_fields__ if name != "liquidator"
    }
    return Winnings(None, **sums)


def _actual(found: Sequence[Winnings]) -> tuple[Table, ...]:
    """The real liquidators, by address."""
    if not found:
        return ()
    total = sum(one.debt_usd for one in found)
    rows = [
        (
            words.address(one.liquidator) if one.liquidator is not None else words.ABSENT,
            words.count(one.liquidations),
            words.usd(one.debt_usd),
            words.share(one.debt_usd / total if total else 0.0),
            words.usd(one.bonus_usd),
        )
        for one in found[:MOST_SHOWN]
    ]
    rest = _added(found[MOST_SHOWN:])
    if rest.liquidations:
        share = words.share(rest.debt_usd / total if total else 0.0)
        others = f"{OTHERS} ({len(found) - MOST_SHOWN})"
        rows.append(
            (others, words.count(rest.liquidations), words.usd(rest.debt_usd), share, words.usd(rest.bonus_usd))
        )
    return (Table((World.ACTUAL.value, "liquidations", "debt repaid", "of it", "bonus"), tuple(rows)),)


def _picture(bundle: RunBundle, found: Mapping[World, Sequence[Winnings]]) -> go.Figure | None:
    """What each liquidator was left in the model worlds; those who repaid most."""
    most: dict[bytes | None, float] = {}
    for world in MODELLED:
        for one in found[world]:
            most[one.liquidator] = max(most.get(one.liquidator, 0.0), one.debt_usd)
    shown = sorted(most, key=lambda who: (-most[who], who or b""))[:MOST_SHOWN]
    if not shown:
        return None
    figure = new_figure(height=140 + 44 * len(shown))
    for world in MODELLED:
        of = {one.liquidator: one for one in found[world]}
        figure.add_bar(
            y=[name_of(bundle, who) for who in shown],
            x=[of[who].profit_usd if who in of else 0.0 for who in shown],
            name=world.value,
            orientation="h",
            marker={"color": COLOURS[world]},
            hovertemplate="%{x:$,.0f}",
        )
    figure.update_layout(barmode="group", hovermode="y unified", margin={"l": 120})
    figure.update_xaxes(tickformat="$,.3s", title="left to the liquidator")
    figure.update_yaxes(autorange="reversed")
    return figure


def _remarks(bundle: RunBundle, found: Mapping[World, Sequence[Winnings]]) -> Iterable[str]:
    if bundle.liquidators:
        yield (
            "Contestants are the same in control and alternative. An address that the scenario does not give is made "
            "from the contestant's name."
        )
    named = ", ".join(f"{name} {words.address(who)}" for who, name in bundle.liquidators.items() if name[:2] != "0x")
    if named:
        yield f"Addresses: {named}."
    idle = [name for who, name in bundle.liquidators.items() if not _worked(who, found)]
    if idle and len(idle) <= MOST_SHOWN:
        yield f"Liquidated nothing in either world: {', '.join(idle)}."


def _worked(liquidator: bytes, found: Mapping[World, Sequence[Winnings]]) -> bool:
    return any(one.liquidator == liquidator and one.liquidations for world in MODELLED for one in found[world])

"""A rollup that does not work as it did, in a report: who waited, what did not settle, what was undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.metrics.exposure import exposure
from l2liq.outcome import Kind, World
from l2liq.protocols.levers import Scale
from l2liq.report import words
from l2liq.report.bundle import RunBundle
from l2liq.report.figures import COLOURS, instants, mark_outages, new_figure
from l2liq.report.outcomes import add_steps, events, floats, liquidations, seized, total
from l2liq.report.section import Section, Table
from l2liq.scenario.quantities import stored_value

GATES = ("sentinel", "sequencer_down")
"""Causes of a blocked liquidation that come from the sequencer."""

WORLDS = (World.CONTROL, World.ALTERNATIVE)


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
    late = _of(liquidations(bundle, world), accounts)
    late = late.filter(pc.equal(late["cause"], "gate"))
    waits = late["timestamp_s"].to_numpy() - floats(late, "liquidatable_since_s")
    return Waiting(
        len(accounts),
        total(late, "debt_usd"),
        float(np.median(waits)) if len(waits) else None,
        float(waits.max()) if len(waits) else None,
        total(_of(events(bundle, world, Kind.DEFICIT), accounts), "debt_usd"),
    )


def sequencer(bundle: RunBundle) -> Section | None:
    """What another sequencer did to liquidations; None where the scenario has none."""
    return _held_up(bundle) if _spec(bundle, "sequencer") else None


def grace(bundle: RunBundle) -> Section | None:
    """Whom the recorded sequencer, and the grace after its return, held up; None where that was nobody."""
    return None if _spec(bundle, "sequencer") else _held_up(bundle)


def _held_up(bundle: RunBundle) -> Section | None:
    found = {world: waiting(bundle, world) for world in World if world in WORLDS}
    if not any(one.accounts for one in found.values()) and not _spec(bundle, "sequencer"):
        return None
    control, alternative = found[World.CONTROL], found[World.ALTERNATIVE]
    moved, lost = (bundle.manifest["worlds"]["alternative"].get(name, 0) for name in ("moved", "lost"))
    users = (
        f" Of the users' transactions {words.count(moved)} come at another moment than recorded and "
        f"{words.count(lost)} never."
        if _spec(bundle, "sequencer") and (moved or lost)
        else ""
    )
    debts = next((row for row in bundle.comparisons if row.metric == "bad_debt_usd"), None)
    in_all = (
        f" In all, the alternative is left with {words.usd(debts.alternative)} of bad debt instead of "
        f"{words.usd(debts.control)}: prices that moved meanwhile meet all accounts at once when it returns."
        if debts is not None and _spec(bundle, "sequencer").get("outages")
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
                ("", *(world.value for world in WORLDS)),
                (
                    ("accounts held up", *(words.count(found[world].accounts) for world in WORLDS)),
                    ("debt liquidated late", *(words.usd(found[world].late_usd) for world in WORLDS)),
                    ("wait until then, median", *(words.duration(found[world].median_s) for world in WORLDS)),
                    ("longest wait", *(words.duration(found[world].longest_s) for world in WORLDS)),
                    ("bad debt that they leave", *(words.usd(found[world].bad_debt_usd) for world in WORLDS)),
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
    for world in WORLDS:
        late = liquidations(bundle, world)
        late = late.filter(pc.equal(late["cause"], "gate"))
        since = np.nan_to_num(floats(late, "liquidatable_since_s")).astype(np.int64)
        times, usd = exposure(since, floats(late, "timestamp_s"), np.nan_to_num(floats(late, "debt_usd")))
        add_steps(bundle, figure, world, times, usd)
    mark_outages(bundle, figure)
    _zoom(figure, bundle.sequencer_down_s)
    figure.update_yaxes(tickformat="$,.3s", rangemode="tozero")
    return figure


def failing(bundle: RunBundle) -> Section | None:
    """What did not reach L1 while settlement failed; None where the scenario lets nothing fail."""
    spec = _spec(bundle, "settlement")
    if not any(spec.get(name) for name in ("batch_poster_stopped", "prover_stopped", "challenged")):
        return None
    stopped = bool(spec.get("batch_poster_stopped"))
    column, what = ("published_s", "publication") if stopped else ("settled_s", "settlement")
    most = {world: _most_open(bundle, world, column) for world in WORLDS}
    longest = {world: _longest(bundle, world, column) for world in WORLDS}
    figure = new_figure()
    for world in WORLDS:
        done = liquidations(bundle, world)
        add_steps(bundle, figure, world, *exposure(done["timestamp_s"].to_numpy(), floats(done, column), seized(done)))
    _shade(figure, [(_seconds(span["from"]), _seconds(span["to"])) for span in _spans(spec)])
    figure.update_yaxes(tickformat="$,.3s", rangemode="tozero")
    clocks = (("published_s", "publication"), ("l1_final_s", "finality on L1"), ("settled_s", "settlement"))
    rows = []
    for name, clock in clocks:
        values = [(_most_open(bundle, world, name), _longest(bundle, world, name)) for world in WORLDS]
        rows.append((f"waiting for {clock} at once, at most", *(words.usd(usd) for usd, _ in values)))
        rows.append((f"longest wait for {clock}", *(words.duration(seconds) for _, seconds in values)))
    return Section(
        "settlement-failure",
        "Settlement fails",
        f"The rollup goes on while L1 hears nothing of it: what is executed meanwhile rests on the word of its "
        f"operator alone. In the alternative world at most {words.usd(most[World.ALTERNATIVE])} of seized collateral "
        f"waits for {what} at once, and {words.duration(longest[World.ALTERNATIVE])} at the longest; in the control "
        f"world it is {words.usd(most[World.CONTROL])} and {words.duration(longest[World.CONTROL])}. That is what a "
        "reorganisation or a root that does not hold could take back.",
        figure,
        (Table(("", *(world.value for world in WORLDS)), tuple(rows)),),
    )


def _spans(spec: dict[str, Any]) -> Iterable[dict[str, str]]:
    return (*spec.get("batch_poster_stopped", ()), *spec.get("prover_stopped", ()))


def _most_open(bundle: RunBundle, world: World, column: str) -> float:
    done = liquidations(bundle, world)
    _, usd = exposure(done["timestamp_s"].to_numpy(), floats(done, column), seized(done))
    return float(usd.max()) if len(usd) else 0.0


def _longest(bundle: RunBundle, world: World, column: str) -> float | None:
    done = liquidations(bundle, world)
    waits = floats(done, column) - done["timestamp_s"].to_numpy()
    return float(np.nanmax(waits)) if len(waits) and not np.isnan(waits).all() else None


def reverted(bundle: RunBundle) -> Section | None:
    """What was undone, and what became of those whom it concerned; None where no block was reverted."""
    if not _spec(bundle, "settlement").get("reverted"):
        return None
    undone = events(bundle, World.ALTERNATIVE, Kind.REVERTED)
    undone = undone.filter(pc.equal(undone["action"], Kind.LIQUIDATION.value))
    accounts = set(undone["account"].to_pylist())
    after = _of(liquidations(bundle, World.ALTERNATIVE), accounts)
    after = after.filter(pc.greater_equal(after["timestamp_s"], _end(bundle)))
    again = set(after["account"].to_pylist())
    lost, gained = total(undone, "collateral_market_usd"), total(undone, "debt_market_usd")
    later = float(seized(after).sum())
    first = float(seized(undone).sum())
    bad = total(_of(events(bundle, World.ALTERNATIVE, Kind.DEFICIT), accounts), "debt_usd")
    bad_control = total(_of(events(bundle, World.CONTROL, Kind.DEFICIT), accounts), "debt_usd")
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
    for world in WORLDS:
        done = liquidations(bundle, world)
        add_steps(bundle, figure, world, *_so_far(done))
    seen = pa.concat_tables([liquidations(bundle, World.ALTERNATIVE), undone]).sort_by("timestamp_s")
    end = _end(bundle)
    times, usd = _so_far(seen.filter(pc.less(seen["timestamp_s"], end)))
    falls = usd[-1] - total(undone, "debt_usd") if len(usd) else 0.0
    as_seen = np.append(times, end), np.append(usd, falls)
    add_steps(bundle, figure, World.ALTERNATIVE, *as_seen, "alternative, as it then looked")
    spans = [(_seconds(one["from"]), _seconds(one["to"])) for one in _spec(bundle, "settlement")["reverted"]]
    _shade(figure, spans)
    _zoom(figure, spans)
    figure.update_yaxes(tickformat="$,.3s", rangemode="tozero")
    return figure


def _so_far(done: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    return done["timestamp_s"].to_numpy(), np.cumsum(np.nan_to_num(floats(done, "debt_usd")))


def _end(bundle: RunBundle) -> int:
    """When the last blocks were reverted [s]."""
    return max(_seconds(one["to"]) for one in _spec(bundle, "settlement")["reverted"])


def messages(bundle: RunBundle) -> Section | None:
    """Whom the delay of messages from other layers cost or spared; None where the scenario has none."""
    spec = _spec(bundle, "messages")
    if not spec:
        return None
    of = {world: _liquidated(bundle, world) for world in WORLDS}
    struck, spared = of[World.ALTERNATIVE] - of[World.CONTROL], of[World.CONTROL] - of[World.ALTERNATIVE]
    losses = {world: liquidations(bundle, world) for world in WORLDS}
    more = float(seized(_of(losses[World.ALTERNATIVE], struck)).sum())
    less = float(seized(_of(losses[World.CONTROL], spared)).sum())
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


def _of(table: pa.Table, accounts: set[bytes]) -> pa.Table:
    """Rows of some accounts."""
    return table.filter(pc.is_in(table["account"], pa.array(sorted(accounts), table.schema.field("account").type)))


def _spec(bundle: RunBundle, name: str) -> dict[str, Any]:
    """A block of the scenario; empty where it has none."""
    return bundle.manifest["scenario"].get(name) or {}


def _seconds(text: str) -> int:
    return int(np.datetime64(text.removesuffix("Z"), "s").astype(np.int64))


def _zoom(figure: go.Figure, spans: Sequence[tuple[int, int]]) -> None:
    """Show what happens around some spans; the rest is there to be dragged in."""
    if spans:
        first, last = min(start for start, _ in spans), max(stop for _, stop in spans)
        around = max(last - first, 3_600)
        figure.update_xaxes(range=list(instants([first - around, last + 2 * around])))


def _shade(figure: go.Figure, spans: Iterable[tuple[int, int]]) -> None:
    for start, stop in spans:
        x0, x1 = instants([start, stop])
        figure.add_vrect(x0=x0, x1=x1, fillcolor="#e3d5f0", opacity=0.5, line_width=0)

"""How far recorded interest is from re-executed interest, measured on the same transactions (DESIGN §9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from l2liq.market import Market
from l2liq.metrics.events import events_of
from l2liq.metrics.measure import measure
from l2liq.outcome import World
from l2liq.protocols.interface import Moment
from l2liq.replay import Ground, Interest, Plan, Progress, Result, Rules, reexecute, replay, script_of
from pipelines.pictures import BASE_UNIT

MOST_TRANSACTIONS = 20_000
"""Transactions that a sample holds: about a second of reading and a few of executing."""


@dataclass(frozen=True, slots=True)
class Distance:
    """The alternative world in both modes over the same stretch of a window.

    Attributes
    ----------
    first_s, last_s : the stretch
    transactions, of : in it, and in the whole window
    disagreeing : transactions that the rules do not bring to the rates and amounts which history has
    metrics : metric to its value with recorded and with re-executed interest
    """

    first_s: int
    last_s: int
    transactions: int
    of: int
    disagreeing: int
    metrics: Mapping[str, tuple[float, float]]


def distance(
    rules: Rules, market: Market, plan: Plan, ground: Ground, known: Result, *, whole: bool, progress: Progress | None
) -> Distance:
    """Measure it.

    Parameters
    ----------
    rules, market, plan, ground : Rules, Market, Plan, Ground
        Of the run with recorded interest.
    known : Result
        What that run gave.
    whole : bool
        Re-execute the whole window, however long; otherwise at most :data:`MOST_TRANSACTIONS` around the most
        liquidations.
    progress : Progress | None
        Told how far it is.
    """
    codes = ground.chronicle.codes_in(plan.first, plan.last)
    stretch = plan
    if not whole and len(codes) > MOST_TRANSACTIONS:
        stretch = _busiest(plan, ground, codes, known)
        ground = Ground.of(rules.venue, market, stretch)
        known = replay(rules.venue, market, stretch, (World.ALTERNATIVE,), ground=ground, progress=progress)
    script = script_of(rules, ground, stretch, progress)
    exact = replace(stretch, interest=Interest.REEXECUTED)
    again = reexecute(rules, market, exact, (World.ALTERNATIVE,), ground=ground, script=script, progress=progress)
    one, other = _measured(known), _measured(again)
    return Distance(
        first_s=stretch.first.timestamp_s,
        last_s=stretch.last.timestamp_s,
        transactions=len(script.transactions),
        of=len(codes),
        disagreeing=len(script.disagreeing),
        metrics={
            name: (value, repeated)
            for name, value in one.items()
            if value is not None and (repeated := other.get(name)) is not None
        },
    )


def _measured(result: Result) -> Mapping[str, float | None]:
    events = events_of(result.outcomes, World.ALTERNATIVE, BASE_UNIT)
    return measure(events, result.accounts, World.ALTERNATIVE, BASE_UNIT).values()


def _busiest(plan: Plan, ground: Ground, codes: Sequence[tuple[int, int]], known: Result) -> Plan:
    """The stretch of :data:`MOST_TRANSACTIONS` transactions in which most liquidations of the alternative fall."""
    table = known.outcomes
    liquidated = [
        row["block_number"]
        for row in table.select(["world", "kind", "block_number"]).to_pylist()
        if row["world"] == World.ALTERNATIVE.value and row["kind"] == "liquidation"
    ]
    places = np.searchsorted(np.array([block for block, _ in codes]), np.sort(np.array(liquidated, np.int64)))
    held = np.searchsorted(places, places + MOST_TRANSACTIONS) - np.arange(len(places))
    start = int(places[np.argmax(held)]) if len(places) else 0
    start = min(start, len(codes) - MOST_TRANSACTIONS)
    first = ground.chronicle.group(codes[start])
    last = ground.chronicle.group(codes[start + MOST_TRANSACTIONS - 1])
    begin = Moment(first.before, first.last.timestamp_s) if start else plan.first
    return replace(plan, first=begin, last=Moment(last.end, last.last.timestamp_s))

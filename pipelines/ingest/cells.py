"""One cell at a time: fetch, let discovery learn from it, fetch what it asks for, until nothing is missing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from l2liq.errors import SourceError
from l2liq.events.filter import Filter
from l2liq.events.log import LOGS
from l2liq.lake import SEALED, Coverage, Lake, Span
from l2liq.lake.tables import joined, kept, passing
from l2liq.protocols.interface import Discovery, Question
from pipelines.ingest.outcome import Refusal
from pipelines.quality.structure import NONE, Refused, Sifted, refuse, sift

Fetch = Callable[[Span, Filter], pa.Table]
"""Logs of a span that a filter lets through, with timestamps (schema LOGS)."""

Answer = Callable[[Sequence[Question], Span], pa.Table]
"""All answers known up to the end of a span, those to these questions among them as far as anybody can give them."""

NOTHING = Filter()
MOST_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Cell:
    """What is known of one cell once discovery has no more to ask.

    Attributes
    ----------
    span : its blocks
    logs : all its logs, those held before included, in order
    new_logs : the logs of what was fetched now
    fetched : what was fetched now; an empty filter if everything was held
    discovery : what it knows after the cell
    refused : logs that cannot be used
    unknown : usable logs of no known event
    """

    span: Span
    logs: pa.Table
    new_logs: pa.Table
    fetched: Filter
    discovery: Discovery = field(repr=False)
    refused: Sequence[Refused]
    unknown: int


def complete(
    span: Span,
    discovery: Discovery,
    held: pa.Table,
    covered: Filter,
    *,
    fetch: Fetch,
    answer: Answer,
    also: Filter = NOTHING,
    offered: pa.Table = NONE,
) -> Cell:
    """Fetch what a cell lacks.

    ``discovery`` is what is known before the cell, and is not changed; ``held`` are the logs that the lake has sealed
    of the cell for the filter ``covered``; ``also`` is wanted beyond what discovery asks for; ``offered`` are logs of
    the cell that a person released from quarantine. What contradicts other logs of the market is refused. Raises
    SourceError where discovery never has enough, and what ``fetch`` and ``answer`` raise.
    """
    sifted = Sifted(held, (), 0)
    fetched, raw = Filter(), held
    for _ in range(MOST_ROUNDS):
        learning = copy.deepcopy(discovery)
        learning.see(sifted.logs)
        _answer_all(learning, span, answer)
        missing = learning.filter().union(also).minus(covered)
        if not missing:
            contradictory = refuse(sifted.logs, learning.contradictions(sifted.logs), offered)
            refused = (*sifted.refused, *contradictory)
            logs = sifted.logs
            new = kept(logs, passing(logs, fetched)) if held.num_rows else logs
            return Cell(span, logs, new, fetched, learning, refused, sifted.unknown)
        raw = joined(LOGS, [raw, fetch(span, missing)])
        fetched, covered = fetched.union(missing), covered.union(missing)
        sifted = sift(raw, kept(offered, passing(offered, fetched)))
    raise SourceError(
        f"{span}: discovery still asks for more after {MOST_ROUNDS} rounds: the logs are not those of a market. "
        f"Check the market's addresses and the source."
    )


def _answer_all(discovery: Discovery, span: Span, answer: Answer) -> None:
    """Answers may raise further questions: go on until there are none."""
    known = -1
    while True:
        observations = answer(discovery.questions(), span)
        if observations.num_rows == known:
            return
        known = observations.num_rows
        discovery.learn(observations)


def held_logs(lake: Lake, slug: str, coverage: Coverage, span: Span) -> tuple[pa.Table, Filter]:
    """What the lake has sealed of a cell: its logs, and for which filter."""
    covered = coverage.covered(span, SEALED)
    if not covered:
        return LOGS.empty_table(), covered
    table = joined(LOGS, lake.read_logs(slug, span))
    return kept(table, passing(table, covered)), covered


def quarantine(lake: Lake, refused: Sequence[Refused], place: str, consequence: str) -> list[Refusal]:
    """Put refused logs away, once however often they come; returns what to tell of them."""
    known = {(one.place, one.reason) for one in lake.quarantined()}
    found = []
    for one in refused:
        if (place, str(one.error)) not in known:
            lake.quarantine(one.logs, reason=one.error, place=place)
        found.append(Refusal(place, one.error, consequence))
    return found

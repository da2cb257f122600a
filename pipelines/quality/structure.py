"""Which of the logs that a source gave are a record of a chain, and which contradict themselves or their event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from l2liq.errors import LogError
from l2liq.events.abi import EventAbi, all_events
from l2liq.events.decode import decode, split
from l2liq.events.log import LOGS
from l2liq.events.order import in_order


@dataclass(frozen=True, slots=True)
class Refused:
    """Logs that cannot be used, and why."""

    logs: pa.Table
    reason: str


@dataclass(frozen=True, slots=True)
class Sifted:
    """What became of some logs.

    Attributes
    ----------
    logs : the usable ones in the order of the chain, each once (schema LOGS)
    refused : the others, with reasons
    unknown : how many of the usable ones are of no event that l2liq knows
    """

    logs: pa.Table
    refused: tuple[Refused, ...]
    unknown: int


def sift(logs: pa.Table) -> Sifted:
    """Put logs in order, and sort out those that contradict each other or do not fit their event.

    Of contradicting logs the whole block is refused: nothing says which of them is right. Raises LogError where blocks
    contradict each other (times that run backwards).
    """
    try:
        ordered = in_order(logs)
        contradicting: tuple[Refused, ...] = ()
    except LogError:
        ordered, contradicting = _without_contradictions(logs)
    ordered, malformed, unknown = _without_malformed(ordered)
    return Sifted(ordered, (*contradicting, *malformed), unknown)


def _without_contradictions(logs: pa.Table) -> tuple[pa.Table, tuple[Refused, ...]]:
    refused = []
    good = []
    for block in _by_block(logs):
        try:
            good.append(in_order(block))
        except LogError as error:
            refused.append(Refused(block, str(error)))
    return in_order(pa.concat_tables([LOGS.empty_table(), *good])), tuple(refused)


def _by_block(logs: pa.Table) -> Iterator[pa.Table]:
    blocks = logs.column("block_number").to_numpy()
    order = np.argsort(blocks, kind="stable")
    logs = logs.take(pa.array(order))
    starts = np.flatnonzero(np.diff(blocks[order], prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        yield logs.slice(start, stop - start)


def _without_malformed(logs: pa.Table) -> tuple[pa.Table, tuple[Refused, ...], int]:
    parts = split(logs, known_events())
    bad = []
    for event, found in parts.known.items():
        malformed = decode(found, event).malformed
        if malformed.num_rows:
            bad.append(malformed)
    if not bad:
        return logs, (), parts.unknown.num_rows
    refused = pa.concat_tables(bad)
    positions = set(zip(*(refused.column(name).to_pylist() for name in ("block_number", "log_index")), strict=True))
    pairs = zip(*(logs.column(name).to_pylist() for name in ("block_number", "log_index")), strict=True)
    usable = pa.array([pair not in positions for pair in pairs], pa.bool_())
    reasons = refused.column("reason").to_pylist()
    first = f"block {refused.column('block_number')[0].as_py():,}, log {refused.column('log_index')[0].as_py():,}"
    reason = f"{first}: {reasons[0]}" + (f"; and {len(reasons) - 1} more" if len(reasons) > 1 else "")
    return logs.filter(usable), (Refused(refused, reason),), parts.unknown.num_rows


@cache
def known_events() -> tuple[EventAbi, ...]:
    """Every event known, once per form: contracts share events whose arguments only have other names."""
    forms = {(event.topic0, tuple(a.indexed for a in event.arguments)): event for event in all_events()}
    return tuple(forms.values())

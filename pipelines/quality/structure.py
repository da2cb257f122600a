"""Which of the logs that a source gave are a record of a chain, and which contradict themselves or their event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.errors import DecodeError, LogError
from l2liq.events.abi import EventAbi, all_events
from l2liq.events.decode import decode, split
from l2liq.events.log import LOGS, keys_of
from l2liq.events.order import in_order
from l2liq.events.wellformed import all_well_formed
from l2liq.protocols.checking import Contradiction


@dataclass(frozen=True, slots=True)
class Refused:
    """Logs that cannot be used. ``error``: of the kind that they are, and says why."""

    logs: pa.Table
    error: LogError


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


NONE = LOGS.empty_table()


def sift(logs: pa.Table, admitted: pa.Table = NONE) -> Sifted:
    """Put logs in order, and sort out those that contradict each other or do not fit their event.

    Of contradicting logs the whole block is refused: nothing says which of them is right. ``admitted`` are logs that a
    person released from quarantine: they stand for their positions, and need not fit an event. Raises OrderError where
    blocks contradict each other (times that run backwards).
    """
    if admitted.num_rows:
        logs = pa.concat_tables([logs.filter(pa.array(~at_positions_of(logs, admitted))), admitted])
    try:
        ordered = in_order(logs)
        contradicting: tuple[Refused, ...] = ()
    except LogError:
        ordered, contradicting = _without_contradictions(logs)
    ordered, malformed, unknown = _without_malformed(ordered, admitted)
    return Sifted(ordered, (*contradicting, *malformed), unknown)


def _without_contradictions(logs: pa.Table) -> tuple[pa.Table, tuple[Refused, ...]]:
    refused = []
    good = []
    for block in _by_block(logs):
        try:
            good.append(in_order(block))
        except LogError as error:
            refused.append(Refused(block, error))
    return in_order(pa.concat_tables([LOGS.empty_table(), *good])), tuple(refused)


def _by_block(logs: pa.Table) -> Iterator[pa.Table]:
    blocks = logs.column("block_number").to_numpy()
    order = np.argsort(blocks, kind="stable")
    logs = logs.take(pa.array(order))
    starts = np.flatnonzero(np.diff(blocks[order], prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        yield logs.slice(start, stop - start)


def refuse(logs: pa.Table, contradictions: Sequence[Contradiction], admitted: pa.Table) -> tuple[Refused, ...]:
    """The logs of contradictions, but for those that a person admitted."""
    refused = []
    for one in contradictions:
        here = pc.and_(
            pc.equal(logs.column("block_number"), one.block), pc.equal(logs.column("log_index"), one.log_index)
        )
        row = logs.filter(here)
        if not row.num_rows or not at_positions_of(row, admitted).all():
            refused.append(Refused(row, one.error))
    return tuple(refused)


def at_positions_of(logs: pa.Table, others: pa.Table) -> npt.NDArray[np.bool_]:
    """Which logs stand where one of the others stands; shape (rows,)."""
    return np.isin(_positions(logs), _positions(others))


def _positions(logs: pa.Table) -> npt.NDArray[np.int64]:
    return keys_of(logs.column("block_number").to_numpy(), logs.column("log_index").to_numpy())


def _without_malformed(logs: pa.Table, admitted: pa.Table) -> tuple[pa.Table, tuple[Refused, ...], int]:
    fine, unknown = all_well_formed(logs, known_events())
    if fine:
        return logs, (), unknown
    parts = split(logs, known_events())
    bad = []
    for event, found in parts.known.items():
        malformed = decode(found, event, decimals=False).malformed
        malformed = malformed.filter(pa.array(~at_positions_of(malformed, admitted)))
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
    return logs.filter(usable), (Refused(refused, DecodeError(reason)),), parts.unknown.num_rows


@cache
def known_events() -> tuple[EventAbi, ...]:
    """Every event known, once per form: contracts share events whose arguments only have other names."""
    forms = {(event.topic0, tuple(a.indexed for a in event.arguments)): event for event in all_events()}
    return tuple(forms.values())

"""Releasing from quarantine: what has to hold before a refusal is taken back."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq

from l2liq.errors import InputError, LogError
from l2liq.events.commitment import table_root
from l2liq.events.order import in_order
from l2liq.lake.datasets import DATASETS, Span, Status
from l2liq.lake.quarantining import Decision, Kind, Quarantine, Quarantined, Verdict
from l2liq.lake.segments import FOOTER_KEY, Shelf
from l2liq.lake.storage import Storage


def require_open(one: Quarantined) -> None:
    """InputError where somebody decided about it already."""
    if one.decision is not None:
        raise InputError(
            f"{one.id}: was {one.decision.verdict} by {one.decision.who} on {one.decision.at:%Y-%m-%d %H:%M} UTC. "
            f"What is decided stays so; `l2liq quarantine show {one.id}` tells why."
        )


def release(
    quarantine: Quarantine, shelf: Shelf, storage: Storage, one: Quarantined, who: str, reason: str
) -> Decision:
    """See :meth:`l2liq.lake.Lake.release`."""
    require_open(one)
    if one.kind is Kind.ROWS:
        _require_usable(one, quarantine.rows(one))
    if one.kind is Kind.SEGMENTS:
        _put_back(quarantine, shelf, storage, one)
    return quarantine.decide(one, Verdict.RELEASED, who, reason)


def _require_usable(one: Quarantined, rows: pa.Table) -> None:
    """Rows that contradict each other cannot all be true: a release does not choose."""
    try:
        in_order(rows)
    except LogError as error:
        raise InputError(
            f"{one.id}: {error} A release cannot choose: ingest these blocks from one source and discard this."
        ) from None


def _put_back(quarantine: Quarantine, shelf: Shelf, storage: Storage, one: Quarantined) -> None:
    """Segments go back in order of blocks, so that what an interruption leaves is a history without a hole."""
    files = sorted((file for file in one.files if not file.startswith("tail/")), key=_order)
    for slug in sorted({file.split("/")[1] for file in files}):
        with storage.exclusive(f"market-{slug}", f"writing {slug}"):
            own = [file for file in files if file.split("/")[1] == slug]
            for file in own:
                _require_room(shelf, one, file)
                _require_whole(quarantine, one, file)
            for file in own:
                quarantine.put_back(one, file)


def _order(file: str) -> tuple[str, str]:
    return file.rpartition("/")[2], file


def _require_room(shelf: Shelf, one: Quarantined, file: str) -> None:
    """InputError where something else is sealed of the same blocks meanwhile; a supplement lies beside its segment."""
    folder, _, name = file.rpartition("/")
    dataset = next(known for known in DATASETS if known.name == file.split("/")[0])
    span = Span(int(name[:12]), int(name[13:25]) + 1)
    for segment in shelf.segments(dataset, folder.rpartition("/")[2], span):
        beside = segment.span == span and segment.key != file
        if segment.status is Status.SEALED and not beside:
            raise InputError(
                f"{one.id}: {file} cannot go back: {segment.key} holds these blocks now. Discard what lies in "
                f"quarantine; or, if that is the chain's history, take a copy of it and make a new lake."
            )


def _require_whole(quarantine: Quarantine, one: Quarantined, file: str) -> None:
    place = quarantine.file(one, file)
    try:
        table = pq.read_table(place, partitioning=None)
        root = json.loads(table.schema.metadata[FOOTER_KEY])["root"]
        if root == "0x" + table_root(table.replace_schema_metadata()).hex():
            return
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        pass
    raise InputError(f"{one.id}: {file} is damaged and cannot go back. Discard it and ingest its blocks again.")

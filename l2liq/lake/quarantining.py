"""Quarantine: what was refused lies here, with the reason, until a person decides.

What a decision means depends on what lies here. Refused rows that are released are offered to the next ingest of their
blocks, in place of what the source says there. Segments that were taken back are put back where they were. Of bytes
(a message nobody could read) a release only says that they were dealt with. Discarding keeps the record and no content.
"""

from __future__ import annotations

import datetime
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from l2liq.errors import InputError, L2LiqError, LakeError
from l2liq.lake.segments import without_secrets, write_parquet
from l2liq.lake.storage import Storage

FOLDER = "quarantine"
ROWS, CONTENT = "rows.parquet", "content.bin"
_REASON, _DECISION = "reason.json", "decision.json"


Reason = str | L2LiqError
"""Why something is refused: an error, whose type tells the kind, or a person's words."""


class Kind(StrEnum):
    """What lies in quarantine."""

    ROWS = "rows"
    SEGMENTS = "segments"
    BYTES = "bytes"


class Verdict(StrEnum):
    """What a person decided."""

    RELEASED = "released"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided what about a refusal, when and why."""

    verdict: Verdict
    who: str
    at: datetime.datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One refusal.

    Attributes
    ----------
    reason : why, in words
    place : where it came from
    files : what is kept of it, relative to ``path``
    error : name of the type of error (:mod:`l2liq.errors`), None where a person took something back
    """

    path: Path
    at: datetime.datetime
    reason: str
    place: str
    files: tuple[str, ...]
    error: str | None = None
    decision: Decision | None = None

    @property
    def id(self) -> str:
        """Its name."""
        return self.path.name

    @property
    def kind(self) -> Kind:
        """What lies there."""
        known = {ROWS: Kind.ROWS, CONTENT: Kind.BYTES}
        return next((known[name] for name in self.files if name in known), Kind.SEGMENTS)


class Quarantine:
    """The quarantine of a lake."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def put(self, thing: pa.Table | bytes, reason: Reason, place: str) -> Path:
        """Keep a table (as Parquet) or bytes as they came."""

        def fill(folder: Path) -> None:
            if isinstance(thing, bytes):
                (folder / CONTENT).write_bytes(thing)
            else:
                write_parquet(thing, folder / ROWS)
            (folder / _REASON).write_bytes(_described(reason, place))

        target = f"{FOLDER}/{_fresh_name()}"
        self._storage.publish_group(target, fill, _REASON)
        return self._storage.folder / target

    def take_in(self, keys: Sequence[str], reason: Reason, place: str) -> Path:
        """Move segments here in the order given; the reason is written before anything moves."""
        target = f"{FOLDER}/{_fresh_name()}"
        self._storage.put(f"{target}/{_REASON}", _described(reason, place))
        for key in keys:
            self._storage.move(key, f"{target}/{key}")
        return self._storage.folder / target

    def all(self) -> list[Quarantined]:
        """Everything that was ever refused, oldest first; what was decided about included."""
        grouped: dict[str, list[str]] = {}
        for key in self._storage.below(FOLDER):
            _, name, file = key.split("/", 2)
            grouped.setdefault(name, []).append(file)
        found = {name: files for name, files in sorted(grouped.items()) if _REASON in files}
        documents = [f"{FOLDER}/{name}/{_REASON}" for name in found]
        documents += [f"{FOLDER}/{name}/{_DECISION}" for name, files in found.items() if _DECISION in files]
        self._storage.bring(documents)
        return [self._entry(name, files) for name, files in found.items()]

    def find(self, name: str) -> Quarantined:
        """A refusal by its id or a unique beginning of it."""
        known = self.all()
        found = [one for one in known if one.id == name] or [one for one in known if name and one.id.startswith(name)]
        if len(found) != 1:
            problem = (
                "nothing in quarantine has this id" if not found else f"{len(found)} things in quarantine begin so"
            )
            raise InputError(f"{name[:80]!r}: {problem}. `l2liq quarantine list` shows them.")
        return found[0]

    def file(self, one: Quarantined, name: str) -> Path:
        """A file of a refusal, on this machine."""
        return self._storage.local(f"{FOLDER}/{one.id}/{name}")

    def rows(self, one: Quarantined) -> pa.Table:
        """The rows of a refusal of kind ROWS."""
        place = self.file(one, ROWS)
        try:
            return pq.read_table(place, partitioning=None)
        except (OSError, pa.ArrowException) as error:
            raise LakeError(f"{place}: cannot be read ({error}). Discard it and ingest its blocks again.") from error

    def released_rows(self) -> Iterator[pa.Table]:
        """The rows that were released, oldest decision first."""
        for one in sorted(self._decided(Verdict.RELEASED), key=_decided_at):
            if one.kind is Kind.ROWS:
                yield self.rows(one)

    def decide(self, one: Quarantined, verdict: Verdict, who: str, reason: str) -> Decision:
        """Record a decision; of what is discarded nothing but the record stays."""
        decision = Decision(verdict, who, _now(), reason)
        content = json.dumps(asdict(decision), default=str, indent=2).encode()
        self._storage.put(f"{FOLDER}/{one.id}/{_DECISION}", content)
        if verdict is Verdict.DISCARDED:
            for file in one.files:
                self._storage.remove(f"{FOLDER}/{one.id}/{file}")
        return decision

    def put_back(self, one: Quarantined, key: str) -> None:
        """Give a segment its former place again."""
        self._storage.move(f"{FOLDER}/{one.id}/{key}", key)

    def _decided(self, verdict: Verdict) -> list[Quarantined]:
        return [one for one in self.all() if one.decision is not None and one.decision.verdict is verdict]

    def _entry(self, name: str, files: Sequence[str]) -> Quarantined:
        content = self._document(f"{FOLDER}/{name}/{_REASON}")
        decision = self._document(f"{FOLDER}/{name}/{_DECISION}") if _DECISION in files else None
        return Quarantined(
            self._storage.folder / FOLDER / name,
            datetime.datetime.fromisoformat(content["at"]),
            content["reason"],
            content["place"],
            tuple(sorted(one for one in files if one not in (_REASON, _DECISION))),
            content.get("error"),
            None if decision is None else _decision(decision),
        )

    def _document(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._storage.read(key))
        return found


def _decision(content: dict[str, Any]) -> Decision:
    at = datetime.datetime.fromisoformat(content["at"])
    return Decision(Verdict(content["verdict"]), content["who"], at, content["reason"])


def _decided_at(one: Quarantined) -> datetime.datetime:
    assert one.decision is not None
    return one.decision.at


def _fresh_name() -> str:
    return f"{_now():%Y%m%dt%H%M%S%f}-{secrets.token_hex(4)}"


def _described(reason: Reason, place: str) -> bytes:
    error = None if isinstance(reason, str) else type(reason).__name__
    content = {"at": _now().isoformat(), "error": error, "reason": str(reason), "place": without_secrets(place)}
    return json.dumps(content, indent=2).encode()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)

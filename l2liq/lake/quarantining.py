"""Quarantine: what was refused lies here, with the reason, until a person decides."""

from __future__ import annotations

import datetime
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from l2liq.lake.publish import Store, make_folder, publish_bytes
from l2liq.lake.segments import without_secrets, write_parquet
from l2liq.lake.staging import publish_staged


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One refusal. ``place``: where it came from; ``files``: what is kept of it, relative to ``path``."""

    path: Path
    at: datetime.datetime
    reason: str
    place: str
    files: tuple[str, ...]


class Quarantine:
    """The quarantine of a lake."""

    def __init__(self, lake: Path) -> None:
        self._lake = lake
        self._folder = lake / "quarantine"

    def put(self, thing: pa.Table | bytes, reason: str, place: str) -> Path:
        """Keep a table (as Parquet) or bytes as they came."""

        def fill(folder: Path) -> None:
            if isinstance(thing, bytes):
                (folder / "content.bin").write_bytes(thing)
            else:
                write_parquet(thing, folder / "rows.parquet")
            (folder / "reason.json").write_bytes(_described(reason, place))

        target = self._folder / _fresh_name()
        publish_staged(self._lake, target, fill)
        return target

    def take_in(self, store: Store, keys: Sequence[str], reason: str, place: str) -> Path:
        """Move segments here in the order given; the reason is written before anything moves."""
        target = self._folder / _fresh_name()
        make_folder(target)
        publish_bytes(target / "reason.json", _described(reason, place))
        for key in keys:
            store.move(key, f"{target.relative_to(self._lake)}/{key}")
        return target

    def all(self) -> list[Quarantined]:
        """Everything in quarantine, oldest first."""
        found = []
        for path in sorted(self._folder.glob("*/reason.json")):
            content = json.loads(path.read_text(encoding="utf-8"))
            files = tuple(
                sorted(
                    str(one.relative_to(path.parent)) for one in path.parent.rglob("*") if one.is_file() and one != path
                )
            )
            at = datetime.datetime.fromisoformat(content["at"])
            found.append(Quarantined(path.parent, at, content["reason"], content["place"], files))
        return found


def _fresh_name() -> str:
    return f"{_now():%Y%m%dt%H%M%S%f}-{secrets.token_hex(4)}"


def _described(reason: str, place: str) -> bytes:
    content = {"at": _now().isoformat(), "reason": reason, "place": without_secrets(place)}
    return json.dumps(content, indent=2).encode()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)

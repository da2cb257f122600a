"""Caches: what can be computed again from the sealed data. Keyed by what they were computed from, never mixed."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from l2liq.errors import InputError, LakeError
from l2liq.events.abi import snake_case
from l2liq.lake.locks import exclusive
from l2liq.lake.publish import (
    TEMPORARY,
    beside,
    flush_folder,
    make_folder,
    naming_failures,
    publish,
    publish_bytes,
    sweep,
)
from l2liq.lake.segments import ROW_GROUP_ROWS, write_parquet
from l2liq.lake.staging import publish_staged

KEPT = 2
"""Entries a market cache keeps; older ones are deleted when a new one is written."""

SCHEMA_FILE = "_schema.parquet"
"""A file without rows beside the files of an event, with all the columns that any of them has."""

_QUARTER = re.compile(r"\d{4}q[1-4]")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What a cached thing was computed from.

    Attributes
    ----------
    root : dataset root of the logs and observations read, 32 bytes
    abi : hash or version of the ABIs that decoded them
    code : version of the code that folded them
    """

    root: bytes
    abi: str
    code: str

    @property
    def name(self) -> str:
        """The key in paths, 32 hex digits."""
        return hashlib.sha256("\0".join((self.root.hex(), self.abi, self.code)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """Tables and a JSON document that were written together."""

    path: Path
    document: Mapping[str, Any] = field(repr=False)

    def remembered(self, name: str) -> Any:
        """What :meth:`Cache.remember` kept with the entry; None where there is nothing that can be read."""
        try:
            return json.loads((self.path / f"{name}.json").read_text())
        except (OSError, ValueError):
            return None

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(sorted(path.stem for path in self.path.glob("*.parquet")))

    def damaged(self, *, thorough: bool = False) -> bool:
        """Whether a table is missing or cannot be opened; ``thorough`` reads them all, with their checksums."""
        if self.remembered("tables") != list(self.tables):
            return True
        try:
            for name in self.tables:
                if thorough:
                    self.table(name)
                else:
                    pq.read_metadata(self.path / f"{name}.parquet")
        except (LakeError, OSError, pa.ArrowException):
            return True
        return False

    def table(self, name: str) -> pa.Table:
        """One of the tables. LakeError where it is damaged."""
        try:
            return pq.read_table(
                self.path / f"{name}.parquet", memory_map=True, partitioning=None, page_checksum_verification=True
            ).replace_schema_metadata()
        except (OSError, pa.ArrowException) as error:
            raise LakeError(
                f"{self.path / name}.parquet: cannot be read ({error}). Delete the folder; it is a cache."
            ) from error


class Cache:
    """Entries of one market by key; ``current`` always names the newest, and is what the catalog shows."""

    def __init__(self, lake: Path, kind: str, slug: str) -> None:
        self._folder = lake / "cache" / kind / slug
        self._lake = lake
        self._lock = lake / ".locks" / f"cache-{kind}-{slug}.lock"

    def read(self, key: CacheKey) -> CacheEntry | None:
        """The entry of a key, None where it has to be computed."""
        return self._entry(self._folder / key.name)

    def newest(self) -> CacheEntry | None:
        """The entry written last, whatever its key: what an incremental fold may start from."""
        return self._entry(self._folder / "current")

    def write(self, key: CacheKey, tables: Mapping[str, pa.Table], document: Mapping[str, Any]) -> CacheEntry:
        """Make an entry exist, all at once; one that is there already is kept and returned."""

        def fill(folder: Path) -> None:
            for name, table in tables.items():
                write_parquet(table, folder / f"{name}.parquet")
            (folder / "tables.json").write_text(json.dumps(sorted(tables)))
            (folder / "document.json").write_text(json.dumps(document))

        target = self._folder / key.name
        with exclusive(self._lock, "writing the market cache", wait=True):
            if not target.exists():
                publish_staged(self._lake, target, fill)
            self._point_to(target)
        entry = self._entry(target)
        if entry is None:
            raise LakeError(f"{target}: an incomplete cache. Delete the folder and run the same command again.")
        return entry

    def discard(self, entry: CacheEntry) -> None:
        """Delete an entry that turned out to be damaged; what is computed again takes its place."""
        with exclusive(self._lock, "discarding a damaged cache", wait=True), naming_failures(entry.path):
            if entry.path.exists():
                shutil.rmtree(entry.path)

    def remember(self, entry: CacheEntry, name: str, document: Mapping[str, Any]) -> None:
        """Keep with an entry what was computed from it afterwards."""
        publish_bytes(entry.path / f"{name}.json", json.dumps(document).encode())

    def _point_to(self, target: Path) -> None:
        current = self._folder / "current"
        sweep(self._folder)
        with naming_failures(current):
            if not current.is_symlink() or current.readlink().name != target.name:
                temporary = beside(current)
                temporary.symlink_to(target.name)
                temporary.replace(current)
                flush_folder(self._folder)
            entries = [path for path in self._folder.iterdir() if not path.is_symlink() and path != target]
            entries.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
            for old in entries[KEPT - 1 :]:
                shutil.rmtree(old, ignore_errors=True)

    def _entry(self, folder: Path) -> CacheEntry | None:
        try:
            folder = folder.resolve(strict=True)
            return CacheEntry(folder, json.loads((folder / "document.json").read_text()))
        except (OSError, ValueError, RuntimeError):
            return None


class EventCache:
    """Decoded events of one market, a file per event and quarter, rebuilt a quarter at a time."""

    def __init__(self, lake: Path, protocol: str, slug: str) -> None:
        self._folder = lake / "cache" / "events" / protocol
        self._slug = slug
        self._lock = lake / ".locks" / f"events-{protocol}-{slug}.lock"

    def holds(self, quarter: str, key: CacheKey) -> bool:
        """Whether the quarter's events were decoded from exactly this."""
        try:
            marker = json.loads(self._marker(quarter).read_text())
            if marker["key"] != key.name:
                return False
            for name in marker["events"]:
                pq.read_metadata(self._folder / name / f"{self._slug}-{quarter}.parquet")
                pq.read_schema(self._folder / name / SCHEMA_FILE)
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            return False
        return True

    def write(self, quarter: str, pieces: Iterable[Mapping[str, pa.Table]], key: CacheKey) -> None:
        """Replace all events of a quarter, e.g. ``2024q1``.

        Each piece maps names of events (``LiquidationCall`` or snake case) to rows that follow those of the piece
        before; only one piece is in memory at a time.
        """
        if not _QUARTER.fullmatch(quarter):
            raise InputError(f"{quarter!r} is no quarter. Write it as 2024q1.")
        file = f"{self._slug}-{quarter}.parquet"
        with exclusive(self._lock, "writing decoded events", wait=True):
            self._marker(quarter).unlink(missing_ok=True)
            make_folder(self._folder)
            with TemporaryDirectory(dir=self._folder, prefix=TEMPORARY) as scratch:
                schemas = _spool(pieces, Path(scratch))
                for stale in self._folder.glob(f"*/{file}"):
                    if stale.parent.name not in schemas:
                        stale.unlink()
                for name, schema in schemas.items():
                    make_folder(self._folder / name)
                    self._write_schema(name, schema)
                    spooled = Path(scratch) / f"{name}.parquet"
                    publish(self._folder / name / file, lambda path, spooled=spooled: spooled.replace(path))  # type: ignore[misc]
            marker = {"key": key.name, "events": sorted(schemas)}
            publish_bytes(self._marker(quarter), json.dumps(marker).encode())

    def read(self, event: str, quarter: str, key: CacheKey) -> pa.Table | None:
        """Events of one kind; None where they have to be decoded, an empty result where the quarter has none."""
        if not self.holds(quarter, key):
            return None
        path = self._folder / snake(event) / f"{self._slug}-{quarter}.parquet"
        schema = self._folder / snake(event) / SCHEMA_FILE
        found = path if path.exists() else schema
        return pq.read_table(found, partitioning=None) if found.exists() else pa.table({})

    def _write_schema(self, name: str, schema: pa.Schema) -> None:
        target = self._folder / name / SCHEMA_FILE
        known = schema_of(target)
        if known is not None:
            schema = pa.unify_schemas([known, schema], promote_options="permissive")
            if schema.equals(known):
                return
        publish(target, lambda path: write_parquet(schema.empty_table(), path))

    def _marker(self, quarter: str) -> Path:
        return self._folder / "_keys" / f"{self._slug}-{quarter}.json"


def schema_of(path: Path) -> pa.Schema | None:
    """Columns of a Parquet file; None where it is missing or damaged."""
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return None


def _spool(pieces: Iterable[Mapping[str, pa.Table]], folder: Path) -> dict[str, pa.Schema]:
    """Append every piece to one file per event in ``folder``; the schemas of what came."""
    with ExitStack() as open_files:
        writers: dict[str, pq.ParquetWriter] = {}
        for piece in pieces:
            for event, table in piece.items():
                name = snake(event)
                if name not in writers:
                    file = pq.ParquetWriter(folder / f"{name}.parquet", table.schema, compression="zstd")
                    writers[name] = open_files.enter_context(file)
                writers[name].write_table(table, row_group_size=ROW_GROUP_ROWS)
    return {name: writer.schema for name, writer in writers.items()}


def snake(event: str) -> str:
    """``LiquidationCall`` → ``liquidation_call``. InputError for what cannot be a name."""
    name = snake_case(event)
    if not _NAME.fullmatch(name) or len(name) > 100:
        raise InputError(f"{event[:80]!r} cannot name an event: use letters, digits and underscores.")
    return name

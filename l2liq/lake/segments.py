"""Segments: the files that hold the chain's data, each with a footer that says what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from l2liq.errors import L2LiqError, LakeError
from l2liq.events.commitment import table_root
from l2liq.events.filter import Filter
from l2liq.lake.datasets import Dataset, Linkage, Span, Status
from l2liq.lake.storage import Stamp, Storage

LAKE_VERSION = 1
ROW_GROUP_ROWS = 65_536
FOOTER_KEY = b"l2liq"
REPAIR = "Delete it and run `l2liq ingest` for these blocks again."
SCHEMA_FOLDER = "_schema"
_OF_THE_BLOCK = frozenset({"block_number", "block_hash", "number", "hash", "parent_hash", "timestamp_s"})
"""Columns that change with the block: a dictionary of their values is larger than they are, and slower."""

_NAMES = (
    re.compile(r"(?P<first>\d{12})-(?P<last>\d{12})(\.s\d+)?\.parquet"),
    re.compile(r"(tail|as-found-[0-9a-f]{32})(?P<first>)(?P<last>)\.parquet"),
)
"""Names of sealed segments, which hold their first and last block, and of those that are not sealed."""


class Footer(BaseModel):
    """What a segment says of itself, as JSON in its Parquet footer. Blocks [start, stop); hashes as 0x hex."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    lake_version: int
    dataset: str
    market: str
    chain_id: int
    start: int
    stop: int
    status: str
    linkage: str
    source: str
    rows: int
    root: str
    filter: dict[str, list[str] | None] | None


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a dataset. ``filter`` is None for datasets that have none."""

    key: str
    dataset: Dataset = field(repr=False)
    span: Span
    status: Status
    linkage: Linkage
    source: str
    chain_id: int
    rows: int
    root: bytes
    filter: Filter | None = field(repr=False)
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a segment's rows come from."""

    chain_id: int
    linkage: Linkage
    source: str


def folder_of(dataset: Dataset, slug: str, *, sealed: bool = True) -> str:
    """Folder of a market's segments of one dataset."""
    return f"{dataset.name}/{slug}" if sealed else f"tail/{dataset.name}/{slug}"


class Shelf:
    """Writes, lists and reads segments in a store. Footers are read once per file."""

    def __init__(self, store: Storage) -> None:
        self.store = store
        self._known: dict[tuple[str, Stamp], Segment] = {}
        self._filters: dict[str, Filter] = {}

    def segments(self, dataset: Dataset, slug: str, span: Span | None = None) -> list[Segment]:
        """Segments of a market, sealed first, then by blocks; only those that touch ``span``.

        Raises LakeError for a file that is not one of l2liq's or was damaged.
        """
        places = [folder_of(dataset, slug), folder_of(dataset, slug, sealed=False)]
        found = [
            one
            for place, name in zip(places, _NAMES, strict=True)
            for one in self._in(place, name, dataset, slug, span)
        ]
        return [segment for segment in found if span is None or segment.span.intersection(span)]

    def _in(
        self, folder: str, pattern: re.Pattern[str], dataset: Dataset, slug: str, span: Span | None
    ) -> list[Segment]:
        wanted = []
        for key in self.store.keys(folder):
            named = pattern.fullmatch(key.rpartition("/")[2])
            if not named:
                raise LakeError(f"{key}: not a file of l2liq. Move it out of the lake.")
            first, last = named["first"], named["last"]
            if span is None or not first or (int(last) >= span.start and int(first) < span.stop):
                wanted.append(key)
        self.store.bring(wanted)
        found = []
        for key in wanted:
            try:
                found.append(self._segment(dataset, slug, key))
            except FileNotFoundError:  # replaced or quarantined since the folder was listed
                continue
        order = list(Status)
        return sorted(found, key=lambda one: (order.index(one.status), one.span, one.root))

    def _segment(self, dataset: Dataset, slug: str, key: str) -> Segment:
        stamp = self.store.stamp(key)
        known = self._known.get((key, stamp))
        if known is None:
            known = self._parse(dataset, slug, key, stamp[2])
            self._known[key, stamp] = known
        return known

    def _parse(self, dataset: Dataset, slug: str, key: str, size: int) -> Segment:
        with self._file(key) as file:
            text = (file.metadata.metadata or {}).get(FOOTER_KEY)
            rows, schema = file.metadata.num_rows, file.schema_arrow
        if text is None:
            raise LakeError(f"{key}: a Parquet file that l2liq did not write. Move it out of the lake.")
        try:
            footer = Footer.model_validate_json(text)
        except ValidationError as error:
            if _newer(text):
                raise LakeError(f"{key}: written by a newer l2liq. Install that version to read this lake.") from error
            raise LakeError(f"{key}: its footer cannot be read. {REPAIR}") from error
        span = Span(footer.start, footer.stop)
        name = key.rpartition("/")[2]
        misplaced = (footer.dataset, footer.market) != (dataset.name, slug) or (
            footer.status == Status.SEALED and not name.startswith(span.name)
        )
        if misplaced:
            raise LakeError(f"{key}: holds {footer.dataset} of {footer.market}, {span}. Put it back where it belongs.")
        if rows != footer.rows or not schema.equals(dataset.schema):
            raise LakeError(f"{key}: its rows or columns are not those its footer names. {REPAIR}")
        return Segment(
            key, dataset, span, Status(footer.status), Linkage(footer.linkage), footer.source, footer.chain_id,
            footer.rows, bytes.fromhex(footer.root[2:]), self._filter(footer), size,
        )  # fmt: skip

    def _filter(self, footer: Footer) -> Filter | None:
        if footer.filter is None:
            return None
        text = json.dumps(footer.filter)
        if text not in self._filters:
            self._filters[text] = filter_from_json(footer.filter)
        return self._filters[text]

    def write(
        self, dataset: Dataset, slug: str, key: str, span: Span, table: pa.Table, wanted: Filter | None,
        status: Status, origin: Origin,
    ) -> Segment:  # fmt: skip
        """Publish a canonical table as one segment; it counts once its footer and root were read back."""
        root = table_root(table)
        footer = Footer(
            lake_version=LAKE_VERSION, dataset=dataset.name, market=slug, chain_id=origin.chain_id,
            start=span.start, stop=span.stop, status=status.value, linkage=origin.linkage.value,
            source=without_secrets(origin.source), rows=table.num_rows, root="0x" + root.hex(),
            filter=None if wanted is None else filter_to_json(wanted),
        )  # fmt: skip
        marked = table.replace_schema_metadata({FOOTER_KEY: footer.model_dump_json()})

        def check(path: Path) -> None:
            written = pq.read_table(path, page_checksum_verification=True, partitioning=None)
            if not written.equals(marked, check_metadata=True):
                raise LakeError(
                    f"{key}: what was written reads back differently. Check the disk and run the same command again."
                )

        self.store.publish(key, lambda path: write_parquet(marked, path), check, once=status is Status.SEALED)
        return self._segment(dataset, slug, key)

    def batches(
        self, segment: Segment, span: Span | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """Rows of a segment within ``span`` in order, one row group at a time."""
        try:
            yield from self._row_groups(segment, span, columns)
        except FileNotFoundError as error:
            raise LakeError(f"{segment.key}: moved away while it was read. Run the same command again.") from error

    def _row_groups(self, segment: Segment, span: Span | None, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        with self._file(segment.key) as file:
            block = file.schema_arrow.names.index(segment.dataset.block)
            for number in range(file.num_row_groups):
                if not file.metadata.row_group(number).num_rows:
                    continue
                statistics = file.metadata.row_group(number).column(block).statistics
                if span is not None and (statistics.max < span.start or statistics.min >= span.stop):
                    continue
                table = file.read_row_group(number, columns=None if columns is None else list(columns))
                yield within(table.replace_schema_metadata(), segment.dataset, span)

    def table(self, segment: Segment, span: Span | None = None) -> pa.Table:
        """All rows of a segment within ``span``."""
        parts = list(self.batches(segment, span))
        return pa.concat_tables([segment.dataset.schema.empty_table(), *parts]).combine_chunks()

    def _file(self, key: str) -> _Readable:
        return _Readable(self.store, key)


class _Readable:
    """A Parquet file, closed at the end of the block; what cannot be read is a LakeError that names it."""

    def __init__(self, store: Storage, key: str) -> None:
        self._store, self._key = store, key

    def __enter__(self) -> pq.ParquetFile:
        self._source = self._store.open(self._key)
        try:
            self._file = pq.ParquetFile(self._source, page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
            self._source.close()
            raise self._damaged(error) from error
        return self._file

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._source.close()
        if isinstance(error, pa.ArrowException | OSError) and not isinstance(error, L2LiqError):
            raise self._damaged(error) from error

    def _damaged(self, error: BaseException) -> LakeError:
        return LakeError(f"{self._key}: damaged or cut short ({str(error).splitlines()[0][:120]}). {REPAIR}")


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table the way all files of a lake are written: zstd, fixed row groups, checksums on pages.

    Addresses, hashes and data have no statistics: their least and greatest tell nobody which rows to skip.
    """
    kinds = {field.name: field.type for field in table.schema}
    flat = not any(map(pa.types.is_nested, kinds.values()))
    opaque = {name for name, kind in kinds.items() if pa.types.is_fixed_size_binary(kind) or pa.types.is_binary(kind)}
    pq.write_table(
        table, path, row_group_size=ROW_GROUP_ROWS, compression="zstd", write_page_checksum=True,
        use_dictionary=[name for name in kinds if name not in _OF_THE_BLOCK] if flat else True,
        write_statistics=[name for name in kinds if name not in opaque] if flat else True,
    )  # fmt: skip


def within(table: pa.Table, dataset: Dataset, span: Span | None) -> pa.Table:
    """Rows of a table ordered by block that lie in ``span``."""
    if span is None or not table.num_rows:
        return table
    blocks = table.column(dataset.block).to_numpy()
    start, stop = blocks.searchsorted([span.start, span.stop])
    return table.slice(start, stop - start)


def filter_to_json(wanted: Filter) -> dict[str, list[str] | None]:
    """A filter as JSON: address to topic0 values, null = all; sorted, 0x hex."""
    return {
        "0x" + address.hex(): None if topics is None else sorted("0x" + topic.hex() for topic in topics)
        for address, topics in sorted(wanted.topics.items())
    }


def filter_from_json(value: dict[str, list[str] | None]) -> Filter:
    """The filter that :func:`filter_to_json` wrote."""
    return Filter(
        {
            bytes.fromhex(address[2:]): None
            if topics is None
            else frozenset(bytes.fromhex(topic[2:]) for topic in topics)
            for address, topics in value.items()
        }
    )


def without_secrets(source: str) -> str:
    """A source's label with everything of a URL but scheme and host removed: keys hide in users, paths and queries."""
    if "://" not in source:
        return source
    parts = urlsplit(source)
    return f"{parts.scheme}://{parts.hostname or ''}"


def _newer(text: bytes) -> bool:
    try:
        found: Any = json.loads(text)
        return int(found["lake_version"]) > LAKE_VERSION
    except (ValueError, KeyError, TypeError):
        return False

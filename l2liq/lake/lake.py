"""The lake: the one door to everything l2liq keeps on disk (DESIGN §7).

Reading needs no lock and never waits. Writing the chain's data goes through :meth:`Lake.writer`, one per market at a
time across all processes; caches, runs and the catalog guard themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from l2liq.errors import InputError, LakeError
from l2liq.events.commitment import tree_root
from l2liq.lake import catalog, queries, releasing, sealing
from l2liq.lake.beacons import Beacons
from l2liq.lake.caches import Cache, EventCache
from l2liq.lake.charter import Charter
from l2liq.lake.coverage import Coverage
from l2liq.lake.datasets import DATASETS, LOG_DATA, Dataset, Grid, Span, Status, slug_of
from l2liq.lake.judgements import Judgements
from l2liq.lake.location import storage_at
from l2liq.lake.nights import Nights
from l2liq.lake.quarantining import Decision, Quarantine, Quarantined, Reason, Verdict
from l2liq.lake.queries import Query
from l2liq.lake.reading import stream
from l2liq.lake.runs import FOLDER as RUNS
from l2liq.lake.runs import MANIFEST, Run, Runs
from l2liq.lake.segments import SCHEMA_FOLDER, Segment, Shelf, folder_of, within
from l2liq.lake.status import FOLDERS, LakeStatus, MarketStatus, market_status
from l2liq.lake.tables import Mask, one_of
from l2liq.lake.writer import Writer


class Lake:
    """An open lake. Make one with :meth:`create` or :meth:`open`.

    Markets are named as in the registry (``aave-v3/arbitrum``) or by their slug (``aave-v3-arbitrum``).

    Attributes
    ----------
    path : where it lies, as :meth:`open` takes it: a folder, or ``s3://bucket/prefix``
    folder : the same folder, or the one that holds this machine's copies and caches of an object store's lake
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._storage = storage_at(path)
        self.folder = self._storage.folder
        self._charter = Charter(self._storage)
        self._shelf = Shelf(self._storage)
        self._quarantine = Quarantine(self._storage)
        self._runs = Runs(self._storage)

    @classmethod
    def create(cls, path: Path) -> Lake:
        """Make an empty lake at ``path``, or open the one that is there.

        Raises LakeError where ``path`` holds something else, cannot be written, or is of a newer version.
        """
        lake = cls(path)
        if not lake._charter.found():
            lake._charter.found_lake()
        lake._charter.read()
        catalog.write_empty_files(lake.folder)
        return lake

    @classmethod
    def open(cls, path: Path) -> Lake:
        """Open a lake for reading (and for writing, where the folder allows it).

        Raises LakeError where there is none, it is no lake, or it is of a newer version.
        """
        lake = cls(path)
        lake._charter.read()
        return lake

    @property
    def name(self) -> str:
        """As messages name it: a folder, or ``s3://bucket/prefix``."""
        return self._storage.name

    # --- the chain's data --------------------------------------------------------------------------------------------

    def grid(self, chain_id: int, cell_blocks: int) -> Grid:
        """The cells of a chain; the first caller's ``cell_blocks`` is recorded, another number later is a LakeError."""
        return self._charter.grid(chain_id, cell_blocks)

    def markets(self) -> tuple[str, ...]:
        """Slugs of the markets that have logs, in alphabetical order."""
        found = {name for place in ("logs", "tail/logs") for name in self._storage.folders(place)}
        return tuple(sorted(found - {SCHEMA_FOLDER}))

    def coverage(self, market: str) -> Coverage:
        """Which blocks were looked at for which addresses."""
        slug = slug_of(market)
        segments = tuple(self._shelf.segments(LOG_DATA, slug))
        cells = self._charter.read().chains.get(str(segments[0].chain_id)) if segments else None
        return Coverage(slug, segments, cells.cell_blocks if cells else None)

    def read_logs(
        self,
        market: str,
        span: Span | None = None,
        *,
        addresses: Collection[bytes] | None = None,
        topics: Collection[bytes] | None = None,
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.Table]:
        """Logs of a market in total order, in tables of some ten thousand rows; memory does not grow with the market.

        ``topics`` filters by topic0. Sealed segments, supplements, tail and data as found in files are merged; where a
        sealed segment covers a block and address, it alone speaks, and where the tail does, files do not.
        """

        def keep(table: pa.Table) -> Mask:
            mask = np.ones(table.num_rows, dtype=bool)
            if addresses is not None:
                mask &= one_of(table.column("address"), addresses)
            if topics is not None:
                mask &= one_of(table.column("topic0"), topics)
            return mask

        wanted = LOG_DATA.schema.names if columns is None else list(columns)
        read = list(dict.fromkeys([*wanted, *LOG_DATA.key, "address", "topic0"]))
        segments = self._shelf.segments(LOG_DATA, slug_of(market), span)
        for table in stream(self._shelf, segments, span, read, keep):
            yield table.select(wanted)

    def read(self, dataset: Dataset, market: str, span: Span | None = None) -> pa.Table:
        """All rows of a dataset other than LOG_DATA of a market, in order of their key."""
        segments = self._shelf.segments(dataset, slug_of(market), span)
        parts = list(stream(self._shelf, segments, span, None, None))
        return pa.concat_tables([dataset.schema.empty_table(), *parts]).combine_chunks()

    def dataset_root(self, market: str, span: Span | None = None) -> bytes:
        """The identity of everything that reading the market (within ``span``) would give; 32 bytes.

        RFC 6962 tree over the ordered roots of the segments that touch ``span``, one tree per dataset and another for
        what is not sealed. The same segments sealed in any order give the same root.
        """
        slug = slug_of(market)
        held = [segment for dataset in DATASETS for segment in self._shelf.segments(dataset, slug, span)]
        trees = [
            _tree([one for one in held if one.dataset is dataset and one.status is Status.SEALED])
            for dataset in DATASETS
        ]
        loose = [one for one in held if one.status is not Status.SEALED]
        return tree_root([*trees, *([_tree(loose)] if loose else [])])

    def verify(self, market: str) -> list[str]:
        """Re-hash every segment of a market; one sentence per segment whose rows are not what was sealed."""
        slug = slug_of(market)
        segments = [segment for dataset in DATASETS for segment in self._shelf.segments(dataset, slug)]
        return [problem for segment in segments if (problem := sealing.damaged(self._shelf, segment))]

    @contextmanager
    def writer(self, market: str, chain_id: int) -> Iterator[Writer]:
        """The right to write one market. LakeError naming the holder while another process has it.

        Whatever a killed writer left half-written is deleted on entering.
        """
        slug = slug_of(market)
        self._charter.read()
        with self._storage.exclusive(f"market-{slug}", f"writing {slug}"):
            known = next(iter(self._shelf.segments(LOG_DATA, slug)), None)
            if known is not None and known.chain_id != chain_id:
                raise InputError(
                    f"{slug} is on chain {known.chain_id} in this lake, not {chain_id}. Use another name or lake."
                )
            for dataset in DATASETS:
                self._shelf.store.sweep(folder_of(dataset, slug))
                self._shelf.store.sweep(folder_of(dataset, slug, sealed=False))
            yield Writer(self._shelf, self._quarantine, slug, chain_id)

    def quarantine(self, thing: pa.Table | bytes, *, reason: Reason, place: str) -> Path:
        """Put away what was refused, with the reason and where it came from; returns its folder."""
        return self._quarantine.put(thing, reason, place)

    def quarantined(self) -> list[Quarantined]:
        """What lies in quarantine and waits for a decision, oldest first."""
        return [one for one in self._quarantine.all() if one.decision is None]

    def quarantine_history(self) -> list[Quarantined]:
        """Everything that ever lay in quarantine, oldest first, with what was decided about it."""
        return self._quarantine.all()

    def find_quarantined(self, name: str) -> Quarantined:
        """A refusal by its id or a unique beginning of it. InputError where there is none or several."""
        return self._quarantine.find(name)

    def quarantined_rows(self, one: Quarantined) -> pa.Table:
        """The rows of a refusal of kind ROWS."""
        return self._quarantine.rows(one)

    def release(self, one: Quarantined, *, who: str, reason: str) -> Decision:
        """Let a refusal go, by a person's word, which is recorded.

        Rows are offered to the next ingest of their blocks (:meth:`released_logs`); segments are put back where they
        were; of bytes it is only noted that they were dealt with. Raises InputError where another decision was made,
        rows contradict each other, or other segments lie where these were; ReorgError as sealing does.
        """
        return releasing.release(self._quarantine, self._shelf, self._storage, one, who, reason)

    def discard(self, one: Quarantined, *, who: str, reason: str) -> Decision:
        """Delete what lies in quarantine, by a person's word, which is recorded and stays."""
        releasing.require_open(one)
        return self._quarantine.decide(one, Verdict.DISCARDED, who, reason)

    def released_logs(self, span: Span) -> pa.Table:
        """Logs of these blocks that were refused once and released (schema LOGS), the last decision's last."""
        parts = [within(table, LOG_DATA, span) for table in self._quarantine.released_rows()]
        return pa.concat_tables([LOG_DATA.schema.empty_table(), *parts])

    def keep_market_file(self, market: str, text: str) -> None:
        """Keep what describes a market (YAML), in place of what was kept before."""
        key = f"markets/{slug_of(market)}.yaml"
        content = text.encode()
        if not self._storage.exists(key) or self._storage.read(key) != content:
            self._storage.put(key, content)

    def market_files(self) -> list[Path]:
        """The files that describe the lake's markets, as far as they are kept."""
        keys = [key for key in self._storage.keys("markets") if key.endswith(".yaml")]
        self._storage.bring(keys)
        return [self._storage.local(key) for key in keys]

    # --- caches ------------------------------------------------------------------------------------------------------

    def market_cache(self, market: str) -> Cache:
        """Snapshots of the folded market: tables and a JSON document per key (dataset root, ABI hash, code version)."""
        return Cache(self.folder, "markets", slug_of(market))

    def event_cache(self, protocol: str, market: str) -> EventCache:
        """Decoded events of a market, one Parquet file per event and quarter."""
        return EventCache(self.folder, slug_of(protocol), slug_of(market))

    # --- runs --------------------------------------------------------------------------------------------------------

    def publish_run(
        self, run_id: str, manifest: Mapping[str, Any], tables: Mapping[str, pa.Table], report_html: str | None = None
    ) -> Run:
        """Make a run exist, all at once. An id that exists already is that run and is returned unchanged."""
        return self._runs.publish(run_id, manifest, tables, report_html)

    def write_report(self, run_id: str, report_html: str) -> Path:
        """Put a report in place of a run's former one; the run's data stays."""
        return self._runs.write_report(run_id, report_html)

    def write_run_index(self, page_html: str) -> Path:
        """Put the page that lists all runs in place of the former one; where it lies."""
        return self._runs.write_index(page_html)

    def runs(self) -> list[Run]:
        """All runs, newest first."""
        return self._runs.all()

    def broken_runs(self) -> list[tuple[Path, str]]:
        """Folders of runs that cannot be read, and why; the other runs are not disturbed."""
        return self._runs.broken()

    def read_run(self, run: str = "latest") -> Run:
        """A run by id, by a unique beginning of it, or ``latest``. InputError where there is none or several."""
        return self._runs.find(run)

    def nights(self) -> Nights:
        """What nightly runs keep beside the runs themselves."""
        return Nights(self._storage)

    def judgements(self) -> Judgements:
        """What was judged of the lake's data."""
        return Judgements(self._storage)

    # --- catalog, queries, status ------------------------------------------------------------------------------------

    def rebuild_catalog(self) -> Path:
        """Write ``catalog.duckdb`` anew and swap it in; readers are not disturbed."""
        return catalog.rebuild(self.folder)

    def query(self, sql: str) -> Query:
        """Run one SELECT over the catalog's views; nothing can be written, nothing outside the lake read."""
        if self.folder != self.path:  # a lake on this machine has its empty files since it was made
            self._storage.refresh([*(one.name for one in DATASETS), "tail"])
            self._storage.refresh([RUNS], last=MANIFEST)
            catalog.write_empty_files(self.folder)
        return queries.run(self.folder, sql)

    def show_stream(self, market: str, document: Mapping[str, Any]) -> None:
        """Keep what a market's stream says of itself, for :meth:`status`."""
        Beacons(self._storage).show(slug_of(market), document)

    def status(self) -> LakeStatus:
        """Coverage, tail, quarantine, disk use, the last run; a market that cannot be read is named with the reason."""
        runs = self.runs()
        return LakeStatus(
            name=self.name,
            markets=tuple(self._status(slug) for slug in self.markets()),
            quarantined=tuple(self.quarantined()),
            bytes_on_disk=self._storage.sizes(FOLDERS),
            last_run=runs[0] if runs else None,
            streams=Beacons(self._storage).all(),
            broken_runs=tuple(self.broken_runs()),
        )

    def _status(self, slug: str) -> MarketStatus:
        try:
            return market_status(self.coverage(slug))
        except (LakeError, InputError) as error:
            return MarketStatus(slug, problem=str(error))


def _tree(segments: list[Segment]) -> bytes:
    """Root over segments as a shelf lists them: by dataset, status, blocks and root, whenever they were sealed."""
    return tree_root([one.root for one in segments])

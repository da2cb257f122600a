"""The lake: the one door to everything l2liq keeps on disk (DESIGN §7).

Reading needs no lock and never waits. Writing the chain's data goes through :meth:`Lake.writer`, one per market at a time
across all processes; caches, runs and the catalog guard themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from l2liq.events.filter import Filter
from l2liq.lake.datasets import Dataset, Grid, Linkage, Span


class Lake:
    """An open lake. Make one with :meth:`create` or :meth:`open`.

    Markets are named as in the registry (``aave-v3/arbitrum``) or by their slug (``aave-v3-arbitrum``).
    """

    path: Path

    @classmethod
    def create(cls, path: Path) -> Lake:
        """Make an empty lake at ``path``, or open the one that is there.

        Raises LakeError where ``path`` holds something else, cannot be written, or is of a newer version.
        """
        raise NotImplementedError

    @classmethod
    def open(cls, path: Path) -> Lake:
        """Open a lake for reading (and for writing, where the folder allows it).

        Raises LakeError where there is none, it is no lake, or it is of a newer version.
        """
        raise NotImplementedError

    # --- the chain's data: reading -----------------------------------------------------------------------------------

    def grid(self, chain_id: int, cell_blocks: int | None = None) -> Grid:
        """The cells of a chain; the first caller's ``cell_blocks`` is recorded, another number later is a LakeError."""
        raise NotImplementedError

    def markets(self) -> tuple[str, ...]:
        """Slugs of the markets that have data."""
        raise NotImplementedError

    def coverage(self, market: str) -> Coverage:
        """Which blocks were looked at for which addresses."""
        raise NotImplementedError

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
        sealed segment covers a block and address, it alone speaks.
        """
        raise NotImplementedError

    def read(self, dataset: Dataset, market: str, span: Span | None = None) -> pa.Table:
        """All rows of BLOCK_DATA, RECEIPT_DATA or OBSERVATION_DATA of a market, in order of their key."""
        raise NotImplementedError

    def dataset_root(self, market: str, span: Span | None = None) -> bytes:
        """The identity of everything that reading the market (within ``span``) would give; 32 bytes.

        RFC 6962 tree over the ordered roots of the segments; the same segments sealed in any order give the same root.
        """
        raise NotImplementedError

    def verify(self, market: str) -> list[str]:
        """Re-hash every segment of a market; one sentence per segment whose rows are not what was sealed."""
        raise NotImplementedError

    # --- the chain's data: writing -----------------------------------------------------------------------------------

    def writer(self, market: str, chain_id: int) -> Writer:
        """The right to write one market, as a context manager. LakeError naming the holder while another has it."""
        raise NotImplementedError

    def quarantine(self, thing: pa.Table | bytes, *, reason: str, place: str) -> Path:
        """Put away what was refused, with the reason and where it came from; returns its folder."""
        raise NotImplementedError

    def quarantined(self) -> list[Quarantined]:
        """What lies in quarantine, oldest first."""
        raise NotImplementedError

    # --- caches ------------------------------------------------------------------------------------------------------

    def market_cache(self, market: str) -> Cache:
        """Snapshots of the folded market: tables and a JSON document per key (dataset root, ABI hash, code version)."""
        raise NotImplementedError

    def event_cache(self, protocol: str, market: str) -> EventCache:
        """Decoded events of a market, one Parquet file per event and quarter."""
        raise NotImplementedError

    # --- runs --------------------------------------------------------------------------------------------------------

    def publish_run(
        self, run_id: str, manifest: Mapping[str, Any], tables: Mapping[str, pa.Table], report_html: str | None = None
    ) -> Run:
        """Make a run exist, all at once. An id that exists already is that run and is returned unchanged."""
        raise NotImplementedError

    def runs(self) -> list[Run]:
        """All runs, newest first."""
        raise NotImplementedError

    def read_run(self, run: str = "latest") -> Run:
        """A run by id, by a unique beginning of it, or ``latest``. InputError where there is none or several."""
        raise NotImplementedError

    # --- catalog, queries, status ------------------------------------------------------------------------------------

    def rebuild_catalog(self) -> Path:
        """Write ``catalog.duckdb`` anew and swap it in; readers are not disturbed."""
        raise NotImplementedError

    def query(self, sql: str) -> Query:
        """Run one SELECT over the catalog's views; nothing can be written, nothing outside the lake read."""
        raise NotImplementedError

    def status(self) -> LakeStatus:
        """Coverage, tail, quarantine, disk use and the last run."""
        raise NotImplementedError


class Writer:
    """The right to write one market's data; ``with lake.writer(market, chain_id) as writer:``."""

    def seal_logs(self, span: Span, table: pa.Table, wanted: Filter, *, linkage: Linkage, source: str) -> list[Segment]:
        """Seal the logs of ``span`` (a cell, or a piece of a closed study window) for a filter.

        ``table`` holds exactly the logs that ``wanted`` lets through, in any order, repeated or not; no rows means
        "looked, nothing there". What is sealed already for part of the blocks or addresses must agree to the byte
        and is not written again; the rest becomes new files beside it (``<blocks>.s1.parquet`` …). Returns what was new.

        Raises
        ------
        ReorgError
            The rows differ from what is sealed for the same blocks and addresses. Nothing is overwritten.
        InputError
            A row is outside ``span`` or ``wanted``, or a column is missing or of another type.
        DuplicateLogError
            Two different rows at one position.
        """
        raise NotImplementedError

    def seal(self, dataset: Dataset, span: Span, table: pa.Table, *, linkage: Linkage, source: str) -> list[Segment]:
        """Seal rows of BLOCK_DATA, RECEIPT_DATA or OBSERVATION_DATA; rows that are there already must be equal."""
        raise NotImplementedError

    def replace_tail(
        self, dataset: Dataset, span: Span, table: pa.Table, wanted: Filter | None = None, *, source: str
    ) -> None:
        """Keep rows behind the last sealed block for now: replaces the market's former tail of this dataset."""
        raise NotImplementedError

    def keep_as_found(self, table: pa.Table, *, source: str) -> None:
        """Keep the logs of a file that is not declared complete: usable, flagged, and sealing nothing."""
        raise NotImplementedError

    def unseal_from(self, block: int, *, reason: str) -> list[str]:
        """Move every segment that reaches ``block`` or beyond, and the tail, to quarantine; returns their names."""
        raise NotImplementedError

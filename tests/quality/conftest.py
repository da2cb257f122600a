"""The bundled sample, sealed and loaded once. Shared: to change it, take a copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2liq.chains.markets import Listing, find_market
from l2liq.lake import Lake, Span
from pipelines.ingest.file_job import FileWish, ingest_files
from pipelines.ingest.outcome import Outcome
from pipelines.market import load_market
from pipelines.sources.logfiles import LogFile
from tests.e2e.cli import LOGS, MARKET, SAMPLE, STOP


@pytest.fixture(scope="session")
def listing() -> Listing:
    return find_market(str(MARKET))


def ingest(lake: Path, listing: Listing, logs: Path = LOGS, until: int = STOP) -> Outcome:
    """Seal the sample's logs, or others in their place."""
    wish = FileWish(Span(0, until), blocks=(SAMPLE / "blocks.parquet",))
    return ingest_files(lake, listing, [LogFile(logs, None, listing.chain, None)], wish)


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory, listing: Listing) -> Path:
    path = tmp_path_factory.mktemp("sealed") / "lake"
    ingest(path, listing)
    load_market(Lake.open(path), listing)
    return path


@pytest.fixture
def lake(sealed: Path, tmp_path: Path) -> Lake:
    return Lake.open(shutil.copytree(sealed, tmp_path / "lake", symlinks=True))


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Callable[[pa.Table], pa.Table]], Path]:
    """A file with the sample's logs, changed."""

    def write(change: Callable[[pa.Table], pa.Table]) -> Path:
        path = tmp_path / "changed.parquet"
        pq.write_table(change(pq.read_table(LOGS)), path)
        return path

    return write

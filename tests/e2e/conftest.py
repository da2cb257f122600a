"""Lakes with the bundled sample."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.e2e.cli import LOGS, ingesting, l2liq, quick


@pytest.fixture(scope="session")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the bundled sample sealed. Shared: to change it, take a copy."""
    lake = tmp_path_factory.mktemp("sampled") / "lake"
    assert l2liq(*ingesting(), lake=lake).code == 0
    return lake


@pytest.fixture(scope="session")
def backtested(sampled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with one run, a quick one. Shared: to change it, take a copy."""
    folder = tmp_path_factory.mktemp("backtested")
    lake = shutil.copytree(sampled, folder / "lake", symlinks=True)
    (folder / "quick.yaml").write_text(quick())
    assert l2liq("backtest", folder / "quick.yaml", lake=lake).code == 0
    return lake


@pytest.fixture(scope="session")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake whose logs lack two hundred blocks that somebody declared complete."""
    folder = tmp_path_factory.mktemp("lacking")
    logs = pq.read_table(LOGS)
    inside = pc.and_(pc.greater_equal(logs["block_number"], 1500), pc.less(logs["block_number"], 1700))
    pq.write_table(logs.filter(pc.invert(inside)), folder / "logs.parquet")
    assert l2liq(*ingesting(folder / "logs.parquet"), lake=folder / "lake").code == 0
    return folder / "lake"

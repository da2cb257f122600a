"""Lakes that cannot be read or written, full disks: one sentence, exit code 3, and nothing lost."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cli import MARKET, ingesting, l2liq, quick, roots

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli")]

READING = [
    ("status",), ("runs",), ("report",), ("verify",), ("query", "SELECT 1"), ("check", "--market", MARKET),
]  # fmt: skip


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_where_no_lake_is_every_command_says_so(tmp_path: Path, words: tuple[object, ...]) -> None:
    told = l2liq(*words, lake=tmp_path / "lake").refusal(3)
    assert "there is no lake here. Make one with `l2liq ingest`, or name another with --lake" in told
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_no_lake_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.doc").write_text("mine")
    for place, message in {
        tmp_path / "mine": "not a lake",
        tmp_path / "mine" / "thesis.doc": "part of the path is a file|a file is where the folder should be",
        tmp_path / "mine" / "thesis.doc" / "lake": "part of the path is a file|there is no lake here",
        tmp_path / ("x" * 300): "name too long|there is no lake here",
    }.items():
        for words in (("status",), ingesting()):
            told = l2liq(*words, lake=place).refusal(3)
            assert re.search(message, told), told
    assert (tmp_path / "mine" / "thesis.doc").read_text() == "mine"
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "thesis.doc"]


def test_a_damaged_segment_is_named_with_the_remedy(sampled: Path, tmp_path: Path) -> None:
    lake = shutil.copytree(sampled, tmp_path / "lake", symlinks=True)
    segment = sorted((lake / "logs").glob("aave*/*.parquet"))[1]
    segment.write_bytes(segment.read_bytes()[:1000])
    told = l2liq("check", "--market", MARKET, lake=lake).refusal(3)
    assert segment.name in told
    told = l2liq(*ingesting(), lake=lake).refusal(3)
    assert segment.name in told


def test_a_deleted_segment_is_a_gap_that_the_same_ingest_closes(sampled: Path, tmp_path: Path) -> None:
    lake = shutil.copytree(sampled, tmp_path / "lake", symlinks=True)
    sorted((lake / "logs").glob("aave*/*.parquet"))[1].unlink()
    told = l2liq("check", "--market", MARKET, lake=lake).refusal()
    assert re.search(r"blocks 500.999.*missing.*l2liq ingest", told), told
    assert l2liq(*ingesting(), lake=lake).code == 0
    assert roots(lake) == roots(sampled)


@pytest.fixture
def read_only(sampled: Path, tmp_path: Path) -> Iterator[Path]:
    """A lake without permission to write."""
    lake = shutil.copytree(sampled, tmp_path / "lake", symlinks=True)
    places = [lake, *lake.rglob("*")]
    modes = {place: place.stat().st_mode for place in places}
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    yield lake
    for place, mode in modes.items():
        place.chmod(mode)


def test_a_lake_that_may_not_be_written_can_be_read_and_says_so(read_only: Path, tmp_path: Path) -> None:
    before = roots(read_only)
    (tmp_path / "quick.yaml").write_text(quick())
    for words in (ingesting(), ("backtest", tmp_path / "quick.yaml")):
        told = l2liq(*words, lake=read_only, powerless=True).refusal(3)
        assert "ermission denied" in told, told
        assert "another lake" in told or "--lake" in told, told
    for words in (("status",), ("runs",), ("query", "SELECT count(*) FROM logs")):
        assert l2liq(*words, lake=read_only, powerless=True).code == 0
    assert roots(read_only) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB where mounting is allowed, else a folder."""
    place = tmp_path / "disk"
    place.mkdir()
    size = ("-o", "size=1m")
    mounted = subprocess.run(["mount", "-t", "tmpfs", *size, "l2liq", place], capture_output=True).returncode == 0
    yield place
    if mounted:
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_one_sentence_and_with_room_the_same_command_finishes(sampled: Path, small_disk: Path) -> None:
    lake, mounted = small_disk / "lake", os.path.ismount(small_disk)
    told = l2liq(*ingesting(), lake=lake, file_limit=None if mounted else 100_000).refusal(3)
    assert re.search("disk is full|No space left|file size limit", told), told
    for span, root in roots(lake).items():
        assert roots(sampled)[span] == root
    if mounted:
        subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert l2liq(*ingesting(), lake=lake).code == 0
    assert roots(lake) == roots(sampled)


def test_a_file_size_limit_is_one_sentence_and_without_it_the_same_command_finishes(
    sampled: Path, tmp_path: Path
) -> None:
    told = l2liq(*ingesting(), lake=tmp_path / "lake", file_limit=50_000).refusal(3)
    assert "file size limit" in told or "too large" in told.lower(), told
    assert l2liq(*ingesting(), lake=tmp_path / "lake").code == 0
    assert roots(tmp_path / "lake") == roots(sampled)


def test_a_run_that_finds_the_disk_full_is_no_run(sampled: Path, tmp_path: Path) -> None:
    lake = shutil.copytree(sampled, tmp_path / "lake", symlinks=True)
    (tmp_path / "quick.yaml").write_text(quick())
    told = l2liq("backtest", tmp_path / "quick.yaml", lake=lake, file_limit=100_000).refusal(3)
    assert "file size limit" in told or "too large" in told.lower(), told
    assert l2liq("runs", "--json", lake=lake).out == "[]\n"
    assert l2liq("backtest", tmp_path / "quick.yaml", lake=lake).code == 0
    assert roots(lake) == roots(sampled)

"""The lake under fire: kill -9 before every system call, full disks, two at once, no right to write."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2liq.errors import LakeError
from l2liq.lake import LOG_DATA, Lake, Span
from l2liq.lake.publish import publish, publish_bytes
from l2liq.lake.segments import write_parquet
from tests import lake_work
from tests.lake_tables import CHAIN, MARKET, POOL, everything, files, logs, places, seal

PROCESSES = multiprocessing.get_context("forkserver")
KILLS = 30
"""Steps before which a piece of work is killed; where it has more, so many are drawn."""


@pytest.fixture(scope="module", autouse=True)
def _forks_that_have_everything_imported() -> Iterator[None]:
    """The server of forks finds the tests by PYTHONPATH; a fork costs milliseconds, a fresh process a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        PROCESSES.set_forkserver_preload(["tests.lake_work"])
        assert run(lake_work.nothing) == 0
        yield


def run(target: Callable[..., None], *args: Any) -> int | None:
    """Run in another process; its exit code, negative for a signal."""
    process = PROCESSES.Process(target=target, args=args)
    process.start()
    process.join()
    return process.exitcode


def visible(lake: Path) -> set[str]:
    """Every file a reader or a glob of the catalog could see."""
    return {
        str(path.relative_to(lake))
        for path in lake.rglob("*.*")
        if path.suffix in (".parquet", ".json", ".duckdb", ".html")
    }


def leftovers(lake: Path) -> list[Path]:
    return list(lake.rglob("*.tmp-*"))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "lake"
    Lake.create(path)
    return path


@pytest.fixture(scope="module")
def ingested(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ingested") / "lake"
    shutil.copytree(empty, path, symlinks=True)
    lake_work.ingest(path)
    return path


def killed_everywhere(work: Callable[[Path], None], start: Path | None, tmp_path: Path) -> Iterator[Path]:
    """Copies of ``start`` on which ``work`` was killed before its first, second, … step."""
    counted = PROCESSES.Value("q", 0)
    whole = tmp_path / "whole"
    if start is not None:
        shutil.copytree(start, whole, symlinks=True)
    assert run(lake_work.count_steps, work, whole, counted) == 0
    assert counted.value > 20
    steps = range(counted.value)
    for step in steps if len(steps) <= KILLS else sorted(random.Random(1).sample(steps, KILLS)):
        path = tmp_path / f"step-{step}"
        if start is not None:
            shutil.copytree(start, path, symlinks=True)
        assert run(lake_work.die_before, work, path, step) == -signal.SIGKILL
        yield path
        shutil.rmtree(path, ignore_errors=True)


@pytest.mark.slow
def test_a_kill_anywhere_in_an_ingest_leaves_whole_segments_only_and_the_next_one_finishes(
    empty: Path, ingested: Path, tmp_path: Path
) -> None:
    expected, root = visible(ingested), Lake.open(ingested).dataset_root(MARKET)
    whole = {name: (ingested / name).read_bytes() for name in expected if name.startswith(("logs", "blocks", "tail"))}
    seen = 0
    for path in killed_everywhere(lake_work.ingest, empty, tmp_path):
        lake = Lake.open(path)
        assert visible(path) <= expected
        assert all((path / name).read_bytes() == whole[name] for name in visible(path) & whole.keys())
        assert lake.verify(MARKET) == []
        seen = max(seen, len(leftovers(path)))
        lake_work.ingest(path)
        assert lake.dataset_root(MARKET) == root
        assert visible(path) == expected
        assert leftovers(path) == []
    assert seen, "no kill left anything half-written: the steps do not reach into publish"


@pytest.mark.slow
def test_a_kill_anywhere_in_unsealing_leaves_a_history_without_a_hole_and_loses_nothing(
    ingested: Path, tmp_path: Path
) -> None:
    before = {
        path.read_bytes() for folder in ("logs", "blocks", "tail") for path in (ingested / folder).rglob("*.parquet")
    }
    for path in killed_everywhere(lake_work.unseal, ingested, tmp_path):
        lake = Lake.open(path)
        spans = sorted({segment.span for segment in lake.coverage(MARKET).segments})
        assert all(left.stop == right.start for left, right in itertools.pairwise(spans))
        assert before == {
            one.read_bytes()
            for folder in ("logs", "blocks", "tail", "quarantine")
            for one in (path / folder).rglob("*.parquet")
        }
        lake_work.unseal(path)
        assert {segment.span for segment in lake.coverage(MARKET).segments} == {lake_work.CELLS[0]}


@pytest.mark.slow
def test_a_kill_anywhere_in_publishing_leaves_a_whole_run_and_cache_or_none(empty: Path, tmp_path: Path) -> None:
    for path in killed_everywhere(lake_work.publish, empty, tmp_path):
        lake = Lake.open(path)
        entry = lake.market_cache(MARKET).read(lake_work.KEY)
        assert [sorted(one.name for one in run.path.iterdir()) for run in lake.runs()] in (
            [], [["manifest.json", "outcomes.parquet", "report.html"]],
        )  # fmt: skip
        assert entry is None or entry.table("anything").num_rows == 2
        assert lake.query("FROM runs").table().num_rows == len(lake.runs())
        lake_work.publish(path)
        assert [run.run_id for run in lake.runs()] == ["run-1"]
        newest = lake.market_cache(MARKET).newest()
        assert newest is not None
        assert newest.document == {"blocks": 3}
        assert leftovers(path) == []


@pytest.mark.slow
def test_a_kill_anywhere_in_creating_a_lake_can_be_repeated(tmp_path: Path) -> None:
    for path in killed_everywhere(lake_work.create, None, tmp_path):
        Lake.create(path)
        assert Lake.open(path).query("FROM logs").table().num_rows == 0


def test_kills_at_random_moments_leave_whole_segments_only(empty: Path, tmp_path: Path) -> None:
    path = shutil.copytree(empty, tmp_path / "lake", symlinks=True)
    sealed = 0
    for _ in range(8):
        started = PROCESSES.Event()
        process = PROCESSES.Process(target=lake_work.seal_forever, args=(path, started))
        process.start()
        assert started.wait(60)
        process.join(random.uniform(0.1, 0.5))
        process.kill()
        process.join()
        lake = Lake.open(path)
        assert lake.verify(MARKET) == []
        spans = [segment.span for segment in lake.coverage(MARKET).segments]
        assert spans == [lake_work.endless_cell(number) for number in range(len(spans))]
        assert len(spans) >= sealed
        sealed = len(spans)
    assert sealed > 0


def test_publishing_flushes_the_file_then_renames_then_flushes_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, ...]] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        calls.append(("fsync", name.split(".tmp-")[0] + (" (temporary)" if ".tmp-" in name else "")))
        real_fsync(descriptor)

    def replace(source: Any, target: Any, **named: Any) -> None:
        calls.append(("rename", Path(target).name))
        real_replace(source, target, **named)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    publish_bytes(tmp_path / "a.json", b"{}")
    assert calls == [("fsync", "a.json (temporary)"), ("rename", "a.json"), ("fsync", tmp_path.name)]


def test_an_exception_inside_writing_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "x.parquet"

    def half(path: Path) -> None:
        with pq.ParquetWriter(path, LOG_DATA.schema) as writer:
            writer.write_table(logs([(1, 0, POOL)]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(target, half)
    assert list(tmp_path.iterdir()) == []


def test_what_reads_back_differently_never_appears(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake.open(shutil.copytree(empty, tmp_path / "lake", symlinks=True))

    def bad_disk(table: pa.Table, path: Path) -> None:
        write_parquet(table.slice(1), path)

    monkeypatch.setattr("l2liq.lake.segments.write_parquet", bad_disk)
    with pytest.raises(LakeError, match="reads back differently"):
        seal(lake, Span(0, 100), logs([(1, 0, POOL), (2, 0, POOL)]), everything(POOL))
    assert files(lake) == {}


def told_by(target: Callable[..., None], *args: Any) -> tuple[str, str]:
    """The error that work in another process tells."""
    here, there = PROCESSES.Pipe(duplex=False)
    assert run(target, *args, there) == 0
    told = here.recv()
    assert told is not None, "the work went through"
    return told


def test_a_file_size_limit_is_one_clear_error_and_loses_nothing(empty: Path, tmp_path: Path) -> None:
    lake = Lake.open(shutil.copytree(empty, tmp_path / "lake", symlinks=True))
    seal(lake, Span(20_000, 20_100), logs([(20_001, 0, POOL)]), everything(POOL))
    before = visible(lake.path)
    kind, message = told_by(lake_work.seal_much_with_a_file_limit, lake.path, 100_000)
    assert kind == "LakeError"
    assert "the file would exceed the file size limit. Raise it (`ulimit -f`) and run the same command again" in message
    assert visible(lake.path) == before
    assert leftovers(lake.path) == []
    assert places(lake) == [(20_001, 0)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 KiB; where mounting is not allowed, a disk whose every write is refused as full."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "l2liq", place], capture_output=True).returncode == 0
    )
    yield place
    if mounted:
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_one_clear_error_and_loses_nothing(small_disk: Path) -> None:
    lake = Lake.create(small_disk / "lake")
    seal(lake, Span(20_000, 20_100), logs([(20_001, 0, POOL)]), everything(POOL))
    before = visible(lake.path)
    if os.path.ismount(small_disk):
        kind, message = told_by(lake_work.seal_much, lake.path)
        assert kind == "LakeError"
    else:
        with pytest.raises(LakeError) as caught:
            publish(
                lake.path / "logs" / "full.parquet",
                lambda path: (path.symlink_to("/dev/full"), write_parquet(lake_work.much(), path)),
            )  # type: ignore[arg-type]
        message = str(caught.value)
    assert "the disk is full. Free space and run the same command again" in message
    assert visible(lake.path) == before
    assert leftovers(lake.path) == []
    assert places(lake) == [(20_001, 0)]


def test_a_second_writer_is_told_who_holds_the_market_and_gets_it_after_a_kill(ingested: Path, tmp_path: Path) -> None:
    path = shutil.copytree(ingested, tmp_path / "lake", symlinks=True)
    ready = PROCESSES.Event()
    holder = PROCESSES.Process(target=lake_work.hold_writer, args=(path, ready))
    holder.start()
    assert ready.wait(60)
    lake = Lake.open(path)
    try:
        with pytest.raises(LakeError, match=f"by process {holder.pid} on "), lake.writer(MARKET, CHAIN):
            pass
        with lake.writer("aave-v3/other", CHAIN):
            pass
        assert len(places(lake)) == 62, "reading needs no lock"
    finally:
        holder.kill()
        holder.join()
    with lake.writer(MARKET, CHAIN):
        pass


def test_two_catalog_rebuilds_at_once_never_disturb_a_reader(
    ingested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shutil.copytree(ingested, tmp_path / "lake", symlinks=True)
    Lake.open(path).rebuild_catalog()
    rebuilders = [PROCESSES.Process(target=lake_work.rebuild, args=(path, 4)) for _ in range(2)]
    for process in rebuilders:
        process.start()
    monkeypatch.chdir(path)
    reads = 0
    while any(process.is_alive() for process in rebuilders) or not reads:
        with duckdb.connect("catalog.duckdb", read_only=True) as connection:
            assert connection.sql("SELECT count(*) FROM logs").fetchall() == [(62,)]
        reads += 1
    assert [process.exitcode for process in rebuilders] == [0, 0]
    assert leftovers(path) == []
    assert not list(path.glob("*.wal"))


def test_a_lake_that_may_not_be_written_can_be_read_and_says_so(ingested: Path, tmp_path: Path) -> None:
    path = shutil.copytree(ingested, tmp_path / "lake", symlinks=True)
    for folder in [path, *path.rglob("*")]:
        folder.chmod(0o555 if folder.is_dir() else 0o444)
    try:
        if os.geteuid() == 0:
            for parent in [tmp_path, *tmp_path.parents]:
                if parent.stat().st_uid == 0 and parent.stat().st_mode & 0o777 == 0o700:
                    parent.chmod(0o711)
            kind, message = told_by(lake_work.seal_much_as_nobody, path)
            assert kind == "LakeError"
        else:
            with pytest.raises(LakeError) as caught, Lake.open(path).writer(MARKET, CHAIN):
                pass
            message = str(caught.value)
        assert "permission denied. Give yourself write access or choose another lake" in message
        assert len(places(Lake.open(path))) == 62
    finally:
        for folder in [path, *path.rglob("*")]:
            folder.chmod(0o755 if folder.is_dir() else 0o644)

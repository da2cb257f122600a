"""Two at once, kills and interrupts: the lake is what an undisturbed run makes it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from l2liq.lake import Lake
from tests.e2e.cli import MARKET, SLUG, ended, environment, ingesting, installed, l2liq, quick, roots, started

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli")]


def sealed(lake: Path) -> int:
    return len(list((lake / "logs" / SLUG).glob("*.parquet")))


def stopped_when(process: subprocess.Popen[bytes], condition: Callable[[], object]) -> None:
    """Stop a process in the middle of its work."""
    while not condition():
        assert process.poll() is None, ended(process)
        time.sleep(0.001)
    process.send_signal(signal.SIGSTOP)
    assert process.poll() is None


def test_a_second_ingest_is_told_who_writes_and_the_first_finishes(sampled: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    first = started(*ingesting(), lake=lake)
    try:
        stopped_when(first, lambda: sealed(lake) >= 2)
        told = l2liq(*ingesting(), lake=lake).refusal(3)
        assert str(first.pid) in told
        assert l2liq("status", lake=lake).code == 0
        assert l2liq("query", "SELECT count(*) FROM logs", lake=lake).code == 0
    finally:
        first.send_signal(signal.SIGCONT)
    assert ended(first).code == 0
    assert roots(lake) == roots(sampled)


def test_two_markets_ingested_at_once_are_both_in_the_catalog(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    files = [tmp_path / f"{name}.yaml" for name in ("one", "two")]
    for file in files:
        file.write_text(MARKET.read_text(encoding="utf-8").replace("aave-v3/sample", f"aave-v3/{file.stem}"))
    running = [started(*ingesting(market=file), lake=lake) for file in files]
    assert [ended(process).code for process in running] == [0, 0]
    assert roots(lake, "aave-v3-one") == roots(lake, "aave-v3-two")
    said = l2liq("query", "SELECT DISTINCT market FROM logs ORDER BY 1", "--format", "csv", lake=lake)
    assert said.out.split() == ["market", "aave-v3-one", "aave-v3-two"]


@pytest.mark.parametrize("cells", [0, 1, 5])
def test_a_killed_ingest_loses_nothing_and_the_next_one_gives_the_same_roots(
    sampled: Path, tmp_path: Path, cells: int
) -> None:
    lake = tmp_path / "lake"
    process = started(*ingesting(), lake=lake)
    stopped_when(process, lambda: (lake / f".tmp-ingest-{SLUG}").exists() if not cells else sealed(lake) >= cells)
    process.kill()
    assert ended(process).code == -signal.SIGKILL
    assert l2liq("status", lake=lake).code == 0
    assert roots(lake).items() <= roots(sampled).items()
    assert l2liq(*ingesting(), lake=lake).code == 0
    assert roots(lake) == roots(sampled)
    assert not list(lake.rglob("*.tmp*"))
    assert l2liq("check", "--market", MARKET, lake=lake).code == 0


def test_an_interrupted_ingest_says_so_and_the_next_one_goes_on(sampled: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    process = started(*ingesting(), lake=lake)
    stopped_when(process, lambda: sealed(lake) >= 2)
    kept = roots(lake)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    said = ended(process)
    assert said.code == 130
    assert "nterrupted" in said.err
    assert len(said.err.splitlines()) == 1
    assert kept.items() <= roots(lake).items() <= roots(sampled).items()
    assert l2liq(*ingesting(), lake=lake).code == 0
    assert roots(lake) == roots(sampled)


def test_an_interrupted_backtest_keeps_whole_runs_and_goes_on(sampled: Path, tmp_path: Path) -> None:
    lake, scenario = tmp_path / "lake", tmp_path / "quick.yaml"
    shutil.copytree(sampled, lake, symlinks=True)
    scenario.write_text(quick(more="sweep: {seed: [1, 2, 3, 4]}"))
    process = started("backtest", scenario, lake=lake)
    stopped_when(process, lambda: Lake.open(lake).runs())
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    said = ended(process)
    assert said.code == 130, said
    assert len(said.err.splitlines()) == 1
    kept = {run["run_id"] for run in json.loads(l2liq("runs", "--json", lake=lake).out)}
    assert kept
    assert l2liq("backtest", scenario, lake=lake).code == 0
    whole = {run["run_id"] for run in json.loads(l2liq("runs", "--json", lake=lake).out)}
    assert len(whole) == 4
    assert kept < whole


def test_ctrl_c_within_a_query_is_an_interruption_too(sampled: Path) -> None:
    process = started("query", "SELECT count(*) FROM range(1000000000000)", lake=sampled)
    while psutil.Process(process.pid).cpu_times().user < 5:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = ended(process)
    assert said.code == 130, said
    assert "nterrupted" in said.err
    assert len(said.err.splitlines()) == 1


def test_a_reader_who_leaves_is_no_error(backtested: Path) -> None:
    for words in (("query", "SELECT * FROM logs", "--format", "csv"), ("query", "SELECT * FROM logs"), ("runs",)):
        process = started(*words, lake=backtested)
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        said = ended(process)
        assert said.err == ""
        assert said.code in (0, 141)


@pytest.mark.parametrize("columns", ["1", "40", "200", "x", "-5"])
def test_any_width_of_the_terminal_will_do(backtested: Path, columns: str) -> None:
    for words in (("--help",), ("runs",), ("status",), ("query", "SELECT * FROM assets"), ("market", "list")):
        lake = backtested if words[0] in ("runs", "status", "query") else None
        said = l2liq(*words, lake=lake, env={"COLUMNS": columns})
        assert said.code == 0, said
        if columns == "40" and words[0] == "runs":
            assert max(len(line) for line in said.out.splitlines()) <= 40


def test_nothing_is_coloured_where_nobody_sees_it(backtested: Path) -> None:
    for env in ({}, {"NO_COLOR": "1"}, {"TERM": "dumb"}):
        for words in (("runs",), ("query", "SELECT 1"), ("report", "nope")):
            said = installed(*words, lake=backtested, env=environment(**env))
            assert "\x1b" not in said.out + said.err

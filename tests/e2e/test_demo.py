"""The main job as a user meets it: ``l2liq demo`` in an empty folder, and every command on what it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli import SAMPLE, Said, installed, l2liq

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]


SCENARIOS = sorted(path.name for path in (SAMPLE / "scenarios").glob("*.yaml"))
WORLDS = {"actual", "control", "alternative"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Said]:
    """The folder that the demo was run in, and what it said."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, installed("demo", "--no-open", cwd=folder)


@pytest.fixture(scope="module")
def folder(demo: tuple[Path, Said]) -> Path:
    return demo[0]


def plain(*words: object, folder: Path, code: int = 0) -> Any:
    """What a command prints with ``--json``."""
    said = l2liq(*words, "--json", folder=folder, lake=folder / "lake")
    assert said.code == code, said
    return json.loads(said.out)


def test_demo_reproduces_everything_and_ends_with_a_report(demo: tuple[Path, Said]) -> None:
    folder, said = demo
    assert (said.code, said.err) == (0, "")
    assert "Everything is reproduced to the last unit." in said.out
    assert "Nothing quarantined." in said.out
    assert sorted(path.name for path in folder.iterdir()) == ["lake", "sample"]
    for scenario in SCENARIOS:
        assert (folder / "sample" / "scenarios" / scenario).read_bytes() == (
            SAMPLE / "scenarios" / scenario
        ).read_bytes()
    [report] = (folder / "lake" / "runs").glob("*/report.html")
    assert str(report.relative_to(folder)) in said.out
    assert report.stat().st_size > 10_000


def test_demo_again_makes_nothing_anew(folder: Path) -> None:
    kept = ("lake.json", "logs", "blocks", "observations", "runs")
    files = [path for name in kept for path in [folder / "lake" / name, *(folder / "lake" / name).rglob("*")]]
    before = {path: path.stat().st_mtime_ns for path in files if path.is_file() and path.name != "index.html"}
    changed = folder / "sample" / "scenarios" / "slow-liquidators.yaml"
    changed.write_text(changed.read_text(encoding="utf-8") + "# mine\n")
    said = l2liq("demo", "--no-open", folder=folder)
    assert (said.code, said.err) == (0, "")
    assert "Everything was there already" in said.out
    assert "exists already, not repeated" in said.out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert changed.read_text(encoding="utf-8").endswith("# mine\n")


def test_check_tells_programs_that_all_is_equal(folder: Path) -> None:
    found = plain("check", "--market", "sample/market.yaml", folder=folder)
    assert found["liquidations"]["recorded"] == found["liquidations"]["reproduced"] > 100
    for subject in ("balances", "indices"):
        assert found[subject]["compared"] == found[subject]["equal"] > 1_000
    assert found["divergences"] == []


def test_run_verifies_and_its_numbers_are_those_of_the_tables(folder: Path) -> None:
    found = plain("backtest", "sample/scenarios/eth-collateral-tighter.yaml", folder=folder)
    assert Path(folder / found["report"]).is_file()
    assert set(found["metrics"]) == WORLDS
    rows = plain("query", f"SELECT * FROM metrics WHERE run_id = '{found['run_id']}'", folder=folder)
    table = {(row["world"], row["metric"]): row["value"] for row in rows if row.get("asset") is None}
    for world in WORLDS:
        assert found["metrics"][world]["liquidated_accounts"] == table[world, "liquidated_accounts"]
        assert found["metrics"][world]["bad_debt_usd"] == table[world, "bad_debt_usd"]
    verified = plain("verify", found["run_id"][:6], "--market", "sample/market.yaml", folder=folder)
    assert (verified["verified"], verified["problems"]) == (True, [])


def test_impact_lists_who_is_struck(folder: Path) -> None:
    words = ("impact", "sample/scenarios/eth-collateral-tighter.yaml", "--price", "WETH=-20%")
    cases = plain(*words, folder=folder)["cases"]
    assert len(cases) == 3, "the change, the move, both"
    for case in cases:
        assert len(case["liquidatable"]) == case["accounts"] > 0
        assert all(one["health_then"] < 1 <= one["health_now"] for one in case["liquidatable"])
    assert "become liquidatable" in l2liq(*words, folder=folder).out


def test_every_command_speaks_to_programs(folder: Path) -> None:
    assert {run["market"] for run in plain("runs", folder=folder)} == {"aave-v3/sample"}
    assert plain("status", folder=folder)
    assert Path(folder / plain("report", folder=folder)["report"]).is_file()
    again = l2liq(
        "ingest", "sample/logs.parquet", "-m", "sample/market.yaml", "--complete", "0:100", "--json", folder=folder
    )
    assert (again.code, json.loads(again.out)["quarantined"]) == (0, json.loads(again.out)["quarantined"])
    for words in (("market", "list"), ("market", "show", "sample/market.yaml"),
                  ("scenario", "show", "sample/scenarios/weth-lt-minus-2pp.yaml")):  # fmt: skip
        assert json.loads(l2liq(*words, "--json", folder=folder).out)
    differences = l2liq(
        "scenario", "diff", *(f"sample/scenarios/weth-lt-{change}-2pp.yaml" for change in ("minus", "plus")), "--json",
        folder=folder,
    )  # fmt: skip
    assert differences.code == 1
    assert {one["key"] for one in json.loads(differences.out)} > {"name"}
    assert json.loads(l2liq("scenario", "schema", folder=folder).out)["type"] == "object"

"""What can be made again never stands in the way: damaged or missing caches, runs whose manifest is broken."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from l2liq.lake import Lake
from tests.e2e.cli import MARKET, SAMPLE, SLUG, l2liq

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli")]

NOISE = bytes(range(256)) * 20
COUNT = ("query", "SELECT count(*) AS n FROM logs", "--json")
LEGS = ("query", "SELECT count(*) AS n FROM ledger", "--json")


@pytest.fixture
def lake(backtested: Path, tmp_path: Path) -> Path:
    return shutil.copytree(backtested, tmp_path / "lake", symlinks=True)


def test_a_damaged_cache_blocks_no_other_query_and_check_makes_it_anew(lake: Path) -> None:
    before = [l2liq(*words, lake=lake).out for words in (COUNT, LEGS)]
    legs = lake / "cache" / "markets" / SLUG / "current" / "legs.parquet"
    event = next((lake / "cache" / "events" / "aave-v3" / "liquidation_call").glob(f"{SLUG}-*.parquet"))
    for place in (legs, event):
        place.write_bytes(NOISE)
    assert l2liq(*COUNT, lake=lake).out == before[0]
    for words in (LEGS, ("query", "FROM aave_v3_liquidation_call")):
        told = l2liq(*words, lake=lake).refusal(3)
        assert re.search(r"is not there: .*lake/cache/\S+\.parquet.*`l2liq check --market M` makes anew", told), told
        assert "status" not in told
    assert l2liq("check", "--market", MARKET, lake=lake).code == 0
    assert [l2liq(*words, lake=lake).out for words in (COUNT, LEGS)] == before
    assert l2liq("query", "FROM aave_v3_liquidation_call", lake=lake).code == 0


def test_a_damaged_cache_does_not_stop_a_backtest(lake: Path) -> None:
    for place in (lake / "cache" / "markets" / SLUG / "current").glob("*.parquet"):
        place.write_bytes(NOISE)
    said = l2liq("backtest", SAMPLE / "scenarios" / "weth-lt-plus-2pp.yaml", "--market", MARKET, lake=lake)
    assert (said.code, said.err) == (0, "")
    assert l2liq(*LEGS, lake=lake).code == 0


def test_without_caches_plain_queries_work_and_the_others_name_the_remedy(lake: Path) -> None:
    before = [l2liq(*words, lake=lake).out for words in (COUNT, LEGS)]
    shutil.rmtree(lake / "cache")
    assert l2liq(*COUNT, lake=lake).out == before[0]
    assert "`l2liq check --market M` makes anew" in l2liq(*LEGS, lake=lake).refusal(3)
    assert l2liq("check", "--market", MARKET, lake=lake).code == 0
    assert [l2liq(*words, lake=lake).out for words in (COUNT, LEGS)] == before


@pytest.mark.parametrize("content", ["{", "[]", "\x00"])
def test_a_broken_manifest_is_named_and_disturbs_nothing(lake: Path, content: str) -> None:
    good = Lake.open(lake).read_run()
    broken = shutil.copytree(good.path, lake / "runs" / "broken")
    (broken / "manifest.json").write_text(content)
    said = l2liq("runs", "--json", lake=lake)
    assert [run["run_id"] for run in json.loads(said.out)] == [good.run_id]
    status = l2liq("status", lake=lake)
    assert status.code == 1
    index = Path(l2liq("report", "--index", lake=lake).out.strip()).read_text()
    assert good.run_id in index
    for text in (said.err, status.out, index):
        assert re.search(r"runs/broken: its manifest.json .* Delete the folder and run the scenario again", text), text
    assert "runs/broken" in l2liq("report", "broken", lake=lake).refusal(3)
    assert l2liq("report", lake=lake).code == 0
    assert l2liq("query", "SELECT run_id FROM runs", "--json", lake=lake).out.count(good.run_id) == 1
    assert l2liq("verify", good.run_id, "--market", MARKET, lake=lake).code == 0

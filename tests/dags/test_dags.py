"""The DAGs in a real Airflow on a real chain: what they hold, what a run leaves, and that a second run is harmless."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from l2liq.lake import Lake
from pipelines.nightly.history import read_journal
from tests.dags.chain import DAYS, NAME, SLUG, nightly_file

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dags")]

DAG_IDS = {"ingest_l2_events", "nightly_backtests", "backfill_market", "lake_maintenance"}


def states(run: Any) -> dict[str, list[str]]:
    """States of a run's tasks, mapped ones in order of their index."""
    found: dict[str, list[str]] = {}
    for one in sorted(run.get_task_instances(), key=lambda one: (one.task_id, one.map_index)):
        found.setdefault(one.task_id, []).append(str(one.state))
    return found


def asset_events() -> list[str]:
    """Names of the assets that were ever updated, in order."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(AssetModel.name).join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
        return list(session.scalars(query.order_by(AssetEvent.id)))


def reports(lake: Path) -> list[str]:
    return sorted(path.parent.name for path in lake.glob("runs/*/report.html"))


def test_every_dag_is_there_paused_patient_and_tagged(dags: dict[str, Any]) -> None:
    assert set(dags) == DAG_IDS
    for dag in dags.values():
        assert dag.catchup is False
        assert dag.tags == {"l2liq"}
        for task in dag.tasks:
            assert task.execution_timeout is not None
            assert task.on_failure_callback
    writers = {(dag.dag_id, task.task_id) for dag in dags.values() for task in dag.tasks if task.pool != "default_pool"}
    assert writers == {("ingest_l2_events", "ingest"), ("backfill_market", "ingest")}


def test_importing_the_dags_imports_no_job(airflow: Path) -> None:
    """What a scheduler parses every minute must cost nothing."""
    import subprocess
    import sys

    code = (
        "import sys, importlib\n"
        f"for name in {sorted(DAG_IDS)!r}: importlib.import_module('dags.' + name)\n"
        "print([one for one in sys.modules if one.split('.')[0] in ('pipelines', 'l2liq', 'pyarrow', 'numba')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_night_from_chain_to_pages_and_again(run: Callable[..., Any], nightly: Path) -> None:
    """Ingest, then the night: twice, and the second time nothing is made anew."""
    assert states(run("ingest_l2_events")) == {"markets": ["success"], "ingest": ["success"]}
    assert asset_events()[-1] == NAME
    assert states(run("nightly_backtests")) == {"plan": ["success"], "backtest": ["success"], "publish": ["success"]}
    lake = nightly.parent / "lake"
    journal = read_journal(Lake.open(lake), SLUG)
    assert str(journal.night) == DAYS[-1]
    assert [one.state for one in journal.results] == ["done", "done"]
    made = reports(lake)
    assert sorted(one.run_id for one in journal.results if one.run_id) == made
    index = (lake / "runs" / "index.html").read_text()
    for one in journal.results:
        assert f"{one.run_id}/report.html" in index
        assert f"_nightly/{one.series_id}.html" in index
        assert (lake / "runs" / "_nightly" / f"{one.series_id}.html").is_file()

    count = len(asset_events())
    run("ingest_l2_events")
    run("nightly_backtests")
    assert len(asset_events()) == count
    assert reports(lake) == made
    assert [one.state for one in read_journal(Lake.open(lake), SLUG).results] == ["reused", "reused"]


def test_dead_market_silences_nobody(run: Callable[..., Any], nightly: Path, chain: Any) -> None:
    """The second market's node is of another chain; the first one's night is as if there were no second."""
    folder = nightly.parent
    other = (folder / "market.yaml").read_text().replace("chain_id: 31337", "chain_id: 5").replace(NAME, "aave-v3/dead")
    (folder / "dead.yaml").write_text(other)
    nightly_file(folder, chain, more="  - {market: dead.yaml, rpc: $L2LIQ_TEST_RPC, scenarios: scenarios}\n")
    assert states(run("ingest_l2_events"))["ingest"] == ["success", "failed"]
    assert states(run("nightly_backtests"))["backtest"] == ["success", "success"]
    lake = Lake.open(folder / "lake")
    assert [one.state for one in read_journal(lake, SLUG).results] == ["done", "done"]
    dead = read_journal(lake, "aave-v3-dead")
    assert [(one.state, one.reason) for one in dead.results] == [
        ("not_run", "the lake covers nothing of the market")
    ] * 2
    alerts = json.loads((folder / "lake" / "runs" / "alerts.json").read_text())["alerts"]
    assert {(one["kind"], one["market"]) for one in alerts} >= {("task", "aave-v3/dead"), ("not_run", "aave-v3/dead")}
    assert not any(one["market"] == NAME and one["kind"] in ("task", "not_run", "failed") for one in alerts)

    nightly_file(folder, chain)
    run("ingest_l2_events")
    alerts = json.loads((folder / "lake" / "runs" / "alerts.json").read_text())["alerts"]
    assert ("task", NAME) not in {(one["kind"], one["market"]) for one in alerts}


def test_backfill_runs_every_night_of_its_range_and_no_other(run: Callable[..., Any], nightly: Path) -> None:
    found = run("backfill_market", market=NAME, **{"from": DAYS[1], "to": DAYS[3]})
    assert states(found) == {"ingest": ["success"], "backtest": ["success"], "publish": ["success"]}
    lake = Lake.open(nightly.parent / "lake")
    journal = read_journal(lake, SLUG)
    for series in journal.series.values():
        assert [str(one.night) for one in series.nights] == list(DAYS[1:4])
        assert [(one.to_s - one.from_s) > 86_400 for one in series.nights] == [True] * 3
    assert len(reports(lake.path)) == 6


def test_night_beyond_the_coverage_says_where_coverage_ends(run: Callable[..., Any], nightly: Path) -> None:
    run("ingest_l2_events")
    run("nightly_backtests", night="2026-03-07")
    journal = read_journal(Lake.open(nightly.parent / "lake"), SLUG)
    assert {one.state for one in journal.results} == {"not_run"}
    assert all((one.reason or "").startswith("coverage ends at 2026-03-07") for one in journal.results)
    assert reports(nightly.parent / "lake") == []


def test_maintenance_keeps_what_is_needed_and_stops_at_damage(run: Callable[..., Any], nightly: Path) -> None:
    nightly.write_text(nightly.read_text() + "keep: 1\n")
    run("backfill_market", market=NAME, **{"from": DAYS[2], "to": DAYS[4]})
    lake = Lake.open(nightly.parent / "lake")
    journal = read_journal(lake, SLUG)
    nights = {one.run_id: str(one.night) for series in journal.series.values() for one in series.nights}
    pinned = next(run_id for run_id, night in nights.items() if night == DAYS[2])
    lake.nights().pin(pinned, "a vote")
    assert states(run("lake_maintenance")) == {"verify": ["success"], "retain": ["success"], "catalog": ["success"]}
    newest = {run_id for run_id, night in nights.items() if night == DAYS[4]}
    assert {one.run_id for one in lake.runs()} == newest | {pinned}
    page = next((lake.path / "runs" / "_nightly").glob("*.html")).read_text()
    assert "deleted" in page

    segment = next((lake.path / "logs" / SLUG).glob("*.parquet"))
    content = bytearray(segment.read_bytes())
    content[len(content) // 3] ^= 0xFF
    segment.write_bytes(content)
    lake.nights().pin(pinned, None)  # type: ignore[arg-type]
    found = states(run("lake_maintenance"))
    assert (found["verify"], found["catalog"]) == (["failed"], ["success"])
    assert pinned in {one.run_id for one in lake.runs()}

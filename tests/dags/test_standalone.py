"""A whole Airflow: the scheduler backfills three days, news start the night, the night runs by REST, people see it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from l2liq.lake import Lake
from pipelines.nightly.history import read_journal
from tests.dags.chain import DAYS, NAME, SLUG, Chain, nightly_file
from tests.dags.local import ROOT, USER, Airflow, NotRunningError, running_airflow

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dags")]

ARTEFACTS = Path(os.environ.get("L2LIQ_ARTEFACTS", ROOT / "artefacts"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("standalone")


@pytest.fixture(scope="module")
def airflow(folder: Path, chain: Chain) -> Iterator[Airflow]:
    variables = {"L2LIQ_NIGHTLY": str(nightly_file(folder, chain)), "L2LIQ_TEST_RPC": chain.node.url}
    with running_airflow(folder / "home", variables) as found:
        yield found


def nights(folder: Path) -> dict[str, list[str]]:
    journal = read_journal(Lake.open(folder / "lake"), SLUG)
    return {series.title: [str(one.night) for one in series.nights] for series in journal.series.values()}


def ended(airflow: Airflow, dag_id: str, run_type: str, count: int = 1) -> list[dict[str, Any]]:
    """Runs of one type once so many have ended."""
    found = [
        one for one in airflow.runs(dag_id) if one["run_type"] == run_type and one["state"] in ("success", "failed")
    ]
    return found if len(found) >= count else []


def accepted(airflow: Airflow, wish: dict[str, str]) -> bool:
    """Whether Airflow took a backfill; on SQLite it refuses while anything else writes."""
    try:
        airflow.ask("POST", "backfills", wish)
    except NotRunningError as error:
        if "Database is locked" not in str(error):
            raise
        return False
    return True


def test_backfill_news_night_and_what_people_see(airflow: Airflow, folder: Path, browser: Browser) -> None:
    titles = ["WBTC 3 points tighter", "WETH 3 points tighter"]
    airflow.unpause("nightly_backtests", "backfill_market")
    deadline = airflow.wait_for("the deadline", lambda: ended(airflow, "nightly_backtests", "scheduled"))
    assert [one["state"] for one in deadline] == ["success"]
    airflow.finished(
        "backfill_market", airflow.start("backfill_market", market=NAME, **{"from": DAYS[1], "to": DAYS[3]})
    )
    assert nights(folder) == {title: list(DAYS[1:4]) for title in titles}

    news = airflow.wait_for("a night started by news", lambda: ended(airflow, "nightly_backtests", "asset_triggered"))
    assert [one["state"] for one in news] == ["success"]

    airflow.unpause("ingest_l2_events")
    scheduled = airflow.wait_for("the hour's ingest", lambda: ended(airflow, "ingest_l2_events", "scheduled"))
    assert [one["state"] for one in scheduled] == ["success"]
    airflow.finished("nightly_backtests", airflow.start("nightly_backtests", night=DAYS[4]))
    assert nights(folder) == {title: list(DAYS[1:]) for title in titles}

    dates = {"from_date": f"{DAYS[2]}T00:00:00Z", "to_date": f"{DAYS[4]}T23:59:59Z"}
    airflow.wait_for("SQLite", lambda: accepted(airflow, {"dag_id": "nightly_backtests", **dates}))
    found = airflow.wait_for("Airflow's backfill", lambda: ended(airflow, "nightly_backtests", "backfill", 3))
    assert [one["state"] for one in found] == ["success"] * 3
    assert nights(folder) == {title: list(DAYS[1:]) for title in titles}

    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{airflow.url}/dags")
    page.wait_for_selector("input[name=password]")
    page.fill("input[name=username]", USER)
    page.fill("input[name=password]", airflow.password)
    page.click("button[type=submit]")
    page.wait_for_selector("text=nightly_backtests")
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / "airflow-dags.png")
    page.goto(f"{airflow.url}/dags/nightly_backtests/runs/{news[0]['dag_run_id']}")
    page.wait_for_selector("text=publish")
    page.screenshot(path=ARTEFACTS / "airflow-night.png")
    page.close()

"""Whenever a market has news, and at a deadline for all of them: backtests of the night, alerts, pages."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, task

from dags.wiring import DEFAULTS, MARKETS, TAGS


@dag(
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("0 6 * * *", timezone="UTC"), assets=MARKETS),
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=TAGS,
    params={
        "night": Param(
            None, type=["null", "string"], format="date", description="Complete UTC day; default: the last."
        ),
        "markets": Param(None, type=["null", "array"], description="Names; default: those with news, or all."),
    },
)
def nightly_backtests() -> None:
    """What a run covers comes from its parameters and the lake's coverage; a backfill names its night by its date."""

    @task
    def plan(*, params: Any = None, dag_run: Any = None, triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        from pipelines.nightly.jobs import nights_to_run

        backfilled = dag_run.logical_date if dag_run.run_type == "backfill" else None
        updated = [asset.name for asset in (triggering_asset_events or {})]
        return nights_to_run(params["night"], params["markets"], backfilled, updated)

    @task
    def backtest(market: str, night: str | None) -> dict[str, Any]:
        from pipelines.nightly.jobs import backtest as run

        return run(market, night)

    @task(trigger_rule="all_done")
    def publish() -> dict[str, Any]:
        from pipelines.nightly.jobs import publish as run

        return run()

    backtest.expand_kwargs(plan()) >> publish()


nightly_backtests()

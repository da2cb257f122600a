"""Every Sunday: re-hash everything sealed, delete nightly runs that nobody needs, build the catalog anew."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import CronTriggerTimetable, dag, task

from dags.wiring import DEFAULTS, TAGS


@dag(
    schedule=CronTriggerTimetable("0 3 * * 0", timezone="UTC"),
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=TAGS,
)
def lake_maintenance() -> None:
    """Nothing is deleted while something is damaged; the catalog is built all the same."""

    @task
    def verify() -> None:
        from pipelines.nightly.jobs import verify_roots

        verify_roots()

    @task
    def retain() -> dict[str, Any]:
        from pipelines.nightly.jobs import delete_surplus

        return delete_surplus()

    @task(trigger_rule="all_done")
    def catalog() -> str:
        from pipelines.nightly.jobs import rebuild_catalog

        return rebuild_catalog()

    verify() >> retain() >> catalog()


lake_maintenance()

"""Every hour: the logs of each market, from its node into the lake. A market with news says so with its Asset."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import Asset, CronTriggerTimetable, dag, task

from dags.wiring import DEFAULTS, MARKETS, TAGS, WRITERS


@dag(
    schedule=CronTriggerTimetable("20 * * * *", timezone="UTC"),
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=TAGS,
)
def ingest_l2_events() -> None:
    """Mapped over markets only: blocks, concurrency and resuming are the ingest's own affair."""

    @task
    def markets() -> list[str]:
        from pipelines.nightly.jobs import fetched_markets

        return fetched_markets()

    @task(pool=WRITERS, outlets=[MARKETS])
    def ingest(market: str, *, outlet_events: Any = None) -> dict[str, Any]:
        from pipelines.nightly.jobs import fetch

        found = fetch(market)
        if found["news"]:
            asset = Asset(name=found["market"], uri=f"l2liq://market/{found['slug']}")
            outlet_events[MARKETS].add(asset, extra={"complete_until": found["complete_until"]})
        return found

    ingest.expand(market=markets())


ingest_l2_events()

"""By hand: bring one market up to the end of a day, and run every night of a range."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import Asset, Param, dag, task

from dags.wiring import DEFAULTS, MARKETS, TAGS, WRITERS


@dag(
    schedule=None,
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULTS,
    tags=TAGS,
    params={
        "market": Param("", type="string", minLength=1, description="A market of the nightly file."),
        "from": Param("", type="string", format="date", description="The first night, a UTC day."),
        "to": Param("", type="string", format="date", description="The last night."),
    },
)
def backfill_market() -> None:
    """Days that the lake has are not fetched again; nights that were run on the same data are not run again."""

    @task(pool=WRITERS)
    def ingest(*, params: Any = None) -> dict[str, Any]:
        from pipelines.nightly.jobs import fetch

        return fetch(params["market"], until=params["to"])

    @task(outlets=[MARKETS])
    def backtest(found: Any, *, params: Any = None, outlet_events: Any = None) -> list[dict[str, Any]]:
        """The Asset comes last, so that the night that it starts does not meet this task at the market's lock."""
        from pipelines.nightly.jobs import backtest_days

        nights = backtest_days(params["market"], params["from"], params["to"])
        if found["news"]:
            asset = Asset(name=found["market"], uri=f"l2liq://market/{found['slug']}")
            outlet_events[MARKETS].add(asset, extra={"complete_until": found["complete_until"]})
        return nights

    @task(trigger_rule="all_done")
    def publish() -> dict[str, Any]:
        from pipelines.nightly.jobs import publish as run

        return run()

    backtest(ingest()) >> publish()


backfill_market()

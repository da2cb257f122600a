"""What all DAGs share: how often a task is tried, for how long, what becomes of a failure. No logic, no work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import AssetAlias, Context

WRITERS = "l2liq_writers"
"""Pool of the tasks that write the chain's data. Its slots bound how many markets are fetched at a time; that one
market has one writer is held by the lake's own lock."""

MARKETS = AssetAlias("l2liq_markets")
"""Stands for the Asset of every market, whichever the nightly file names."""

TAGS = ["l2liq"]


def failed(context: Context) -> None:
    """Raise the alert of a task that gave up."""
    from pipelines.nightly.jobs import record_failure

    record_failure(_market(context), _task(context), str(context.get("exception")))


def succeeded(context: Context) -> None:
    """Clear it."""
    from pipelines.nightly.jobs import record_success

    record_success(_market(context), _task(context))


def _task(context: Context) -> str:
    return f"{context['dag'].dag_id}.{context['task'].task_id}"


def _market(context: Context) -> str:
    """The market of a task: its own argument where it is mapped, else the parameter of its run."""
    named = getattr(context["task"], "op_kwargs", {}).get("market") or context["params"].get("market")
    return named if isinstance(named, str) else ""


DEFAULTS: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=20),
    "execution_timeout": timedelta(hours=6),
    "on_failure_callback": failed,
    "on_success_callback": succeeded,
}

"""Airflow in this process, on a home of its own, and the chain that its DAGs read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dags.chain import Chain, nightly_file, running_chain

DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture(scope="session")
def chain() -> Iterator[Chain]:
    with running_chain() as found:
        yield found


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Airflow's home; its settings stand in the environment before anything imports it."""
    home = tmp_path_factory.mktemp("airflow")
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
    }
    from airflow.utils.db import initdb

    initdb()
    return home


@pytest.fixture(scope="session")
def dags(airflow: Path) -> dict[str, Any]:
    """Every DAG of the folder, in the database as well; tasks give up at once."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(DAGS, bundle_path=DAGS, bundle_name="dags-folder")
    assert bag.import_errors == {}
    sync_bag_to_db(bag, "dags-folder", None)
    for dag in bag.dags.values():
        for task in dag.tasks:
            task.retries = 0
    return dict(bag.dags)


@pytest.fixture
def nightly(tmp_path: Path, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A nightly file that the DAGs find, in a folder of its own."""
    path = nightly_file(tmp_path, chain)
    monkeypatch.setenv("L2LIQ_TEST_RPC", chain.node.url)
    monkeypatch.setenv("L2LIQ_NIGHTLY", str(path))
    monkeypatch.delenv("L2LIQ_LAKE", raising=False)
    return path


@pytest.fixture
def run(dags: dict[str, Any], nightly: Path) -> Callable[..., Any]:
    """``run(dag_id, **params)``: the finished run of a DAG."""

    def go(dag_id: str, **params: Any) -> Any:
        return dags[dag_id].test(run_conf=params or None)

    return go

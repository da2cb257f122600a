"""A whole Airflow on this machine: scheduler, DAG processor, triggerer and API server, on ports and a home of its own.

``python -m tests.dags.local`` is what ``make airflow`` runs: the DAGs on the sample's chain, until Ctrl-C.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.evm.anvil import _die_with_parent

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".airflow"
USER = "admin"
PATIENCE_S = 1_800
"""After which something is broken, however busy the machine is."""
POOL = {"name": "l2liq_writers", "slots": 4, "description": "Tasks that write the chain's data."}


class NotRunningError(RuntimeError):
    """Airflow did not come up, or something in it did not end well."""


@dataclass
class Airflow:
    """A running Airflow and its REST interface."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    token: str = ""

    @property
    def password(self) -> str:
        """What Airflow generated for the user ``admin``."""
        found = json.loads((self.home / "simple_auth_manager_passwords.json.generated").read_text())
        return str(found[USER])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of the REST interface."""
        if not self.token:
            login = {"username": USER, "password": self.password}
            self.token = requests.post(f"{self.url}/auth/token", json=login, timeout=30).json()["access_token"]
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.request(method, f"{self.url}/api/v2/{path}", json=body, headers=headers, timeout=60)
        if answer.status_code >= 400:
            raise NotRunningError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    def start(self, dag_id: str, **conf: Any) -> str:
        """Start a run; its id."""
        body = {"logical_date": None, "conf": conf}
        return str(self.ask("POST", f"dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def unpause(self, *dag_ids: str) -> None:
        """Let the scheduler have DAGs; a scheduled one starts with its latest slot at once."""
        for dag_id in dag_ids:
            self.ask("PATCH", f"dags/{dag_id}", {"is_paused": False})

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """All runs of a DAG."""
        return list(self.ask("GET", f"dags/{dag_id}/dagRuns?limit=100")["dag_runs"])

    def wait_for(self, what: str, happened: Any, patience_s: float = PATIENCE_S) -> Any:
        """Ask until ``happened()`` gives something true, and return that."""
        give_up = time.monotonic() + patience_s
        while time.monotonic() < give_up:
            if self.process.poll() is not None:
                raise NotRunningError(f"Airflow ended while waiting for {what}: {self.last_words()}")
            with suppress(requests.RequestException):  # a machine that is busy answers later
                if found := happened():
                    return found
            time.sleep(1)
        raise NotRunningError(f"{what} did not happen within {patience_s:.0f} s: {self.last_words()}")

    def finished(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """The run once it has ended; it must have ended well."""

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = self.ask("GET", f"dags/{dag_id}/dagRuns/{run_id}")
            return found if found["state"] in ("success", "failed") else None

        found = self.wait_for(f"{dag_id} {run_id}", ended)
        if found["state"] != "success":
            raise NotRunningError(f"{dag_id} {run_id}: {found['state']}: {self.last_words()}")
        return dict(found)

    def last_words(self) -> str:
        """The end of its log."""
        return (self.home / "standalone.log").read_text(errors="replace")[-2000:]

    def ready(self) -> bool:
        """Whether every part is healthy and every DAG known; a machine that is busy may refuse meanwhile."""
        try:
            health = requests.get(f"{self.url}/api/v2/monitor/health", timeout=10).json()
            parts = ("metadatabase", "scheduler", "dag_processor")
            return all(health[part]["status"] == "healthy" for part in parts) and self._knows_dags()
        except (OSError, ValueError, KeyError, NotRunningError):
            return False

    def _knows_dags(self) -> bool:
        wanted = {path.stem for path in (ROOT / "dags").glob("*.py")} - {"__init__", "wiring"}
        return wanted <= {dag["dag_id"] for dag in self.ask("GET", "dags")["dags"]}


@contextmanager
def running_airflow(home: Path, variables: Mapping[str, str]) -> Iterator[Airflow]:
    """Airflow with the project's DAGs, paused, and the pool they need; gone with the block."""
    home.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    with (home / "standalone.log").open("wb") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "airflow"), "standalone"],
            cwd=home,
            env=_environment(home, port, variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    airflow = Airflow(url, home, process)
    try:
        airflow.wait_for("Airflow", airflow.ready)
        if POOL["name"] not in {pool["name"] for pool in airflow.ask("GET", "pools")["pools"]}:
            airflow.ask("POST", "pools", POOL)
        yield airflow
    finally:
        _end(process)


def _environment(home: Path, port: int, variables: Mapping[str, str]) -> dict[str, str]:
    """Settings of its own; none of the caller's Airflow is left in it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(_free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(_free_port()),
        **variables,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole session: standalone's parts are its children."""
    for number, patience_s in ((signal.SIGTERM, 20), (signal.SIGKILL, 20)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


# --- make airflow -----------------------------------------------------------------------------------------------------


def main() -> None:
    """The DAGs on the sample's chain, until Ctrl-C."""
    from tests.evm import record_sample
    from tests.evm.anvil import running_node
    from tests.evm.deploy import deploy
    from tests.evm.driver.run import simulate
    from tests.evm.market import Version

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sample = HOME / "sample"
    shutil.copytree(ROOT / "pipelines" / "sample", sample, dirs_exist_ok=True)
    text = (sample / "nightly.yaml").read_text()
    nightly = HOME / "nightly.yaml"
    nightly.write_text(
        text.replace("market: market.yaml\n", "market: sample/market.yaml\n    rpc: $SAMPLE_RPC\n").replace(
            "scenarios: nightly", "scenarios: sample/nightly"
        )
    )
    with running_node(record_sample.GENESIS_S, kept_states=64) as node:
        print("Playing two weeks of the sample's market on a local chain while Airflow starts (about a minute) …")
        variables = {"SAMPLE_RPC": node.url, "L2LIQ_NIGHTLY": str(nightly), "L2LIQ_LAKE": str(HOME / "lake")}
        played = threading.Event()

        def play() -> None:
            simulate(node, deploy(node, Version.V360), record_sample.PLAN)
            played.set()

        threading.Thread(target=play, daemon=True).start()
        with running_airflow(HOME / "home", variables) as airflow:
            airflow.wait_for("the chain", played.is_set)
            airflow.unpause("nightly_backtests", "backfill_market", "lake_maintenance", "ingest_l2_events")
            print(f"\nAirflow: {airflow.url}\nUser: {USER}\nPassword: {airflow.password}\n")
            print("ingest_l2_events is running; its news start nightly_backtests.")
            print(f"Reports: {HOME / 'lake' / 'runs' / 'index.html'}\nEnd with Ctrl-C.", flush=True)
            with suppress(KeyboardInterrupt):
                airflow.process.wait()
            print("Ending Airflow …")


if __name__ == "__main__":
    main()

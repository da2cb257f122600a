"""The commands as a user starts and ends them."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from l2liq.lake import Lake
from tests.stream.conftest import Rig
from tests.stream.records import forget

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kafka")]

PROGRAM = str(Path(sys.executable).parent / "l2liq")
PATIENCE_S = 120.0


def l2liq(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_follow_and_sink_once_say_what_they_did_and_status_shows_it(rig: Rig, batch_root: bytes) -> None:
    common = ("-m", rig.yaml, "--bootstrap", rig.bootstrap, "--lake", rig.folder / "stream", "--once")
    followed = l2liq("stream", "follow", rig.url, *common)
    assert (followed.returncode, followed.stderr) == (0, "")
    assert "followed to block 345" in followed.stdout
    sunk = l2liq("stream", "sink", *common, "--json")
    assert sunk.returncode == 0, sunk.stderr
    (told,) = json.loads(sunk.stdout)
    assert (told["sealed_block"], told["lag"], told["stopped"]) == (299, 0, None)
    assert rig.root() == batch_root
    status = l2liq("status", "--lake", rig.folder / "stream")
    assert "sealed to block 299, known to block 345, 0 messages behind" in " ".join(status.stdout.split())


def test_services_serve_metrics_and_end_on_a_signal_with_everything_kept(rig: Rig, batch_root: bytes) -> None:
    ports = [free_port(), free_port()]
    common = ["-m", str(rig.yaml), "--bootstrap", rig.bootstrap, "--lake", str(rig.folder / "stream")]
    commands = [
        [PROGRAM, "stream", "follow", rig.url, *common, "--poll", "0.1", "--metrics-port", str(ports[0])],
        [PROGRAM, "stream", "sink", *common, "--metrics-port", str(ports[1])],
    ]
    processes = [subprocess.Popen(one, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for one in commands]
    try:
        label = f'{{market="{rig.slug}"}}'
        await_metric(ports[0], f"l2liq_stream_followed_block{label}", 345.0)
        await_metric(ports[1], f"l2liq_stream_sealed_block{label}", 299.0)
        await_metric(ports[1], f"l2liq_stream_lag_messages{label}", 0.0)
        found = metrics(ports[0]) | metrics(ports[1])
        assert found[f"l2liq_stream_head_block{label}"] == 345
        assert found[f"l2liq_stream_followed_logs_total{label}"] > 400
        assert found[f"l2liq_stream_sealed_logs_total{label}"] > 300
        assert found[f"l2liq_stream_stopped{label}"] == 0
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=PATIENCE_S) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert rig.root() == batch_root, "the tail was kept at the end"


@pytest.mark.parametrize("words", [["follow", "http://127.0.0.1:1"], ["sink"]], ids=["follow", "sink"])
def test_an_installation_without_kafka_is_told_what_to_install(words: list[str]) -> None:
    code = "import sys; sys.modules['kafka'] = None; from pipelines.cli.main import main; main()"
    command = [sys.executable, "-c", code, "stream", *words, "-m", "aave-v3/arbitrum"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, "pip install 'l2liq[stream]'" in found.stderr) == (2, True), found.stderr


def metrics(port: int) -> dict[str, float]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return {}
    return {name: float(value) for name, _, value in (one.rpartition(" ") for one in lines if not one.startswith("#"))}


def await_metric(port: int, name: str, value: float) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while metrics(port).get(name) != value:
        assert time.monotonic() < give_up, metrics(port)
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("command", ["follow", "sink"])
def test_a_broker_that_is_not_there_is_one_sentence(rig: Rig, command: str) -> None:
    first = ["follow", rig.url] if command == "follow" else ["sink"]
    done = l2liq("stream", *first, "-m", rig.yaml, "--bootstrap", f"127.0.0.1:{free_port()}", "--once")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("l2liq: Kafka at 127.0.0.1:")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Check --bootstrap" in done.stderr


def test_markets_of_several_chains_and_twice_the_same_are_refused(rig: Rig) -> None:
    two = l2liq("stream", "sink", "-m", "aave-v3/arbitrum", "-m", "aave-v3/base", "--bootstrap", rig.bootstrap)
    assert (two.returncode, "one process per chain" in two.stderr) == (2, True)
    twice = l2liq("stream", "sink", "-m", rig.yaml, "-m", rig.yaml, "--bootstrap", rig.bootstrap)
    assert (twice.returncode, "given twice" in twice.stderr) == (2, True)


def test_a_stopped_sink_ends_with_exit_code_1_and_the_reason(rig: Rig) -> None:
    rig.follow()
    forget(rig, 0.5)
    done = l2liq(
        "stream", "sink", "-m", rig.yaml, "--bootstrap", rig.bootstrap, "--lake", rig.folder / "stream", "--once"
    )
    assert done.returncode == 1
    assert "Stopped: blocks 0–99 did not come through the stream" in done.stdout
    assert Lake.open(rig.folder / "stream").status().streams[rig.slug]["stopped"]

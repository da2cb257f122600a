"""One broker of Apache Kafka (KRaft, no ZooKeeper) for the time of a ``with`` block, from jars that Maven fetches once.

``L2LIQ_KAFKA_BOOTSTRAP`` names a broker to use instead; it is then neither started nor stopped.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

POM = Path(__file__).with_name("pom.xml")
GIVEN = "L2LIQ_KAFKA_BOOTSTRAP"
_START_S = 60.0
_PR_SET_PDEATHSIG = 1
_JVM = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


class BrokerError(RuntimeError):
    """The broker cannot be run: Java or Maven is missing, or it does not start."""


class Broker:
    """A broker on this machine. ``bootstrap``: where it listens; the same after a restart."""

    def __init__(self, folder: Path) -> None:
        port, controller = _free_port(), _free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        self._folder = folder
        self._classes = str(jars() / "*")
        self._process: subprocess.Popen[bytes] | None = None
        self._properties = folder / "server.properties"
        self._properties.write_text(
            "process.roles=broker,controller\nnode.id=1\n"
            f"controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n"
            f"listeners=PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{controller}\n"
            f"advertised.listeners=PLAINTEXT://{self.bootstrap}\n"
            "controller.listener.names=CONTROLLER\n"
            f"log.dirs={folder / 'data'}\n"
            "offsets.topic.num.partitions=1\noffsets.topic.replication.factor=1\n"
            "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
            "auto.create.topics.enable=false\nlog.retention.check.interval.ms=1000\n"
        )
        self._run("kafka.tools.StorageTool", "format", "--standalone", f"--cluster-id={_cluster_id()}", "-c")

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_java(), *_JVM, "-cp", self._classes, "kafka.Kafka", str(self._properties)],
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,
            )
        give_up = time.monotonic() + _START_S
        while time.monotonic() < give_up and self._process.poll() is None:
            if _answers(self.bootstrap):
                return
            time.sleep(0.1)
        self.kill()
        raise BrokerError(f"Kafka did not start: {(self._folder / 'broker.log').read_text(errors='replace')[-600:]}")

    def kill(self) -> None:
        """End it at once, as a power cut does to its process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill it and start it again on the same data."""
        self.kill()
        self.start()

    def _run(self, tool: str, *arguments: str) -> None:
        command = [_java(), *_JVM, "-cp", self._classes, tool, *arguments, str(self._properties)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BrokerError(f"{tool} failed: {(done.stdout + done.stderr)[-600:]}")


@contextmanager
def running_broker() -> Iterator[Broker]:
    """A fresh broker; its process and its data are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="l2liq-kafka-") as folder:
        broker = Broker(Path(folder))
        broker.start()
        try:
            yield broker
        finally:
            broker.kill()


@contextmanager
def bootstrap_of_a_broker() -> Iterator[str]:
    """Where a broker listens: the one that the environment names, or a fresh one."""
    given = os.environ.get(GIVEN)
    if given:
        yield given
        return
    with running_broker() as broker:
        yield broker.bootstrap


def jars() -> Path:
    """The folder of the broker's jars, filled by Maven the first time."""
    home = os.environ.get("L2LIQ_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "l2liq"
    folder = Path(home) / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerError(
            f"The stream tests run a real broker whose jars come through Maven. Install it (Debian: apt-get install "
            f"maven openjdk-17-jre-headless), or set {GIVEN} to a broker's host:port."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="kafka-jars-") as fresh:
        command = [maven, "-B", "-q", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        done = subprocess.run(
            [*command, f"-DoutputDirectory={fresh}/jars"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BrokerError(f"Maven could not fetch Kafka: {(done.stdout + done.stderr)[-600:]}")
        try:
            (Path(fresh) / "jars").rename(folder)
        except OSError:
            if not folder.is_dir():  # another process may have been quicker
                raise
    return folder


def _java() -> str:
    java = shutil.which("java")
    if java is None:
        raise BrokerError(
            f"The stream tests run a real broker, which needs Java 17 or later (Debian: apt-get install "
            f"openjdk-17-jre-headless), or set {GIVEN} to a broker's host:port."
        )
    return java


def _answers(bootstrap: str) -> bool:
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=1_000)
    except (KafkaError, OSError):
        return False
    try:
        return bool(admin.describe_cluster()["brokers"])
    except (KafkaError, OSError, KeyError):
        return False
    finally:
        admin.close()


def _cluster_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    """Have the kernel stop the broker if this process is killed before it can (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

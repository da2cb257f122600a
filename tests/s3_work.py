"""Work on a lake in an object store, for processes that are meant to die in the middle of it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.httpsession import URLLib3Session

from l2liq.lake import Lake, Span, leases
from tests import lake_work
from tests.lake_tables import CHAIN, MARKET, POOL, everything, logs


def count_requests(work: Callable[[Path], None], path: Path, env: Mapping[str, str], counted: Any) -> None:
    """Do the work and tell how many requests it takes."""
    os.environ.update(env)
    taken = _interrupt_before(sys.maxsize)
    work(path)
    counted.value = taken[0]


def die_before(work: Callable[[Path], None], path: Path, env: Mapping[str, str], request: int) -> None:
    """Do the work, and be killed before the given request."""
    os.environ.update(env)
    _interrupt_before(request)
    work(path)


def _interrupt_before(request: int) -> list[int]:
    taken = [0]
    real = URLLib3Session.send

    def send(self: Any, *args: Any, **named: Any) -> Any:
        if taken[0] == request:
            os.kill(os.getpid(), signal.SIGKILL)
        taken[0] += 1
        return real(self, *args, **named)

    URLLib3Session.send = send
    return taken


def create(path: Path) -> None:
    """Make a lake."""
    Lake.create(path)


def seal_much(path: Path, env: Mapping[str, str]) -> None:
    """Seal a large cell."""
    os.environ.update(env)
    with Lake.open(path).writer(MARKET, CHAIN) as writer:
        writer.seal_logs(Span(0, 10_000), lake_work.much(), everything(POOL), **lake_work.PUT)


def hold_writer(path: Path, env: Mapping[str, str], ready: Any) -> None:
    """Hold the writer of the market until killed."""
    os.environ.update(env)
    with Lake.open(path).writer(MARKET, CHAIN):
        ready.set()
        time.sleep(600)


def write_after_a_pause(path: Path, env: Mapping[str, str], last_s: float, ready: Any, resumed: Any, told: Any) -> None:
    """Hold the writer, be suspended meanwhile, and try to seal; tell the error."""
    os.environ.update(env)
    leases.LAST_S = last_s
    try:
        with Lake.open(path).writer(MARKET, CHAIN) as writer:
            ready.set()
            resumed.wait(60)
            writer.seal_logs(Span(0, 100), logs([(1, 0, POOL)]), everything(POOL), **lake_work.PUT)
        told.send("")
    except Exception as error:
        told.send(f"{type(error).__name__}: {error}")


def take_the_lock(path: Path, env: Mapping[str, str], start: Any, inside: Any, most: Any) -> None:
    """Take the writer ten times, waiting for it, and tell how many were ever inside at once."""
    os.environ.update(env)
    lake = Lake.open(path)
    start.wait(60)
    for _ in range(10):
        with lake._storage.exclusive("test", "testing", wait=True):
            with inside.get_lock():
                inside.value += 1
                most.value = max(most.value, inside.value)
            time.sleep(0.01)
            with inside.get_lock():
                inside.value -= 1

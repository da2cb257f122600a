"""Work on a lake for processes that are meant to die in the middle of it."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas  # noqa: F401 - Arrow imports it at the first table written; forks should not each wait for that
import pyarrow as pa

from l2liq.errors import L2LiqError
from l2liq.lake import BLOCK_DATA, LOG_DATA, CacheKey, Lake, Linkage, Span
from l2liq.outcome.schema import OUTCOMES
from tests.lake_tables import CHAIN, MARKET, ORACLE, POOL, TOKEN, everything, headers, logs

PUT: dict[str, Any] = {"linkage": Linkage.VERIFIED, "source": "test"}
CELLS = [Span(start, start + 100) for start in (0, 100, 200)]
KEY = CacheKey(b"r" * 32, "abi", "code")
STEPS = ("fsync", "open", "replace", "rename", "mkdir", "unlink", "rmdir", "symlink")
"""System calls before which a process may be killed. Files that Arrow opens by itself are written between them."""


def ingest(path: Path) -> None:
    """Three cells with a supplement, headers and a tail, as an ingest seals them."""
    lake = Lake.open(path)
    with lake.writer(MARKET, CHAIN) as writer:
        for cell in CELLS:
            rows = [(cell.start + n, 0, (POOL, TOKEN)[n % 2]) for n in range(20)]
            writer.seal(BLOCK_DATA, cell, headers([cell.start, cell.stop - 1]), **PUT)
            writer.seal_logs(cell, logs(rows), everything(POOL, TOKEN), **PUT)
        writer.seal_logs(CELLS[0], logs([(7, 3, ORACLE)]), everything(ORACLE), **PUT)
        writer.replace_tail(LOG_DATA, Span(300, 350), logs([(310, 0, POOL)]), everything(POOL), **PUT)


def unseal(path: Path) -> None:
    """A reorg in the second cell."""
    with Lake.open(path).writer(MARKET, CHAIN) as writer:
        writer.unseal_from(150, reason="reorg")


def publish(path: Path) -> None:
    """A run and a cache entry."""
    lake = Lake.open(path)
    lake.publish_run("run-1", {"market": MARKET}, {"outcomes": OUTCOMES.empty_table()}, "<html></html>")
    lake.market_cache(MARKET).write(KEY, {"anything": pa.table({"x": [1, 2]})}, {"blocks": 3})


def nothing() -> None:
    """Only come into being."""


def create(path: Path) -> None:
    """A new lake."""
    Lake.create(path)


def count_steps(work: Callable[[Path], None], path: Path, counted: Any) -> None:
    """Do the work and tell how many steps it takes."""
    steps = _interrupt_before(sys.maxsize)
    work(path)
    counted.value = steps[0]


def die_before(work: Callable[[Path], None], path: Path, step: int) -> None:
    """Do the work, and be killed before the given step."""
    _interrupt_before(step)
    work(path)


def _interrupt_before(step: int) -> list[int]:
    taken = [0]
    for name in STEPS:
        setattr(os, name, _counting(getattr(os, name), taken, step))
    return taken


def _counting(call: Callable[..., Any], taken: list[int], last: int) -> Callable[..., Any]:
    def counted(*args: Any, **named: Any) -> Any:
        if taken[0] == last:
            os.kill(os.getpid(), signal.SIGKILL)
        taken[0] += 1
        return call(*args, **named)

    return counted


def hold_writer(path: Path, ready: Any) -> None:
    """Hold the writer of the market until killed."""
    with Lake.open(path).writer(MARKET, CHAIN):
        ready.set()
        time.sleep(600)


def seal_forever(path: Path, started: Any) -> None:
    """Seal cell after cell until killed."""
    with Lake.open(path).writer(MARKET, CHAIN) as writer:
        started.set()
        for number in range(10_000):
            writer.seal_logs(endless_cell(number), endless_logs(number), everything(POOL), **PUT)


def endless_cell(number: int) -> Span:
    return Span(number * 1000, (number + 1) * 1000)


def endless_logs(number: int) -> pa.Table:
    return logs((number * 1000 + n, n % 7, POOL) for n in range(1000))


def rebuild(path: Path, times: int) -> None:
    """Rebuild the catalog several times."""
    for _ in range(times):
        Lake.open(path).rebuild_catalog()


def seal_much_with_a_file_limit(path: Path, limit: int, told: Any) -> None:
    """Seal a cell that does not fit into ``limit`` bytes per file; tell the error."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    _tell_error(path, told)


def seal_much_as_nobody(path: Path, told: Any) -> None:
    """Seal as a user who may not write the lake; tell the error."""
    os.seteuid(65534)
    _tell_error(path, told)


def seal_much(path: Path, told: Any) -> None:
    """Seal a large cell; tell the error."""
    _tell_error(path, told)


def much() -> pa.Table:
    """Ten thousand logs with data that does not compress."""
    table = logs((n // 4, n % 4, POOL) for n in range(10_000))
    noise = pa.array([os.urandom(64) for _ in range(table.num_rows)], pa.binary())
    return table.set_column(table.schema.get_field_index("data"), "data", noise)


def _tell_error(path: Path, told: Any) -> None:
    try:
        with Lake.open(path).writer(MARKET, CHAIN) as writer:
            writer.seal_logs(Span(0, 10_000), much(), everything(POOL), **PUT)
        told.send(None)
    except L2LiqError as error:
        told.send((type(error).__name__, str(error)))

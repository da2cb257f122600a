"""The command ``l2liq`` in a process of its own: what it said and how it ended.

:func:`l2liq` runs in a fork of a process that has everything imported; :func:`started` and :func:`installed` start
the installed command as a shell would, for signals, pipes and terminals.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

import pipelines.sample
from l2liq.lake import Lake

ROOT = Path(__file__).parents[2]
SAMPLE = Path(pipelines.sample.__file__).parent
MARKET = SAMPLE / "market.yaml"
LOGS = SAMPLE / "logs.parquet"
SCENARIO = SAMPLE / "scenarios" / "weth-lt-minus-2pp.yaml"
NAME, SLUG = "aave-v3/sample", "aave-v3-sample"
STOP: int = 1 + pc.max(pq.read_table(SAMPLE / "blocks.parquet", columns=["number"])["number"]).as_py()
"""Block after the sample's last."""

PROGRAM = Path(sys.executable).parent / "l2liq"


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended: exit code, and what it wrote."""

    code: int
    out: str
    err: str

    def refusal(self, code: int = 2) -> str:
        """The one message of a command that refused with ``code`` and said nothing else, as one line."""
        assert (self.code, self.out) == (code, ""), self
        assert self.err.startswith("l2liq: "), self
        return " ".join(self.err.split()).removeprefix("l2liq: ")

    def usage(self) -> str:
        """The message about a wrong option or argument, as Typer puts it in a box."""
        assert (self.code, self.out) == (2, ""), self
        assert "Usage: l2liq" in self.err, self
        return re.sub(r"[\s│╭╮╰╯─]+", " ", self.err)


def l2liq(
    *words: object,
    lake: Path | None = None,
    folder: Path = ROOT,
    env: Mapping[str, str] | None = None,
    file_limit: int | None = None,
    powerless: bool = False,
) -> Said:
    """Run a command to its end in ``folder``.

    ``file_limit``: bytes beyond which no file may grow; ``powerless``: bound by permissions even where root runs this.
    """
    with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
        request = {
            "words": _words(words, lake),
            "folder": str(folder),
            "env": {"COLUMNS": "100", **(env or {})},
            "file_limit": file_limit,
            "powerless": powerless,
            "out": out.name,
            "err": err.name,
        }
        server = _forks()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        return _clean(Said(code, out.read().decode(), err.read().decode()))


@cache
def _forks() -> subprocess.Popen[str]:
    """The process whose forks run the commands; it ends with this one, which holds its input."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.forks"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def started(*words: object, lake: Path | None = None, **options: Any) -> subprocess.Popen[bytes]:
    """The installed command, running."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen([PROGRAM, *_words(words, lake)], **options)


def installed(*words: object, lake: Path | None = None, **options: Any) -> Said:
    """Run the installed command to its end."""
    return ended(started(*words, lake=lake, **options))


def ended(process: subprocess.Popen[bytes]) -> Said:
    """Wait for a command that runs."""
    out, err = process.communicate()
    return _clean(Said(process.returncode, (out or b"").decode(), (err or b"").decode()))


def environment(**changes: str) -> dict[str, str]:
    """The environment of this process, changed."""
    return {**os.environ, **changes}


def ingesting(logs: Path = LOGS, market: Path = MARKET, complete: str = f"0:{STOP}") -> tuple[object, ...]:
    """The words of the command that seals the sample."""
    return ("ingest", logs, "--market", market, "--complete", complete)


def quick(change: str = "reserves: {WETH: {liquidation_threshold: {shift: -2pp}}}", more: str = "") -> str:
    """A scenario without interval, range of policies and distance, so that it takes a second."""
    return (
        f"name: quick\nmarket: {MARKET}\npolicy_range: false\nuncertainty: {{resamples: 0}}\ndistance: off\n"
        f"effective_from: 2026-03-09\nchange: {{{change}}}\n{more}"
    )


def roots(lake: Path, slug: str = SLUG) -> dict[str, str]:
    """What must never change: the root of every sealed segment of logs, by its blocks."""
    return {str(segment.span): segment.root.hex() for segment in Lake.open(lake).coverage(slug).segments}


def _words(words: tuple[object, ...], lake: Path | None) -> list[str]:
    return [str(word) for word in words] + (["--lake", str(lake)] if lake else [])


def _clean(said: Said) -> Said:
    """No user ever sees a traceback."""
    assert "Traceback" not in said.err + said.out, said.err
    return said

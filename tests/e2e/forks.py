"""A process that has everything imported and runs commands in forks of itself: milliseconds instead of seconds.

Reads one request per line, answers with the exit code (negative: the signal). Start: ``python -m tests.e2e.forks``.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from typing import Any

import l2liq.report.render  # noqa: F401 - imported so that the forks need not
import pipelines.backtest
import pipelines.check
import pipelines.impact
import pipelines.ingest.file_job
import pipelines.ingest.node_job
import pipelines.report
import pipelines.status
import pipelines.verify  # noqa: F401
from pipelines.cli.main import main

_CAPABILITIES_V3 = 0x20080522


def serve() -> None:
    """Answer requests until there are no more."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(json.loads(line))
            main()
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become(request: dict[str, Any]) -> None:
    """Be the process that a shell would have started."""
    for number, file in enumerate([os.devnull, request["out"], request["err"]]):
        os.dup2(os.open(file, os.O_RDWR), number)
    os.chdir(request["folder"])
    os.environ.update(request["env"])
    if request["file_limit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_limit"],) * 2)
    if request["powerless"]:
        header, none = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0), (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None).capset(header, none) == 0
    sys.argv = ["l2liq", *request["words"]]
    sys.modules["__main__"].__package__ = None  # else help speaks of `python -m`


if __name__ == "__main__":
    serve()

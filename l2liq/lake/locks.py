"""Locks between processes. The operating system holds them, so they die with the process that took them."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from l2liq.errors import LockedError
from l2liq.lake.publish import make_folder, naming_failures


@contextmanager
def exclusive(path: Path, purpose: str, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock file ``path``, whose content names the holder.

    ``purpose`` is what the holder does, for the message that others see; ``wait`` blocks until the lock is free.

    Raises
    ------
    LockedError
        Another process holds it, and ``wait`` is false.
    LakeError
        The folder cannot be written.
    """
    with naming_failures(path):
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise LockedError(
                f"{path}: {purpose} is already being done by {_holder(descriptor)}. Wait for it to end, or end it; "
                f"the lock goes with the process."
            ) from None
        with naming_failures(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        return "a process that has just started"

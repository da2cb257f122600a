"""Ctrl-C while a library works that looks at no signals for a long time."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupting(stop: Callable[[], None]) -> Iterator[None]:
    """While it lasts, Ctrl-C calls ``stop`` at once, from a thread of its own, and ends in KeyboardInterrupt.

    Python's own handler only runs when the main thread comes back from the library. Outside the main thread nothing
    is changed: signals do not arrive there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    stopped = threading.Event()

    def watch() -> None:
        while number := reader.recv(1):
            if number[0] == signal.SIGINT:
                stopped.set()
                stop()

    former = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except Exception:
        if stopped.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.set_wakeup_fd(former)
        writer.close()
        watcher.join()
        reader.close()

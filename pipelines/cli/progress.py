"""Progress of long work on the terminal: what is being done, and how far it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipelines.cli.console import console, safe


@contextmanager
def shown_progress(
    *, quiet: bool = False
) -> Iterator[tuple[Callable[[str], None], Callable[[str, float], None] | None]]:
    """Two callbacks: a stage by name, and how far (0 to 1) something is within it. Nothing where nobody watches."""
    if quiet or not sys.stderr.isatty():
        yield (lambda stage: None), None
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        stage = ""

        def told(name: str) -> None:
            nonlocal stage
            stage = name
            bar.update(task, description=safe(name), total=None, completed=0)

        def progress(what: str, done: float) -> None:
            bar.update(task, description=safe(f"{stage}: {what}"), total=1.0, completed=done)

        yield told, progress

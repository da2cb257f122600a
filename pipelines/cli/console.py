"""The terminal, and foreign text on it: what a file, a chain or a user says is shown, never obeyed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO
from unicodedata import category

from rich.console import Console
from rich.markup import escape
from typer import Exit

UNBROKEN = 10_000
"""Columns of what is no terminal."""


class _Terminal(Console):
    """A console whose reader may leave: that is no finding, which exit code 1 would say."""

    def on_broken_pipe(self) -> None:
        """End quietly."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0)


def console(*, stderr: bool = False, soft_wrap: bool = False, file: IO[str] | None = None) -> Console:
    """A console that changes nothing of what it is given: no colours for numbers, no pictures for ``:words:``."""
    made = _Terminal(stderr=stderr, soft_wrap=soft_wrap, file=file, highlight=False, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = UNBROKEN  # programs and files have no width to break lines at
    return made


def safe(text: object) -> str:
    """Foreign text for a console: brackets are no markup, and no control character reaches the terminal."""
    return escape(
        "".join(one if one.isprintable() or one == "\n" or category(one) == "Zs" else "�" for one in str(text))
    )


@contextmanager
def ending(code: int) -> Iterator[None]:
    """Print, and end with ``code``, also where the reader of a pipe left before everything was said."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise Exit(code)

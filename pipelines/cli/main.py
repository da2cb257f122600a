"""The command ``l2liq``: one module per topic, one place where errors become messages and exit codes."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import structlog
import typer

from l2liq.errors import L2LiqError
from pipelines.cli import (
    backtest,
    check,
    demo,
    impact,
    ingest,
    latency,
    maintain,
    market,
    nightly,
    outages,
    quality,
    quarantine,
    query,
    report,
    runs,
    scenario,
    status,
    stream,
    verify,
    watch,
)
from pipelines.cli.console import console, safe
from pipelines.sources.secrets import redact

INTERRUPTED = 130
INTERRUPTION = "[bold red]l2liq:[/] interrupted. What is done is kept; run the same command again to go on."
DUCKDB_INTERRUPTED = "Query interrupted"
"""DuckDB swallows Ctrl-C while it works and raises a bare RuntimeError of these words."""
"""Exit code after Ctrl-C, as shells have it."""

app = typer.Typer(
    name="l2liq",
    help="What would have happened to a market's liquidations under other rules?\n\n"
    "Start with `l2liq demo`. Then: ingest logs, check them, backtest a scenario, read the report.",
    epilog="Exit codes: 0 done, 1 a check found something, 2 bad input, 3 a source or the environment failed, "
    "130 interrupted.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("l2liq"))
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Options of the command as a whole."""
    processors = [redact, *structlog.get_config()["processors"]]
    structlog.configure(processors=processors, logger_factory=lambda *names: structlog.PrintLogger(sys.stderr))


TOPICS = (
    demo, ingest, check, backtest, impact, latency, outages, report, runs, query, scenario, market, status, verify,
    nightly, watch, maintain, stream, quality, quarantine,
)  # fmt: skip
for topic in TOPICS:
    topic.register(app)


def main() -> None:
    """Run the command line; user mistakes end in one sentence, never in a traceback."""
    errors = console(stderr=True, soft_wrap=True)
    try:
        app(standalone_mode=True)
    except L2LiqError as error:
        errors.print(f"[bold red]l2liq:[/] {safe(error)}")
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            errors.print(INTERRUPTION)
        elif sys.stdout is not sys.__stdout__:  # Typer leaves its own there when the reader of a pipe has gone
            sys.exit(0)
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if _debugging():
            raise
        from l2liq.lake.publish import REMEDIES

        if error.errno in REMEDIES:
            errors.print(f"[bold red]l2liq:[/] {safe(error.filename or 'standard output')}: {REMEDIES[error.errno]}.")
            sys.exit(3)
        place = f"{error.filename}: " if error.filename else ""
        errors.print(f"[bold red]l2liq:[/] {safe(place)}{safe(error.strerror or str(error))}.")
        sys.exit(3)
    except Exception as error:
        if str(error) == DUCKDB_INTERRUPTED:
            errors.print(INTERRUPTION)
            sys.exit(INTERRUPTED)
        if _debugging():
            raise
        what = str(error).partition("\n")[0][:200]
        errors.print(
            f"[bold red]l2liq:[/] {safe(type(error).__name__)}: {safe(what)}. That is a defect of l2liq, not of "
            "what you gave it: please report it with the command and what it prints when L2LIQ_DEBUG=1 is set."
        )
        sys.exit(3)


def _debugging() -> bool:
    """Whether somebody wants to see where an error came from."""
    return os.environ.get("L2LIQ_DEBUG", "") not in ("", "0")


if __name__ == "__main__":
    main()

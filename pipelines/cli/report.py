"""``l2liq report``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipelines.cli.bot import LiquidatorOption, show_bot
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption

_HELP = """The report of a run: where it lies, or its text.

  l2liq report --open                      the latest one, in the browser
  l2liq report 3f9a --format md            a run by the beginning of its id, for a forum
  l2liq report --format csv > effect.csv   for a spreadsheet
  l2liq report --liquidator 0x…            what one liquidator won and missed in each world
  l2liq report --index --open              the page that lists all runs
"""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=_HELP)
    def report(
        run: Annotated[str, typer.Argument(help="Id of a run, a beginning of it, or `latest`.")] = "latest",
        form: Annotated[str | None, typer.Option("--format", help="Print it: html, md or csv.")] = None,
        show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
        index: Annotated[bool, typer.Option("--index", help="The page that lists all runs.")] = False,
        liquidator: LiquidatorOption = None,
        as_json: JsonOption = False,
        lake: LakeOption = DEFAULT_LAKE,
    ) -> None:
        import json

        from l2liq.errors import InputError
        from l2liq.lake import Lake
        from pipelines.bot import bot_of, checked
        from pipelines.report import Format, report_page, report_text, write_index

        opened = Lake.open(lake)
        if liquidator is not None:
            if index or form is not None or show:
                raise InputError("--liquidator prints a table. Leave --index, --format and --open out.")
            bot = bot_of(opened.read_run(run), checked(liquidator))
            if as_json:
                typer.echo(json.dumps(bot.as_plain(), indent=2))
            else:
                show_bot(bot)
            return
        if form is not None:
            if index:
                raise InputError(
                    "--index is a page; leave --format out, or --index. `l2liq runs --json` lists all runs."
                )
            if form not in list(Format):
                raise InputError(f"--format {form}: a report is html, md or csv.")
            if form == Format.HTML and sys.stdout.isatty():
                raise InputError(
                    "a page is not for a terminal: `--open` shows it, or write it to a file with `> report.html`."
                )
            typer.echo(report_text(opened.read_run(run), Format(form)), nl=False)
            return
        found = None if index else opened.read_run(run)
        page = write_index(opened) if found is None else report_page(opened, found)
        typer.echo(
            json.dumps({"run_id": found.run_id if found else None, "report": str(page)}) if as_json else str(page)
        )
        if show:
            import webbrowser

            webbrowser.open(page.absolute().as_uri())

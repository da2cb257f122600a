"""Reports of published runs: the page, its text forms, and the page that lists all runs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path

from l2liq.errors import LakeError
from l2liq.lake import Lake
from l2liq.lake.runs import Run
from l2liq.market import NullTest
from l2liq.report.headline import headline
from l2liq.report.index import IndexRow, render_index
from l2liq.report.render import render
from l2liq.report.tables import comma_separated, markdown
from pipelines.bundle import bundle_of, manifest_of
from pipelines.manifest import Manifest
from pipelines.nightly.rows import alert_words, night_rows


class Format(StrEnum):
    """What a report can be read as."""

    HTML = "html"
    MD = "md"
    CSV = "csv"


_RENDERED = {Format.HTML: render, Format.MD: markdown, Format.CSV: comma_separated}


def report_text(run: Run, form: Format) -> str:
    """The report of a published run, made from the run's own tables."""
    return _RENDERED[form](bundle_of(run))


def report_page(lake: Lake, run: Run) -> Path:
    """The page of a run; made anew where it is missing."""
    return run.report if run.report.is_file() else lake.write_report(run.run_id, report_text(run, Format.HTML))


def write_index(lake: Lake) -> Path:
    """Write the page that lists every run this version can read, the last night first, and names the others."""
    rows, left_out = [], [f"{path}: {reason}" for path, reason in lake.broken_runs()]
    for run in lake.runs():
        try:
            rows.append(_row(run))
        except LakeError as error:
            left_out.append(str(error))
    return lake.write_run_index(
        render_index(rows, night_rows(lake), alert_words(lake), left_out, lake.judgements().pages())
    )


def _row(run: Run) -> IndexRow:
    manifest = manifest_of(run)
    said = headline(bundle_of(run))
    return IndexRow(
        run_id=run.run_id,
        created_s=int(datetime.fromisoformat(manifest.created_at).timestamp()),
        market=manifest.market,
        title=manifest.title,
        window_s=(manifest.window.from_s, manifest.window.to_s),
        effect=said.effect,
        caution=caution(manifest, said.caution),
        link=f"{run.run_id}/report.html",
    )


def caution(manifest: Manifest, said: str | None) -> str | None:
    """A run's caution, that its data fails the null test in short."""
    tested = manifest.null_test
    if tested is None or NullTest(**tested.model_dump()).exact:
        return said
    return f"Do not rely on it: its data fails the null test. {said or ''}".rstrip()

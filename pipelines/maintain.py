"""A lake that looks after itself: roots verified, nightly runs that nobody needs deleted, the catalog built anew."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from l2liq.errors import FidelityError, L2LiqError
from l2liq.events.commitment import table_root
from l2liq.lake import Lake
from l2liq.lake.runs import Run
from pipelines.bundle import TABLES
from pipelines.nightly.history import Journal, journals, write_journal
from pipelines.nightly.history import read_journal as read

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kept:
    """What retention did: ``deleted`` runs, ``pinned`` ones that it would have deleted, ``dry``: nothing was done."""

    deleted: tuple[str, ...]
    pinned: tuple[str, ...]
    dry: bool


def damaged(lake: Lake, market: str) -> list[str]:
    """Re-hash every sealed segment of a market; one sentence for each that is not what was sealed."""
    try:
        return lake.verify(market)
    except L2LiqError as error:
        return [str(error)]


def damaged_runs(lake: Lake) -> list[str]:
    """Re-hash the tables of every run; one sentence for each that its manifest does not know."""
    return [problem for run in lake.runs() for problem in _damaged_run(run)]


def _damaged_run(run: Run) -> list[str]:
    recorded = run.manifest.get("tables", {})
    found = []
    for name in TABLES:
        try:
            if name in recorded and table_root(run.table(name)).hex() != recorded[name]:
                found.append(f"{run.path / name}.parquet does not have the root that its manifest records.")
        except L2LiqError as error:
            found.append(str(error))
    return found


def verify_lake(lake: Lake) -> None:
    """Verify all markets and runs. FidelityError naming everything that is not what was sealed."""
    problems = [problem for market in lake.markets() for problem in damaged(lake, market)]
    problems += damaged_runs(lake)
    for problem in problems:
        log.error("damaged", problem=problem)
    if problems:
        raise FidelityError("\n".join(problems))


def retain(lake: Lake, keep: int, *, dry: bool = False) -> Kept:
    """Delete runs that the nights made and nobody needs.

    Only runs of journals are looked at: a run that a person made is a person's to delete. Of each series the runs of
    the last ``keep`` nights stay, and pinned runs whatever their age. Sealed data is never deleted: manifests name its
    roots.
    """
    pins = lake.nights().pins()
    there = {run.run_id for run in lake.runs()}
    found = journals(lake)
    needed = {night.run_id for journal in found.values() for s in journal.series.values() for night in s.nights[-keep:]}
    made = {run_id for journal in found.values() for run_id in _made(journal)}
    surplus = (made & there) - needed
    pinned = tuple(sorted(surplus & pins.keys()))
    deleted = tuple(sorted(surplus - pins.keys()))
    if not dry:
        for run_id in deleted:
            lake.nights().delete_run(run_id)
            log.info("run_deleted", run_id=run_id)
        for slug in found:
            _forget(lake, slug)
    return Kept(deleted, pinned, dry)


def _made(journal: Journal) -> set[str]:
    """Runs that a market's nights made, superseded ones included."""
    return {
        run_id
        for series in journal.series.values()
        for run_id in (*series.superseded, *(night.run_id for night in series.nights))
    }


def _forget(lake: Lake, slug: str) -> None:
    """Superseded runs that are gone need not be remembered; the numbers of a night are kept without its run."""
    with lake.nights().writing(slug):
        journal, there = read(lake, slug), {run.run_id for run in lake.runs()}
        for series in journal.series.values():
            series.superseded = [run_id for run_id in series.superseded if run_id in there]
        write_journal(lake, slug, journal)


def rebuild(lake: Lake) -> str:
    """Build the catalog anew; where it lies."""
    return str(lake.rebuild_catalog())

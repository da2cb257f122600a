"""One market's night: what its coverage reaches is run, compared and remembered; what it does not is said."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import structlog

from l2liq.chains.markets import Listing
from l2liq.errors import L2LiqError
from l2liq.lake import Lake
from l2liq.lake.runs import Run
from l2liq.replay import Progress
from l2liq.scenario.identity import canonical_json
from l2liq.scenario.load import Loaded
from pipelines.backtest import Bench
from pipelines.manifest import this_version
from pipelines.nightly.config import Fed, Nightly, listing_of
from pipelines.nightly.days import Covered, covered_if_any, yesterday
from pipelines.nightly.gate import objections, outcome_gate
from pipelines.nightly.history import Journal, Result, Series, night_of, now, read_journal, remember, write_journal
from pipelines.nightly.selection import Wanted, wanted_on

log = structlog.get_logger()

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a market's scenarios on one night."""

    market: str
    night: date
    results: tuple[Result, ...]

    def sentence(self) -> str:
        """``aave-v3/base, night of 2026-03-11: 3 done, 1 not_run.``"""
        states = [one.state for one in self.results]
        counts = ", ".join(f"{states.count(state)} {state.replace('_', ' ')}" for state in dict.fromkeys(states))
        return f"{self.market}, night of {self.night}: {counts or 'no scenario'}."


def run_market(
    nightly: Nightly,
    fed: Fed,
    night: date | None = None,
    *,
    told: Told = lambda stage: None,
    progress: Progress | None = None,
) -> Outcome:
    """Run a market's scenarios for the night that ends ``night`` (a complete UTC day), and remember what came of it.

    Without a night it is the nightly file's ``until``. What was run before on the same data by the same code is not
    run again. A scenario that fails does not stop the others; the journal says so.

    Raises
    ------
    LakeError
        Another process runs this market's night.
    """
    lake, listing = Lake.create(nightly.lake), listing_of(fed)
    with lake.nights().writing(listing.deployment.slug):
        return _MarketNight(nightly, fed, lake, listing, told, progress).run(night)


def night_for(nightly: Nightly, found: Covered | None, asked: date | None) -> date:
    """The night that is asked for, or the one that the nightly file means."""
    if asked is not None:
        return asked
    return found.last_day if nightly.until == "coverage" and found is not None else yesterday()


@dataclass
class _MarketNight:
    nightly: Nightly
    fed: Fed
    lake: Lake
    listing: Listing
    told: Told
    progress: Progress | None
    journal: Journal = field(init=False)
    results: list[Result] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.slug, self.name = self.listing.deployment.slug, self.listing.deployment.name
        self.journal = read_journal(self.lake, self.slug)

    def run(self, asked: date | None) -> Outcome:
        """Reads top-down."""
        found = covered_if_any(self.lake, self.name)
        night = night_for(self.nightly, found, asked)
        days = self.fed.days or self.nightly.days
        due: list[Wanted] = []
        for wanted in wanted_on(self.lake, self.listing, self.fed.scenarios, found, night, days):
            if wanted.why_not is not None or wanted.loaded is None:
                state = "failed" if wanted.broken else "not_run"
                self._result(wanted, state, reason=wanted.why_not)
            elif found is not None and not self._known(wanted, found):
                due.append(wanted)
        if due and found is not None:
            self._run_all(due, found, night)
        self._keep(found, night, backfilled=asked is not None)
        return Outcome(self.name, night, tuple(self.results))

    def _known(self, wanted: Wanted, found: Covered) -> bool:
        """Whether the scenario was run already on this data by this code; then that is the result."""
        assert wanted.loaded is not None
        asked, _ = self._asked(wanted.loaded, found)
        there = {run.run_id for run in self.lake.runs()}
        for series_id, series in self.journal.series.items():
            for one in series.nights:
                if one.asked == asked and one.run_id in there:
                    self._result(wanted, "reused", series_id=series_id, run_id=one.run_id)
                    return True
        return False

    def _asked(self, loaded: Loaded, found: Covered) -> tuple[str, str]:
        """What decides the run's numbers, as a hash, and the root of the data among it."""
        stop = loaded.scenario.window.stop
        until = found.span if stop.timestamp_s is None else found.until(stop.timestamp_s)
        data = self.lake.dataset_root(self.slug, until).hex()
        parts = [loaded.scenario.effective(), self.name, data, str(this_version())]
        return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:32], data

    def _run_all(self, due: list[Wanted], found: Covered, night: date) -> None:
        try:
            refused = objections(self.lake, self.listing)
            bench = Bench(self.lake, self.listing, self.told, outcome_gate(self.lake)) if not refused else None
        except L2LiqError as error:
            refused, bench = [str(error)], None
        for wanted in due:
            if bench is None:
                self._result(wanted, "failed", reason="; ".join(refused))
            else:
                self._run(bench, wanted, found, night)
        self.lake.rebuild_catalog()

    def _run(self, bench: Bench, wanted: Wanted, found: Covered, night: date) -> None:
        """One scenario; whatever it raises stays its own."""
        assert wanted.loaded is not None
        try:
            done = bench.run(bench.composed(wanted.loaded), self.progress)
        except L2LiqError as error:
            self._result(wanted, "failed", reason=str(error))
            return
        except Exception as error:
            log.exception("nightly_scenario_failed", market=self.name, scenario=wanted.title)
            self._result(wanted, "failed", reason=f"an unexpected {type(error).__name__}, see the log")
            return
        self._remember(wanted, done.run, found, night)
        self._result(wanted, "done", series_id=str(done.run.manifest["series_id"]), run_id=done.run.run_id)

    def _remember(self, wanted: Wanted, run: Run, found: Covered, night: date) -> None:
        assert wanted.loaded is not None
        series_id = str(run.manifest["series_id"])
        series = self.journal.series.setdefault(series_id, Series(title=wanted.title, file=wanted.file))
        series.title, series.file = wanted.title, wanted.file
        series.changes = list(run.manifest["changes"])
        remember(series, night_of(run, night, *self._asked(wanted.loaded, found)))
        write_journal(self.lake, self.slug, self.journal)

    def _result(self, wanted: Wanted, state: str, **more: str | None) -> None:
        result = Result(file=wanted.file, title=wanted.title, state=state, **more)
        self.results.append(result)
        told = log.warning if state in ("failed", "not_run") else log.info
        told("nightly_scenario", market=self.name, **result.model_dump(exclude_none=True))

    def _keep(self, found: Covered | None, night: date, *, backfilled: bool) -> None:
        """A night that was asked for and is older than the last one fills the history; it is not the last."""
        journal = self.journal
        journal.market, journal.made_at = self.name, now()
        journal.covered_until_s = None if found is None else found.end_s
        if not backfilled or journal.night is None or night >= journal.night:
            journal.night, journal.results = night, self.results
        write_journal(self.lake, self.slug, journal)

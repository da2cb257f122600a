"""The gate: Great Expectations judges whether data is plausible before anything is published from it.

Structure is another matter: the library checks it always, and what fails is never sealed (:mod:`.structure`,
:mod:`.completeness`). Here rows of new segments are judged once, and what is derived from all of them as one row. A
critical failure blocks runs, never a segment; a warning is reported. A check that raises is told apart: it says nothing
about data, but where the expectation is critical nobody can say that data is good, so it blocks as well.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from l2liq.chains.markets import Listing
from l2liq.errors import CheckError, InputError, L2LiqError, QualityError
from l2liq.lake import Lake, Segment, Span
from l2liq.protocols import protocol
from l2liq.report.quality import QualityPage, render_quality
from pipelines.market import load_market
from pipelines.quality.jury import SUITES, Cause, Finding, Jury, Severity, packaged_suite

if TYPE_CHECKING:
    pass

Told = Callable[[str], None]
ROWS_AT_A_TIME = 250_000
DOCS = "docs"
_OF_SEGMENTS = ("logs", "events")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about a market's data.

    Attributes
    ----------
    segments : how many were judged now; ``known`` were judged before, and what was found then still counts
    findings : every expectation that is not met or could not be checked
    notes : what could not be judged, in words
    pages : the page about it, which links the Data Docs
    """

    market: str
    segments: int
    known: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    pages: Path | None = field(default=None, compare=False)

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """What forbids publishing."""
        return tuple(one for one in self.findings if one.severity is Severity.CRITICAL)

    def require(self) -> None:
        """QualityError where data is bad, CheckError where a critical check itself failed."""
        bad = [one for one in self.blocking if one.cause is Cause.DATA]
        if bad:
            more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            raise QualityError(
                f"{self.market}: {bad[0].sentence()}{more} Nothing was published. `l2liq quality --market "
                f"{self.market}` shows all; expectations that do not fit this market can be changed in the lake."
            )
        if self.blocking:
            raise CheckError(
                f"{self.market}: {self.blocking[0].sentence()} Nothing was published, since nobody can say whether the "
                f"data is good. Correct the expectation or report a bug."
            )


def judge(lake: Lake, listing: Listing, *, told: Told | None = None) -> Verdict:
    """Judge a market's data in the lake: new segments, and everything that is derived from all of them.

    Writes the Data Docs. Raises InputError where the lake has no logs of the market, or holds an expectation that is
    none.
    """
    lake_has = lake.coverage(listing.deployment.slug)
    if lake_has.span is None:
        raise InputError(
            f"{listing.deployment.name}: the lake {lake.name} has no logs of it. Fetch them with "
            f"`l2liq ingest SOURCE --market {listing.deployment.name}`."
        )
    with lake.judgements().judging(listing.deployment.slug):
        return _Session(lake, listing, told or (lambda stage: None)).run()


def judge_outcomes(
    lake: Lake, market: str, tables: Mapping[str, pa.Table], window_s: tuple[int, int], jury: Jury | None = None
) -> Verdict:
    """Judge what a run is about to publish. ``window_s``: first and last second of its window."""
    from pipelines.quality import tables as made

    jury = jury or outcome_jury(lake)
    first_s, last_s = window_s
    found = jury.judge("outcomes", made.outcomes(tables["outcomes"]), "this run", first_s=first_s, last_s=last_s)
    return Verdict(market, 0, 0, tuple(found))


def outcome_jury(lake: Lake) -> Jury:
    """Who judges outcomes; to be made once for any number of runs."""
    return Jury({"outcomes": _suites(lake)["outcomes"]})


class _Session:
    """One judgement of one market."""

    def __init__(self, lake: Lake, listing: Listing, told: Told) -> None:
        self.lake, self.listing, self.told = lake, listing, told
        self.deployment = listing.deployment
        self.coverage = lake.coverage(self.deployment.slug)
        suites = _suites(lake)
        told("loading Great Expectations")
        self.jury = Jury(suites)
        self.version = hashlib.sha256(b"\0".join(suites[name] for name in _OF_SEGMENTS)).hexdigest()[:16]

    def run(self) -> Verdict:
        """Reads top-down."""
        slug, records = self.deployment.slug, self.lake.judgements()
        judged = self._remembered(records.read(slug))
        new = [one for one in self.coverage.segments if one.root.hex() not in judged]
        known = len(self.coverage.segments) - len(new)
        judged |= self._segments(new)
        findings = [one for found in judged.values() for one in found]
        derived, notes = self._derived()
        records.write(slug, {"version": self.version, "segments": {r: list(map(asdict, f)) for r, f in judged.items()}})
        verdict = Verdict(self.deployment.name, len(new), known, (*findings, *derived), notes)
        self.told("writing the pages")
        return replace(verdict, pages=self._pages(verdict))

    def _pages(self, verdict: Verdict) -> Path:
        with TemporaryDirectory() as folder:
            judged = self.jury.write_pages(Path(folder) / DOCS)
            page = QualityPage(
                market=verdict.market,
                made_s=int(time.time()),
                blocked=bool(verdict.blocking),
                segments=verdict.segments,
                known=verdict.known,
                findings=[(one.severity.value, one.sentence()) for one in verdict.findings],
                notes=verdict.notes,
                judged=[replace(one, link=f"{DOCS}/{one.link}") for one in judged],
                docs=f"{DOCS}/index.html",
            )
            (Path(folder) / "index.html").write_text(render_quality(page), encoding="utf-8")
            return self.lake.judgements().write_pages(self.deployment.slug, Path(folder))

    def _remembered(self, record: Mapping[str, Any]) -> dict[str, list[Finding]]:
        """What the same expectations found of segments that are still there."""
        if record.get("version") != self.version:
            return {}
        there = {one.root.hex() for one in self.coverage.segments}
        return {root: [_finding(one) for one in found] for root, found in record["segments"].items() if root in there}

    def _segments(self, new: Sequence[Segment]) -> dict[str, list[Finding]]:
        """Findings about the rows of new segments, under the root of the first that was judged with them."""
        from pipelines.quality import tables as made

        judged: dict[str, list[Finding]] = {one.root.hex(): [] for one in new}
        families = protocol(self.deployment.protocol).event_families
        spans = sorted({one.span for one in new})
        for first, last, logs in made.chunks(self.lake, self.deployment.slug, spans, ROWS_AT_A_TIME):
            if not logs.num_rows:
                continue
            batch = str(Span(first.start, last.stop))
            self.told(f"judging {batch}")
            found = self.jury.judge("logs", made.raw_logs(logs), batch, now_s=int(time.time()) + 3_600)
            found += self.jury.judge("events", made.measures(logs, families), batch)
            judged[next(one.root.hex() for one in new if one.span == first)] += found
        return judged

    def _derived(self) -> tuple[list[Finding], tuple[str, ...]]:
        from pipelines.quality import tables as made

        self.told("judging coverage, prices and balances")
        whole = "the whole market"
        found = self.jury.judge("activity", made.activity(self.lake, self.deployment, self.coverage), whole)
        try:
            market = load_market(self.lake, self.listing)
        except L2LiqError as error:
            return found, (f"Prices and balances were not judged: {error}",)
        found += self.jury.judge("prices", made.prices(market), whole)
        found += self.jury.judge("ledger", made.ledger(market), whole)
        return found, ()


def _suites(lake: Lake) -> dict[str, bytes]:
    """Every suite: the lake's own, where it has one, else the package's."""
    own = lake.judgements()
    return {name: own.suite(name) or packaged_suite(name) for name in SUITES}


def _finding(content: Mapping[str, Any]) -> Finding:
    return Finding(**{**content, "severity": Severity(content["severity"]), "cause": Cause(content["cause"])})

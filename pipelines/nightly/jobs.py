"""The jobs of the nights as Airflow and the command line call them: a nightly file in, plain data out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import structlog

from l2liq.errors import InputError, L2LiqError
from l2liq.lake import Lake
from l2liq.replay import Progress
from pipelines import maintain
from pipelines.nightly.alerts import task_failed, task_succeeded
from pipelines.nightly.config import Fed, Nightly, listing_of, load_nightly
from pipelines.nightly.days import parse_day
from pipelines.nightly.ingest import Ingested, ingest_market, markets_with_node
from pipelines.nightly.market import Outcome, run_market
from pipelines.nightly.publish import Published, publish_nights
from pipelines.watch import watch_market

log = structlog.get_logger()

FILE_VARIABLE = "L2LIQ_NIGHTLY"
LAKE_VARIABLE = "L2LIQ_LAKE"
MOST_NIGHTS = 1_000


def configured() -> Nightly:
    """The nightly file that the environment names. InputError where it names none."""
    path = os.environ.get(FILE_VARIABLE)
    if not path:
        raise InputError(f"{FILE_VARIABLE} is not set. Set it to the path of a nightly YAML file.")
    lake = os.environ.get(LAKE_VARIABLE)
    return load_nightly(Path(path), Path(lake) if lake else None)


@dataclass(frozen=True, slots=True)
class Night:
    """What a whole night did; ``problems``: market to what did not work of it."""

    fetched: tuple[Ingested, ...]
    problems: Mapping[str, str]
    outcomes: tuple[Outcome, ...]
    published: Published

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "fetched": {one.market: str(one.complete_until) for one in self.fetched},
            "problems": dict(self.problems),
            "nights": [plain(one) for one in self.outcomes],
            **self.published.as_json(),
        }

    def sentences(self) -> list[str]:
        """The last words, a sentence per line."""
        lines = [one.words for one in self.fetched]
        lines += [f"{market}: {why}" for market, why in self.problems.items()]
        for outcome in self.outcomes:
            lines.append(outcome.sentence())
            lines += [
                f"  {one.title}: {one.state.replace('_', ' ')}: {one.reason}" for one in outcome.results if one.reason
            ]
        lines += [f"Alert: {one.words}" for one in self.published.alerts]
        return [*lines, f"Index: {self.published.index}"]


def run_nights(
    nightly: Nightly,
    nights: Sequence[date | None],
    *,
    markets: Sequence[str] | None = None,
    fetch: bool = True,
    told: Callable[[str], None] = lambda stage: None,
    progress: Progress | None = None,
) -> Night:
    """Fetch, run and publish; a market that fails does not stop the others."""
    chosen = nightly.markets if not markets else tuple(nightly.fed(name) for name in markets)
    fetched: list[Ingested] = []
    problems: dict[str, str] = {}
    outcomes: list[Outcome] = []
    last = max((one for one in nights if one is not None), default=None)
    for fed in chosen:
        name = listing_of(fed).deployment.name
        try:
            if fetch and fed.rpc is not None:
                told(f"fetching {name}")
                fetched.append(ingest_market(nightly, fed, last))
                _watched(nightly, fed)
        except L2LiqError as error:
            problems[name] = f"not fetched: {error}"
        try:
            outcomes += [run_market(nightly, fed, night, told=told, progress=progress) for night in nights]
        except L2LiqError as error:
            problems[name] = f"not run: {error}"
    return Night(tuple(fetched), problems, tuple(outcomes), publish_nights(nightly))


def nights_between(first: date, last: date) -> Iterator[date]:
    """Every night from the first to the last. InputError for none or absurdly many."""
    count = (last - first).days + 1
    if not 0 < count <= MOST_NIGHTS:
        raise InputError(f"{first} to {last} are {max(count, 0):,} nights. Give 1 to {MOST_NIGHTS:,}.")
    return (first + timedelta(days=number) for number in range(count))


# --- one function per task --------------------------------------------------------------------------------------------


def fetched_markets() -> list[str]:
    """Markets that the nights fetch from a node."""
    return markets_with_node(configured())


def all_markets() -> list[str]:
    """Every market of the nightly file."""
    return [listing_of(fed).deployment.name for fed in configured().markets]


def fetch(market: str, until: str | None = None) -> dict[str, Any]:
    """Ingest one market up to its node's head, or until a day is complete."""
    nightly = configured()
    fed = nightly.fed(market)
    found = ingest_market(nightly, fed, parse_day(until) if until else None)
    _watched(nightly, fed)
    return {
        "market": found.market,
        "slug": found.slug,
        "complete_until": str(found.complete_until),
        "news": found.news,
        "words": found.words,
    }


def nights_to_run(
    night: str | None, markets: Sequence[str] | None, backfilled: datetime | None, updated: Sequence[str]
) -> list[dict[str, str | None]]:
    """Market and night of each task of a nightly run.

    A night that is asked for goes before everything; a backfill means the day that was over at its date; without
    either it is the nightly file's ``until``, held against each market's coverage when its turn comes. ``updated``:
    markets whose new data started the run; without any it is all of them.
    """
    nightly = configured()
    if night is None and backfilled is not None:
        night = str((backfilled - timedelta(days=1)).date())
    names = [listing_of(nightly.fed(name)).deployment.name for name in (markets or [])]
    known = all_markets()
    names = names or [name for name in known if name in updated] or known
    return [{"market": name, "night": None if night is None else str(parse_day(night))} for name in names]


def backtest(market: str, night: str | None = None) -> dict[str, Any]:
    """One market's night."""
    nightly = configured()
    return plain(run_market(nightly, nightly.fed(market), parse_day(night) if night else None))


def backtest_days(market: str, first: str, last: str) -> list[dict[str, Any]]:
    """One market's nights from a first to a last one."""
    nightly = configured()
    nights = nights_between(parse_day(first), parse_day(last))
    return [plain(run_market(nightly, nightly.fed(market), night)) for night in nights]


def publish() -> dict[str, Any]:
    """Alerts, history pages, index."""
    return publish_nights(configured()).as_json()


def verify_roots() -> None:
    """Re-hash the lake. FidelityError where something is not what was sealed."""
    maintain.verify_lake(_lake())


def delete_surplus() -> dict[str, Any]:
    """Retention."""
    nightly = configured()
    found = maintain.retain(_lake(), nightly.keep)
    publish_nights(nightly)
    return {"deleted": list(found.deleted), "pinned": list(found.pinned)}


def rebuild_catalog() -> str:
    """Build the catalog anew."""
    return maintain.rebuild(_lake())


def record_failure(market: str, task: str, error: str) -> None:
    """A task gave up."""
    nightly = configured()
    task_failed(Lake.create(nightly.lake), nightly.alerts, market, task, error)


def record_success(market: str, task: str) -> None:
    """A task that may have given up before did not."""
    task_succeeded(_lake(), market, task)


def plain(outcome: Outcome) -> dict[str, Any]:
    """A market's night as plain data."""
    results = [one.model_dump(exclude_none=True) for one in outcome.results]
    return {"market": outcome.market, "night": str(outcome.night), "results": results}


def _lake() -> Lake:
    return Lake.create(configured().lake)


def _watched(nightly: Nightly, fed: Fed) -> None:
    """Log who is close to liquidation now that new blocks are there; that this fails is no failure of the ingest."""
    wish = nightly.watch
    if wish is None:
        return
    within, fall = (Fraction(value).limit_denominator(10_000) for value in (wish.within, wish.fall))
    try:
        found = watch_market(Lake.open(nightly.lake), listing_of(fed), within, fall)
    except L2LiqError as error:
        log.warning("watch_failed", market=fed.market, error=str(error))
        return
    log.info(
        "watched",
        market=found.market,
        block=found.block,
        accounts=found.accounts,
        liquidatable=found.liquidatable,
        close=len(found.close),
        cases={case.what: {"accounts": len(case.struck), "debt_usd": round(case.debt_usd)} for case in found.cases},
    )

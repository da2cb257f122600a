"""The three worlds of a scenario over one market (DESIGN §2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from l2liq.liquidators import Empirical, kaplan_meier
from l2liq.market import Market
from l2liq.outcome.schema import ACCOUNTS, OUTCOMES, World
from l2liq.protocols.interface import Moment
from l2liq.replay.accounts import Ends
from l2liq.replay.actual import History, Rival, delays_of, rivals_of
from l2liq.replay.course import Course
from l2liq.replay.ground import Ground
from l2liq.replay.plan import AtStart, Plan, Progress, VenueOf
from l2liq.replay.resolve import resolve
from l2liq.replay.result import Divergence, Result

ALL_WORLDS = (World.ACTUAL, World.CONTROL, World.ALTERNATIVE)


def replay(
    venue_of: VenueOf,
    market: Market,
    plan: Plan,
    worlds: Sequence[World] = ALL_WORLDS,
    *,
    ground: Ground | None = None,
    accounts: bool = True,
    progress: Progress | None = None,
) -> Result:
    """Replay a window of a market in the worlds asked for.

    Parameters
    ----------
    venue_of : VenueOf
        The protocol's rules for this market under a parameter timeline.
    market : Market
        What is known of it.
    plan : Plan
        What to do.
    worlds : Sequence[World]
        Which worlds to emit. Under ``exclude_underwater`` the alternative decides whom control leaves out, so it is
        run for control too.
    ground : Ground | None
        What replays of one market and window share; made here where it is None.
    accounts : bool
        Also emit every account at the window's end, all of them exact (costs one exact look per account with debt).
    progress : Progress | None
        Told how far it is.
    """
    ground = ground or Ground.of(venue_of, market, plan)
    timelines = {id(t): t for t in (plan.actual, plan.alternative)}
    ground.screen_all(timelines.values())
    courses, samples = _courses(venue_of, plan, worlds, ground, progress)
    actions, actions_usd = ground.actions_in_window()
    for course in courses.values():
        course.counters.actions, course.counters.actions_usd = actions, actions_usd
    order = sorted(courses, key=lambda world: world.value)
    ends = Ends(next(iter(courses.values()))) if accounts and courses else None
    address = market.address
    alternative = courses.get(World.ALTERNATIVE)
    left = {account for course in courses.values() for account in course.left_at}
    return Result(
        outcomes=pa.concat_tables([courses[world].rows.table() for world in order] or [OUTCOMES.empty_table()]),
        accounts=pa.concat_tables(
            [ends.table(courses[world]) for world in order] if ends is not None else [ACCOUNTS.empty_table()]
        ),
        counters={world: courses[world].counters for world in worlds},
        divergence={world: samples[world] for world in worlds},
        excluded=tuple(sorted(address(account) for account in left)),
        changed_itself=tuple(sorted({address(a) for a in alternative.changed_itself})) if alternative else (),
        ticks=ground.screen.ticks,
        account_ticks=ground.screen.account_ticks,
    )


def _courses(
    venue_of: VenueOf, plan: Plan, worlds: Sequence[World], ground: Ground, progress: Progress | None
) -> tuple[Mapping[World, Course], Mapping[World, tuple[Divergence, ...]]]:
    """The worlds asked for, and how they diverged from history."""
    courses: dict[World, Course] = {}
    samples: dict[World, tuple[Divergence, ...]] = {World.ACTUAL: ()}
    leaving: Mapping[int, Moment] = {}
    excludes = plan.at_start is AtStart.EXCLUDE_UNDERWATER and plan.change is not None
    if World.ALTERNATIVE in worlds or (excludes and World.CONTROL in worlds):
        venue = venue_of(plan.alternative)
        course, samples[World.ALTERNATIVE] = resolve(ground, plan, World.ALTERNATIVE, venue, leaving, progress)
        courses[World.ALTERNATIVE], leaving = course, course.left_at
    if World.CONTROL in worlds:
        control = resolve(ground, plan, World.CONTROL, ground.actual, leaving, progress)
        courses[World.CONTROL], samples[World.CONTROL] = control
    if World.ACTUAL in worlds:
        history = History(ground, plan)
        courses[World.ACTUAL] = history.emit(history.episodes())
    return {world: courses[world] for world in worlds}, samples


def fit_latency(venue_of: VenueOf, market: Market, plan: Plan, first: Moment, last: Moment) -> Empirical:
    """Delays [s] from liquidatable to liquidated in a period of history, outside the plan's window.

    Positions that were never liquidated count as censored (Kaplan–Meier). Raises InputError where the period holds no
    liquidation.
    """
    period = replace(plan, first=first, last=last, alternative=plan.actual, change=None)
    ground = Ground.of(venue_of, market, period)
    return kaplan_meier(*delays_of(History(ground, period).episodes()))


def fit_rivals(venue_of: VenueOf, market: Market, plan: Plan) -> list[Rival]:
    """The liquidators of a plan's window, as history has them, each with delays of its own. Raises as fit_latency."""
    ground = Ground.of(venue_of, market, plan)
    return rivals_of(History(ground, plan).episodes(), market)

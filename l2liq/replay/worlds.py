"""The three worlds of a scenario over one market (DESIGN §2)."""

from __future__ import annotations

from collections.abc import Sequence

from l2liq.market import Market
from l2liq.outcome.schema import World
from l2liq.replay.ground import Ground
from l2liq.replay.plan import Plan, Progress, VenueOf
from l2liq.replay.result import Result

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
    venue_of : the protocol's rules for this market under a parameter timeline
    plan : what to do
    worlds : which worlds to emit; the alternative under ``exclude_underwater`` decides whom control excludes
    ground : what replays of one market and window share (see :class:`Ground`); made here where it is None
    accounts : also emit every account at the window's end (costs an exact look at every account with debt)
    progress : told how far it is
    """
    raise NotImplementedError

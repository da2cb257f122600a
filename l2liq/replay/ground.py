"""What all replays of one market over one window share: screen table, recorded transactions. Built once for a sweep."""

from __future__ import annotations

from dataclasses import dataclass

from l2liq.market import Market
from l2liq.replay.plan import Plan, VenueOf


@dataclass(frozen=True)
class Ground:
    """Use the same ground for every plan with the same window, heartbeat and change moments."""

    @staticmethod
    def of(venue_of: VenueOf, market: Market, plan: Plan) -> Ground:
        """The ground of a plan."""
        raise NotImplementedError

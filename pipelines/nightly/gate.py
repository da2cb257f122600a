"""Where data quality has its say in a nightly run: before a market is loaded, after its coverage was found enough."""

from __future__ import annotations

from l2liq.chains.markets import Listing
from l2liq.lake import Lake


def objections(lake: Lake, listing: Listing) -> list[str]:
    """Why a market's data must not be backtested, a sentence each; none = go on.

    The library's structural checks have blocked sealing by now. Judging plausibility belongs to
    :mod:`pipelines.quality`, which answers here.
    """
    del lake, listing
    return []

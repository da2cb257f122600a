"""What a price table does to a market: imported prices take the place of the oracle's, so they must reach as far."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from l2liq.chains.markets import Listing
from l2liq.errors import InputError, L2LiqError
from l2liq.events.log import block_of
from l2liq.lake import OBSERVATION_DATA, Lake
from l2liq.market import PRICE, Market
from l2liq.market.gaps import PriceGap, missing_prices
from l2liq.protocols import protocol
from pipelines.market import fold_market


def require_cover(lake: Lake, listing: Listing, prices: pa.Table, place: str) -> list[str]:
    """What a person should know of ``prices`` (schema OBSERVATIONS) before they count, one sentence each.

    Raises InputError naming asset and blocks where the market would lose a price that it has.
    """
    try:
        folded = fold_market(lake, listing)
    except L2LiqError as error:
        return [f"Whether they reach as far as what they replace could not be seen: {error}"]
    found = protocol(listing.deployment.protocol)
    observations = pa.concat_tables([lake.read(OBSERVATION_DATA, listing.deployment.slug), prices])
    entry = folded.entry
    snapshot = found.restored(listing.deployment, entry.table, entry.document["snapshot"], observations)
    if snapshot is None:
        return []
    before, after = folded.market, found.market(snapshot)
    known = [*missing_prices(before)]
    for gap in missing_prices(after):
        if not any(_covers(one, gap) for one in known):
            asset = after.assets[gap.asset]
            until = "the end" if gap.last_key is None else f"block {block_of(gap.last_key):,}"
            raise InputError(
                f"{place}: its prices of {asset.symbol} take the place of the recorded ones, and leave none from block "
                f"{block_of(gap.first_key):,} to {until}, where it is held. Give a table that reaches as far; nothing "
                f"was imported."
            )
    return list(_replaced(before, after))


def _covers(one: PriceGap, other: PriceGap) -> bool:
    ends = one.last_key is None or (other.last_key is not None and other.last_key <= one.last_key)
    return one.asset == other.asset and one.first_key <= other.first_key and ends


def _replaced(before: Market, after: Market) -> list[str]:
    """Assets whose recorded prices are replaced, and by how much the new ones differ at most."""
    told = []
    for number, asset in enumerate(after.assets):
        old, new = before.series.get((PRICE, number)), after.series.get((PRICE, number))
        if old is None or new is None or np.array_equal(old.raw, new.raw):
            continue
        keys = [int(key) for key in np.union1d(old.key, new.key)]
        pairs = [(key, old.at(key), new.at(key)) for key in keys]
        apart = [(max(was, now) / min(was, now), key) for key, was, now in pairs if was and now and min(was, now) > 0]
        factor, key = max(apart, default=(1.0, 0))
        worst = f", at most by a factor of {factor:.4g} (block {block_of(key):,})" if factor > 1 else ""
        told.append(f"They replace the prices of {asset.symbol} that the lake had{worst}.")
    return told

"""What a market lacks: prices that were needed and not known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from l2liq.market.assets import LegKind
from l2liq.market.market import Market
from l2liq.market.series import PRICE


@dataclass(frozen=True, slots=True)
class PriceGap:
    """An asset that somebody had or owed without a price, from ``first_key`` to ``last_key`` (None = to the end)."""

    asset: int
    first_key: int
    last_key: int | None


def missing_prices(market: Market) -> Iterator[PriceGap]:
    """Gaps in prices, by asset; needed from an asset's first change in the ledger on, unknown where 0 or below."""
    for asset in range(len(market.assets)):
        needed = _first_use(market, asset)
        if needed is None:
            continue
        prices = market.series.get((PRICE, asset))
        if prices is None:
            yield PriceGap(asset, needed, None)
            continue
        known = np.array([value > 0 for value in prices.values], bool)
        later = np.searchsorted(prices.key, needed, side="right")
        begins_known = later > 0 and known[later - 1]
        edges = [] if begins_known else [(needed, False)]
        edges += [(int(key), bool(one)) for key, one in zip(prices.key[later:], known[later:], strict=True)]
        yield from _gaps(asset, edges)


def _gaps(asset: int, edges: list[tuple[int, bool]]) -> Iterator[PriceGap]:
    """Gaps from the moments at which a price is lost or found again."""
    start: int | None = None
    for key, known in edges:
        if known and start is not None:
            yield PriceGap(asset, start, key)
            start = None
        elif not known and start is None:
            start = key
    if start is not None:
        yield PriceGap(asset, start, None)


def _first_use(market: Market, asset: int) -> int | None:
    legs = [n for n, leg in enumerate(market.legs) if leg.asset == asset and leg.kind is not LegKind.FLAG]
    rows = np.flatnonzero(np.isin(market.ledger.leg, legs))
    return int(market.ledger.key[rows[0]]) if len(rows) else None

"""Sales that the oracles follow: the alternative replayed until its liquidations no longer change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from math import fsum

import pyarrow as pa

from l2liq.liquidity import Liquidity
from l2liq.liquidity.feedback import Displaced, Following, following_market
from l2liq.market import Market
from l2liq.outcome import Kind, World

SAME = 1e-4
"""Two rounds agree where no displacement differs by more: a basis point of the price."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """How oracles that follow sales came to rest.

    Attributes
    ----------
    rounds : replays with prices that bear sales
    final_until_s : the last two agree up to here, and what is before will not change any more; None = everywhere
    moving_usd : debt repaid that the last one put elsewhere than the one before, account by account
    """

    rounds: int
    final_until_s: int | None
    moving_usd: float


@dataclass(frozen=True, slots=True)
class _Sale:
    """A sale of the alternative: whose collateral, which asset, the debt repaid for it, and the sale."""

    account: bytes
    asset: bytes
    debt_usd: float
    sale: Displaced


def settled(
    market: Market, liquidity: Liquidity, share: float, rounds: int, replayed: Callable[[Market], pa.Table]
) -> tuple[Market, Rounds]:
    """The market with prices that bear the alternative's own sales.

    Each round puts the sales of the last one into the prices and replays; prices tell only of earlier blocks, so that
    every round makes more of the beginning final.

    Parameters
    ----------
    market : Market
        As the alternative's oracles show it without sales.
    liquidity : Liquidity
        Of the alternative.
    share : float
        Of a displacement that the oracles follow.
    rounds : int
        At most.
    replayed : Callable[[Market], pa.Table]
        Outcomes of the alternative in a market.
    """
    sales, seen, found = _sales(replayed(market)), market, Rounds(0, None, 0.0)
    while found.rounds < rounds and (found.rounds == 0 or found.final_until_s is not None):
        seen = following_market(market, _by_asset(sales, market, liquidity), share)
        then = _sales(replayed(seen))
        found = Rounds(found.rounds + 1, _first_apart(sales, then), _moved_usd(sales, then))
        sales = then
    return seen, found


def _sales(outcomes: pa.Table) -> list[_Sale]:
    names = ["world", "kind", "account", "collateral_asset", "debt_usd", "block_number", "timestamp_s"]
    return [
        _Sale(
            row["account"],
            row["collateral_asset"],
            row["debt_usd"],
            Displaced(row["block_number"], row["timestamp_s"], row["displaced_share"]),
        )
        for row in outcomes.select([*names, "displaced_share"]).to_pylist()
        if row["world"] == World.ALTERNATIVE.value
        and row["kind"] == Kind.LIQUIDATION.value
        and row["displaced_share"] is not None
    ]


def _first_apart(one: list[_Sale], other: list[_Sale]) -> int | None:
    """Time of the first sale that is not the same in both; None where all are."""
    for a, b in zip_longest(one, other):
        if a is None or b is None or not _same(a, b):
            return min(sale.sale.timestamp_s for sale in (a, b) if sale is not None)
    return None


def _same(one: _Sale, other: _Sale) -> bool:
    places = ((a.account, a.asset, a.sale.block, a.sale.timestamp_s) for a in (one, other))
    return len(set(places)) == 1 and abs(one.sale.share - other.sale.share) <= SAME


def _moved_usd(one: list[_Sale], other: list[_Sale]) -> float:
    repaid: dict[bytes, float] = defaultdict(float)
    for sign, sales in ((-1, one), (1, other)):
        for sale in sales:
            repaid[sale.account] += sign * sale.debt_usd
    return fsum(abs(value) for value in repaid.values())


def _by_asset(sales: list[_Sale], market: Market, liquidity: Liquidity) -> dict[int, Following]:
    found = {}
    for asset, outlet in liquidity.outlets:
        mine = tuple(one.sale for one in sales if one.asset == market.assets[asset].address)
        found[asset] = Following(mine, outlet.half_life_s)
    return found

"""What each liquidator won, paid and missed in each world."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from l2liq.outcome import Kind, World

_COLUMNS = (
    "kind",
    "account",
    "liquidator",
    "debt_usd",
    "debt_market_usd",
    "collateral_market_usd",
    "fee_usd",
    "bid_usd",
    "profit_usd",
)


@dataclass(frozen=True, slots=True)
class Winnings:
    """What one liquidator did in one world [usd], its liquidations and its failed attempts.

    Attributes
    ----------
    liquidator : address, None = nobody's: a model without a name
    debt_usd : repaid, at the prices that the market saw
    bonus_usd : collateral less debt at the world's prices
    fees_usd, bids_usd : of its liquidations
    left_usd : what its liquidations left it
    failed, failed_usd : transactions that came too late, and what they cost
    """

    liquidator: bytes | None
    liquidations: int = 0
    accounts: int = 0
    debt_usd: float = 0.0
    bonus_usd: float = 0.0
    fees_usd: float = 0.0
    bids_usd: float = 0.0
    left_usd: float = 0.0
    failed: int = 0
    failed_usd: float = 0.0

    @property
    def profit_usd(self) -> float:
        """What all its transactions left it."""
        return self.left_usd - self.failed_usd


def winnings(outcomes: pa.Table, world: World) -> list[Winnings]:
    """Every liquidator of one world, by debt repaid, most first; equal ones by address."""
    mine = outcomes.filter(pc.equal(outcomes["world"], world.value)).select(_COLUMNS)
    by_liquidator: dict[bytes | None, list[Mapping[str, Any]]] = {}
    kinds = pa.array([Kind.LIQUIDATION.value, Kind.FAILED_ATTEMPT.value])
    for row in mine.filter(pc.is_in(mine["kind"], value_set=kinds)).to_pylist():
        by_liquidator.setdefault(row["liquidator"], []).append(row)
    found = [_of(liquidator, rows) for liquidator, rows in by_liquidator.items()]
    return sorted(found, key=lambda one: (-one.debt_usd, one.liquidator or b""))


def _of(liquidator: bytes | None, rows: Iterable[Mapping[str, Any]]) -> Winnings:
    told = list(rows)
    done = [row for row in told if row["kind"] == Kind.LIQUIDATION.value]
    failed = [row for row in told if row["kind"] == Kind.FAILED_ATTEMPT.value]

    def summed(chosen: Iterable[Mapping[str, Any]], column: str) -> float:
        return float(sum(row[column] or 0.0 for row in chosen))

    return Winnings(
        liquidator=liquidator,
        liquidations=len(done),
        accounts=len({row["account"] for row in done}),
        debt_usd=summed(done, "debt_usd"),
        bonus_usd=summed(done, "collateral_market_usd") - summed(done, "debt_market_usd"),
        fees_usd=summed(done, "fee_usd"),
        bids_usd=summed(done, "bid_usd"),
        left_usd=summed(done, "profit_usd"),
        failed=len(failed),
        failed_usd=summed(failed, "fee_usd"),
    )


@dataclass(frozen=True, slots=True)
class Share:
    """One liquidator among all of a world.

    Attributes
    ----------
    takes_part : it can liquidate in this world; without that, ``own`` says nothing
    own : what it did
    missed, missed_debt_usd, missed_bonus_usd : liquidations that others did
    """

    world: World
    takes_part: bool
    own: Winnings
    missed: int
    missed_debt_usd: float
    missed_bonus_usd: float


def share_of(outcomes: pa.Table, world: World, liquidator: bytes, *, contestant: bool) -> Share:
    """What one liquidator won and missed in a world; ``contestant``: a model world knows it."""
    found = winnings(outcomes, world)
    own = next((one for one in found if one.liquidator == liquidator), Winnings(liquidator))
    others = [one for one in found if one is not own]
    return Share(
        world=world,
        takes_part=contestant or world is World.ACTUAL,
        own=own,
        missed=sum(one.liquidations for one in others),
        missed_debt_usd=sum(one.debt_usd for one in others),
        missed_bonus_usd=sum(one.bonus_usd for one in others),
    )

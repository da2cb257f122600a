"""One world's outcome events as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.outcome import Kind, World

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Liquidations:
    """Liquidations of one world, in order; arrays of shape (n,), NaN where a value is not known.

    Attributes
    ----------
    account, liquidator, collateral_asset, debt_asset : numbers that stand for addresses, -1 for none
    since_s : when the position became liquidatable
    debt_usd, collateral_usd, fee_usd : repaid, to the liquidator, to the treasury
    debt_market_usd, collateral_market_usd : the first two at the world's prices
    account_debt_usd, account_collateral_usd : totals just before
    health_before, health_after : health factors
    by_change : the scenario's change itself is the cause
    published_s, l1_final_s, settled_s : the later clocks
    cost_usd : paid by the liquidator for its transaction
    proceeds_usd, slippage_usd : of selling the collateral, and what the world's price would have brought beyond that
    left_usd : what the liquidator was left
    bid_usd, recaptured_usd : paid to come first, and the protocol's part of that
    """

    timestamp_s: Integers
    since_s: Floats
    account: Integers
    liquidator: Integers
    collateral_asset: Integers
    debt_asset: Integers
    debt_usd: Floats
    collateral_usd: Floats
    fee_usd: Floats
    debt_market_usd: Floats
    collateral_market_usd: Floats
    account_debt_usd: Floats
    account_collateral_usd: Floats
    health_before: Floats
    health_after: Floats
    by_change: Flags
    published_s: Floats
    l1_final_s: Floats
    settled_s: Floats
    cost_usd: Floats
    proceeds_usd: Floats
    slippage_usd: Floats
    left_usd: Floats
    bid_usd: Floats
    recaptured_usd: Floats


@dataclass(frozen=True)
class Events:
    """What happened in one world.

    Attributes
    ----------
    liquidations : see there
    deficit_s, deficit_account, deficit_asset, deficit_usd : bad debt realised
    blocked_s, blocked_account : liquidations that a gate held up
    failed_s, failed_account, failed_cost_usd : transactions of liquidators that came too late
    addresses : what the numbers stand for
    """

    liquidations: Liquidations
    deficit_s: Integers
    deficit_account: Integers
    deficit_asset: Integers
    deficit_usd: Floats
    blocked_s: Integers
    blocked_account: Integers
    failed_s: Integers
    failed_account: Integers
    failed_cost_usd: Floats
    addresses: tuple[bytes, ...] = field(repr=False)


def events_of(outcomes: pa.Table, world: World, base_unit: int) -> Events:
    """Read one world from an outcome table.

    ``base_unit`` is one US dollar in the base currency of prices and totals.
    """
    mine = outcomes.filter(pc.equal(outcomes["world"], world.value))
    numbers: dict[bytes, int] = {}

    def rows(kind: Kind) -> pa.Table:
        return mine.filter(pc.equal(mine["kind"], kind.value))

    liquidations, deficits, blocked = rows(Kind.LIQUIDATION), rows(Kind.DEFICIT), rows(Kind.BLOCKED)
    failed = rows(Kind.FAILED_ATTEMPT)
    found = Liquidations(
        timestamp_s=_integers(liquidations, "timestamp_s"),
        since_s=_floats(liquidations, "liquidatable_since_s"),
        account=_codes(liquidations, "account", numbers),
        liquidator=_codes(liquidations, "liquidator", numbers),
        collateral_asset=_codes(liquidations, "collateral_asset", numbers),
        debt_asset=_codes(liquidations, "debt_asset", numbers),
        debt_usd=_floats(liquidations, "debt_usd"),
        debt_market_usd=_floats(liquidations, "debt_market_usd"),
        collateral_market_usd=_floats(liquidations, "collateral_market_usd"),
        collateral_usd=_floats(liquidations, "collateral_usd"),
        fee_usd=np.nan_to_num(_floats(liquidations, "protocol_fee_usd")),
        account_debt_usd=_floats(liquidations, "account_debt_base") / base_unit,
        account_collateral_usd=_floats(liquidations, "account_collateral_base") / base_unit,
        health_before=_floats(liquidations, "health_before_wad") / 1e18,
        health_after=_floats(liquidations, "health_after_wad") / 1e18,
        by_change=np.array([cause == "change" for cause in liquidations["cause"].to_pylist()], dtype=np.bool_),
        published_s=_floats(liquidations, "published_s"),
        l1_final_s=_floats(liquidations, "l1_final_s"),
        settled_s=_floats(liquidations, "settled_s"),
        cost_usd=_floats(liquidations, "fee_usd"),
        proceeds_usd=_floats(liquidations, "proceeds_usd"),
        slippage_usd=_floats(liquidations, "slippage_usd"),
        left_usd=_floats(liquidations, "profit_usd"),
        bid_usd=_floats(liquidations, "bid_usd"),
        recaptured_usd=_floats(liquidations, "recaptured_usd"),
    )
    return Events(
        found,
        _integers(deficits, "timestamp_s"),
        _codes(deficits, "account", numbers),
        _codes(deficits, "debt_asset", numbers),
        _floats(deficits, "debt_usd"),
        _integers(blocked, "timestamp_s"),
        _codes(blocked, "account", numbers),
        _integers(failed, "timestamp_s"),
        _codes(failed, "account", numbers),
        _floats(failed, "fee_usd"),
        tuple(numbers),
    )


def _integers(table: pa.Table, column: str) -> Integers:
    return table[column].to_numpy().astype(np.int64)


def _floats(table: pa.Table, column: str) -> Floats:
    return table[column].cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)


def _codes(table: pa.Table, column: str, numbers: dict[bytes, int]) -> Integers:
    found = [-1 if value is None else numbers.setdefault(value, len(numbers)) for value in table[column].to_pylist()]
    return np.array(found, dtype=np.int64)

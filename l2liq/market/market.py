"""A market as a replay reads it: ledger, series, parameter timeline, actions and what was liquidated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from l2liq.market.assets import Asset, Leg
from l2liq.market.ledger import Ledger
from l2liq.market.parameters import ParameterTimeline
from l2liq.market.series import Series

ACTIONS = pa.schema(
    [
        pa.field("key", pa.int64(), nullable=False),
        pa.field("timestamp_s", pa.int64(), nullable=False),
        pa.field("transaction_index", pa.int32(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("account", pa.int32(), nullable=False),
        pa.field("other", pa.int32(), nullable=False),
        pa.field("asset", pa.int16(), nullable=False),
        pa.field("amount_raw", pa.binary(32), nullable=False),
        pa.field("whole", pa.bool_(), nullable=False),
        pa.field("mode", pa.int32(), nullable=False),
    ]
)
"""What users did, in order of key. ``account``: whose position changes; ``other``: the second account concerned
(receiver of a transfer, payer of a supply or repayment, receiver of a withdrawal or loan), -1 for none; ``asset`` -1
for none; ``amount_raw`` [base units of the underlying], as the protocol's event states it, or where the event has
another unit the amount that gives it; ``whole``: by the intent rules the user meant "all"; ``mode``: detail by kind
(e-mode category, 0/1 for a switch, 1 for repaying with aTokens)."""

LIQUIDATIONS = pa.schema(
    [
        pa.field("key", pa.int64(), nullable=False),
        pa.field("timestamp_s", pa.int64(), nullable=False),
        pa.field("transaction_index", pa.int32(), nullable=False),
        pa.field("transaction_hash", pa.binary(32), nullable=False),
        pa.field("account", pa.int32(), nullable=False),
        pa.field("liquidator", pa.int32(), nullable=False),
        pa.field("collateral_asset", pa.int16(), nullable=False),
        pa.field("debt_asset", pa.int16(), nullable=False),
        pa.field("debt_raw", pa.binary(32), nullable=False),
        pa.field("collateral_raw", pa.binary(32), nullable=False),
        pa.field("protocol_fee_raw", pa.binary(32), nullable=False),
        pa.field("receives_token", pa.bool_(), nullable=False),
        pa.field("start_key", pa.int64(), nullable=False),
    ]
)
"""Recorded liquidations: debt repaid and collateral to the liquidator [base units of their assets], protocol fee [base
units of the collateral], and whether the payout was the protocol's own token (aToken). ``start_key``: position of the
first log that belongs to the liquidation; the state just before it is what the liquidator found."""

DEFICITS = pa.schema(
    [
        pa.field("key", pa.int64(), nullable=False),
        pa.field("timestamp_s", pa.int64(), nullable=False),
        pa.field("account", pa.int32(), nullable=False),
        pa.field("asset", pa.int16(), nullable=False),
        pa.field("amount_raw", pa.binary(32), nullable=False),
    ]
)
"""Bad debt that the protocol itself realised [base units of the asset]."""


@dataclass(frozen=True)
class Clock:
    """Blocks of a market that are known by header: which time a block had, which block a time falls behind.

    Attributes
    ----------
    number, timestamp_s : int64, shape (n,), increasing / non-decreasing
    """

    number: npt.NDArray[np.int64] = field(repr=False)
    timestamp_s: npt.NDArray[np.int64] = field(repr=False)

    def last_block_at(self, timestamp_s: int) -> int:
        """Last known block with a timestamp at or before ``timestamp_s``; -1 before the first."""
        found = int(np.searchsorted(self.timestamp_s, timestamp_s, side="right")) - 1
        return -1 if found < 0 else int(self.number[found])

    def time_of(self, number: int) -> int:
        """Timestamp of a block; of the last known one before it where its header is not known."""
        found = int(np.searchsorted(self.number, number, side="right")) - 1
        return int(self.timestamp_s[max(found, 0)])


@dataclass(frozen=True, slots=True)
class NullTest:
    """How much of what the market's own logs repeat the rebuilt market gives.

    Attributes
    ----------
    compared, equal : balances, indices and other numbers that logs state
    recorded, reproduced : liquidations, each repeated from the state just before it
    """

    compared: int
    equal: int
    recorded: int
    reproduced: int

    @property
    def exact(self) -> bool:
        """Whether everything is reproduced."""
        return (self.compared, self.recorded) == (self.equal, self.reproduced)


@dataclass(frozen=True)
class Market:
    """Everything that is known of one deployment over a span of blocks.

    ``null_test`` says how well the logs support it; None where it was not rebuilt from logs.

    ``parameters`` holds the protocol's own immutable parameter sets. ``notes`` says in plain words what the market
    rests on (an opening state, data as found in a file, unverified linkage); reports print it. ``contracts`` are those
    that users call: address to what it is in the protocol's words, and its asset (-1: none).
    """

    name: str
    slug: str
    protocol: str
    chain_id: int
    first_block: int
    last_block: int
    assets: tuple[Asset, ...]
    legs: tuple[Leg, ...]
    addresses: pa.Array = field(repr=False)
    ledger: Ledger
    series: Mapping[tuple[str, int], Series] = field(repr=False)
    parameters: ParameterTimeline[Any] = field(repr=False)
    actions: pa.Table = field(repr=False)
    liquidations: pa.Table = field(repr=False)
    deficits: pa.Table = field(repr=False)
    clock: Clock = field(repr=False)
    null_test: NullTest | None = None
    notes: tuple[str, ...] = ()
    contracts: Mapping[bytes, tuple[str, int]] = field(default_factory=dict, repr=False)

    @cached_property
    def account_of(self) -> dict[bytes, int]:
        """Account index by address."""
        return {address: index for index, address in enumerate(self.addresses.to_pylist())}

    @cached_property
    def leg_of(self) -> dict[str, int]:
        """Leg index by name."""
        return {leg.name: index for index, leg in enumerate(self.legs)}

    def address(self, account: int) -> bytes:
        """Address (20 bytes) of an account index."""
        found: bytes = self.addresses[account].as_py()
        return found

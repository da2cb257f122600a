"""What a fold writes: rows collected per batch, and the tables they become."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from l2liq.events.raw import to_raw
from l2liq.market import ACTIONS, DEFICITS, LEDGER, LIQUIDATIONS
from l2liq.protocols.aave_v3.fold_events import Batch

RAW = pa.binary(32)

RESERVES = pa.schema(
    [
        pa.field("key", pa.int64(), nullable=False),
        pa.field("timestamp_s", pa.int64(), nullable=False),
        pa.field("asset", pa.int16(), nullable=False),
        pa.field("liquidity_index_ray_raw", RAW, nullable=False),
        pa.field("liquidity_rate_ray_raw", RAW, nullable=False),
        pa.field("borrow_index_ray_raw", RAW, nullable=False),
        pa.field("borrow_rate_ray_raw", RAW, nullable=False),
    ]
)
"""State of a reserve after each of its updates."""

STEPS = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("about", pa.binary(20), nullable=False),
        pa.field("key", pa.int64(), nullable=False),
        pa.field("timestamp_s", pa.int64(), nullable=False),
        pa.field("value_raw", RAW, nullable=False),
    ]
)
"""Steps of all other series, in order of key; ``about``: the address by which contracts know it, zero = none."""

DIVERGENCES = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("account", pa.binary(20)),
        pa.field("token", pa.binary(20)),
        pa.field("block_number", pa.int64(), nullable=False),
        pa.field("log_index", pa.int32(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("expected", pa.string(), nullable=False),
        pa.field("actual", pa.string(), nullable=False),
    ]
)
"""Where the logs contradict what was rebuilt from them; numbers as decimal text."""

CLOCK = pa.schema([pa.field("number", pa.int64(), nullable=False), pa.field("timestamp_s", pa.int64(), nullable=False)])
"""Blocks whose time is known."""

TABLES = {
    "ledger": LEDGER,
    "reserves": RESERVES,
    "steps": STEPS,
    "actions": ACTIONS,
    "liquidations": LIQUIDATIONS,
    "deficits": DEFICITS,
    "divergences": DIVERGENCES,
}

NO_ADDRESS = bytes(20)

CASH = "cash"
"""Kind of the series of what a reserve holds of its underlying [base units] (DOMAIN §1.2)."""

ACCRUED = "accrued_to_treasury"
"""Kind of the series of the treasury's share that is not minted yet [scaled aToken units]."""

ISOLATED_DEBT = "isolated_debt"
"""Kind of the series of the debt against an isolated collateral [US dollars with 2 decimals]."""

Rows = list[Any]
"""Rows laid end to end; each begins with the position in the batch of the event it comes from."""


@dataclass
class BatchRows:
    """Rows of one batch."""

    ledger: Rows = field(default_factory=list)
    reserves: Rows = field(default_factory=list)
    steps: Rows = field(default_factory=list)
    actions: Rows = field(default_factory=list)
    liquidations: Rows = field(default_factory=list)
    deficits: Rows = field(default_factory=list)
    divergences: Rows = field(default_factory=list)

    def tables(self, batch: Batch) -> dict[str, pa.Table]:
        """The rows as tables, without those that have none."""
        made = {name: getattr(self, f"_{name}")(batch) for name in TABLES if getattr(self, name)}
        return {name: pa.table(columns, schema=TABLES[name]) for name, columns in made.items()}

    def _ledger(self, batch: Batch) -> list[Any]:
        at, account, leg, after = _columns(self.ledger, 4)
        return [*_place(batch, at), batch.transaction_indices[at], _small(account, 4), _small(leg, 2), to_raw(after)]

    def _reserves(self, batch: Batch) -> list[Any]:
        at, asset, *numbers = _columns(self.reserves, 6)
        return [*_place(batch, at), _small(asset, 2), *(to_raw(column) for column in numbers)]

    def _steps(self, batch: Batch) -> list[Any]:
        at, kind, about, value = _columns(self.steps, 4)
        return [pa.array(kind, pa.string()), pa.array(about, pa.binary(20)), *_place(batch, at), to_raw(value)]

    def _actions(self, batch: Batch) -> list[Any]:
        at, kind, account, other, asset, amount, whole, mode = _columns(self.actions, 8)
        return [
            *_place(batch, at),
            batch.transaction_indices[at],
            pa.array(kind, pa.string()),
            _small(account, 4),
            _small(other, 4),
            _small(asset, 2),
            to_raw(amount),
            pa.array(whole, pa.bool_()),
            _small(mode, 4),
        ]

    def _liquidations(self, batch: Batch) -> list[Any]:
        columns = _columns(self.liquidations, 11)
        at, start, transaction, account, liquidator, collateral, debt, *amounts, receives = columns
        return [
            *_place(batch, at),
            batch.transaction_indices[at],
            pa.array(transaction, RAW),
            _small(account, 4),
            _small(liquidator, 4),
            _small(collateral, 2),
            _small(debt, 2),
            *(to_raw(amount) for amount in amounts),
            pa.array(receives, pa.bool_()),
            batch.keys[np.array(start, np.int64)],
        ]

    def _deficits(self, batch: Batch) -> list[Any]:
        at, account, asset, amount = _columns(self.deficits, 4)
        return [*_place(batch, at), _small(account, 4), _small(asset, 2), to_raw(amount)]

    def _divergences(self, batch: Batch) -> list[Any]:
        at, kind, account, token, name, expected, actual = _columns(self.divergences, 7)
        keys = batch.keys[at]
        return [
            pa.array(kind, pa.string()),
            pa.array(account, pa.binary(20)),
            pa.array(token, pa.binary(20)),
            keys >> 24,
            (keys & 0xFFFFFF).astype(np.int32),
            pa.array(name, pa.string()),
            pa.array(map(str, expected), pa.string()),
            pa.array(map(str, actual), pa.string()),
        ]


def _columns(rows: Rows, count: int) -> Iterator[Any]:
    """The ``count`` columns of rows, the first one as an array."""
    yield np.array(rows[::count], np.int64)
    yield from (rows[column::count] for column in range(1, count))


def _place(batch: Batch, at: npt.NDArray[np.int64]) -> list[Any]:
    return [batch.keys[at], batch.times[at]]


def _small(values: Sequence[int], size: int) -> npt.NDArray[Any]:
    return np.array(values, f"i{size}")

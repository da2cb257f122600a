"""The ledger: every change of every leg of every account, columnar, in the order of the chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

LEDGER = pa.schema(
    [
        pa.field("key", pa.int64(), nullable=False),
        pa.field("timestamp_s", pa.int64(), nullable=False),
        pa.field("transaction_index", pa.int32(), nullable=False),
        pa.field("account", pa.int32(), nullable=False),
        pa.field("leg", pa.int16(), nullable=False),
        pa.field("after_raw", pa.binary(32), nullable=False),
    ]
)
"""One row per change. ``account`` and ``leg`` index the market's accounts and legs; ``after_raw`` is the leg's quantity
after the change, big-endian two's complement (Aave: scaled units of a token, 0/1, an e-mode category)."""


def quantity(raw: bytes) -> int:
    """The integer that 32 big-endian two's complement bytes hold."""
    return int.from_bytes(raw, "big", signed=True)


@dataclass(frozen=True)
class Ledger:
    """All leg changes of a market, in order of key.

    Attributes
    ----------
    table : :data:`LEDGER`, sorted by key
    account_count : number of accounts, each index below it
    """

    table: pa.Table = field(repr=False)
    account_count: int

    @cached_property
    def key(self) -> npt.NDArray[np.int64]:
        return self.table.column("key").to_numpy()

    @cached_property
    def _by_account(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        account = self.table.column("account").to_numpy()
        rows = np.argsort(account, kind="stable")
        return rows, np.searchsorted(account[rows], np.arange(self.account_count + 1))

    def rows_of(self, account: int) -> npt.NDArray[np.int64]:
        """Row numbers of one account, in order of key; shape (n,)."""
        rows, start = self._by_account
        return rows[start[account] : start[account + 1]]

    @cached_property
    def _after(self) -> pa.FixedSizeBinaryArray:
        return self.table.column("after_raw").combine_chunks()

    @cached_property
    def leg(self) -> npt.NDArray[np.int16]:
        return self.table.column("leg").to_numpy()

    def after(self, row: int) -> int:
        """Exact quantity after the change of one row."""
        return quantity(self._after[row].as_py())

    def state(self, account: int, key: int) -> dict[int, int]:
        """Non-zero legs of an account after everything at or before ``key``."""
        rows = self.rows_of(account)
        last: dict[int, int] = {}
        for row in rows[: np.searchsorted(self.key[rows], key, side="right")]:
            last[int(self.leg[row])] = int(row)
        found = {leg: self.after(row) for leg, row in last.items()}
        return {leg: value for leg, value in found.items() if value}

"""A market's actions by account: its own, and transfers that it receives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from l2liq.events.log import block_of
from l2liq.market import Market, quantity
from l2liq.protocols.interface import Action, Moment

TRANSFER = "transfer"


class ActionIndex:
    """Built once per market; rows become objects as they are asked for."""

    def __init__(self, market: Market) -> None:
        table = market.actions.combine_chunks()
        self._key: npt.NDArray[np.int64] = table.column("key").to_numpy()
        self._numbers = {
            name: table.column(name).to_numpy()
            for name in ("timestamp_s", "transaction_index", "account", "other", "asset", "mode")
        }
        kind = table.column("kind").combine_chunks().dictionary_encode()
        self._kinds: list[str] = kind.dictionary.to_pylist()
        self._kind: npt.NDArray[np.int32] = kind.indices.to_numpy()
        self._whole = table.column("whole").to_numpy(zero_copy_only=False)
        self._amount = table.column("amount_raw").combine_chunks()
        self._rows, self._start = self._by_account(len(market.addresses))

    def _by_account(self, accounts: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        account, other = self._numbers["account"], self._numbers["other"]
        rows = np.arange(len(account))
        if TRANSFER in self._kinds:
            received = (self._kind == self._kinds.index(TRANSFER)) & (other >= 0) & (other != account)
        else:
            received = np.zeros(len(rows), bool)
        owner = np.concatenate([account, other[received]])
        rows = np.concatenate([rows, rows[received]])
        order = np.lexsort((rows, owner))
        return rows[order], np.searchsorted(owner[order], np.arange(accounts + 1))

    def of(self, account: int, start: int, stop: int) -> Sequence[Action]:
        """Actions with start < key <= stop that touch an account, in order."""
        rows = self._rows[self._start[account] : self._start[account + 1]]
        low, high = np.searchsorted(self._key[rows], (start, stop), side="right")
        return [self.action(int(row)) for row in rows[low:high]]

    def action(self, row: int) -> Action:
        """One row of the market's actions."""
        numbers, key = self._numbers, int(self._key[row])
        return Action(
            row=row,
            moment=Moment(key, int(numbers["timestamp_s"][row])),
            transaction=(block_of(key), int(numbers["transaction_index"][row])),
            kind=self._kinds[self._kind[row]],
            account=int(numbers["account"][row]),
            other=int(numbers["other"][row]),
            asset=int(numbers["asset"][row]),
            amount=quantity(self._amount[row].as_py()),
            whole=bool(self._whole[row]),
            mode=int(numbers["mode"][row]),
        )

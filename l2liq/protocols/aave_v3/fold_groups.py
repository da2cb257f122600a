"""Which events of a transaction belong to one call: the Pool logs a call's own event last, its consequences before."""

from __future__ import annotations

from typing import Any

from l2liq.protocols.aave_v3.fold_events import Batch
from l2liq.protocols.aave_v3.fold_state import FoldState

ENABLED = "ReserveUsedAsCollateralEnabled"
DISABLED = "ReserveUsedAsCollateralDisabled"
_SWITCHES = (ENABLED, DISABLED)
_ENDS_OF_CALLS = frozenset({"Supply", "Borrow", "MintUnbacked", "FlashLoan", "UserEModeSet", "MintedToTreasury"})
"""Last events of calls that never switch collateral off."""

_NEARLY = 2
"""Scaled units by which half-up rounding may keep a transfer of everything from moving everything."""


class Groups:
    """Looks around an event, never beyond its transaction."""

    def __init__(self, state: FoldState, batch: Batch) -> None:
        self._state = state
        self._names = batch.names
        self._values = batch.values
        self._transactions = batch.transactions
        self._liquidating = {batch.transactions[at] for at in batch.places.get("LiquidationCall", ())}
        self._starts: dict[int, int] = {}

    def next_values(self, at: int, name: str) -> tuple[Any, ...] | None:
        """The next event, if it has that name."""
        return self._values_at(at + 1, at, name)

    def previous_values(self, at: int, name: str) -> tuple[Any, ...] | None:
        """The event before, if it has that name."""
        return self._values_at(at - 1, at, name)

    def _values_at(self, place: int, at: int, name: str) -> tuple[Any, ...] | None:
        return self._values[place] if self._with(place, at) and self._names[place] == name else None

    def _with(self, place: int, at: int) -> bool:
        """Whether ``place`` exists and is of the transaction of ``at``."""
        return 0 <= place < len(self._names) and self._transactions[place] == self._transactions[at]

    def enabled_by_something(self, at: int, asset: bytes, owner: bytes) -> bool:
        """Whether collateral was switched on by a first supply, or by receiving aTokens without having any."""
        for name in ("Supply", "MintUnbacked"):
            following = self.next_values(at, name)
            if following is not None and (following[2], following[4]) == (asset, owner):
                return True
        held = self._held(asset, owner)
        coming = self._transfer(at, asset, 1)
        if coming is not None and coming[3] == owner and not held:
            return True
        gone = self._transfer(at, asset, -1)
        return gone is not None and gone[3] == owner and held == self._moved(gone)

    def disabled_by_something(self, at: int, asset: bytes, owner: bytes) -> bool:
        """Whether collateral was switched off by a call that took all of it."""
        coming = self._transfer(at, asset, 1)
        if coming is not None and coming[2] == owner and abs(self._held(asset, owner) - self._moved(coming)) <= _NEARLY:
            return True
        gone = self._transfer(at, asset, -1)
        if gone is not None and gone[2] == owner and self._held(asset, owner) <= _NEARLY:
            return True
        return self._taken_by_call(at, asset, owner)

    def _taken_by_call(self, at: int, asset: bytes, owner: bytes) -> bool:
        """Withdraw and Repay update rates before the switch, a liquidation and covering a deficit after it."""
        updated = False
        place = at + 1
        while self._with(place, at):
            name, values = self._names[place], self._values[place]
            if name == "LiquidationCall":
                return (values[2], values[4]) == (asset, owner)
            if name == "DeficitCovered":
                return (values[2], values[3]) == (asset, owner)
            if name == "Withdraw":
                return (values[2], values[3]) == (asset, owner) and not updated
            if name == "Repay":
                return (values[2], values[4]) == (asset, owner) and values[6] and not updated
            if name in _ENDS_OF_CALLS:
                return False
            updated = updated or (name == "ReserveDataUpdated" and values[2] == asset)
            place += 1
        return False

    def _transfer(self, at: int, asset: bytes, step: int) -> tuple[Any, ...] | None:
        """The BalanceTransfer of an asset's aToken next to an event, other switches between them aside."""
        place = at + step
        while self._with(place, at) and self._names[place] in _SWITCHES:
            place += step
        values = self._values_at(place, at, "BalanceTransfer")
        reserve = self._state.reserves.get(asset)
        return (
            values if values is not None and reserve is not None and values[1] == reserve.collateral.address else None
        )

    def _moved(self, transfer: tuple[Any, ...]) -> int:
        book = self._state.books[transfer[1]]
        scaled: int = transfer[4] if book.rules.transfer_value_scaled else book.math.burn(transfer[4], transfer[5])
        return scaled

    def _held(self, asset: bytes, owner: bytes) -> int:
        return self._state.reserves[asset].collateral.scaled(owner)

    def is_liquidation(self, at: int, asset: bytes, sender: bytes) -> bool:
        """Whether a BalanceTransfer is part of a liquidation of its sender."""
        if self._transactions[at] not in self._liquidating:
            return False
        place = at + 1
        while self._with(place, at):
            values = self._values[place]
            if self._names[place] == "LiquidationCall" and (values[2], values[4]) == (asset, sender):
                return self.start_of_liquidation(place) <= at
            place += 1
        return False

    def start_of_liquidation(self, at: int) -> int:
        """First event of the liquidation that the LiquidationCall at ``at`` ends: the burning of its debt, or the
        switch before that.
        """
        found = self._starts.get(at)
        if found is None:
            found = self._starts[at] = self._search_start(at)
        return found

    def _search_start(self, at: int) -> int:
        _, _, collateral_asset, debt_asset, owner, *_ = self._values[at]
        debt_token = self._state.reserves[debt_asset].debt.address
        place = at - 1
        while self._with(place, at):
            if self._names[place] in ("Burn", "Mint") and self._values[place][1:3] == (debt_token, owner):
                before = self.previous_values(place, DISABLED)
                is_own = before is not None and before[2:4] == (collateral_asset, owner)
                return place - 1 if is_own else place
            place -= 1
        return at

    def fee_scaled(self, at: int, receives_token: bool) -> int:
        """Scaled aTokens that a liquidation moved to the treasury: its last transfer, but for the liquidator's own."""
        _, _, collateral_asset, _, owner, *_ = self._values[at]
        token = self._state.reserves[collateral_asset].collateral.address
        moves = [
            values
            for name, values in zip(
                self._names[self.start_of_liquidation(at) : at],
                self._values[self.start_of_liquidation(at) : at],
                strict=True,
            )
            if name == "BalanceTransfer" and values[1:3] == (token, owner)
        ]
        return self._moved(moves[-1]) if len(moves) > int(receives_token) else 0

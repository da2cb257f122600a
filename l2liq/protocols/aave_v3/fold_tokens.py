"""Token and index events: scaled balances rebuilt, what events repeat recomputed (DOMAIN §1.2, §1.10)."""

from __future__ import annotations

from collections.abc import Callable

from l2liq.numeric import (
    RAY,
    percent_mul_half_up,
    ray_div_half_up,
    ray_mul_floor,
    ray_mul_half_up,
)
from l2liq.protocols.aave_v3.fold_events import Batch
from l2liq.protocols.aave_v3.fold_rows import CASH, BatchRows
from l2liq.protocols.aave_v3.fold_state import Book, FoldState, Reserve
from l2liq.protocols.aave_v3.scaled import RAY_DIV

WAD_TO_RAY = 10**9


class TokenFold:
    """Mint, Burn, BalanceTransfer and ReserveDataUpdated of one batch."""

    def __init__(
        self, state: FoldState, batch: Batch, rows: BatchRows, is_liquidation: Callable[[int, bytes, bytes], bool]
    ) -> None:
        self._state = state
        self._books = state.books
        self._accounts = state.accounts
        self._seconds = batch.seconds
        self._batch = batch
        self._rows = rows
        self._ledger = rows.ledger.append
        self._is_liquidation = is_liquidation
        self._shares: dict[int, tuple[int, int]] = {}
        self.balances_compared = 0
        self.balances_differing = 0
        self.indices_compared = 0
        self.indices_differing = 0

    def mint(self, at: int, token: bytes, owner: bytes, value: int, increase: int, index: int) -> None:
        """``Mint``: value beyond balanceIncrease was minted; less than that, and it was a burn outgrown by interest."""
        book = self._books.get(token)
        if book is not None:
            self._changed(at, book, owner, value - increase, increase, index)

    def burn(self, at: int, token: bytes, owner: bytes, value: int, increase: int, index: int) -> None:
        """``Burn``: value and balanceIncrease together were burned."""
        book = self._books.get(token)
        if book is not None:
            self._changed(at, book, owner, -(value + increase), increase, index)

    def _changed(self, at: int, book: Book, owner: bytes, change: int, increase: int, index: int) -> None:
        account = self._accounts.get(owner)
        if account is None:
            account = self._state.account(owner)
        now = self._seconds[at]
        if book.reserve.looked_s != now:
            book.reserve.look(now, self._state.rules)
        if index != book.index_ray:
            self._differs(at, "balance", owner, book, "index", book.index_ray, index)
        self.balances_compared += 1
        scaled, seen, grown = book.balances.get(account, 0), book.seen, 0
        if scaled and seen[account] != index:
            balance = book.math.balance
            grown = balance(scaled, index) - balance(scaled, seen[account])
        if grown != increase:
            self._differs(at, "balance", owner, book, "balance_increase", grown, increase)
        seen[account] = index
        if change:
            self._set(at, book, account, owner, scaled, book.math.after(scaled, change, index))

    def _set(self, at: int, book: Book, account: int, owner: bytes, before: int, after: int) -> None:
        if after > 0:
            book.balances[account] = after
        else:
            if after < 0:
                self._differs(at, "balance", owner, book, "scaled_balance", 0, after)
                after = 0
            book.balances.pop(account, None)
            book.seen.pop(account, None)
        book.total += after - before
        self._ledger((at, account, book.leg, after))

    def transfer(self, at: int, token: bytes, sender: bytes, receiver: bytes, value: int, index: int) -> None:
        """``BalanceTransfer``: scaled units from one account to another; until 3.0.0 the value is underlying."""
        book = self._books.get(token)
        if book is None:
            return
        now = self._seconds[at]
        if book.reserve.looked_s != now:
            book.reserve.look(now, self._state.rules)
        self.balances_compared += 1
        if index != book.index_ray:
            self._differs(at, "balance", sender, book, "index", book.index_ray, index)
        moved = value if book.rules.transfer_value_scaled else ray_div_half_up(value, index)
        giver, taker = self._accounts.get(sender), self._accounts.get(receiver)
        if giver is None or taker is None:
            giver, taker = self._state.account(sender), self._state.account(receiver)
        if book.rules.transfer_accrues:
            self._accrued(at, book, giver, sender, index)
            self._accrued(at, book, taker, receiver, index)
        if moved and giver != taker:
            held, owned = book.balances.get(giver, 0), book.balances.get(taker, 0)
            if not owned:
                book.seen[taker] = index
            self._set(at, book, giver, sender, held, held - moved)
            self._set(at, book, taker, receiver, owned, owned + moved)
        if not self._is_liquidation(at, book.reserve.address, sender):
            amount = book.math.balance(moved, index) if book.rules.transfer_value_scaled else value
            self._rows.actions.append((at, "transfer", giver, taker, book.reserve.asset, amount, False, 0))

    def _accrued(self, at: int, book: Book, account: int, owner: bytes, index: int) -> None:
        """A transfer touches both sides: interest since the last time must have been minted just before."""
        scaled, seen = book.balances.get(account, 0), book.seen
        if not scaled or seen[account] == index:
            return
        balance = book.math.balance
        missing = balance(scaled, index) - balance(scaled, seen[account])
        if missing:
            self._differs(at, "balance", owner, book, "accrued_before_transfer", missing, 0)
        seen[account] = index

    def reserve_updated(
        self, at: int, pool: bytes, asset: bytes, rate: int, debt_rate: int, index: int, debt_index: int
    ) -> None:
        """``ReserveDataUpdated``: indices after an accrual, and the rates that hold from now on."""
        reserve = self._state.reserves.get(asset)
        if reserve is None or pool != self._state.pool:
            return
        self.accrue(at, reserve)
        self.indices_compared += 2
        expected = self._with_flash_premium(at, reserve)
        if expected != index:
            self._index_differs(at, reserve.collateral, "liquidity_index", expected, index)
        if reserve.borrow_index_ray != debt_index:
            self._index_differs(at, reserve.debt, "variable_borrow_index", reserve.borrow_index_ray, debt_index)
        reserve.collateral.index_ray = reserve.liquidity_index_ray = index
        reserve.debt.index_ray = reserve.borrow_index_ray = debt_index
        reserve.liquidity_rate_ray, reserve.borrow_rate_ray = rate, debt_rate
        self.record(at, reserve)

    def begin(self, at: int, reserve: Reserve) -> None:
        """A reserve is listed: indices are a ray, rates and cash are 0."""
        self.record(at, reserve)
        self._rows.steps.append((at, CASH, reserve.address, 0))

    def record(self, at: int, reserve: Reserve) -> None:
        """Write down what the reserve stores now."""
        self._rows.reserves.append(
            (
                at,
                reserve.asset,
                reserve.liquidity_index_ray,
                reserve.liquidity_rate_ray,
                reserve.borrow_index_ray,
                reserve.borrow_rate_ray,
            )
        )

    def accrue(self, at: int, reserve: Reserve) -> bool:
        """The contract's updateState: store grown indices and the treasury's share, once per timestamp."""
        now = self._seconds[at]
        if reserve.looked_s != now:
            reserve.look(now, self._state.rules)
        if reserve.updated_s == now:
            return False
        before, after = reserve.borrow_index_ray, reserve.debt.index_ray
        reserve.liquidity_index_ray = reserve.collateral.index_ray
        reserve.borrow_index_ray = after
        reserve.updated_s = now
        parameters = self._state.configuration.reserves[reserve.asset]
        if parameters is None or not parameters.reserve_factor_bps or after == before:
            return True
        rules, debt = self._state.rules, reserve.looked_debt
        if rules.treasury_of_index_difference:
            earned = ray_mul_floor(debt, after - before)
        else:
            earned = ray_mul_half_up(debt, after) - ray_mul_half_up(debt, before)
        share = percent_mul_half_up(earned, parameters.reserve_factor_bps)
        scaled = RAY_DIV[rules.treasury_accrual](share, reserve.liquidity_index_ray)
        reserve.accrued_to_treasury += scaled
        self._shares[reserve.asset] = (at, scaled)
        return True

    def accrue_again(self, since: int, reserve: Reserve) -> None:
        """Repeat the treasury's share, if it accrued at or after the event ``since``.

        A liquidation of a debt against collateral of the same asset reads the reserve twice before it accrues, so the
        second accrual does not see the first one; the indices come out the same. Source: LiquidationLogic since 3.5.
        """
        at, scaled = self._shares.get(reserve.asset, (-1, 0))
        if at >= since:
            reserve.accrued_to_treasury += scaled

    def _with_flash_premium(self, at: int, reserve: Reserve) -> int:
        """The liquidity index, raised where this update belongs to a flash loan whose premium suppliers share."""
        index = reserve.liquidity_index_ray
        batch, following = self._batch, at + 1
        if (
            not self._state.rules.flash_premium_bumps_index
            or following >= len(batch.names)
            or batch.names[following] != "FlashLoan"
            or batch.transactions[following] != batch.transactions[at]
        ):
            return index
        _, _, _, asset, _, mode, premium = batch.values[following]
        if asset != reserve.address or mode:
            return index
        to_protocol = percent_mul_half_up(premium, self._state.configuration.flash_premium_to_protocol_bps)
        supplied = ray_mul_half_up(reserve.collateral.total, index) + ray_mul_half_up(
            reserve.accrued_to_treasury, index
        )
        if not supplied:
            return index
        growth = ray_div_half_up((premium - to_protocol) * WAD_TO_RAY, supplied * WAD_TO_RAY) + RAY
        return ray_mul_half_up(growth, index)

    def _index_differs(self, at: int, book: Book, name: str, expected: int, actual: int) -> None:
        self.indices_differing += 1
        self._rows.divergences.append((at, "index", None, book.address, name, expected, actual))

    def _differs(self, at: int, kind: str, owner: bytes, book: Book, name: str, expected: int, actual: int) -> None:
        self.balances_differing += 1
        self._rows.divergences.append((at, kind, owner, book.address, name, expected, actual))

    def count(self) -> None:
        """Add what was compared to the fold's counts."""
        for subject, compared, differing in (
            ("balances", self.balances_compared, self.balances_differing),
            ("indices", self.indices_compared, self.indices_differing),
        ):
            self._state.compared[subject] = self._state.compared.get(subject, 0) + compared
            self._state.equal[subject] = self._state.equal.get(subject, 0) + compared - min(differing, compared)

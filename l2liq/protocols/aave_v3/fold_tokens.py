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
from l2liq.protocols.aave_v3.fold_rows import ACCRUED, CASH, BatchRows
from l2liq.protocols.aave_v3.fold_state import Book, FoldState, Holding, Reserve
from l2liq.protocols.aave_v3.scaled import RAY_DIV

WAD_TO_RAY = 10**9


class TokenFold:
    """Mint, Burn, BalanceTransfer and ReserveDataUpdated of one batch."""

    def __init__(
        self, state: FoldState, batch: Batch, rows: BatchRows, is_liquidation: Callable[[int, bytes, bytes], bool]
    ) -> None:
        self._state = state
        self._configuration = state.configuration
        self._accounts = state.accounts
        self._books = state.books
        self._seconds = batch.seconds
        self._batch = batch
        self._rows = rows
        self._to_ledger = rows.ledger.extend
        self._to_actions = rows.actions.extend
        self._to_reserves = rows.reserves.extend
        self._flash_loans = frozenset(batch.places.get("FlashLoan", ()))
        self._is_liquidation = is_liquidation
        self._shares: dict[int, tuple[int, int]] = {}
        self._foreign = 0
        self.balances_differing = 0
        self.indices_compared = 0
        self.indices_differing = 0

    def mint(self, at: int, token: bytes, owner: bytes, value: int, increase: int, index: int) -> None:
        """``Mint``: value beyond balanceIncrease was minted; less than that, and it was a burn outgrown by interest."""
        book = self._books.get(token)
        if book is None:
            self._foreign += 1
            return
        if index != book.index_ray or self._seconds[at] != book.reserve.looked_s:
            self._look(at, book, owner, index)
        held = book.holdings.get(owner)
        if held is None:
            held = Holding(self._accounts[owner])
        before = held.balance
        if held.index_ray != index:
            held.index_ray = index
            held.balance = book.math.balance(held.scaled, index)
        if held.balance - before != increase:
            self._differs(at, owner, book, "balance_increase", held.balance - before, increase)
        if value != increase:
            scaled, held.balance = book.math.after(held.scaled, held.balance, value - increase, index)
            self._set(at, book, owner, held, scaled)

    def burn(self, at: int, token: bytes, owner: bytes, value: int, increase: int, index: int) -> None:
        """``Burn``: value and balanceIncrease together were burned, as if ``-value`` had been minted."""
        self.mint(at, token, owner, -value, increase, index)

    def _look(self, at: int, book: Book, owner: bytes, index: int) -> None:
        """Grow the reserve's indices to the time of an event, which must have seen the same."""
        reserve, now = book.reserve, self._seconds[at]
        if reserve.looked_s != now:
            reserve.look(now, self._configuration.rules)
        if index != book.index_ray:
            self._differs(at, owner, book, "index", book.index_ray, index)

    def _set(self, at: int, book: Book, owner: bytes, held: Holding, scaled: int) -> None:
        if scaled < 0:
            self._differs(at, owner, book, "scaled_balance", 0, scaled)
            scaled = 0
        before, held.scaled = held.scaled, scaled
        if not scaled:
            book.holdings.pop(owner, None)
        elif not before:
            book.holdings[owner] = held
        book.total += scaled - before
        self._to_ledger((at, held.account, book.leg, scaled))

    def transfer(self, at: int, token: bytes, sender: bytes, receiver: bytes, value: int, index: int) -> None:
        """``BalanceTransfer``: scaled units from one account to another; until 3.0.0 the value is underlying."""
        book = self._books.get(token)
        if book is None:
            self._foreign += 1
            return
        if index != book.index_ray or self._seconds[at] != book.reserve.looked_s:
            self._look(at, book, sender, index)
        rules = book.rules
        giver, taker = book.holdings.get(sender), book.holdings.get(receiver)
        if giver is None:
            giver = Holding(self._accounts[sender])
        if taker is None:
            taker = Holding(self._accounts[receiver])
        if rules.transfer_accrues:
            if giver.index_ray != index:
                self._accrued(at, book, sender, giver, index)
            if taker.index_ray != index:
                self._accrued(at, book, receiver, taker, index)
        elif not taker.scaled:
            taker.index_ray = index
        moved = value if rules.transfer_value_scaled else ray_div_half_up(value, index)
        if moved and sender != receiver:
            self._move(at, book, sender, giver, giver.scaled - moved)
            self._move(at, book, receiver, taker, taker.scaled + moved)
        if not self._is_liquidation(at, book.reserve.address, sender):
            amount = book.math.balance(moved, index) if rules.transfer_value_scaled else value
            self._to_actions((at, "transfer", giver.account, taker.account, book.reserve.asset, amount, False, 0))

    def _accrued(self, at: int, book: Book, owner: bytes, held: Holding, index: int) -> None:
        """A transfer touches both sides: interest since the last time must have been minted just before."""
        before, held.index_ray = held.balance, index
        held.balance = book.math.balance(held.scaled, index)
        if held.balance != before:
            self._differs(at, owner, book, "accrued_before_transfer", held.balance - before, 0)

    def _move(self, at: int, book: Book, owner: bytes, held: Holding, scaled: int) -> None:
        held.balance = book.math.balance(scaled, held.index_ray)
        self._set(at, book, owner, held, scaled)

    def reserve_updated(
        self, at: int, pool: bytes, asset: bytes, rate: int, debt_rate: int, index: int, debt_index: int
    ) -> None:
        """``ReserveDataUpdated``: indices after an accrual, and the rates that hold from now on."""
        reserve = self._state.reserves.get(asset)
        if reserve is None or pool != self._state.pool:
            return
        self.accrue(at, reserve)
        self.indices_compared += 2
        expected = reserve.liquidity_index_ray
        if at + 1 in self._flash_loans:
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
        self._rows.steps.extend((at, CASH, reserve.address, 0))

    def record(self, at: int, reserve: Reserve) -> None:
        """Write down what the reserve stores now."""
        self._to_reserves(
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
            reserve.look(now, self._configuration.rules)
        if reserve.updated_s == now:
            return False
        before, after = reserve.borrow_index_ray, reserve.debt.index_ray
        reserve.liquidity_index_ray = reserve.collateral.index_ray
        reserve.borrow_index_ray = after
        reserve.updated_s = now
        parameters = self._configuration.reserves[reserve.asset]
        if after == before or parameters is None or not parameters.reserve_factor_bps:
            return True
        rules, debt = self._configuration.rules, reserve.looked_debt
        if rules.treasury_of_index_difference:
            earned = ray_mul_floor(debt, after - before)
        else:
            earned = ray_mul_half_up(debt, after) - ray_mul_half_up(debt, before)
        share = percent_mul_half_up(earned, parameters.reserve_factor_bps)
        scaled = RAY_DIV[rules.treasury_accrual](share, reserve.liquidity_index_ray)
        self.accrued(at, reserve, scaled)
        self._shares[reserve.asset] = (at, scaled)
        return True

    def accrue_again(self, at: int, since: int, reserve: Reserve) -> None:
        """Repeat the treasury's share, if it accrued at or after the event ``since``.

        A liquidation of a debt against collateral of the same asset reads the reserve twice before it accrues, so the
        second accrual does not see the first one; the indices come out the same. Source: LiquidationLogic 3.5, 3.6.
        """
        last, scaled = self._shares.get(reserve.asset, (-1, 0))
        if last >= since:
            self.accrued(at, reserve, scaled)

    def accrued(self, at: int, reserve: Reserve, scaled: int) -> None:
        """The treasury's share that is not minted yet changes."""
        if scaled:
            reserve.accrued_to_treasury += scaled
            self._rows.steps.extend((at, ACCRUED, reserve.address, reserve.accrued_to_treasury))

    def _with_flash_premium(self, at: int, reserve: Reserve) -> int:
        """The liquidity index, raised where the flash loan after this update is its own and shares its premium."""
        index = reserve.liquidity_index_ray
        batch, loan = self._batch, at + 1
        _, _, _, asset, _, mode, premium = batch.values[loan]
        if (
            not self._configuration.rules.flash_premium_bumps_index
            or batch.transactions[loan] != batch.transactions[at]
            or asset != reserve.address
            or mode
        ):
            return index
        to_protocol = percent_mul_half_up(premium, self._configuration.flash_premium_to_protocol_bps)
        supplied = ray_mul_half_up(reserve.collateral.total, index) + ray_mul_half_up(
            reserve.accrued_to_treasury, index
        )
        if not supplied:
            return index
        growth = ray_div_half_up((premium - to_protocol) * WAD_TO_RAY, supplied * WAD_TO_RAY) + RAY
        return ray_mul_half_up(growth, index)

    def _index_differs(self, at: int, book: Book, name: str, expected: int, actual: int) -> None:
        self.indices_differing += 1
        self._rows.divergences.extend((at, "index", None, book.address, name, expected, actual))

    def _differs(self, at: int, owner: bytes, book: Book, name: str, expected: int, actual: int) -> None:
        self.balances_differing += 1
        self._rows.divergences.extend((at, "balance", owner, book.address, name, expected, actual))

    def count(self) -> None:
        """Add what was compared to the fold's counts: what is not of the market's tokens was not."""
        events = sum(len(self._batch.places.get(name, ())) for name in ("Mint", "Burn", "BalanceTransfer"))
        for subject, compared, differing in (
            ("balances", events - self._foreign, self.balances_differing),
            ("indices", self.indices_compared, self.indices_differing),
        ):
            self._state.compared[subject] = self._state.compared.get(subject, 0) + compared
            self._state.equal[subject] = self._state.equal.get(subject, 0) + compared - min(differing, compared)

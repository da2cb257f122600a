"""Pool events: what users meant, what was liquidated, the reserve's cash (DESIGN §9, DOMAIN §1.7)."""

from __future__ import annotations

from l2liq.errors import InputError
from l2liq.events.log import block_of
from l2liq.numeric import percent_mul_half_up
from l2liq.protocols.aave_v3.fold_events import Batch
from l2liq.protocols.aave_v3.fold_fee import fee_of
from l2liq.protocols.aave_v3.fold_groups import Groups
from l2liq.protocols.aave_v3.fold_rows import CASH, ISOLATED_DEBT, NO_ADDRESS, BatchRows
from l2liq.protocols.aave_v3.fold_state import EMODE_LEG, FoldState, Reserve, flag_leg
from l2liq.protocols.aave_v3.fold_tokens import TokenFold
from l2liq.protocols.aave_v3.scaled import RAY_DIV, RAY_MUL

_STABLE = 1
_NO_DEBT = 0

EXEMPT = 1
"""Mode of a flash loan without premium."""


class StableDebtError(InputError):
    """Stable-rate debt, which versions until 3.1 could have and l2liq does not replay."""


class PoolFold:
    """The Pool's events of one batch. Actions are keyed by the Pool's event, which comes last in its call."""

    def __init__(self, state: FoldState, batch: Batch, rows: BatchRows, tokens: TokenFold, groups: Groups) -> None:
        self._state = state
        self._accounts = state.accounts
        self._batch = batch
        self._rows = rows
        self._tokens = tokens
        self._groups = groups

    def supply(self, at: int, pool: bytes, asset: bytes, payer: bytes, owner: bytes, amount: int) -> None:
        """``Supply``."""
        reserve = self._reserve(pool, asset)
        if reserve is not None:
            self._cash(at, reserve, amount)
            self._act(at, "supply", owner, payer, reserve, amount)

    def mint_unbacked(self, at: int, pool: bytes, asset: bytes, payer: bytes, owner: bytes, amount: int) -> None:
        """``MintUnbacked``: a bridge supplies without paying yet (mode 1)."""
        reserve = self._reserve(pool, asset)
        if reserve is not None:
            self._act(at, "supply", owner, payer, reserve, amount, mode=1)

    def back_unbacked(self, at: int, pool: bytes, asset: bytes, backer: bytes, amount: int, fee: int) -> None:
        """``BackUnbacked``: a bridge pays."""
        reserve = self._reserve(pool, asset)
        if reserve is not None:
            self._cash(at, reserve, amount + fee)

    def withdraw(self, at: int, pool: bytes, asset: bytes, owner: bytes, receiver: bytes, amount: int) -> None:
        """``Withdraw``: whole where no balance is left."""
        reserve = self._reserve(pool, asset)
        if reserve is not None:
            self._cash(at, reserve, -amount)
            whole = owner not in reserve.collateral.holdings
            self._act(at, "withdraw", owner, receiver, reserve, amount, whole=whole)

    def borrow(
        self, at: int, pool: bytes, asset: bytes, receiver: bytes, owner: bytes, amount: int, rate_mode: int
    ) -> None:
        """``Borrow``; what a flash loan leaves as debt is a ``flash_borrow``."""
        reserve = self._reserve(pool, asset)
        if reserve is None:
            return
        if rate_mode == _STABLE:
            self._refuse_stable(at, owner)
        self._cash(at, reserve, -amount)
        flash = self._groups.next_values(at, "FlashLoan")
        is_flash = flash is not None and flash[3] == asset and flash[5] != _NO_DEBT
        self._act(at, "flash_borrow" if is_flash else "borrow", owner, receiver, reserve, amount)

    def repay(self, at: int, pool: bytes, asset: bytes, owner: bytes, payer: bytes, amount: int, atokens: bool) -> None:
        """``Repay``: whole where no debt is left; with aTokens also where none of those are left."""
        reserve = self._reserve(pool, asset)
        if reserve is None:
            return
        whole = owner not in reserve.debt.holdings
        if atokens:
            whole = whole or owner not in reserve.collateral.holdings
            self._act(at, "repay_with_atokens", owner, payer, reserve, amount, whole=whole, mode=1)
            return
        self._cash(at, reserve, amount)
        self._act(at, "repay", owner, payer, reserve, amount, whole=whole)

    def flash_loan(
        self, at: int, pool: bytes, initiator: bytes, asset: bytes, amount: int, rate_mode: int, premium: int
    ) -> None:
        """``FlashLoan``: the premium stays; the suppliers' part, where there is one, has raised the index already."""
        reserve = self._reserve(pool, asset)
        if reserve is None or rate_mode != _NO_DEBT:
            return
        self._act(at, "flash_repay", initiator, None, reserve, amount, mode=0 if premium else EXEMPT)
        if not premium:
            return
        self._cash(at, reserve, premium)
        configuration, rules = self._state.configuration, self._state.rules
        if rules.flash_premium_bumps_index:
            share = percent_mul_half_up(premium, configuration.flash_premium_to_protocol_bps)
        else:
            share = premium
        self._tokens.accrued(at, reserve, RAY_DIV[rules.atoken_mint](share, reserve.liquidity_index_ray))

    def minted_to_treasury(self, at: int, pool: bytes, asset: bytes, amount: int) -> None:
        """``MintedToTreasury``: what had accrued, at the present index; the aToken's Mint went before."""
        reserve = self._reserve(pool, asset)
        if reserve is None:
            return
        index = reserve.collateral.index_ray
        expected = RAY_MUL[self._state.rules.atoken_balance](reserve.accrued_to_treasury, index)
        self._state.compared["treasury"] = self._state.compared.get("treasury", 0) + 1
        if expected == amount:
            self._state.equal["treasury"] = self._state.equal.get("treasury", 0) + 1
        else:
            row = (at, "treasury", None, reserve.collateral.address, "amount_minted", expected, amount)
            self._rows.divergences.extend(row)
        self._tokens.accrued(at, reserve, -reserve.accrued_to_treasury)
        mint = self._groups.previous_values(at, "Mint")
        if mint is not None:
            self._act(at, "mint_to_treasury", mint[2], None, reserve, amount)

    def deficit_covered(self, at: int, pool: bytes, asset: bytes, payer: bytes, amount: int) -> None:
        """``DeficitCovered``: somebody burned aTokens against recorded bad debt."""
        reserve = self._reserve(pool, asset)
        if reserve is not None:
            self._act(at, "cover_deficit", payer, None, reserve, amount)

    def deficit_created(self, at: int, pool: bytes, owner: bytes, asset: bytes, amount: int) -> None:
        """``DeficitCreated``: bad debt that the protocol wrote off."""
        reserve = self._reserve(pool, asset)
        if reserve is not None:
            self._rows.deficits.extend((at, self._accounts[owner], reserve.asset, amount))

    def isolated_debt(self, at: int, pool: bytes, asset: bytes, total: int) -> None:
        """``IsolationModeTotalDebtUpdated``."""
        if pool == self._state.pool:
            self._rows.steps.extend((at, ISOLATED_DEBT, asset, total))

    def emode(self, at: int, pool: bytes, owner: bytes, category: int) -> None:
        """``UserEModeSet``."""
        if pool == self._state.pool:
            account = self._accounts[owner]
            self._state.emodes[account] = category
            self._rows.ledger.extend((at, account, EMODE_LEG, category))
            self._rows.actions.extend((at, "emode", account, -1, -1, 0, False, category))

    def collateral_on(self, at: int, pool: bytes, asset: bytes, owner: bytes) -> None:
        """``ReserveUsedAsCollateralEnabled``; an action only where the user asked for nothing else."""
        reserve = self._reserve(pool, asset)
        if reserve is not None:
            explicit = not self._groups.enabled_by_something(at, asset, owner)
            self._switch(at, reserve, owner, 1, explicit)

    def collateral_off(self, at: int, pool: bytes, asset: bytes, owner: bytes) -> None:
        """``ReserveUsedAsCollateralDisabled``; an action only where the user asked for nothing else."""
        reserve = self._reserve(pool, asset)
        if reserve is not None:
            explicit = not self._groups.disabled_by_something(at, asset, owner)
            self._switch(at, reserve, owner, 0, explicit)

    def _switch(self, at: int, reserve: Reserve, owner: bytes, value: int, explicit: bool) -> None:
        account = self._accounts[owner]
        self._rows.ledger.extend((at, account, flag_leg(reserve.asset), value))
        if explicit:
            kind = "collateral_on" if value else "collateral_off"
            self._rows.actions.extend((at, kind, account, -1, reserve.asset, 0, False, value))

    def liquidation(
        self,
        at: int,
        pool: bytes,
        collateral_asset: bytes,
        debt_asset: bytes,
        owner: bytes,
        repaid: int,
        seized: int,
        liquidator: bytes,
        receives_token: bool,
        transaction: bytes,
    ) -> None:
        """``LiquidationCall``: a record only, the token events have moved everything already (DOMAIN §1.7)."""
        collateral, debt = self._reserve(pool, collateral_asset), self._reserve(pool, debt_asset)
        if collateral is None or debt is None:
            return
        self._cash(at, debt, repaid)
        if not receives_token:
            self._cash(at, collateral, -seized)
        start = self._groups.start_of_liquidation(at)
        if self._state.rules.liquidation_accrues_first:
            self._accrue(at, start, collateral, debt)
        account, taker = self._accounts[owner], self._accounts[liquidator]
        fee_scaled = self._groups.fee_scaled(at, receives_token)
        fee = fee_of(self._state, owner, collateral, debt, repaid, seized, fee_scaled) if fee_scaled else 0
        row = (
            at,
            start,
            transaction,
            account,
            taker,
            collateral.asset,
            debt.asset,
            repaid,
            seized,
            fee,
            receives_token,
        )
        self._rows.liquidations.extend(row)

    def _accrue(self, at: int, start: int, collateral: Reserve, debt: Reserve) -> None:
        """Both reserves accrued before anything else; paid in aTokens, the collateral's indices are not logged."""
        if collateral is debt:
            if self._state.rules.liquidation_accrues_twice:
                self._tokens.accrue_again(at, start, collateral)
        elif self._tokens.accrue(at, collateral):
            self._tokens.record(at, collateral)

    def _reserve(self, pool: bytes, asset: bytes) -> Reserve | None:
        return self._state.reserves.get(asset) if pool == self._state.pool else None

    def _cash(self, at: int, reserve: Reserve, change: int) -> None:
        reserve.cash += change
        self._rows.steps.extend((at, CASH, reserve.address, reserve.cash))

    def _act(
        self,
        at: int,
        kind: str,
        owner: bytes,
        other: bytes | None,
        reserve: Reserve,
        amount: int,
        *,
        whole: bool = False,
        mode: int = 0,
    ) -> None:
        account = self._accounts[owner]
        second = -1 if other is None or other == NO_ADDRESS else self._accounts[other]
        self._rows.actions.extend((at, kind, account, second, reserve.asset, amount, whole, mode))

    def _refuse_stable(self, at: int, owner: bytes) -> None:
        block = block_of(int(self._batch.keys[at]))
        raise StableDebtError(
            f"block {block:,}: account 0x{owner.hex()} borrows at a stable rate, which l2liq does not replay. "
            "Choose a market or a window without stable-rate debt."
        )

    def stable_mint(self, at: int, token: bytes, owner: bytes) -> None:
        """``Mint`` of a stable debt token of this market."""
        if token in self._state.stable_tokens:
            self._refuse_stable(at, owner)

"""Liquidation of one account: which pairs there are, and what each does to every account concerned.

Source: Aave v3 LiquidationLogic.executeLiquidationCall, ValidationLogic.validateLiquidationCall (DOMAIN §1.5 to §1.7).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from l2liq.numeric import mul_div_floor
from l2liq.protocols.aave_v3 import solvency
from l2liq.protocols.aave_v3.auction import paid_bonus_bps
from l2liq.protocols.aave_v3.execution import Execution
from l2liq.protocols.aave_v3.layout import Role
from l2liq.protocols.aave_v3.liquidation import (
    Amounts,
    Holding,
    Pair,
    largest_seizure,
    leaves_dust,
    repayable_debt,
    seizure,
)
from l2liq.protocols.aave_v3.reasons import Reason
from l2liq.protocols.aave_v3.versions import BadDebt
from l2liq.protocols.interface import Health, Liquidated, Request, State

if TYPE_CHECKING:
    from l2liq.protocols.aave_v3.situation import AaveSituation


def requests(situation: AaveSituation, account: int, state: State, liquidator: int) -> Sequence[Request]:
    """Open pairs of an account, best for the liquidator first."""
    execution = Execution(situation, lambda _: state, lambda _: 0)
    health = situation.health(state)
    if health.factor_wad is None or (account == liquidator and not situation.rules.self_liquidation):
        return []
    addresses = situation.tables.layout.addresses
    found = []
    for collateral in execution.assets_in(account, Role.USES_AS_COLLATERAL):
        for debt in execution.assets_in(account, Role.DEBT):
            request = Request(account, liquidator, collateral, debt, None)
            gain = _gain(execution, health, request)
            if gain is not None:
                found.append((-gain, addresses[collateral], addresses[debt], request))
    return [request for *_, request in sorted(found, key=lambda entry: entry[:3])]


def _gain(execution: Execution, health: Health, request: Request) -> int | None:
    """Value of what a liquidator gets less what it repays [base currency]; None where the pair is shut or too small."""
    account, collateral, debt = request.account, request.collateral_asset, request.debt_asset
    gates, index = execution.situation.gates, execution.situation.debt_index_ray[debt]
    if gates.reserve(collateral) or gates.reserve(debt) or not _liquidatable_collateral(execution, account, collateral):
        return None
    pair = _pair(execution, health, account, collateral, debt)
    holding = _holding(execution, health, account, collateral, debt)
    amounts = largest_seizure(holding, pair, execution.tables.parameters)
    if amounts is None or amounts.to_liquidator == 0:
        return None
    burns_nothing = execution.math.debt_burn(amounts.debt, index) == 0
    if burns_nothing and not _leaves_nothing(execution, request, amounts, pair, health.collateral_base):
        return None
    gained = mul_div_floor(amounts.to_liquidator, pair.collateral_price, pair.collateral_unit)
    return gained - execution.math.debt_value(amounts.debt, pair.debt_price, pair.debt_unit)


def execute(execution: Execution, request: Request) -> Liquidated:
    """Validate and execute one liquidation call."""
    account, collateral, debt = request.account, request.collateral_asset, request.debt_asset
    execution.accrue(debt)
    if execution.rules.liquidation_accrues_first:
        execution.accrue(collateral)
        if collateral == debt and execution.rules.liquidation_accrues_twice:
            execution.accrue_again(collateral)
    totals = execution.totals(account)
    health = execution.situation.health_of(totals)
    _validate(execution, request, health)
    pair = _pair(execution, health, account, collateral, debt)
    holding = _holding(execution, health, account, collateral, debt)
    amounts = _amounts(execution, request, holding, pair)
    if _clears_flag(execution, request, amounts, holding):
        execution.use_as_collateral(account, collateral, False)
    nothing_left = _leaves_nothing(execution, request, amounts, pair, totals.collateral_base)
    if nothing_left and execution.rules.bad_debt is BadDebt.BY_SCALED_CONSUMPTION:
        execution.use_as_collateral(account, collateral, False)

    deficits: dict[int, int] = {}
    _burn_debt(execution, account, debt, amounts.debt, deficits, write_off=nothing_left)
    execution.pay_in_last(debt, amounts.debt, request.liquidator)
    execution.lower_isolated_debt_of(account, collateral, debt, amounts.debt)
    _pay(execution, request, amounts)
    fee = _pay_fee(execution, request, amounts.protocol_fee)
    if nothing_left:
        for other in execution.borrowed(account):
            reserve = execution.tables.reserve(other)
            if reserve is not None and reserve.active:
                execution.accrue(other)
                if execution.scaled_debt(account, other):
                    _burn_debt(execution, account, other, 0, deficits, write_off=True)
                execution.debt_repaid(account, other, entirely=True)
                execution.settle(other)
    return Liquidated(
        step=execution.step(),
        debt_repaid=amounts.debt,
        collateral_to_liquidator=amounts.to_liquidator,
        protocol_fee=fee,
        deficits=deficits,
        collateral_price=pair.collateral_price,
        debt_price=pair.debt_price,
        health_before=health,
        health_after=execution.situation.health(execution.state(account)),
    )


def _validate(execution: Execution, request: Request, health: Health) -> None:
    """Refuse for the first reason that the contract would find."""
    require, rules, gates = execution.require, execution.rules, execution.situation.gates
    require(rules.self_liquidation or request.account != request.liquidator, Reason.SELF_LIQUIDATION)
    reserves = [execution.reserve(asset) for asset in (request.collateral_asset, request.debt_asset)]
    require(all(reserve.active for reserve in reserves), Reason.RESERVE_INACTIVE)
    require(not any(reserve.paused for reserve in reserves), Reason.RESERVE_PAUSED)
    factor = health.factor_wad
    unprotected = factor is not None and factor < solvency.SENTINEL_HEALTH_WAD
    require(unprotected or gates.sentinel is None, Reason.PRICE_ORACLE_SENTINEL_CHECK_FAILED)
    if rules.grace_period:
        now_s = execution.situation.moment.timestamp_s
        over = all(reserve.grace_until_s < now_s for reserve in reserves)
        require(over, Reason.LIQUIDATION_GRACE_SENTINEL_CHECK_FAILED)
    require(health.liquidatable, Reason.HEALTH_FACTOR_NOT_BELOW_THRESHOLD)
    usable = _liquidatable_collateral(execution, request.account, request.collateral_asset)
    require(usable, Reason.COLLATERAL_CANNOT_BE_LIQUIDATED)
    owed = execution.scaled_debt(request.account, request.debt_asset)
    require(owed != 0, Reason.SPECIFIED_CURRENCY_NOT_BORROWED_BY_USER)


def _liquidatable_collateral(execution: Execution, account: int, asset: int) -> bool:
    """Whether the asset is collateral of the account that the rules let go."""
    threshold_counts = not execution.rules.liquidation_needs_threshold
    listed = execution.reserve(asset)
    return execution.uses_as_collateral(account, asset) and (threshold_counts or listed.liquidation_threshold_bps != 0)


def _pair(execution: Execution, health: Health, account: int, collateral: int, debt: int) -> Pair:
    """Prices and terms of a pair. With an e-mode's own price source the debt is priced by it whatever the debt is."""
    situation, tables = execution.situation, execution.tables
    category = execution.category(account)
    terms, mode = tables.terms(category)[collateral], tables.mode(category)
    assert terms is not None, "the caller asked for a listed reserve"
    own_source = mode is not None and mode.price_source is not None
    return Pair(
        collateral_price=situation.prices_in(category)[collateral],
        collateral_unit=tables.layout.units[collateral],
        debt_price=situation.price_of_source(mode.price_source or b"")
        if mode and own_source
        else situation.prices[debt],
        debt_unit=tables.layout.units[debt],
        bonus_bps=paid_bonus_bps(terms.bonus_bps, health.factor_wad, tables.parameters),
        protocol_fee_bps=execution.reserve(collateral).protocol_fee_bps,
    )


def _holding(execution: Execution, health: Health, account: int, collateral: int, debt: int) -> Holding:
    return Holding(
        collateral=execution.collateral(account, collateral),
        debt=execution.debt(account, debt),
        total_debt_base=health.debt_base,
        health_factor_wad=health.factor_wad or 0,
    )


def _amounts(execution: Execution, request: Request, holding: Holding, pair: Pair) -> Amounts:
    """Amounts of the request: what it asks for, cut to what the rules allow."""
    parameters = execution.tables.parameters
    if request.amount is None:
        amounts = largest_seizure(holding, pair, parameters)
    else:
        debt = min(request.amount, repayable_debt(holding, pair, parameters))
        asked = seizure(debt, holding.collateral, pair, parameters.rules)
        amounts = None if leaves_dust(asked, holding, pair, parameters) else asked
    execution.require(amounts is not None, Reason.MUST_NOT_LEAVE_DUST)
    assert amounts is not None
    return amounts


def _clears_flag(execution: Execution, request: Request, amounts: Amounts, holding: Holding) -> bool:
    """Whether the collateral counts as used up by the payout (and the fee, where the version counts it)."""
    if execution.rules.bad_debt is BadDebt.BY_SCALED_CONSUMPTION:
        balance = execution.scaled_collateral(request.account, request.collateral_asset)
        return _scaled_consumption(execution, request, amounts) == balance
    taken = amounts.seized if execution.rules.disable_counts_fee else amounts.to_liquidator
    return taken == holding.collateral


def _scaled_consumption(execution: Execution, request: Request, amounts: Amounts) -> int:
    """Scaled units that payout and fee take, each rounded up, at most what the account has."""
    index = execution.situation.income_ray[request.collateral_asset]
    taken = execution.math.atoken_burn(amounts.to_liquidator, index)
    taken += execution.math.atoken_transfer(amounts.protocol_fee, index)
    return min(taken, execution.scaled_collateral(request.account, request.collateral_asset))


def _leaves_nothing(execution: Execution, request: Request, amounts: Amounts, pair: Pair, collateral_base: int) -> bool:
    """Whether the account's remaining debts are to be written off: all its collateral is seized, by value."""
    if execution.rules.bad_debt is BadDebt.KEPT:
        return False
    seized = amounts.seized
    if execution.rules.bad_debt is BadDebt.BY_SCALED_CONSUMPTION:
        scaled = _scaled_consumption(execution, request, amounts)
        seized = execution.math.atoken_balance(scaled, execution.situation.income_ray[request.collateral_asset])
    return mul_div_floor(seized, pair.collateral_price, pair.collateral_unit) == collateral_base


def _burn_debt(
    execution: Execution, account: int, asset: int, repaid: int, deficits: dict[int, int], *, write_off: bool
) -> None:
    """Burn what was repaid, or with ``write_off`` the whole debt, whose rest becomes a deficit of the reserve."""
    debt = execution.debt(account, asset)
    scaled = execution.math.debt_burn(debt if write_off else repaid, execution.situation.debt_index_ray[asset])
    execution.require(scaled != 0, Reason.INVALID_BURN_AMOUNT)
    execution.add_debt(account, asset, -scaled)
    execution.debt_repaid(account, asset, entirely=write_off or repaid == debt)
    if write_off and debt > repaid:
        deficits[asset] = debt - repaid
        execution.record_deficit(asset, debt - repaid)


def _pay(execution: Execution, request: Request, amounts: Amounts) -> None:
    """Hand the liquidator its collateral: the underlying, or the borrower's aTokens."""
    account, asset, liquidator = request.account, request.collateral_asset, request.liquidator
    index = execution.situation.income_ray[asset]
    if not request.receives_token:
        execution.accrue(asset)
        execution.pay_out(asset, amounts.to_liquidator, liquidator)
        scaled = execution.math.atoken_burn(amounts.to_liquidator, index)
        execution.require(scaled != 0, Reason.INVALID_BURN_AMOUNT)
        execution.add_collateral(account, asset, -scaled)
        return
    first = execution.scaled_collateral(liquidator, asset) == 0
    scaled = execution.math.atoken_transfer(amounts.to_liquidator, index)
    execution.add_collateral(account, asset, -scaled)
    execution.add_collateral(liquidator, asset, scaled)
    if first and execution.rules.receiver_auto_collateral:
        execution.enable_received(liquidator, asset)


def _pay_fee(execution: Execution, request: Request, fee: int) -> int:
    """Move the protocol fee as aTokens to the treasury; what it came to [base units]."""
    if fee == 0:
        return 0
    account, asset = request.account, request.collateral_asset
    index = execution.situation.income_ray[asset]
    scaled, held = execution.math.atoken_transfer(fee, index), execution.scaled_collateral(account, asset)
    if scaled > held and execution.rules.fee_capped:
        scaled, fee = held, execution.math.atoken_balance(held, index)
    execution.add_collateral(account, asset, -scaled)
    treasuries = execution.tables.parameters.treasury
    treasury = treasuries[asset] if asset < len(treasuries) else None
    receiver = execution.situation.record.account_of(treasury) if treasury is not None else None
    if receiver is not None:
        execution.add_collateral(receiver, asset, scaled)
    return fee

"""The protocol fee of a recorded liquidation in underlying: logs show the scaled units that went to the treasury.

Several amounts give the same scaled units, so the fee is recomputed from the two amounts a liquidation can take in all:
what the repaid debt is worth with the bonus, or the borrower's whole balance. The one that leaves the recorded payout
and the recorded scaled units is it. Where neither does, the fee was cut to what the borrower held, whose balance it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from l2liq.protocols.aave_v3.fold_state import FoldState, Reserve
from l2liq.protocols.aave_v3.liquidation import Pair, seizure
from l2liq.protocols.aave_v3.scaled import RAY_DIV


def fee_of(
    state: FoldState, owner: bytes, collateral: Reserve, debt: Reserve, repaid: int, seized: int, scaled: int
) -> int:
    """Protocol fee [base units of the collateral].

    Parameters
    ----------
    state : FoldState
        As it is after the liquidation's token events.
    owner : bytes
        The borrower.
    collateral, debt : Reserve
        What was seized, what was repaid.
    repaid, seized : int
        As the liquidation's event has them [base units].
    scaled : int
        What went to the treasury [scaled units of the collateral].
    """
    index, rules = collateral.collateral.index_ray, state.rules
    pair = _pair(state, owner, collateral, debt)
    if pair is not None:
        for amount, balance in _ways(state, owner, collateral, repaid, seized, scaled):
            found = seizure(amount, balance, pair, rules)
            if found.to_liquidator == seized and RAY_DIV[rules.atoken_transfer](found.protocol_fee, index) == scaled:
                return found.protocol_fee
    return collateral.collateral.math.balance(scaled, index)


def _ways(
    state: FoldState, owner: bytes, collateral: Reserve, repaid: int, seized: int, scaled: int
) -> Iterator[tuple[int, int]]:
    """Debt and balance of the two ways: limited by the debt, limited by the balance."""
    index, book = collateral.collateral.index_ray, collateral.collateral
    paid = RAY_DIV[state.rules.atoken_burn](seized, index)
    balance = book.math.balance(book.scaled(owner) + paid + scaled, index)
    yield repaid, balance
    yield 2 * repaid + 2, balance


def _pair(state: FoldState, owner: bytes, collateral: Reserve, debt: Reserve) -> Pair | None:
    """Prices and terms of the pair as they stand; None where a price is not known from the logs."""
    configuration = state.configuration
    parameters = configuration.reserves[collateral.asset]
    mode = configuration.emodes.get(state.emodes.get(state.accounts[owner], 0))
    in_mode = mode is not None and collateral.asset in mode.collateral
    source = mode.price_source if mode is not None else None
    prices = state.prices.last
    collateral_price = prices.get(source if source is not None and in_mode else collateral.address, 0)
    debt_price = prices.get(debt.address if source is None else source, 0)
    if parameters is None or not collateral_price or not debt_price:
        return None
    bonus = mode.liquidation_bonus_bps if mode is not None and in_mode else parameters.liquidation_bonus_bps
    units = [10 ** state.assets[reserve.asset].decimals for reserve in (collateral, debt)]
    return Pair(
        collateral_price=collateral_price,
        collateral_unit=units[0],
        debt_price=debt_price,
        debt_unit=units[1],
        bonus_bps=bonus,
        protocol_fee_bps=parameters.protocol_fee_bps,
    )

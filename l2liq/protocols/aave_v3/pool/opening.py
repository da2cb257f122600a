"""A pool in the state that history had at some moment."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.errors import InputError
from l2liq.events.log import block_of
from l2liq.market import Market, ParameterTimeline, quantity
from l2liq.protocols.aave_v3.fold_market import BORROW_INDEX, BORROW_RATE, LIQUIDITY_INDEX, LIQUIDITY_RATE
from l2liq.protocols.aave_v3.fold_rows import ACCRUED, CASH, ISOLATED_DEBT
from l2liq.protocols.aave_v3.layout import Layout
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.pool.pool import Pool, Surroundings
from l2liq.protocols.aave_v3.pool.reserve import PoolReserve


def open_pool(
    market: Market, timeline: ParameterTimeline[AaveParameters], surroundings: Surroundings, key: int
) -> Pool:
    """A pool as recorded after everything at or before ``key``, going on under ``timeline``.

    Raises
    ------
    InputError
        The market has no parameters yet at ``key``.
    """
    layout = Layout(market)
    accounts = accounts_at(market, key)
    reserves = [_reserve(market, asset, key) for asset in range(len(market.assets))]
    for state in accounts.values():
        for asset, reserve in enumerate(reserves):
            reserve.scaled_supply += state.get(layout.collateral[asset], 0)
            reserve.scaled_debt += state.get(layout.debt[asset], 0)
    return Pool(layout, timeline, surroundings, accounts, reserves, len(market.addresses))


def accounts_at(market: Market, key: int) -> dict[int, dict[int, int]]:
    """Non-zero legs of every account after everything at or before ``key``."""
    ledger = market.ledger
    stop = int(np.searchsorted(ledger.key, key, side="right"))
    account = ledger.table.column("account").to_numpy()[:stop].astype(np.int64)
    leg = ledger.leg[:stop].astype(np.int64)
    place = account * len(market.legs) + leg
    _, last = np.unique(place[::-1], return_index=True)
    rows = np.sort(stop - 1 - last)
    after = ledger.table.column("after_raw").combine_chunks().take(rows).to_pylist()
    accounts: dict[int, dict[int, int]] = {}
    for owner, number, raw in zip(account[rows].tolist(), leg[rows].tolist(), after, strict=True):
        value = quantity(raw)
        if value:
            accounts.setdefault(owner, {})[number] = value
    return accounts


def _reserve(market: Market, asset: int, key: int) -> PoolReserve:
    made = PoolReserve()
    index = market.series.get((LIQUIDITY_INDEX, asset))
    step = -1 if index is None else index.step_at(key)
    if index is None or step < 0:
        return made

    def recorded(kind: str, otherwise: int | None = None) -> int:
        series = market.series.get((kind, asset))
        found = None if series is None else series.at(key)
        if found is None and otherwise is None:
            address = market.assets[asset].address.hex()
            raise InputError(
                f"block {block_of(key):,}: {kind} of asset 0x{address} is not known. "
                "Ingest the market from its deployment."
            )
        return otherwise or 0 if found is None else found

    made.liquidity_index_ray = index.values[step]
    made.updated_s = int(index.timestamp_s[step])
    made.liquidity_rate_ray = recorded(LIQUIDITY_RATE)
    made.borrow_index_ray = recorded(BORROW_INDEX)
    made.borrow_rate_ray = recorded(BORROW_RATE)
    made.cash = recorded(CASH)
    made.accrued_to_treasury = recorded(ACCRUED, 0)
    made.deficit = _deficit(market, asset, key)
    made.isolated_debt = recorded(ISOLATED_DEBT, 0)
    terms = market.parameters.at(key).reserves[asset]
    made.reserve_factor_bps = 0 if terms is None else terms.reserve_factor_bps
    return made


def _deficit(market: Market, asset: int, key: int) -> int:
    """Bad debt recorded and not covered until ``key`` [base units]."""
    created = _sum(market.deficits.filter(_until(market.deficits, asset, key)))
    covered = market.actions.filter(pc.equal(market.actions.column("kind"), "cover_deficit"))
    return created - _sum(covered.filter(_until(covered, asset, key)))


def _until(table: pa.Table, asset: int, key: int) -> pa.ChunkedArray:
    return pc.and_(pc.equal(table.column("asset"), asset), pc.less_equal(table.column("key"), key))


def _sum(table: pa.Table) -> int:
    return sum(quantity(raw) for raw in table.column("amount_raw").to_pylist())

"""The Market of a snapshot: legs named, series cut by asset, imported prices put in place."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.events.raw import to_raw
from l2liq.events.words import words_of
from l2liq.market import PRICE, Asset, Clock, Ledger, Leg, LegKind, Market, ParameterTimeline, Series
from l2liq.protocols.aave_v3.fold import Snapshot
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.prices import named_price

LIQUIDITY_INDEX = "liquidity_index_ray"
LIQUIDITY_RATE = "liquidity_rate_ray"
BORROW_INDEX = "borrow_index_ray"
BORROW_RATE = "borrow_rate_ray"
"""Kinds of the series of a reserve. All four step together, at every update: the time of a step is the contract's
lastUpdateTimestamp, from which an index grows at the rate."""

POOL, A_TOKEN = "pool", "a_token"
"""What contracts of a market are: users call these two."""

_UNKNOWN = "prices of {} come from observations: prices at the end of the blocks that were sampled or imported"


def build_market(snapshot: Snapshot) -> Market:
    """The Market of a snapshot. Tables are shared, not copied, where their form allows it."""
    state = snapshot.state
    assets = tuple(Asset(a.address, a.symbol, a.decimals) for a in state.assets)
    clock = Clock(snapshot.clock.column("number").to_numpy(), snapshot.clock.column("timestamp_s").to_numpy())
    series = {(s.kind, s.asset): s for s in (*_reserve_series(snapshot), *_step_series(snapshot))}
    sampled = {s.asset: s for s in _observed_prices(snapshot, clock)}
    series |= {(PRICE, asset): steps for asset, steps in sampled.items()}
    keys, times, sets = zip(*state.timeline, strict=True)
    timeline: ParameterTimeline[AaveParameters] = ParameterTimeline(keys, times, tuple(_filled(sets, len(assets))))
    notes = [_UNKNOWN.format(", ".join(assets[asset].symbol for asset in sorted(sampled)))] if sampled else []
    if any(not parameters.rules.virtual_accounting for parameters in sets):
        notes.append("cash before version 3.1 leaves out tokens that were sent to an aToken without supplying")
    return Market(
        name=snapshot.deployment.name,
        slug=snapshot.deployment.slug,
        protocol=snapshot.deployment.protocol,
        chain_id=snapshot.deployment.chain_id,
        first_block=int(clock.number[0]) if len(clock.number) else snapshot.deployment.start_block,
        last_block=int(clock.number[-1]) if len(clock.number) else snapshot.deployment.start_block,
        assets=assets,
        legs=tuple(_legs(assets)),
        addresses=pa.array(list(state.accounts), pa.binary(20)),
        ledger=Ledger(snapshot.tables["ledger"].combine_chunks(), len(state.accounts)),
        series=series,
        parameters=timeline,
        actions=snapshot.tables["actions"].combine_chunks(),
        liquidations=snapshot.tables["liquidations"].combine_chunks(),
        deficits=snapshot.tables["deficits"].combine_chunks(),
        clock=clock,
        notes=tuple(notes),
        contracts=_contracts(snapshot),
    )


def _contracts(snapshot: Snapshot) -> dict[bytes, tuple[str, int]]:
    state = snapshot.state
    tokens = {reserve.collateral.address: (A_TOKEN, reserve.asset) for reserve in state.reserves.values()}
    return tokens | {state.pool: (POOL, -1)}


def _legs(assets: tuple[Asset, ...]) -> Iterator[Leg]:
    yield Leg(LegKind.FLAG, "emode", -1)
    for number, asset in enumerate(assets):
        address = f"0x{asset.address.hex()}"
        yield Leg(LegKind.COLLATERAL, f"collateral/{address}", number)
        yield Leg(LegKind.DEBT, f"debt/{address}", number)
        yield Leg(LegKind.FLAG, f"uses_as_collateral/{address}", number)


def _filled(sets: tuple[AaveParameters, ...], count: int) -> Iterator[AaveParameters]:
    """Sets aligned with all assets: None for those that were not listed yet."""
    for parameters in sets:
        missing = count - len(parameters.reserves)
        yield parameters.with_assets(missing) if missing else parameters


def _reserve_series(snapshot: Snapshot) -> Iterator[Series]:
    table = snapshot.tables["reserves"].combine_chunks()
    assets = table.column("asset").to_numpy()
    order = np.argsort(assets, kind="stable")
    bounds = np.searchsorted(assets[order], np.arange(len(snapshot.state.assets) + 1))
    keys, times = table.column("key").to_numpy(), table.column("timestamp_s").to_numpy()
    for kind in (LIQUIDITY_INDEX, LIQUIDITY_RATE, BORROW_INDEX, BORROW_RATE):
        raw = words_of(_one_chunk(table.column(f"{kind}_raw")))
        for asset in range(len(snapshot.state.assets)):
            rows = order[bounds[asset] : bounds[asset + 1]]
            yield Series(kind, asset, keys[rows], times[rows], raw[rows])


def _step_series(snapshot: Snapshot) -> Iterator[Series]:
    table = snapshot.tables["steps"].combine_chunks()
    if not table.num_rows:
        return
    number = {asset.address: index for index, asset in enumerate(snapshot.state.assets)}
    kinds = _one_chunk(table.column("kind")).dictionary_encode()
    about = _one_chunk(table.column("about")).dictionary_encode()
    group = kinds.indices.to_numpy().astype(np.int64) * len(about.dictionary) + about.indices.to_numpy()
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    keys, times = table.column("key").to_numpy(), table.column("timestamp_s").to_numpy()
    raw = words_of(_one_chunk(table.column("value_raw")))
    for rows in np.split(order, starts[1:]):
        kind = kinds.dictionary[int(group[rows[0]]) // len(about.dictionary)].as_py()
        address = about.dictionary[int(group[rows[0]]) % len(about.dictionary)].as_py()
        asset = number.get(address, -1)
        name = named_price(address) if kind == PRICE and asset < 0 else kind
        yield Series(name, asset, keys[rows], times[rows], raw[rows])


def _observed_prices(snapshot: Snapshot, clock: Clock) -> Iterator[Series]:
    """Prices that were sampled or imported; where there are any, they are the asset's prices."""
    for number, asset in enumerate(snapshot.state.assets):
        observed = snapshot.known.prices(asset.address)
        if observed:
            keys = np.array([key_of(block, END_OF_BLOCK) for block, _ in observed], np.int64)
            times = np.array([clock.time_of(block) for block, _ in observed], np.int64)
            yield Series(PRICE, number, keys, times, words_of(to_raw(price for _, price in observed)))


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)

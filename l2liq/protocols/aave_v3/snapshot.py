"""A snapshot as tables and one JSON document, for the lake's cache, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from operator import attrgetter
from typing import Any

import pyarrow as pa

from l2liq.chains.deployment import Deployment
from l2liq.events.raw import ints, to_raw
from l2liq.oracles.feeds import Feeds
from l2liq.protocols.aave_v3.fold import Snapshot
from l2liq.protocols.aave_v3.fold_rows import TABLES
from l2liq.protocols.aave_v3.fold_state import Accounts, Book, Configuration, FoldState, ListedAsset, Listing, Reserve
from l2liq.protocols.aave_v3.parameters import AaveParameters, EMode, ReserveParameters, Sentinel
from l2liq.protocols.aave_v3.prices import Prices
from l2liq.protocols.aave_v3.supplement import Supplement, read_given
from l2liq.protocols.aave_v3.versions import rule_set

FORMAT = 2
"""Changes whenever older documents can no longer be read."""

BALANCES = pa.schema(
    [
        pa.field("leg", pa.int16(), nullable=False),
        pa.field("account", pa.int32(), nullable=False),
        pa.field("scaled_raw", pa.binary(32), nullable=False),
        pa.field("index_ray_raw", pa.binary(32), nullable=False),
    ]
)
"""Balances that are not 0, and the index at which each was last touched."""

ACCOUNTS = pa.schema([pa.field("address", pa.binary(20), nullable=False)])
"""Accounts, in order of their index."""

_COUNTERS = ("liquidity_index_ray", "borrow_index_ray", "liquidity_rate_ray", "borrow_rate_ray", "updated_s")
_STORED = (*_COUNTERS, "accrued_to_treasury", "cash")


def to_tables(snapshot: Snapshot) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """Tables by name, and a document that JSON can hold."""
    state = snapshot.state
    tables = {
        **snapshot.tables,
        "clock": snapshot.clock,
        "accounts": pa.table([pa.array(list(state.accounts), pa.binary(20))], schema=ACCOUNTS),
        "balances": _balances(state),
    }
    return tables, {"format": FORMAT, **_document(state)}


def from_tables(
    deployment: Deployment, table: Callable[[str], pa.Table], document: Mapping[str, Any], observations: pa.Table
) -> Snapshot | None:
    """The snapshot of tables (by name) and document; None where they are of another format."""
    if document.get("format") != FORMAT:
        return None
    state = _state(document, table("accounts"))
    books = {book.leg: book for reserve in state.reserves.values() for book in (reserve.collateral, reserve.debt)}
    balances = table("balances")
    columns = (balances.column("leg").to_pylist(), balances.column("account").to_pylist())
    scaled, index = ints(balances.column("scaled_raw")), ints(balances.column("index_ray_raw"))
    owners = list(state.accounts)
    for leg, account, amount, seen in zip(*columns, scaled, index, strict=True):
        books[leg].add(owners[account], account, amount, seen)
    known = Supplement(read_given(deployment.supplement), observations)
    return Snapshot(deployment, state, {name: table(name) for name in TABLES}, table("clock"), known)


def _balances(state: FoldState) -> pa.Table:
    rows = [
        (book.leg, held.account, held.scaled, held.index_ray)
        for reserve in state.reserves.values()
        for book in (reserve.collateral, reserve.debt)
        for held in sorted(book.holdings.values(), key=attrgetter("account"))
    ]
    legs, accounts, scaled, seen = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.table(
        [pa.array(legs, pa.int16()), pa.array(accounts, pa.int32()), to_raw(scaled), to_raw(seen)], schema=BALANCES
    )


def _document(state: FoldState) -> dict[str, Any]:
    pool: dict[ReserveParameters, int] = {}
    return {
        "pool": state.pool.hex(),
        "configurator": state.configurator.hex(),
        "last_key": state.last_key,
        "configuration": _parameters(state.configuration.frozen(), pool),
        "timeline": [[key, time, _parameters(parameters, pool)] for key, time, parameters in state.timeline],
        "reserve_parameters": [asdict(parameters) for parameters in pool],
        "prices": state.prices.to_json(),
        "feeds": state.feeds.to_json(),
        "assets": [[asset.address.hex(), asset.symbol, asset.decimals] for asset in state.assets],
        "reserves": [_reserve(reserve) for reserve in state.reserves.values()],
        "listings": {t.hex(): [x.treasury.hex(), x.decimals, x.symbol] for t, x in state.listings.items()},
        "stable_tokens": sorted(token.hex() for token in state.stable_tokens),
        "implementations": _hexed(state.implementations),
        "emodes": [[account, category] for account, category in state.emodes.items()],
        "sequencer_feeds": _hexed(state.sequencer_feeds),
        "graces": {sentinel.hex(): grace for sentinel, grace in state.graces.items()},
        "compared": state.compared,
        "equal": state.equal,
    }


def _state(document: Mapping[str, Any], accounts: pa.Table) -> FoldState:
    read = bytes.fromhex
    pool = [ReserveParameters(**fields) for fields in document["reserve_parameters"]]
    state = FoldState(
        _configuration(_read_parameters(document["configuration"], pool)),
        Prices.from_json(document["prices"], Feeds.from_json(document["feeds"])),
        pool=read(document["pool"]),
        configurator=read(document["configurator"]),
        timeline=[(key, time, _read_parameters(stored, pool)) for key, time, stored in document["timeline"]],
        accounts=Accounts((address, index) for index, address in enumerate(accounts.column("address").to_pylist())),
        assets=[ListedAsset(read(address), symbol, decimals) for address, symbol, decimals in document["assets"]],
        listings={read(t): Listing(read(x[0]), x[1], x[2]) for t, x in document["listings"].items()},
        stable_tokens={read(token) for token in document["stable_tokens"]},
        implementations=_unhexed(document["implementations"]),
        emodes=dict(document["emodes"]),
        sequencer_feeds=_unhexed(document["sequencer_feeds"]),
        graces={read(sentinel): grace for sentinel, grace in document["graces"].items()},
        compared=dict(document["compared"]),
        equal=dict(document["equal"]),
        last_key=document["last_key"],
    )
    for stored in document["reserves"]:
        _add_reserve(state, stored)
    return state


def _configuration(parameters: AaveParameters) -> Configuration:
    return Configuration(
        rules=parameters.rules,
        reserves=list(parameters.reserves),
        treasury=list(parameters.treasury),
        emodes=dict(parameters.emodes),
        sentinel=parameters.sentinel,
        flash_premium_total_bps=parameters.flash_premium_total_bps,
        flash_premium_to_protocol_bps=parameters.flash_premium_to_protocol_bps,
        base_currency_unit=parameters.base_currency_unit,
    )


def _reserve(reserve: Reserve) -> dict[str, Any]:
    return {
        "asset": reserve.asset,
        "address": reserve.address.hex(),
        "stored": {name: getattr(reserve, name) for name in _STORED},
        "books": [_book(reserve.collateral), _book(reserve.debt)],
    }


def _book(book: Book) -> list[Any]:
    return [book.address.hex(), book.leg, book.rules.version]


def _add_reserve(state: FoldState, stored: Mapping[str, Any]) -> None:
    reserve = Reserve(stored["asset"], bytes.fromhex(stored["address"]))
    for name, value in stored["stored"].items():
        setattr(reserve, name, value)
    books = [
        Book(bytes.fromhex(address), leg, is_debt, reserve, rule_set(version))
        for is_debt, (address, leg, version) in zip((False, True), stored["books"], strict=True)
    ]
    reserve.collateral, reserve.debt = books
    state.reserves[reserve.address] = reserve
    state.books |= {book.address: book for book in books}


def _parameters(parameters: AaveParameters, pool: dict[ReserveParameters, int]) -> dict[str, Any]:
    """A set, with every distinct reserve configuration stored once, in ``pool``."""
    sentinel = parameters.sentinel
    return {
        "version": parameters.rules.version,
        "reserves": [None if r is None else pool.setdefault(r, len(pool)) for r in parameters.reserves],
        "emodes": [[number, _emode(mode)] for number, mode in parameters.emodes.items()],
        "sentinel": None if sentinel is None else [sentinel.address.hex(), sentinel.grace_s],
        "flash_premiums_bps": [parameters.flash_premium_total_bps, parameters.flash_premium_to_protocol_bps],
        "base_currency_unit": parameters.base_currency_unit,
        "treasury": [None if treasury is None else treasury.hex() for treasury in parameters.treasury],
    }


def _read_parameters(stored: Mapping[str, Any], pool: list[ReserveParameters]) -> AaveParameters:
    sentinel = stored["sentinel"]
    total, to_protocol = stored["flash_premiums_bps"]
    return AaveParameters(
        rules=rule_set(stored["version"]),
        reserves=tuple(None if number is None else pool[number] for number in stored["reserves"]),
        emodes={number: _read_emode(mode) for number, mode in stored["emodes"]},
        sentinel=None if sentinel is None else Sentinel(bytes.fromhex(sentinel[0]), sentinel[1]),
        flash_premium_total_bps=total,
        flash_premium_to_protocol_bps=to_protocol,
        base_currency_unit=stored["base_currency_unit"],
        treasury=tuple(None if treasury is None else bytes.fromhex(treasury) for treasury in stored["treasury"]),
    )


_SETS = ("collateral", "borrowable", "ltv_zero")


def _emode(mode: EMode) -> dict[str, Any]:
    fields = asdict(mode)
    source = {"price_source": None if mode.price_source is None else mode.price_source.hex()}
    return fields | source | {name: sorted(fields[name]) for name in _SETS}


def _read_emode(stored: Mapping[str, Any]) -> EMode:
    source = stored["price_source"]
    exact = {"price_source": None if source is None else bytes.fromhex(source)}
    return EMode(**{**stored, **exact, **{name: frozenset(stored[name]) for name in _SETS}})


def _hexed(pairs: Mapping[bytes, bytes]) -> dict[str, str]:
    return {key.hex(): value.hex() for key, value in pairs.items()}


def _unhexed(pairs: Mapping[str, str]) -> dict[bytes, bytes]:
    return {bytes.fromhex(key): bytes.fromhex(value) for key, value in pairs.items()}

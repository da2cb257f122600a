"""A folded market as tables: what the market cache holds, the catalog shows and a backtest starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from l2liq.events.words import DECIMAL, Word, columns, fixed_binary, words_of
from l2liq.lake.caches import CacheEntry
from l2liq.market import (
    ACTIONS,
    DEFICITS,
    LEDGER,
    LIQUIDATIONS,
    SERIES,
    Asset,
    Clock,
    Ledger,
    Leg,
    LegKind,
    Market,
    ParameterTimeline,
    Series,
)

PARAMETERS = pa.schema(
    [
        pa.field("key", pa.int64(), nullable=False),
        pa.field("timestamp_s", pa.int64(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("value", pa.string()),
    ]
)
"""A parameter timeline for people and SQL: one row per value that changed; ``name`` carries the unit."""

_CLOCK = pa.schema(
    [pa.field("number", pa.int64(), nullable=False), pa.field("timestamp_s", pa.int64(), nullable=False)]
)
_ACCOUNTS = pa.schema(
    [pa.field("account", pa.int32(), nullable=False), pa.field("address", pa.binary(20), nullable=False)]
)
_ASSETS = pa.schema(
    [
        pa.field("asset", pa.int16(), nullable=False),
        pa.field("address", pa.binary(20), nullable=False),
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("decimals", pa.int32(), nullable=False),
    ]
)
_LEGS = pa.schema(
    [
        pa.field("leg", pa.int16(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("asset", pa.int16(), nullable=False),
    ]
)

TABLES: Mapping[str, pa.Schema] = {
    "ledger": LEDGER.append(pa.field("after", DECIMAL)),
    "series": SERIES.append(pa.field("value", DECIMAL)),
    "actions": ACTIONS,
    "liquidations": LIQUIDATIONS,
    "deficits": DEFICITS,
    "parameters": PARAMETERS,
    "clock": _CLOCK,
    "market_accounts": _ACCOUNTS,
    "assets": _ASSETS,
    "legs": _LEGS,
}
"""Tables of a market cache. Next to exact bytes stands the decimal, null where it has more than 38 digits."""


def market_tables(market: Market, parameters: pa.Table) -> dict[str, pa.Table]:
    """All of a market but its parameter sets as tables; ``parameters`` (schema PARAMETERS) comes from the protocol."""
    accounts = pa.table([np.arange(len(market.addresses), dtype=np.int32), market.addresses], schema=_ACCOUNTS)
    assets = [{"asset": number, **asdict(asset)} for number, asset in enumerate(market.assets)]
    legs = [{"leg": number, **asdict(leg), "kind": leg.kind.value} for number, leg in enumerate(market.legs)]
    return {
        "ledger": _with_decimal(market.ledger.table.select(LEDGER.names), "after"),
        "series": _with_decimal(_series_table(market.series), "value"),
        "actions": market.actions,
        "liquidations": market.liquidations,
        "deficits": market.deficits,
        "parameters": parameters.select(PARAMETERS.names).cast(PARAMETERS),
        "clock": pa.table([market.clock.number, market.clock.timestamp_s], schema=_CLOCK),
        "market_accounts": accounts,
        "assets": pa.Table.from_pylist(assets, schema=_ASSETS),
        "legs": pa.Table.from_pylist(legs, schema=_LEGS),
    }


def market_document(market: Market) -> dict[str, Any]:
    """What of a market is no table, as JSON."""
    return {
        "name": market.name, "slug": market.slug, "protocol": market.protocol, "chain_id": market.chain_id,
        "first_block": market.first_block, "last_block": market.last_block, "notes": list(market.notes),
    }  # fmt: skip


def cached_market(
    entry: CacheEntry,
    parameters: Callable[[CacheEntry], ParameterTimeline[Any]],
    document: Mapping[str, Any] | None = None,
) -> Market:
    """The market that :func:`market_tables` and :func:`market_document` wrote.

    ``parameters`` reads the protocol's timeline from what it put into the entry; ``document`` is the market's document
    where it is not the entry's own.
    """
    known = entry.document if document is None else document
    clock, accounts, ledger = entry.table("clock"), entry.table("market_accounts"), entry.table("ledger")
    return Market(
        name=known["name"], slug=known["slug"], protocol=known["protocol"], chain_id=known["chain_id"],
        first_block=known["first_block"], last_block=known["last_block"], notes=tuple(known["notes"]),
        assets=tuple(Asset(r["address"], r["symbol"], r["decimals"]) for r in entry.table("assets").to_pylist()),
        legs=tuple(Leg(LegKind(r["kind"]), r["name"], r["asset"]) for r in entry.table("legs").to_pylist()),
        addresses=accounts.column("address").combine_chunks(),
        ledger=Ledger(ledger.select(LEDGER.names).combine_chunks(), accounts.num_rows),
        series=_series_of(entry.table("series").combine_chunks()),
        parameters=parameters(entry),
        actions=entry.table("actions"), liquidations=entry.table("liquidations"), deficits=entry.table("deficits"),
        clock=Clock(clock.column("number").to_numpy(), clock.column("timestamp_s").to_numpy()),
    )  # fmt: skip


def _with_decimal(table: pa.Table, name: str) -> pa.Table:
    raw = table.column(f"{name}_raw").combine_chunks()
    raw = pa.concat_arrays(raw.chunks) if isinstance(raw, pa.ChunkedArray) else raw
    return table.append_column(pa.field(name, DECIMAL), columns(words_of(raw), Word("int", 32))[0])


def _series_table(series: Mapping[tuple[str, int], Series]) -> pa.Table:
    parts = []
    for (kind, asset), one in sorted(series.items()):
        steps = len(one.key)
        parts.append(
            pa.table(
                [
                    pa.repeat(kind, steps), pa.repeat(pa.scalar(asset, pa.int16()), steps),
                    one.key, one.timestamp_s, fixed_binary(one.raw, 32),
                ],
                schema=SERIES,
            )
        )  # fmt: skip
    return pa.concat_tables([SERIES.empty_table(), *parts]).combine_chunks()


def _series_of(table: pa.Table) -> dict[tuple[str, int], Series]:
    """Steps come ordered by (kind, asset, key): each series is one slice."""
    kind, asset = table.column("kind"), table.column("asset").to_numpy()
    coded = kind.combine_chunks().dictionary_encode()
    codes = (coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded).indices.to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.concatenate(([True], (codes[1:] != codes[:-1]) | (asset[1:] != asset[:-1]))))
    found = {}
    for start, stop in zip(starts, [*starts[1:], table.num_rows], strict=True) if table.num_rows else ():
        part = table.slice(start, stop - start).combine_chunks()
        raw = part.column("value_raw").chunk(0)
        one = Series(
            kind[start].as_py(),
            int(asset[start]),
            part.column("key").to_numpy(),
            part.column("timestamp_s").to_numpy(),
            words_of(raw),
        )
        found[one.kind, one.asset] = one
    return found

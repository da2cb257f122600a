"""A folded market as SQL shows it: the tables that go into the market cache beside the protocol's own.

A protocol's snapshot holds ``ledger``, ``actions``, ``liquidations`` and ``deficits`` in the market's schemas already;
what its other views need is made here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from l2liq.events.words import DECIMAL, Word, columns, fixed_binary
from l2liq.market import ACTIONS, DEFICITS, LEDGER, LIQUIDATIONS, SERIES, Market, ParameterTimeline, Series

_SERIES = SERIES.append(pa.field("value", DECIMAL))
_PARAMETERS = pa.schema(
    [
        pa.field("key", pa.int64(), nullable=False),
        pa.field("timestamp_s", pa.int64(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("item", pa.string()),
        pa.field("name", pa.string(), nullable=False),
        pa.field("value", pa.string()),
    ]
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
    "ledger": LEDGER,
    "actions": ACTIONS,
    "liquidations": LIQUIDATIONS,
    "deficits": DEFICITS,
    "series": _SERIES,
    "parameters": _PARAMETERS,
    "market_accounts": _ACCOUNTS,
    "assets": _ASSETS,
    "legs": _LEGS,
}
"""Tables of a market cache that the catalog has views of."""

Path = tuple[str, ...]
"""The way to a value in a parameter set: fields by name, items of collections marked as such."""

_ITEM = "#"


def shown_tables(market: Market) -> dict[str, pa.Table]:
    """Series, parameters, accounts, assets and legs of a market; :data:`TABLES` without what its snapshot has."""
    accounts = pa.table([np.arange(len(market.addresses), dtype=np.int32), market.addresses], schema=_ACCOUNTS)
    assets = [{"asset": number, **asdict(asset)} for number, asset in enumerate(market.assets)]
    legs = [{"leg": number, **asdict(leg), "kind": leg.kind.value} for number, leg in enumerate(market.legs)]
    return {
        "series": _series(market.series),
        "parameters": _parameters(market.parameters),
        "market_accounts": accounts,
        "assets": pa.Table.from_pylist(assets, schema=_ASSETS),
        "legs": pa.Table.from_pylist(legs, schema=_LEGS),
    }


def _series(series: Mapping[tuple[str, int], Series]) -> pa.Table:
    parts = [_SERIES.empty_table()]
    for (kind, asset), one in sorted(series.items()):
        steps = len(one.key)
        raw = np.ascontiguousarray(one.raw).reshape(steps, 32)
        made = [
            pa.repeat(kind, steps),
            pa.repeat(pa.scalar(asset, pa.int16()), steps),
            pa.array(one.key),
            pa.array(one.timestamp_s),
            fixed_binary(raw, 32),
            columns(raw, Word("int", 32))[0],
        ]
        parts.append(pa.table(made, schema=_SERIES))
    return pa.concat_tables(parts).combine_chunks()


def _parameters(timeline: ParameterTimeline[Any]) -> pa.Table:
    """One row per value that changed, from the fields of the protocol's own parameter classes."""
    rows: list[tuple[Any, ...]] = []
    before: dict[Path, str | None] = {}
    for key, timestamp_s, parameters in zip(timeline.keys, timeline.timestamps_s, timeline.sets, strict=True):
        now = dict(_leaves(parameters))
        for path in sorted(now.keys() | before.keys()):
            if path not in before or before[path] != now.get(path):
                rows.append((key, timestamp_s, *_named(path), now.get(path)))
        before = now
    values = list(zip(*rows, strict=True)) if rows else [()] * len(_PARAMETERS)
    return pa.table(
        [pa.array(column, one.type) for column, one in zip(values, _PARAMETERS, strict=True)], schema=_PARAMETERS
    )


def _named(path: Path) -> tuple[str, str | None, str]:
    """Subject, item and name: ``reserves``, ``0``, ``ltv_bps``; a value that belongs to no item has none."""
    items = [step.removeprefix(_ITEM) for step in path if step.startswith(_ITEM)]
    return path[0], "/".join(items) or None, [step for step in path if not step.startswith(_ITEM)][-1]


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, str | None]]:
    """Every value below a parameter set with the way to it: names of fields, keys and numbers of items."""
    if is_dataclass(value):
        for one in fields(value):
            yield from _leaves(getattr(value, one.name), (*path, one.name))
    elif isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str | bytes)):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            if item is not None:
                yield from _leaves(item, (*path, f"{_ITEM}{key}"))
    elif isinstance(value, frozenset | set):
        yield path, ", ".join(sorted(map(str, value)))
    elif isinstance(value, bytes):
        yield path, "0x" + value.hex()
    else:
        yield path, None if value is None else str(value)

"""Rows in plain Python as the tables of a market."""

from __future__ import annotations

import pyarrow as pa

from l2liq.market import ACTIONS, DEFICITS, LEDGER, LIQUIDATIONS, Ledger, ParameterTimeline
from l2liq.protocols.aave_v3.parameters import AaveParameters


def timeline(sets: list[tuple[int, int, AaveParameters]]) -> ParameterTimeline[AaveParameters]:
    return ParameterTimeline(
        tuple(key for key, _, _ in sets), tuple(time for _, time, _ in sets), tuple(chosen for *_, chosen in sets)
    )


def ledger(rows: list[tuple[int, int, int, int, int, int]], accounts: int) -> Ledger:
    return Ledger(_table([(*row[:-1], raw(row[-1])) for row in rows], LEDGER), accounts)


def tables(*rows: list[tuple[object, ...]]) -> list[pa.Table]:
    return [_table(part, schema) for part, schema in zip(rows, (ACTIONS, LIQUIDATIONS, DEFICITS), strict=True)]


def _table(rows: list[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table([pa.array(column, schema.field(i).type) for i, column in enumerate(columns)], schema=schema)


def addresses(count: int) -> pa.Array:
    return pa.array([address(index) for index in range(count)], pa.binary(20))


def address(account: int) -> bytes:
    return (0xA << 152 | account).to_bytes(20, "big")


def raw(value: int) -> bytes:
    return value.to_bytes(32, "big")

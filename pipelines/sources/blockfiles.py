"""Files that tell when blocks were: for logs that come without times."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from l2liq.errors import InputError
from l2liq.events.log import BLOCKS
from pipelines.sources.opening import Format, detect, opened
from pipelines.sources.rows import raw, whole
from pipelines.sources.tabular import seconds

_NAMES: Mapping[str, tuple[str, ...]] = {
    "number": ("number", "block_number"),
    "hash": ("hash", "block_hash"),
    "parent_hash": ("parent_hash", "parentHash"),
    "timestamp_s": ("timestamp_s", "timestamp", "block_timestamp"),
    "base_fee_wei": ("base_fee_wei", "base_fee_per_gas", "baseFeePerGas"),
}
"""What sources call the columns: l2liq, ethereum-etl, cryo, eth_getBlockByNumber."""


def read_blocks(paths: Iterable[Path]) -> pa.Table:
    """Block headers of files (CSV, Parquet or JSON lines) by number, each block once (schema BLOCKS).

    Raises InputError naming file and line for what cannot be read, or for two times of one block.
    """
    rows: dict[int, tuple[Any, ...]] = {}
    for path in paths:
        for place, row in _rows(path):
            values = _values(row, place)
            held = rows.setdefault(values[0], values)
            if held[3] != values[3]:
                raise InputError(
                    f"{place}: block {values[0]:,} has two times, {held[3]} and {values[3]}. Leave the wrong one out."
                )
    ordered = [rows[number] for number in sorted(rows)]
    return pa.Table.from_pydict({name: [row[i] for row in ordered] for i, name in enumerate(BLOCKS.names)}, BLOCKS)


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    found = detect(path)
    if found is Format.PARQUET:
        try:
            for number, row in enumerate(pq.read_table(path, partitioning=None).to_pylist()):
                yield f"{path}: row {number + 1}", row
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{path}: not a whole Parquet file ({str(error).splitlines()[0][:80]}). Copy it again."
            ) from None
        return
    with opened(path) as file:
        if found is Format.CSV:
            reader = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
            for row in reader:
                yield f"{path}:{reader.line_num}", row
            return
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
            except ValueError:
                raise InputError(f"{path}:{number}: the line is not JSON. Give one block per line.") from None
            yield f"{path}:{number}", row.get("result", row) if isinstance(row, dict) else {}


def _values(row: Mapping[str, Any], place: str) -> tuple[Any, ...]:
    found = {
        name: next((row[one] for one in names if row.get(one) not in (None, "")), None)
        for name, names in _NAMES.items()
    }
    if found["number"] is None or found["timestamp_s"] is None:
        raise InputError(f"{place}: a block needs number and timestamp.")
    try:
        time = found["timestamp_s"]
        if isinstance(time, str) and time[:2] != "0x":
            time = seconds(time, place)
        fee = found["base_fee_wei"]
        return (
            whole(found["number"]), _hash(found["hash"]), _hash(found["parent_hash"]), whole(time),
            None if fee is None else whole(fee),
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise InputError(f"{place}: the block cannot be read: {str(error)[:100]}.") from None


def _hash(value: Any) -> bytes | None:
    if value is None or (isinstance(value, bytes) and len(value) == 32):
        return value
    return raw(value, 32)

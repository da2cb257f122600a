"""Outages that block times show: of a market in a lake, or of any table of blocks."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from l2liq.chains.outages import Outage, standstills
from l2liq.errors import InputError, SourceError
from l2liq.lake import BLOCK_DATA, Lake

_NUMBER = ("number", "block_number", "l2blocknumber", "blocknumber", "block")
_TIME = ("timestamp", "timestamp_s", "block_timestamp", "time")


def outages_of_lake(lake: Lake, slug: str, at_least_s: int, slowdown: float) -> tuple[Outage, ...]:
    """Outages by the headers of a market's blocks."""
    return _found(lake.read(BLOCK_DATA, slug), "number", "timestamp_s", at_least_s, slowdown)


def outages_of_file(path: Path, at_least_s: int, slowdown: float) -> tuple[Outage, ...]:
    """Outages by a file of blocks: Parquet, or CSV that may be compressed.

    Raises SourceError where it cannot be read, InputError where it has no columns of block numbers and times.
    """
    try:
        table = pq.read_table(path) if path.suffix == ".parquet" else csv.read_csv(path)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"{path}: {str(error).partition(chr(10))[0]}. Give a Parquet or CSV file of blocks."
        ) from None
    columns = {name.lower(): name for name in table.column_names}
    number, time = (next((columns[one] for one in known if one in columns), None) for known in (_NUMBER, _TIME))
    if number is None or time is None or not all(pa.types.is_integer(table[one].type) for one in (number, time)):
        raise InputError(
            f"{path}: no whole numbers of blocks and their times in seconds. Name the columns number and timestamp."
        )
    return _found(table, number, time, at_least_s, slowdown)


def _found(table: pa.Table, number: str, time: str, at_least_s: int, slowdown: float) -> tuple[Outage, ...]:
    ordered = table.select([number, time]).drop_null().sort_by(number)
    first = ordered.group_by(number, use_threads=False).aggregate([(time, "min")])
    numbers = first[number].cast(pa.int64()).to_numpy()
    return standstills(numbers, first[f"{time}_min"].cast(pa.int64()).to_numpy(), at_least_s, slowdown)

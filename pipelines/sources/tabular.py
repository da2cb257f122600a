"""CSV and Parquet files of logs, read as a stream: ethereum-etl's and cryo's columns, l2liq's own, and plain ones."""

from __future__ import annotations

import csv
import datetime
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from l2liq.chains.chain import Chain
from l2liq.errors import InputError
from l2liq.events.log import LOGS
from pipelines.sources.opening import opened
from pipelines.sources.rows import UNTIMED_LOGS, table_of

BATCH_ROWS = 20_000
_NEEDED = ("block_number", "transaction_hash", "transaction_index", "log_index", "topics", "data")
_MAX_FIELD = 1 << 27
_NO_ADDRESS = "no column says which contract emitted the logs. Add the column address, or name it with --contract 0x…."

Contract = bytes | None


def csv_tables(path: Path, chain: Chain, contract: Contract) -> Iterator[pa.Table]:
    """Logs of a CSV file with a header line.

    Needed are block_number, transaction_hash, transaction_index, log_index, topics, data; used if present are address
    (else ``contract`` emitted everything), block_hash, block_timestamp (UTC text or seconds) and chain_id. Topics are
    separated by commas, with or without the brackets and quotes of a list.
    """
    csv.field_size_limit(min(sys.maxsize, _MAX_FIELD))
    with opened(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        try:
            reader = csv.DictReader(text, strict=True)
            _check_columns(path, reader.fieldnames or (), contract)
            yield from _csv_batches(path, reader, chain, contract)
        except csv.Error as error:
            raise InputError(
                f"{path}:{reader.line_num}: not CSV: {error}. The file may be cut short or damaged."
            ) from None
        except UnicodeDecodeError:
            raise InputError(f"{path}: not text. The file may be damaged or of another kind.") from None


def _check_columns(path: Path, names: Any, contract: Contract) -> None:
    missing = [name for name in _NEEDED if name not in names]
    if "topic0" in names and "topics" in missing:
        missing.remove("topics")
    if missing:
        raise InputError(
            f"{path}: the column {', '.join(missing)} is missing. Logs need {', '.join(_NEEDED)} and address."
        )
    if "address" not in names and contract is None:
        raise InputError(f"{path}: {_NO_ADDRESS}")


def _csv_batches(path: Path, reader: csv.DictReader[str], chain: Chain, contract: Contract) -> Iterator[pa.Table]:
    batch: list[Mapping[str, Any]] = []
    lines: list[int] = []
    emitter = None if contract is None else "0x" + contract.hex()
    for row in reader:
        place = f"{path}:{reader.line_num}"
        if None in row or None in row.values():
            raise InputError(
                f"{place}: {'more' if None in row else 'fewer'} fields than the header. The file may be cut short."
            )
        _check_chain(place, row.get("chain_id"), chain)
        batch.append(_entry(row, emitter, place))
        lines.append(reader.line_num)
        if len(batch) == BATCH_ROWS:
            yield table_of(batch, lambda number, lines=lines: f"{path}:{lines[number]}")  # type: ignore[misc]
            batch, lines = [], []
    yield table_of(batch, lambda number: f"{path}:{lines[number]}")


def _entry(row: Mapping[str, str], emitter: str | None, place: str) -> Mapping[str, Any]:
    """A CSV row under the names of eth_getLogs."""
    if "topics" in row:
        topics = [one.strip(" '\"") for one in row["topics"].strip("[] ").split(",")]
    else:
        topics = [row.get(f"topic{index}", "") for index in range(4)]
    return {
        "blockNumber": row["block_number"],
        "blockHash": row.get("block_hash"),
        "transactionIndex": row["transaction_index"],
        "transactionHash": row["transaction_hash"],
        "logIndex": row["log_index"],
        "blockTimestamp": seconds(row.get("block_timestamp") or row.get("timestamp"), place),
        "address": row.get("address") or emitter,
        "topics": [one for one in topics if one],
        "data": row["data"],
    }


def seconds(value: str | None, place: str) -> int | None:
    """Seconds since 1970 of a number or of a date and time (``2024-01-06 00:00:01``), UTC unless it says otherwise."""
    if not value:
        return None
    if value.isdecimal():
        return int(value)
    try:
        moment = datetime.datetime.fromisoformat(value.removesuffix(" UTC"))
    except ValueError:
        raise InputError(
            f"{place}: {value[:60]!r} is no time. Write seconds since 1970, or 2024-01-06 00:00:01 (UTC)."
        ) from None
    return int(moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp())


def parquet_tables(path: Path, chain: Chain, contract: Contract) -> Iterator[pa.Table]:
    """Logs of a Parquet file, one row group's batches at a time; hashes and addresses as bytes or as 0x hex text."""
    with opened(path):
        pass
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path}: not a whole Parquet file ({str(error).splitlines()[0][:80]}). Copy it again."
        ) from None
    with file:
        names = file.schema_arrow.names
        renamed = {"timestamp": "timestamp_s", "block_timestamp": "timestamp_s"}
        columns = {renamed.get(name, name): name for name in names}
        required = [field.name for field in LOGS if not field.nullable and field.name not in ("timestamp_s", "address")]
        if missing := [name for name in (*required, "topic0") if name not in columns]:
            raise InputError(f"{path}: the column {', '.join(missing)} is missing. Give the logs as cryo writes them.")
        if "address" not in columns and contract is None:
            raise InputError(f"{path}: {_NO_ADDRESS}")
        wanted = [columns[name] for name in (*LOGS.names, "chain_id") if name in columns]
        row = 0
        try:
            for batch in file.iter_batches(BATCH_ROWS, columns=wanted):
                table = pa.Table.from_batches([batch])
                for number in table.column("chain_id").unique().to_pylist() if "chain_id" in names else ():
                    _check_chain(f"{path}: rows from {row + 1}", str(number), chain)
                yield _conforming(table, columns, contract, lambda first=row: f"{path}: rows from {first + 1}")  # type: ignore[misc]
                row += table.num_rows
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{path}: damaged behind row {row} ({str(error).splitlines()[0][:80]}). Copy it again."
            ) from None


def _conforming(table: pa.Table, columns: Mapping[str, str], contract: Contract, place: Callable[[], str]) -> pa.Table:
    arrays = []
    for field in UNTIMED_LOGS:
        if field.name not in columns:
            fill = pa.scalar(contract if field.name == "address" else None, field.type)
            arrays.append(pa.repeat(fill, table.num_rows))
            continue
        column = table.column(columns[field.name])
        try:
            arrays.append(_cast(column, field))
        except (pa.ArrowException, ValueError, TypeError) as error:
            raise InputError(
                f"{place()}: {columns[field.name]} cannot be read: {str(error).splitlines()[0][:100]}."
            ) from None
    try:
        return pa.Table.from_arrays(arrays, schema=UNTIMED_LOGS).cast(UNTIMED_LOGS)
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"{place()}: a value is missing: {str(error).splitlines()[0][:100]}.") from None


def _cast(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """A column in the type of the schema."""
    binary = pa.types.is_binary(field.type) or pa.types.is_fixed_size_binary(field.type)
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("s"), safe=False).cast(field.type)
    if binary and (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        values = [None if one is None else bytes.fromhex(one.removeprefix("0x")) for one in column.to_pylist()]
        return pa.chunked_array([pa.array(values, field.type)])
    if pa.types.is_fixed_size_binary(field.type) and not pa.types.is_fixed_size_binary(column.type):
        return pa.chunked_array([pa.array(column.to_pylist(), field.type)])
    converted = column.cast(field.type)
    if not field.nullable and converted.null_count:
        raise ValueError(f"{converted.null_count} rows are empty")
    return converted


def _check_chain(place: str, chain_id: str | None, chain: Chain) -> None:
    if chain_id and chain_id.isdecimal() and int(chain_id) != chain.chain_id:
        raise InputError(
            f"{place}: a log of chain {chain_id}, but the market is on {chain.name} (chain {chain.chain_id}). "
            f"Give the file of the right chain."
        )

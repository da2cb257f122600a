"""Logs of files, put in order on disk: what a file says anywhere can then be read by blocks, in little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from l2liq.errors import InputError
from l2liq.events.log import LOGS
from l2liq.lake import Span
from pipelines.sources.logfiles import LogFile
from pipelines.sources.rows import UNTIMED_LOGS

_ROW_GROUP = 65_536
_MEMORY = "1GB"
TIMES = "Give --blocks FILE with the number and timestamp of blocks, or ingest from a node."


@dataclass(frozen=True)
class Staged:
    """Logs in order of blocks on disk.

    Attributes
    ----------
    path : a Parquet file, temporary
    span : from the first to the last block with a log
    rows : how many logs, repeated ones included
    addresses : who emitted them
    blocks : what is known of blocks (schema BLOCKS)
    label : the files' names
    outside : logs of other blocks that were left out
    """

    path: Path
    span: Span
    rows: int
    addresses: frozenset[bytes]
    blocks: pa.Table
    label: str
    outside: int = 0

    def logs(self, span: Span) -> pa.Table:
        """All logs of a span with their times (schema LOGS). InputError naming a block whose time is not known."""
        logs, untimed = self.known_logs(span)
        if untimed.num_rows:
            block = untimed.column("block_number")[0].as_py()
            raise InputError(f"{self.label}: block {block:,} has logs without a timestamp. {TIMES}")
        return logs

    def known_logs(self, span: Span) -> tuple[pa.Table, pa.Table]:
        """Logs of a span with their times (schema LOGS), and those whose times nobody knows (schema UNTIMED_LOGS)."""
        parts = [UNTIMED_LOGS.empty_table()]
        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            column = file.schema_arrow.names.index("block_number")
            for number in range(file.num_row_groups):
                statistics = file.metadata.row_group(number).column(column).statistics
                if statistics.max < span.start or statistics.min >= span.stop:
                    continue
                table = file.read_row_group(number)
                blocks = table.column("block_number").to_numpy()
                inside = pa.array((blocks >= span.start) & (blocks < span.stop))
                parts.append(table.filter(inside).cast(UNTIMED_LOGS))
        logs = self._timed(pa.concat_tables(parts))
        known = pc.is_valid(logs.column("timestamp_s"))
        return logs.filter(known).cast(LOGS), logs.filter(pc.invert(known))

    def spans(self, rows: int) -> Iterator[Span]:
        """Consecutive spans that together hold every log, each with about ``rows`` of them."""
        start, count, last = self.span.start, 0, -1
        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            for batch in file.iter_batches(rows, columns=["block_number"]):
                last = int(batch.column(0)[len(batch) - 1].as_py())
                count += len(batch)
                if count >= rows and last > start:
                    yield Span(start, last)
                    start, count = last, 0
        yield Span(start, self.span.stop)

    def _timed(self, logs: pa.Table) -> pa.Table:
        """Logs with the times of the block files where they have none themselves."""
        times = logs.column("timestamp_s")
        known = self.blocks.column("number").to_numpy()
        if not times.null_count or not len(known):
            return logs
        numbers = logs.column("block_number").to_numpy()
        place = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
        told = pa.array(known[place] == numbers)
        seconds = pc.if_else(told, self.blocks.column("timestamp_s").take(pa.array(place)), None)
        index = logs.schema.names.index("timestamp_s")
        return logs.set_column(index, UNTIMED_LOGS.field(index), pc.coalesce(times, seconds))


def stage(files: Sequence[LogFile], folder: Path, blocks: pa.Table, within: Span | None) -> Staged:
    """Read files into one ordered file in ``folder``; ``within`` leaves out other blocks.

    Raises InputError where a file cannot be read or holds no logs of the range, or where times are missing.
    """
    raw, ordered = folder / "raw.parquet", folder / "ordered.parquet"
    rows, outside, in_order, last, addresses = 0, 0, True, -1, set[bytes]()
    first_block, last_block, timed = 1 << 62, -1, bool(blocks.num_rows)
    with pq.ParquetWriter(raw, UNTIMED_LOGS, compression="zstd") as writer:
        for table, left_out in _tables(files, within):
            outside += left_out
            if not table.num_rows:
                continue
            timed = timed or table.column("timestamp_s").null_count < table.num_rows
            numbers = table.column("block_number").to_numpy()
            in_order = in_order and last <= numbers[0] and bool((np.diff(numbers) >= 0).all())
            last, rows = int(numbers[-1]), rows + table.num_rows
            first_block, last_block = min(first_block, int(numbers.min())), max(last_block, int(numbers.max()))
            addresses |= set(table.column("address").unique().to_pylist())
            writer.write_table(table, _ROW_GROUP)
    label = ", ".join(file.label for file in files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    if not rows:
        where = f" in {within}" if within else ""
        raise InputError(f"{label}: no logs{where}. Check the file, the chain and the range.")
    if not timed:
        raise InputError(f"{label}: the logs have no timestamps. {TIMES}")
    if not in_order:
        _sort(raw, ordered, folder)
    return Staged(
        raw if in_order else ordered,
        Span(first_block, last_block + 1),
        rows,
        frozenset(addresses),
        blocks,
        label,
        outside,
    )


def _tables(files: Iterable[LogFile], within: Span | None) -> Iterator[tuple[pa.Table, int]]:
    """Logs within the span, and how many of the same piece are not."""
    for file in files:
        for table in file.tables():
            found = table.num_rows
            if within is not None:
                numbers = table.column("block_number").to_numpy()
                table = table.filter(pa.array((numbers >= within.start) & (numbers < within.stop)))
            yield table, found - table.num_rows


def _sort(source: Path, target: Path, folder: Path) -> None:
    """Sort by block on disk."""
    with duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": str(folder), "threads": 2}) as connection:
        connection.execute(
            "COPY (SELECT * FROM read_parquet($source) ORDER BY block_number, log_index) TO $target "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})",
            {"source": str(source), "target": str(target)},
        )

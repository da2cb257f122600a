"""Tables of raw logs for tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import pyarrow as pa

from l2liq.events.log import LOGS

Log = tuple[Sequence[bytes | None], bytes]
"""Topics, up to four, and data."""


def log_table(logs: Iterable[Log]) -> pa.Table:
    """One log per block, at block 100 + row."""
    rows = []
    for row, (topics, data) in enumerate(logs):
        padded = [*topics, *[None] * (4 - len(topics))]
        rows.append(
            {
                "block_number": 100 + row,
                "block_hash": bytes([row % 256]) * 32,
                "transaction_index": row % 7,
                "transaction_hash": bytes([row % 251]) * 32,
                "log_index": row % 11,
                "timestamp_s": 1_700_000_000 + 2 * row,
                "address": bytes([row % 256]) * 20,
                **{f"topic{place}": topic for place, topic in enumerate(padded)},
                "data": data,
            }
        )
    return pa.Table.from_pylist(rows, LOGS)


def rechunked(table: pa.Table, cuts: Sequence[int]) -> pa.Table:
    """The same rows in chunks that end at ``cuts``."""
    bounds = [0, *sorted(cut % (table.num_rows + 1) for cut in cuts), table.num_rows]
    slices = [table.slice(start, stop - start) for start, stop in pairwise(bounds)]
    return pa.concat_tables(slices)

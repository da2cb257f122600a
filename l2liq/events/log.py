"""What a log is: the columns of raw logs and block headers, and the total order of a chain.

A position is (block number, log index). The transaction index follows from the log index within a block, so the pair
orders every log of a chain; it is packed into one int64, the *key*, which sorts the same way (DESIGN §5, position).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from l2liq.errors import OrderError

LOG_INDEX_BITS = 24
"""Low bits of a key that hold the log index; the block number takes the 39 bits above."""

END_OF_BLOCK = (1 << LOG_INDEX_BITS) - 1
"""Log index of what happens after the last log of a block; no real log may carry it."""

LOGS = pa.schema(
    [
        pa.field("block_number", pa.int64(), nullable=False),
        pa.field("block_hash", pa.binary(32)),
        pa.field("transaction_index", pa.int32(), nullable=False),
        pa.field("transaction_hash", pa.binary(32), nullable=False),
        pa.field("log_index", pa.int32(), nullable=False),
        pa.field("timestamp_s", pa.int64(), nullable=False),
        pa.field("address", pa.binary(20), nullable=False),
        pa.field("topic0", pa.binary(32)),
        pa.field("topic1", pa.binary(32)),
        pa.field("topic2", pa.binary(32)),
        pa.field("topic3", pa.binary(32)),
        pa.field("data", pa.binary(), nullable=False),
    ]
)
"""Raw logs. ``block_hash`` is null where the source does not give it (linkage unverified)."""

BLOCKS = pa.schema(
    [
        pa.field("number", pa.int64(), nullable=False),
        pa.field("hash", pa.binary(32)),
        pa.field("parent_hash", pa.binary(32)),
        pa.field("timestamp_s", pa.int64(), nullable=False),
        pa.field("base_fee_wei", pa.int64()),
    ]
)
"""Headers of the blocks that carry logs of a market, and of the first and last block of each cell."""

POSITION_COLUMNS = ("block_number", "transaction_index", "log_index", "timestamp_s", "transaction_hash")
"""Columns that every table of decoded events starts with, before ``address`` and the event's arguments."""

Keys = npt.NDArray[np.int64]


def key_of(block_number: int, log_index: int) -> int:
    """Key of one position; ``log_index`` = :data:`END_OF_BLOCK` means after the block's last log."""
    if not 0 <= log_index <= END_OF_BLOCK or not 0 <= block_number < 1 << 39:
        raise OrderError(f"position (block {block_number}, log {log_index}) is outside what a chain can have")
    return block_number << LOG_INDEX_BITS | log_index


def keys_of(block_number: npt.NDArray[Any], log_index: npt.NDArray[Any]) -> Keys:
    """Keys of many positions; both arrays of shape (n,)."""
    blocks, logs = block_number.astype(np.int64), log_index.astype(np.int64)
    if len(blocks) and (blocks.min() < 0 or blocks.max() >= 1 << 39 or logs.min() < 0 or logs.max() >= END_OF_BLOCK):
        raise OrderError("a log has a block number or log index outside what a chain can have")
    return (blocks << LOG_INDEX_BITS) | logs


def block_of(key: int) -> int:
    """Block number of a key."""
    return key >> LOG_INDEX_BITS


def log_index_of(key: int) -> int:
    """Log index of a key."""
    return key & END_OF_BLOCK

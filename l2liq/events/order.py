"""What a table of logs must look like to be a record of a chain: columns, total order, and no contradictions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.errors import DuplicateLogError, LogError, OrderError, ReorgError
from l2liq.events.log import LOGS, block_of, keys_of, log_index_of

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_REFETCH = (
    "One of the sources is wrong or saw a reorganised block: fetch that block again, and leave the wrong file out."
)


def as_logs(logs: pa.Table) -> pa.Table:
    """The table with exactly the columns and types of ``LOGS``; further columns are left out.

    Raises
    ------
    LogError
        A column is missing, or has a type or a null that logs cannot have.
    """
    if logs.schema.equals(LOGS):
        return logs
    missing = [name for name in LOGS.names if name not in logs.column_names]
    if missing:
        raise LogError(f"logs lack the column {missing[0]}. A log table has the columns {', '.join(LOGS.names)}.")
    try:
        return logs.select(LOGS.names).cast(LOGS)
    except (pa.ArrowException, ValueError) as cause:
        raise LogError(f"a column of logs has a type or a null that logs cannot have: {cause}") from cause


def in_order(logs: pa.Table) -> pa.Table:
    """Logs in the total order of their chain, each once.

    Exact duplicates are dropped; so is a log without block hash beside the same log with one. The result depends
    neither on the order of the rows nor on how often a log was delivered.

    Raises
    ------
    ReorgError
        One block has two hashes.
    DuplicateLogError
        Two different logs claim one position.
    OrderError
        Positions that logs cannot have; two times in one block, or times that run backwards; a transaction index that
        contradicts the order of the logs or the transaction hash.
    LogError
        Columns that logs cannot have.
    """
    logs = as_logs(logs)
    keys = keys_of(_numbers(logs, "block_number"), _numbers(logs, "log_index"))
    if not (keys[1:] > keys[:-1]).all():
        order = np.lexsort((_missing_hash(logs), keys))
        logs, keys = logs.take(pa.array(order)), keys[order]
    _check_hashes(logs)
    repeated = np.flatnonzero(keys[1:] == keys[:-1]) + 1
    if len(repeated):
        _check_same(logs, repeated, keys)
        once = np.ones(len(keys), bool)
        once[repeated] = False
        logs, keys = logs.filter(pa.array(once)), keys[once]
    _check_times(logs, keys)
    _check_transactions(logs, keys)
    return logs


def _numbers(logs: pa.Table, name: str) -> Rows:
    return logs.column(name).to_numpy().astype(np.int64)


def _missing_hash(logs: pa.Table) -> Flags:
    return logs.column("block_hash").is_null().to_numpy()


def _place(key: np.int64) -> str:
    return f"block {block_of(int(key)):,}, log {log_index_of(int(key)):,}"


def _check_hashes(logs: pa.Table) -> None:
    """All known hashes of one block are one hash; the logs stand in order."""
    hashed = logs.filter(pa.array(~_missing_hash(logs))) if logs.column("block_hash").null_count else logs
    blocks = _numbers(hashed, "block_number")
    clash = np.flatnonzero((blocks[1:] == blocks[:-1]) & _changes(hashed.column("block_hash")))
    if len(clash):
        row = int(clash[0])
        first, second = (hashed.column("block_hash")[row + step].as_py().hex() for step in (0, 1))
        raise ReorgError(f"block {blocks[row]:,} has two hashes, 0x{first} and 0x{second}. {_REFETCH}")


def _check_same(logs: pa.Table, repeated: Rows, keys: Rows) -> None:
    """Logs at one position are one log; a missing block hash is no difference."""
    later, earlier = logs.take(pa.array(repeated)), logs.take(pa.array(repeated - 1))
    for name in LOGS.names:
        here, there = later.column(name), earlier.column(name)
        differs = pc.fill_null(pc.not_equal(here, there), False).to_numpy()
        if name != "block_hash":
            differs = differs | (here.is_null().to_numpy() != there.is_null().to_numpy())
        if differs.any():
            key = keys[repeated[np.flatnonzero(differs)[0]]]
            raise DuplicateLogError(
                f"{_place(key)}: two different logs claim this position (their {name} differs). {_REFETCH}"
            )


def _check_times(logs: pa.Table, keys: Rows) -> None:
    blocks, times = _numbers(logs, "block_number"), _numbers(logs, "timestamp_s")
    same_block = blocks[1:] == blocks[:-1]
    _refuse(
        same_block & (times[1:] != times[:-1]),
        keys,
        "its timestamp differs from that of the log before, in the same block",
    )
    _refuse(times[1:] < times[:-1], keys, "its timestamp is before that of an earlier block")


def _check_transactions(logs: pa.Table, keys: Rows) -> None:
    blocks, index = _numbers(logs, "block_number"), _numbers(logs, "transaction_index")
    same_block = blocks[1:] == blocks[:-1]
    _refuse(
        same_block & (index[1:] < index[:-1]),
        keys,
        "its transaction index is below that of the log before, in the same block",
    )
    changed = _changes(logs.column("transaction_hash"))
    _refuse(
        same_block & (changed != (index[1:] != index[:-1])),
        keys,
        "its transaction hash and transaction index contradict the log before",
    )


def _changes(column: pa.ChunkedArray) -> Flags:
    """Whether each value but the first differs from the one before; no nulls."""
    return pc.not_equal(column.slice(1), column.slice(0, max(len(column) - 1, 0))).to_numpy()


def _refuse(wrong: Flags, keys: Rows, cause: str) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        raise OrderError(f"{_place(keys[rows[0] + 1])}: {cause}. {_REFETCH}")

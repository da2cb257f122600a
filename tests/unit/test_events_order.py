"""The total order of logs, and what logs cannot be."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2liq.errors import DuplicateLogError, LogError, OrderError, ReorgError
from l2liq.events.log import END_OF_BLOCK, LOGS
from l2liq.events.order import in_order

Row = dict[str, Any]


def log(block: int, transaction: int, index: int, **changes: Any) -> Row:
    return {
        "block_number": block,
        "block_hash": abs(block).to_bytes(32, "big"),
        "transaction_index": transaction,
        "transaction_hash": (abs(block) * 1000 + transaction).to_bytes(32, "big"),
        "log_index": index,
        "timestamp_s": 1_700_000_000 + block // 3,
        "address": bytes(20),
        "topic0": bytes(32),
        "data": b"",
    } | changes


def table(*rows: Row) -> pa.Table:
    return pa.Table.from_pylist(list(rows), LOGS)


CHAIN = [log(block, index // 2, index, data=bytes([index])) for block in (5, 6, 7, 9) for index in (0, 1, 2, 5)]


@given(st.permutations(CHAIN), st.lists(st.sampled_from(CHAIN)), st.lists(st.sampled_from(CHAIN)))
def test_shuffled_and_repeated_logs_are_the_same_table(rows: list[Row], again: list[Row], bare: list[Row]) -> None:
    without_hash = [row | {"block_hash": None} for row in bare]
    assert in_order(table(*without_hash, *rows, *again)).equals(table(*CHAIN))


@given(st.sets(st.tuples(st.integers(0, 2**39 - 1), st.integers(0, END_OF_BLOCK - 1))))
def test_the_order_is_that_of_block_and_log_index(positions: set[tuple[int, int]]) -> None:
    rows = [log(block, 0, index, timestamp_s=0) for block, index in positions]
    ordered = in_order(table(*rows))
    assert list(zip(*(ordered[n].to_pylist() for n in ("block_number", "log_index")), strict=True)) == sorted(positions)


REFUSED = [
    (ReorgError, log(6, 0, 9, block_hash=b"\1" * 32, transaction_index=2), "block 6 has two hashes"),
    (ReorgError, log(6, 0, 0, block_hash=b"\1" * 32), "block 6 has two hashes"),
    (DuplicateLogError, log(6, 0, 1, data=b"other"), "block 6, log 1: two different logs .* data differs"),
    (DuplicateLogError, log(6, 0, 1, data=b"\1", topic1=bytes(32)), "block 6, log 1: .* topic1 differs"),
    (DuplicateLogError, log(6, 0, 1, data=b"\1", topic0=None), "block 6, log 1: .* topic0 differs"),
    (OrderError, log(6, 3, 6, timestamp_s=1_700_000_001), "block 6, log 6: its timestamp differs"),
    (OrderError, log(10, 0, 0, timestamp_s=1_699_999_999), "block 10, log 0: its timestamp is before"),
    (OrderError, log(6, 0, 6), "block 6, log 6: its transaction index is below"),
    (OrderError, log(6, 3, 6, transaction_hash=(6002).to_bytes(32, "big")), "block 6, log 6: its transaction hash"),
    (OrderError, log(6, 2, 6, transaction_hash=bytes(32)), "block 6, log 6: its transaction hash"),
    (OrderError, log(-1, 0, 0), "outside what a chain can have"),
    (OrderError, log(1, 0, -1), "outside what a chain can have"),
    (OrderError, log(1, 0, END_OF_BLOCK), "outside what a chain can have"),
]


@pytest.mark.parametrize(("error", "row", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
@pytest.mark.parametrize("place", [0, 7, len(CHAIN)])
def test_contradictions_are_refused_wherever_they_stand(
    error: type[LogError], row: Row, message: str, place: int
) -> None:
    with pytest.raises(error, match=message) as refusal:
        in_order(table(*CHAIN[:place], row, *CHAIN[place:]))
    assert type(refusal.value) is error


def test_two_hashes_are_found_across_logs_without_one() -> None:
    rows = [log(6, 0, 0), log(6, 0, 1, block_hash=None), log(6, 0, 2, block_hash=b"\1" * 32)]
    with pytest.raises(ReorgError, match="block 6 has two hashes"):
        in_order(table(*rows))


def test_no_logs_are_in_order() -> None:
    assert in_order(table()).equals(table())


def test_further_columns_and_their_order_do_not_matter() -> None:
    foreign = table(*CHAIN).select(LOGS.names[::-1]).append_column("removed", pa.array([False] * len(CHAIN)))
    assert in_order(foreign).equals(table(*CHAIN))

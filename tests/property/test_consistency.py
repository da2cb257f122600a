"""Contradictions found a column at a time are those that a reader of one log after the other finds, in any pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from l2liq.events.abi import contract_event
from l2liq.events.log import LOGS
from l2liq.numeric import RAY
from l2liq.protocols.aave_v3.consistency import Consistency

POOL, CONFIGURATOR = b"P" * 20, b"C" * 20
TOKENS, ASSETS = (b"t" * 20, b"u" * 20), (b"x" * 20, b"y" * 20)
LISTED = contract_event("aave_v3/pool_configurator", "ReserveInitialized")
UPDATED = contract_event("aave_v3/pool", "ReserveDataUpdated")
MINT = contract_event("aave_v3/scaled_token", "Mint")
BURN = contract_event("aave_v3/scaled_token", "Burn")
MOVED = contract_event("aave_v3/a_token", "BalanceTransfer")
BIG = 1 << 200


@dataclass(frozen=True)
class Said:
    """What one log says: a reserve's two indices, or a token's index and by how much its scaled supply changes."""

    whose: int
    indices: tuple[int, ...]
    kind: str = "update"
    amount: int = 0


indices = st.sampled_from((RAY, RAY + 1, RAY + (1 << 64), 2 * RAY, RAY + BIG, RAY - 1, 1))
said = st.builds(Said, st.integers(0, 1), st.tuples(indices, indices)) | st.builds(
    Said, st.integers(0, 1), st.tuples(indices), st.sampled_from(("mint", "burn", "move")), st.integers(0, 5)
)


def address_word(address: bytes) -> bytes:
    return bytes(12) + address


def log_of(one: Said) -> tuple[bytes, list[bytes], bytes]:
    """Emitter, topics and data."""
    someone = address_word(b"s" * 20)
    token, index = TOKENS[one.whose], one.indices[0]
    if one.kind == "update":
        data = encode(["uint256"] * 5, [1, 0, 2, *one.indices])
        return POOL, [UPDATED.topic0, address_word(ASSETS[one.whose])], data
    if one.kind == "move":
        return token, [MOVED.topic0, someone, someone], encode(["uint256"] * 2, [one.amount, index])
    event = MINT if one.kind == "mint" else BURN
    value = one.amount * index // RAY
    return token, [event.topic0, someone, someone], encode(["uint256"] * 3, [value, 0, index])


def table_of(listed: int, history: list[Said]) -> pa.Table:
    """The listing of some tokens, and a history after it, one log per block."""
    rows: list[tuple[bytes, list[bytes], bytes]] = [
        (
            CONFIGURATOR,
            [LISTED.topic0, address_word(ASSETS[at]), address_word(TOKENS[at])],
            encode(["address"] * 3, ["0x" + (who * 20).hex() for who in (b"0", b"v", b"w")]),
        )
        for at in range(listed)
    ] + [log_of(one) for one in history]
    return pa.Table.from_pylist(
        [
            {
                "block_number": number, "block_hash": bytes(32), "transaction_index": 0, "log_index": 3,
                "transaction_hash": bytes(32), "timestamp_s": number, "address": emitter, "data": data,
                **{f"topic{place}": topic for place, topic in enumerate(topics)},
            }
            for number, (emitter, topics, data) in enumerate(rows)
        ],
        LOGS,
    )  # fmt: skip


def expected(listed: int, history: list[Said]) -> Iterator[tuple[int, str]]:
    """Block and a word of every contradiction."""
    last: dict[tuple[str, int, int], int] = {}
    supply = dict.fromkeys(range(listed), (0, 0))
    for block, one in enumerate(history, listed):
        for place, value in enumerate(one.indices):
            key = ("reserve" if one.kind == "update" else "token", one.whose, place)
            if value < last.get(key, 0) and value != RAY:
                yield block, f"falls from {last[key]} to {value}"
            last[key] = value
        if one.kind in ("mint", "burn") and one.whose in supply:
            value, index = one.amount * one.indices[0] // RAY, one.indices[0]
            change = (value if one.kind == "mint" else -value) * RAY // index
            total, events = supply[one.whose][0] + change, supply[one.whose][1] + 1
            if total < -events:
                yield block, "burned than was ever minted"
                total, events = 0, 0
            supply[one.whose] = total, events


@given(st.integers(0, 2), st.lists(said, max_size=25), st.data())
@settings(max_examples=200)
def test_contradictions_are_those_of_reading_log_by_log(listed: int, history: list[Said], data: st.DataObject) -> None:
    table = table_of(listed, history)
    cuts = sorted(data.draw(st.lists(st.integers(0, table.num_rows), max_size=3)))
    consistency = Consistency()
    found: list[Any] = []
    for start, stop in zip([0, *cuts], [*cuts, table.num_rows], strict=True):
        shuffled = table.slice(start, stop - start).take(
            pa.array(data.draw(st.permutations(range(stop - start))), pa.int64())
        )
        found += consistency.see(shuffled, {POOL}, set(TOKENS))
    wanted = list(expected(listed, history))
    assert sorted(one.block for one in found) == sorted(block for block, _ in wanted)
    assert all(any(one.block == block and text in str(one.error) for one in found) for block, text in wanted)

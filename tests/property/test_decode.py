"""The columnar decoder against eth-abi, log by log."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from eth_abi import decode as reference
from eth_abi import encode
from eth_abi.exceptions import DecodingError
from hypothesis import given
from hypothesis import strategies as st

from l2liq.errors import InputError, LogError
from l2liq.events.abi import EventAbi, parse_event
from l2liq.events.decode import MALFORMED, TOPICS, decode, event_schema, split
from l2liq.events.log import LOGS, POSITION_COLUMNS
from l2liq.events.raw import floats, ints, signed_ints, to_raw
from l2liq.events.wellformed import all_well_formed
from tests.logs import Log, log_table, rechunked

SCALARS = [
    "address",
    "bool",
    *(f"uint{bits}" for bits in range(8, 257, 8)),
    *(f"int{bits}" for bits in range(8, 257, 8)),
    *(f"bytes{size}" for size in range(1, 33)),
]


def event_of(types: list[str], indexed: list[bool]) -> EventAbi:
    inputs = [
        {"name": f"arg{place}", "type": kind, "indexed": flag}
        for place, (kind, flag) in enumerate(zip(types, indexed, strict=True))
    ]
    return parse_event({"type": "event", "name": "Thing", "inputs": inputs})


def expected_row(event: EventAbi, log: Log) -> list[Any] | None:
    """What eth-abi makes of a log, None where it refuses; composite types only in the data."""
    topics, data = log
    if len(topics) != event.topic_count:
        return None
    try:
        from_topics = [reference([a.type], t)[0] for a, t in zip(event.indexed, topics[1:], strict=True)]
        from_data = list(reference([a.type.replace("string", "bytes") for a in event.data], data))
    except (DecodingError, OverflowError):
        return None
    return [(from_topics if a.indexed else from_data).pop(0) for a in event.arguments]


def as_columns(kind: str, value: Any) -> list[Any]:
    """Columns that a value of eth-abi stands in."""
    if wide(kind):
        return [Decimal(value) if abs(value) < 10**38 else None, (value % 2**256).to_bytes(32, "big")]
    return [nested(kind, value)]


def wide(kind: str) -> bool:
    return kind.strip("uint").isdigit() and int(kind.strip("uint")) > 56


def nested(kind: str, value: Any) -> Any:
    """A value inside a list, or one that has a single column."""
    if kind.endswith("]"):
        return [nested(kind[: kind.rindex("[")], item) for item in value]
    if kind == "string":
        return value.decode("utf-8", errors="replace")
    if kind == "address":
        return bytes.fromhex(value[2:])
    if wide(kind):
        return (value % 2**256).to_bytes(32, "big")
    return value


def check(event: EventAbi, logs: list[Log]) -> None:
    """Decoded rows and refused rows are exactly eth-abi's, in order, positions included."""
    table = log_table(logs)
    decoded = decode(table, event)
    rows = table.to_pylist()
    good, bad = [], []
    for row, log in zip(rows, logs, strict=True):
        values = expected_row(event, log)
        if values is None:
            bad.append(row)
            continue
        columns = [c for a, v in zip(event.arguments, values, strict=True) for c in as_columns(a.type, v)]
        good.append([*(row[name] for name in (*POSITION_COLUMNS, "address")), *columns])
    assert decoded.events.schema == event_schema(event)
    assert [list(row.values()) for row in decoded.events.to_pylist()] == good
    assert decoded.malformed.select(LOGS.names).to_pylist() == bad
    assert all(decoded.malformed["reason"].to_pylist())
    decoded.events.validate(full=True)
    parts = split(table, [event])
    fits = not any(decode(part, event).malformed.num_rows for part in parts.known.values())
    assert all_well_formed(table, [event]) == ((True, parts.unknown.num_rows) if fits else (False, -1))


def edge_words(kind: str) -> list[bytes]:
    """Words at and just beyond the limits of a static type, on every side of its padding."""
    ones = bytes([255] * 32)
    numbers = [0, 1, 2, 10**38 - 1, 10**38, 10**38 + 1, 2**128, 2**192, 2**255 - 1, 2**255, 2**256 - 1]
    numbers += [2**256 - 10**38 + step for step in (-1, 0, 1)]
    for bits in range(8, 256, 8):
        numbers += [2**bits - 1, 2**bits, 2 ** (bits - 1) - 1, 2 ** (bits - 1)]
        numbers += [2**256 - 2**bits, 2**256 - 2**bits - 1, 2**256 - 2 ** (bits - 1), 2**256 - 2 ** (bits - 1) - 1]
    return [number.to_bytes(32, "big") for number in numbers] + [
        *(ones[:size] + bytes(32 - size) for size in range(33)),
        *(bytes(place) + b"\x01" + bytes(31 - place) for place in range(32)),
    ]


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("family", ["uint", "int", "bytes", "address", "bool"])
def test_every_static_type_is_read_and_refused_as_by_eth_abi(family: str, indexed: bool) -> None:
    for kind in (k for k in SCALARS if k.startswith(family)):
        event = event_of([kind], [indexed])
        words = edge_words(kind)
        check(event, [((event.topic0, w), b"") if indexed else ((event.topic0,), w) for w in words])


@st.composite
def static_logs(draw: st.DrawFn) -> tuple[EventAbi, list[Log]]:
    """An event of static types and logs of it: well formed, with foul padding, cut, padded, or with topics missing."""
    types = draw(st.lists(st.sampled_from(SCALARS), max_size=7))
    flags = [False] * len(types)
    for place in draw(st.lists(st.integers(0, 6), max_size=3)):
        if place < len(types):
            flags[place] = True
    event = event_of(types, flags)
    noise = np.random.default_rng(draw(st.integers(0, 2**32)))
    logs: list[Log] = []
    for _ in range(draw(st.integers(0, 12))):
        fair = {a.name: draw(well_formed(a.type)) for a in event.arguments}
        if event.arguments and draw(st.integers(0, 3)) == 0:
            fair[draw(st.sampled_from(event.arguments)).name] = noise.bytes(32)
        topics: list[bytes | None] = [event.topic0, *(fair[a.name] for a in event.indexed)]
        data = b"".join(fair[a.name] for a in event.data)
        damage = draw(st.integers(0, 9))
        if damage == 0:
            data = data[: draw(st.integers(0, len(data)))]
        elif damage == 1:
            data += noise.bytes(draw(st.integers(0, 40)))
        elif damage == 2:
            topics = topics[: draw(st.integers(1, len(topics)))]
        logs.append((topics, data))
    return event, logs


def well_formed(kind: str) -> st.SearchStrategy[bytes]:
    if kind == "address":
        return st.binary(min_size=20, max_size=20).map(lambda b: bytes(12) + b)
    if kind == "bool":
        return st.booleans().map(lambda b: bytes(31) + bytes([b]))
    if kind.startswith("bytes"):
        size = int(kind[5:])
        return st.binary(min_size=size, max_size=size).map(lambda b: b + bytes(32 - size))
    bits = int(kind.strip("uint"))
    low, high = (0, 2**bits - 1) if kind.startswith("uint") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return st.integers(low, high).map(lambda i: (i % 2**256).to_bytes(32, "big"))


@given(static_logs())
def test_static_events_decode_as_eth_abi_decodes_them(case: tuple[EventAbi, list[Log]]) -> None:
    check(*case)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "uint256": st.integers(0, 2**256 - 1),
    "int192": st.integers(-(2**191), 2**191 - 1),
    "uint16": st.integers(0, 2**16 - 1),
    "address": st.binary(min_size=20, max_size=20).map(lambda b: "0x" + b.hex()),
    "bool": st.booleans(),
    "bytes32": st.binary(min_size=32, max_size=32),
    "bytes": st.binary(max_size=70),
    "string": st.text(max_size=20),
}


def dynamic_types() -> st.SearchStrategy[str]:
    suffix = st.sampled_from(["", "[]", "[2]", "[][]", "[2][]", "[][2]"])
    return st.builds(lambda base, array: base + array, st.sampled_from(sorted(VALUES)), suffix)


def value_of(kind: str) -> st.SearchStrategy[Any]:
    if not kind.endswith("]"):
        return VALUES[kind]
    item, size = kind[: kind.rindex("[")], kind[kind.rindex("[") + 1 : -1]
    least, most = (int(size), int(size)) if size else (0, 3)
    return st.lists(value_of(item), min_size=least, max_size=most)


@st.composite
def dynamic_logs(draw: st.DrawFn) -> tuple[EventAbi, list[Log]]:
    """An event with strings, bytes and arrays in its data, and logs of it, some with a byte changed or cut off."""
    types = draw(st.lists(dynamic_types(), min_size=1, max_size=4))
    event = event_of(["address", *types], [True] + [False] * len(types))
    logs: list[Log] = []
    for _ in range(draw(st.integers(0, 5))):
        topic = bytes(12) + draw(st.binary(min_size=20, max_size=20))
        data = bytearray(encode(types, [draw(value_of(kind)) for kind in types]))
        damage = draw(st.integers(0, 4))
        if damage == 0:
            data = data[: draw(st.integers(0, len(data)))]
        elif damage == 1:
            data[draw(st.integers(0, len(data) - 1))] ^= draw(st.integers(1, 255))
        logs.append(((event.topic0, topic), bytes(data)))
    return event, logs


@given(dynamic_logs())
def test_dynamic_events_decode_as_eth_abi_decodes_them(case: tuple[EventAbi, list[Log]]) -> None:
    check(*case)


def test_tuples_become_structs_and_arrays_of_tuples_lists_of_structs() -> None:
    pair = [{"name": "assetId", "type": "uint8"}, {"name": "maxAmount", "type": "uint128"}]
    inputs = [
        {"name": "one", "type": "tuple", "components": pair, "indexed": False},
        {"name": "many", "type": "tuple[]", "components": pair, "indexed": False},
        {"name": "last", "type": "uint8", "indexed": False},
    ]
    event = parse_event({"type": "event", "name": "Pairs", "inputs": inputs})
    assert event.signature == "Pairs((uint8,uint128),(uint8,uint128)[],uint8)"
    data = encode(["(uint8,uint128)", "(uint8,uint128)[]", "uint8"], [(1, 2), [(3, 4), (5, 6)], 7])
    broken = encode(["uint256", "uint128", "uint256", "uint8"], [256, 2, 128, 7]) + bytes(32)
    decoded = decode(log_table([((event.topic0,), data), ((event.topic0,), broken)]), event)
    row = decoded.events.to_pylist()[0]
    pairs = [{"asset_id": n, "max_amount_raw": (n + 1).to_bytes(32, "big")} for n in (1, 3, 5)]
    assert (row["one"], row["many"], row["last"]) == (pairs[0], pairs[1:], 7)
    assert decoded.malformed["reason"].to_pylist()[0].startswith("one: not a valid (uint8,uint128)")


def test_an_indexed_string_is_the_hash_in_its_topic() -> None:
    event = event_of(["string", "uint8"], [True, False])
    decoded = decode(log_table([((event.topic0, b"\xab" * 32), bytes(32))]), event)
    assert decoded.events["arg0"].to_pylist() == [b"\xab" * 32]


def test_a_string_that_is_not_utf8_is_kept() -> None:
    event = event_of(["string"], [False])
    decoded = decode(log_table([((event.topic0,), encode(["bytes"], [b"a\xff"]))]), event)
    assert decoded.events["arg0"].to_pylist() == ["a\ufffd"]


@given(static_logs(), st.lists(st.integers(0, 12), max_size=4))
def test_chunks_change_nothing(case: tuple[EventAbi, list[Log]], cuts: list[int]) -> None:
    event, logs = case
    table = log_table(logs)
    whole, pieces = decode(table, event), decode(rechunked(table, cuts), event)
    assert whole.events.equals(pieces.events)
    assert whole.malformed.equals(pieces.malformed)


def test_blocks_of_decoding_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    event = event_of(["uint256", "uint8"], [False, True])
    logs: list[Log] = [
        ((event.topic0, (n % 300).to_bytes(32, "big")), n.to_bytes(32, "big")[: 32 - n % 2]) for n in range(999)
    ]
    whole = decode(log_table(logs), event)
    monkeypatch.setattr("l2liq.events.decode.BLOCK_ROWS", 64)
    pieces = decode(log_table(logs), event)
    assert whole.events.equals(pieces.events)
    assert whole.malformed.equals(pieces.malformed)


def test_reasons_name_the_argument() -> None:
    event = event_of(["address", "uint16", "bytes4"], [True, False, False])
    fair = bytes(32)
    foul = b"\xff" * 32
    logs: list[Log] = [
        ((event.topic0, foul), fair * 2),
        ((event.topic0, fair), foul + fair),
        ((event.topic0, fair), fair + foul),
        ((event.topic0,), fair * 2),
        ((event.topic0, fair), fair),
        ((b"\x00" * 32, fair), fair * 2),
        ((event.topic0, None, fair), fair * 2),
    ]
    verdicts = [all_well_formed(log_table([log]), [event]) for log in logs]
    assert verdicts == [(True, 1) if topics[0] == bytes(32) else (False, -1) for topics, _ in logs]
    assert decode(log_table(logs), event).malformed["reason"].to_pylist() == [
        "arg0: not a valid address",
        "arg1: not a valid uint16",
        "arg2: not a valid bytes4",
        "topics: Thing has 2",
        "data: shorter than the 64 bytes of Thing",
        "topic0: not that of Thing(address,uint16,bytes4)",
        "topics: Thing has 2",
    ]


@pytest.mark.parametrize("kind", ["address", "bool", "bytes4", "uint8", "int24", "uint128", "int256"])
def test_every_bit_that_a_type_forces_is_looked_at(kind: str) -> None:
    event = event_of([kind, kind], [True, False])
    fair = (1 << (255 if kind == "bytes4" else 0)).to_bytes(32, "big")
    wrong = [(int.from_bytes(fair) ^ 1 << bit).to_bytes(32, "big") for bit in range(256)]
    for topic, data in [*((one, fair) for one in wrong), *((fair, one) for one in wrong)]:
        table = log_table([((event.topic0, topic), data)])
        assert all_well_formed(table, [event])[0] == (decode(table, event).malformed.num_rows == 0)


FUNGIBLE = event_of(["address", "address", "uint256"], [True, True, False])
TOKEN = event_of(["address", "address", "uint256"], [True, True, True])
OTHER = event_of(["bool"], [False])


@given(
    st.lists(
        st.sampled_from([FUNGIBLE.topic0, OTHER.topic0, OTHER.topic0[:8] + bytes(24), bytes(32), None]), max_size=40
    ),
    st.lists(st.integers(0, 3), min_size=40, max_size=40),
    st.lists(st.integers(0, 40), max_size=3),
)
def test_split_loses_and_doubles_nothing(topics: list[bytes | None], more: list[int], cuts: list[int]) -> None:
    logs: list[Log] = [((topic, *[bytes(32)] * count), b"") for topic, count in zip(topics, more, strict=False)]
    table = rechunked(log_table(logs), cuts)
    parts = split(table, [FUNGIBLE, TOKEN, OTHER])

    def home(log: Log) -> EventAbi | None:
        topic, count = log[0][0], len(log[0])
        if topic == OTHER.topic0:
            return OTHER
        if topic == FUNGIBLE.topic0:
            return TOKEN if count == 4 else FUNGIBLE
        return None

    homes = [home(log) for log in logs]
    rows = table.to_pylist()
    for event in (FUNGIBLE, TOKEN, OTHER):
        found = parts.known[event].to_pylist() if event in parts.known else []
        assert found == [row for row, place in zip(rows, homes, strict=True) if place is event]
    assert parts.unknown.to_pylist() == [row for row, place in zip(rows, homes, strict=True) if place is None]
    assert all_well_formed(parts.unknown, [FUNGIBLE, TOKEN, OTHER]) == (True, homes.count(None))
    assert all(part.num_rows for part in parts.known.values())


def test_events_that_nothing_tells_apart_are_refused() -> None:
    renamed = parse_event(
        {"type": "event", "name": "Thing", "inputs": [{"name": "b", "type": "bool", "indexed": False}]}
    )
    with pytest.raises(ValueError, match="given twice"):
        split(log_table([]), [OTHER, renamed])


def test_tables_without_logs_have_the_right_columns() -> None:
    parts = split(log_table([]), [OTHER])
    assert (parts.known, parts.unknown.schema) == ({}, LOGS)
    decoded = decode(parts.unknown, OTHER)
    assert (decoded.events.schema, decoded.malformed.schema) == (event_schema(OTHER), MALFORMED)


def test_other_layouts_of_the_columns_are_the_same_logs() -> None:
    table = log_table([((OTHER.topic0,), bytes(32)), ((OTHER.topic0,), b"\xff" * 32)])
    foreign = pa.table(
        {
            "surplus": [1, 2],
            **{name: table[name].cast(pa.binary()).dictionary_encode() for name in (*TOPICS, "address")},
            "data": table["data"].cast(pa.large_binary()),
            **{name: table[name] for name in LOGS.names if name not in (*TOPICS, "address", "data")},
        }
    )
    assert decode(foreign, OTHER).events.equals(decode(table, OTHER).events)
    assert decode(foreign, OTHER).malformed.equals(decode(table, OTHER).malformed)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, LOGS) as writer:
        writer.write_table(table)
    constant = pa.ipc.open_stream(sink.getvalue()).read_all()
    mixed = constant.set_column(LOGS.get_field_index("topic2"), LOGS.field("topic2"), pa.nulls(2, pa.binary(32)))
    assert all_well_formed(foreign, [OTHER]) == all_well_formed(mixed, [OTHER]) == (False, -1)
    assert all_well_formed(mixed.slice(0, 1), [OTHER]) == (True, 0)


def test_a_table_that_is_no_logs_is_refused_by_name() -> None:
    table = log_table([((OTHER.topic0,), bytes(32))])
    with pytest.raises(LogError, match="lack the column data"):
        decode(table.drop_columns(["data"]), OTHER)
    with pytest.raises(LogError, match="type or a null"):
        decode(table.set_column(6, "address", pa.array([b"short"])), OTHER)
    with pytest.raises(LogError, match="type or a null"):
        decode(table.set_column(11, "data", pa.array([None], pa.binary())), OTHER)


@pytest.mark.parametrize("kind", ["uint7", "uint264", "bytes33", "bytes0", "function", "fixed128x18", "uint"])
def test_types_that_do_not_exist_are_refused(kind: str) -> None:
    with pytest.raises(InputError, match="is no static ABI type"):
        event_schema(event_of([kind], [False]))


@given(
    st.lists(st.integers(0, 2**256 - 1) | st.integers(0, 2**70) | st.integers(0, 2**60)), st.lists(st.integers(0, 9))
)
def test_raw_columns_hold_unsigned_integers(values: list[int], cuts: list[int]) -> None:
    column = rechunked(pa.table({"x": to_raw(values)}), cuts)["x"]
    assert ints(column) == values
    for value, found in zip(values, floats(column).tolist(), strict=True):
        assert abs(int(found) - value) * 2**51 <= value


@given(st.lists(st.integers(-(2**255), 2**255 - 1) | st.integers(-(2**60), 2**60)))
def test_raw_columns_hold_signed_integers(values: list[int]) -> None:
    column = to_raw(values)
    assert signed_ints(column) == values
    for value, found in zip(values, floats(column, signed=True).tolist(), strict=True):
        assert abs(int(found) - value) * 2**51 <= abs(value)


@pytest.mark.parametrize("value", [2**256, -(2**255) - 1])
def test_raw_columns_refuse_what_does_not_fit(value: int) -> None:
    with pytest.raises(OverflowError):
        to_raw([value])


def test_a_column_with_nulls_is_no_raw_column() -> None:
    with pytest.raises(ValueError, match="without nulls"):
        ints(pa.array([None], pa.binary(32)))

"""Messages survive their encoding, say what they are, and nothing else passes for one."""

from __future__ import annotations

import io
import json
from importlib.resources import files

import fastavro
import pyarrow as pa
import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form
from hypothesis import given
from hypothesis import strategies as st

from l2liq.errors import MessageError
from l2liq.events.filter import Filter
from l2liq.events.log import LOGS
from pipelines.sources.node import Header
from pipelines.stream.messages import Answer, Block, Retract, Scanned, decode, encode, filter_id
from pipelines.stream.packing import Packed, check, packed_blocks, table_of

MARKET, CHAIN = "aave-v3-test", 10
hashes = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20)
numbers = st.integers(0, (1 << 39) - 1)
headers = st.builds(
    Header, numbers, hashes, hashes, st.integers(0, 1 << 40), st.none() | st.integers(0, 1 << 60), st.just(0)
)
filters = st.dictionaries(addresses, st.none() | st.frozensets(hashes, max_size=3), max_size=4).map(Filter)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Logs of some blocks, in order."""
    rows = []
    for number in sorted(draw(st.sets(st.integers(0, 9), max_size=4))):
        block_hash = bytes([number]) * 32
        for log_index in sorted(draw(st.sets(st.integers(0, 1 << 20), max_size=5))):
            topics = draw(st.lists(hashes, max_size=4))
            padded = [*topics, *[None] * (4 - len(topics))]
            data = draw(st.binary(max_size=70))
            rows.append(
                (number, block_hash, log_index // 3, b"t" * 32, log_index, 7 * number, draw(addresses), *padded, data)
            )
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(LOGS)
    return pa.table([pa.array(column, one.type) for column, one in zip(columns, LOGS, strict=True)], schema=LOGS)


@given(tables(), st.integers(1, 400))
def test_logs_survive_packing_however_they_are_cut(table: pa.Table, most_bytes: int) -> None:
    packs, blocks = [], []
    for number, parts in packed_blocks(table, most_bytes):
        packs += parts
        blocks += [number] * len(parts)
    check(packs)
    if packs:
        again = table_of(packs, blocks, [bytes([one]) * 32 for one in blocks], [7 * one for one in blocks])
        assert again.equals(table)
    else:
        assert table.num_rows == 0


@given(headers, tables())
def test_a_block_survives_its_encoding(header: Header, table: pa.Table) -> None:
    for _, parts in packed_blocks(table, 1000):
        for part, logs in enumerate(parts):
            block = Block(MARKET, CHAIN, header, part, len(parts), logs)
            assert decode(*encode(block), MARKET, CHAIN) == block


@given(headers, st.integers(0, 1000), st.integers(-1, 1 << 39), st.none() | filters, st.booleans())
def test_what_was_scanned_survives_its_encoding(
    first: Header, more: int, final_to: int, wanted: Filter | None, asked: bool
) -> None:
    last = Header(first.number + more, first.hash, first.parent_hash, first.timestamp_s, None, 0)
    if last.number >= 1 << 39:
        return
    answers = (
        (Answer(3, b"a" * 20, "f()(uint256)", b"", None), Answer(4, b"b" * 20, "g()(uint256)", b"x", b"y"))
        if asked
        else ()
    )
    name = filter_id(wanted) if wanted is not None else b"i" * 16
    scanned = Scanned(MARKET, CHAIN, first, last, final_to, more, 5, name, wanted, answers)
    assert decode(*encode(scanned), MARKET, CHAIN) == scanned


@given(numbers, hashes)
def test_a_retraction_survives_its_encoding(block: int, parent: bytes) -> None:
    retract = Retract(MARKET, CHAIN, block, parent)
    assert decode(*encode(retract), MARKET, CHAIN) == retract


@given(st.binary(max_size=300))
def test_bytes_that_nobody_signed_are_a_message_error(value: bytes) -> None:
    with pytest.raises(MessageError):
        decode(value, [("fingerprint", b"x" * 32)], MARKET, CHAIN)


@given(st.data())
def test_a_message_that_was_changed_anywhere_is_a_message_error(data: st.DataObject) -> None:
    value, told = encode(Retract(MARKET, CHAIN, 77, b"p" * 32))
    place = data.draw(st.integers(0, len(value) - 1))
    changed = value[:place] + bytes([value[place] ^ data.draw(st.integers(1, 255))]) + value[place + 1 :]
    with pytest.raises(MessageError):
        decode(changed, told, MARKET, CHAIN)


@pytest.mark.parametrize("name", ["block", "scanned", "retract"])
def test_any_avro_reader_reads_a_message_by_the_fingerprint_of_its_schema(name: str) -> None:
    schema = json.loads(files("schemas").joinpath("kafka", f"{name}.avsc").read_text())
    header = Header(5, b"h" * 32, b"p" * 32, 9, None, 0)
    empty = Packed(0, b"", b"", b"", b"", b"", b"", b"", b"")
    message = {
        "block": Block(MARKET, CHAIN, header, 0, 1, empty),
        "scanned": Scanned(MARKET, CHAIN, header, header, 4, 0, 0, b"i" * 16, None),
        "retract": Retract(MARKET, CHAIN, 5, b"p" * 32),
    }[name]
    value, _ = encode(message)
    assert value[:2] == b"\xc3\x01"
    assert value[2:10].hex() == fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
    content = fastavro.schemaless_reader(io.BytesIO(value[10:]), schema, None)
    assert isinstance(content, dict)
    assert content["market"] == MARKET


@given(filters, filters)
def test_filters_with_one_name_are_one_filter(one: Filter, other: Filter) -> None:
    assert (filter_id(one) == filter_id(other)) == (dict(one.topics) == dict(other.topics))

"""Roots of tables: the tree of RFC 6962, the same for equal values in any layout, different for any difference."""

from __future__ import annotations

import hashlib
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2liq.errors import InputError
from l2liq.events import commitment
from l2liq.events.commitment import TableRoot, table_root, tree_root
from l2liq.events.log import LOGS
from tests.logs import log_table, rechunked


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def recursive_root(entries: list[bytes]) -> bytes:
    """RFC 6962 §2.1, as it is written there."""
    if not entries:
        return sha()
    if len(entries) == 1:
        return sha(b"\x00", entries[0])
    split = 1 << (len(entries) - 1).bit_length() - 1
    return sha(b"\x01", recursive_root(entries[:split]), recursive_root(entries[split:]))


def test_the_trees_of_certificate_transparency() -> None:
    """Entries and roots of the reference implementation's published test vectors."""
    entries = [bytes.fromhex(h) for h in ("", "00", "10", "2021", "3031", "40414243")]
    entries += [bytes.fromhex("5051525354555657"), bytes.fromhex("606162636465666768696a6b6c6d6e6f")]
    roots = {
        0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    assert {size: tree_root(entries[:size]).hex() for size in roots} == roots


@given(st.lists(st.binary(max_size=40), max_size=40))
def test_trees_of_any_size_are_those_of_the_rfc(entries: list[bytes]) -> None:
    assert tree_root(entries) == recursive_root(entries)


TYPES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "i": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "s": (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "b": (pa.binary(), st.binary(max_size=4)),
    "t": (pa.string(), st.text(max_size=4)),
    "f": (pa.binary(2), st.binary(min_size=2, max_size=2)),
    "q": (pa.bool_(), st.booleans()),
    "r": (pa.float64(), st.floats()),
    "d": (pa.decimal128(38, 0), st.decimals(-(10**37), 10**37, places=0)),
    "l": (pa.list_(pa.binary()), st.lists(st.none() | st.binary(max_size=2), max_size=3)),
    "u": (
        pa.struct([("x", pa.int32()), ("y", pa.string())]),
        st.fixed_dictionaries({"x": st.none() | st.integers(0, 9), "y": st.none() | st.text(max_size=2)}),
    ),
    "w": (pa.timestamp("us", "UTC"), st.integers(0, 2**40)),
}
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in TYPES.items()])
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | values for name, (_, values) in TYPES.items()}), max_size=30)
TABLES = ROWS.map(lambda rows: pa.Table.from_pylist(rows, SCHEMA))


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups and blocks so small that tables of thirty rows have several."""
    monkeypatch.setattr(commitment, "GROUP_ROWS", 4)
    monkeypatch.setattr(commitment, "_BLOCK_ROWS", 12)


@given(TABLES, st.lists(st.integers(0, 30), max_size=5), st.data())
def test_the_root_knows_values_only(table: pa.Table, cuts: list[int], data: st.DataObject) -> None:
    root = table_root(table)
    assert table_root(rechunked(table, cuts)) == root
    surrounded = pa.concat_tables([table.slice(0, 1), table, table.slice(0, 2)]).combine_chunks()
    assert table_root(surrounded.slice(min(1, table.num_rows), table.num_rows)) == root
    foreign = table
    for name, layout in (("b", pa.large_binary()), ("t", pa.large_string()), ("l", pa.large_list(pa.large_binary()))):
        foreign = foreign.set_column(SCHEMA.get_field_index(name), name, table[name].cast(layout))
    for name in ("b", "t", "f", "i"):
        if data.draw(st.booleans()):
            encoded = table[name].dictionary_encode()
            foreign = foreign.set_column(SCHEMA.get_field_index(name), name, encoded)
    assert table_root(foreign.replace_schema_metadata({"written by": "someone"})) == root


@given(TABLES, st.lists(st.integers(0, 30), max_size=5))
def test_rows_in_batches_have_the_root_of_the_table(table: pa.Table, cuts: list[int]) -> None:
    stream = TableRoot(SCHEMA)
    for batch in rechunked(table, cuts).to_batches():
        stream.update(batch)
    assert stream.root() == table_root(table)


@given(TABLES.filter(len), st.data())
def test_any_changed_cell_changes_the_root(table: pa.Table, data: st.DataObject) -> None:
    rows = table.to_pylist()
    place = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(sorted(TYPES)))
    new = data.draw(st.none() | TYPES[name][1])
    rows[place][name] = new
    changed = pa.Table.from_pylist(rows, SCHEMA)
    assert (table_root(changed) == table_root(table)) == (repr(changed.to_pylist()) == repr(table.to_pylist()))


@given(ROWS.filter(len), st.data())
def test_missing_doubled_and_exchanged_rows_change_the_root(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    picked = data.draw(st.permutations(rows)) + data.draw(st.lists(st.sampled_from(rows), max_size=2))
    picked = picked[: data.draw(st.integers(len(rows) - 1, len(picked)))]
    one, other = (pa.Table.from_pylist(list(part), SCHEMA) for part in (rows, picked))
    assert (table_root(one) == table_root(other)) == (repr(one.to_pylist()) == repr(other.to_pylist()))


@given(TABLES)
def test_exchanged_columns_change_the_root(table: pa.Table) -> None:
    assert table_root(table.select(SCHEMA.names[::-1])) != table_root(table)


def test_names_and_types_are_part_of_the_root() -> None:
    empty = [pa.table({"a": pa.array([], kind)}) for kind in (pa.int32(), pa.int64(), pa.binary(), pa.binary(4))]
    empty += [empty[0].rename_columns(["b"]), pa.table({"a": empty[0]["a"], "b": empty[0]["a"]})]
    assert len({table_root(table) for table in empty}) == len(empty)


def test_a_root_stays_what_it_was() -> None:
    """Two logs, encoded by hand as the module's description says."""
    table = log_table([((b"\x01" * 32,), b"ab"), ((b"\x01" * 32, b"\x02" * 32), b"")])
    u32 = [n.to_bytes(4, "little") for n in range(64)]
    names = {"int64": "int64", "int32": "int32", "binary": "binary"}
    header = b""
    for field in LOGS:
        width = field.type.byte_width if pa.types.is_fixed_size_binary(field.type) else 0
        kind = f"binary({width})" if width else names[str(field.type)]
        header += u32[len(field.name)] + field.name.encode() + u32[len(kind)] + kind.encode()
    rows = u32[2]
    rows += b"\0" + (100).to_bytes(8, "little") + (101).to_bytes(8, "little")
    rows += b"\0" + bytes(32) + b"\1" * 32
    rows += b"\0" + u32[0] + u32[1]
    rows += b"\0" + bytes(32) + b"\1" * 32
    rows += b"\0" + u32[0] + u32[1]
    rows += b"\0" + (1_700_000_000).to_bytes(8, "little") + (1_700_000_002).to_bytes(8, "little")
    rows += b"\0" + bytes(20) + b"\1" * 20
    rows += b"\0" + b"\1" * 64
    rows += b"\1\x02" + b"\2" * 32
    rows += b"\1\0" + b"\1\0"
    rows += b"\0" + u32[2] + u32[0] + b"ab"
    assert table_root(table) == recursive_root([header, rows])


def test_types_without_canonical_form_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="column elapsed has type duration"):
        table_root(pa.table({"elapsed": pa.array([1], pa.duration("s"))}))


def test_rows_of_another_table_are_refused() -> None:
    with pytest.raises(InputError, match="rows have the columns"):
        TableRoot(SCHEMA).update(pa.table({"a": [1]}))

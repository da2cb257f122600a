"""Properties of the lake's data: the order of sealing leaves no trace, reading is a sorted union, gaps are exact."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2liq.events.filter import Filter
from l2liq.lake import SEALED, Coverage, Grid, Lake, Linkage, Segment, Span, Status
from l2liq.lake.datasets import LOG_DATA
from l2liq.lake.sealing import keep_as_found, replace_tail, seal_logs
from l2liq.lake.segments import Origin
from l2liq.lake.tables import joined, kept
from tests.lake_tables import BORROW, CHAIN, ORACLE, POOL, SUPPLY, TOKEN, Row, everything, files, logs, places

CELL = 10
ORIGIN = Origin(CHAIN, Linkage.VERIFIED, "test")
addresses = st.sampled_from([POOL, TOKEN, ORACLE])
rows = st.dictionaries(st.tuples(st.integers(0, 4 * CELL - 1), st.integers(0, 5)), addresses, max_size=25).map(
    lambda found: [(block, index, address) for (block, index), address in found.items()]
)
_names = itertools.count()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake.create(tmp_path_factory.mktemp("property") / "lake")


def fresh() -> str:
    return f"market-{next(_names)}"


def of(found: list[Row], span: Span, *wanted: bytes) -> pa.Table:
    return logs([row for row in found if span.start <= row[0] < span.stop and row[2] in wanted])


def pieces(found: list[Row]) -> list[tuple[Span, pa.Table, Filter]]:
    """Each cell for two of the addresses, and the third one as a supplement."""
    spans = [Span(start, start + CELL) for start in range(0, 4 * CELL, CELL)]
    return [
        (span, of(found, span, *wanted), everything(*wanted)) for span in spans for wanted in ((POOL, TOKEN), (ORACLE,))
    ]


@settings(max_examples=20, deadline=None)
@given(found=rows, data=st.data())
def test_any_order_and_repetition_of_sealing_gives_the_same_root(
    lake: Lake, found: list[Row], data: st.DataObject
) -> None:
    cells = pieces(found)
    order = data.draw(st.permutations(cells)) + data.draw(st.lists(st.sampled_from(cells), max_size=6))
    straight, shuffled = fresh(), fresh()
    for span, table, wanted in cells:
        seal_logs(lake._shelf, straight, span, table, wanted, ORIGIN)
    for span, table, wanted in order:
        table = table.take(data.draw(st.permutations(range(table.num_rows)))) if table.num_rows else table
        seal_logs(lake._shelf, shuffled, span, pa.concat_tables([table, table]), wanted, ORIGIN)
    assert lake.dataset_root(shuffled) == lake.dataset_root(straight)
    assert len(files(lake, shuffled)) == len(cells)
    assert places(lake, shuffled) == sorted((block, index) for block, index, _ in found)


@settings(max_examples=25, deadline=None)
@given(found=rows, data=st.data())
def test_reading_gives_every_log_once_in_the_order_of_the_chain(
    lake: Lake, found: list[Row], data: st.DataObject
) -> None:
    """Sealed windows, tail and files as found overlap at will; all tell the same history."""
    market = fresh()
    expected: set[tuple[int, int, bytes]] = set()
    for _ in range(data.draw(st.integers(1, 5))):
        start, stop = sorted(data.draw(st.lists(st.integers(0, 4 * CELL), min_size=2, max_size=2, unique=True)))
        wanted = data.draw(st.sets(addresses, min_size=1))
        span, how = Span(start, stop), data.draw(st.sampled_from(["seal", "tail", "as_found"]))
        table = of(found, span, *wanted)
        if how == "seal":
            seal_logs(lake._shelf, market, span, table, everything(*wanted), ORIGIN)
        elif how == "tail" and not any((lake.path / "tail" / "logs" / market).glob("tail*")):
            replace_tail(lake._shelf, LOG_DATA, market, span, table, everything(*wanted), ORIGIN)
        elif table.num_rows:
            keep_as_found(lake._shelf, market, table, ORIGIN)
        else:
            continue
        expected |= {row for row in found if start <= row[0] < stop and row[2] in wanted}
    assert places(lake, market) == sorted((block, index) for block, index, _ in expected)
    part, only = Span(CELL // 2, 3 * CELL), {POOL, ORACLE}
    got = list(lake.read_logs(market, part, addresses=only, columns=["block_number", "log_index", "address"]))
    assert [tuple(row.values()) for table in got for row in table.to_pylist()] == sorted(
        row for row in expected if part.start <= row[0] < part.stop and row[2] in only
    )
    by_sql = lake.query(f"SELECT block_number, log_index FROM logs WHERE market = '{market}' ORDER BY ALL").table()
    assert list(zip(*by_sql.to_pydict().values(), strict=True)) == places(lake, market)


topics = st.one_of(st.none(), st.sets(st.sampled_from([SUPPLY, BORROW]), min_size=1).map(frozenset))
filters = st.dictionaries(addresses, topics, min_size=1).map(Filter)
spans = st.tuples(st.integers(0, 19), st.integers(1, 8)).map(lambda pair: Span(pair[0], pair[0] + pair[1]))


@given(held=st.lists(st.tuples(spans, filters, st.sampled_from(Status)), max_size=6), span=spans, wanted=filters)
def test_gaps_are_exactly_what_nobody_looked_at(
    held: list[tuple[Span, Filter, Status]], span: Span, wanted: Filter
) -> None:
    segments = tuple(
        Segment(str(n), LOG_DATA, one, status, Linkage.VERIFIED, "", CHAIN, 0, b"", kept, 0)
        for n, (one, kept, status) in enumerate(held)
    )
    gaps = Coverage("m", segments).gaps(span, wanted, SEALED)
    found = {
        (block, a, t) for gap in gaps for block in range(gap.span.start, gap.span.stop) for a, t in atoms(gap.missing)
    }
    expected = set()
    for block in range(span.start, span.stop):
        known = [kept for one, kept, status in held if status in SEALED and one.start <= block < one.stop]
        for address, topic in atoms(wanted):
            looked = any(
                address in k.topics and (k.topics[address] is None or topic in (k.topics[address] or ())) for k in known
            )
            if not looked:
                expected.add((block, address, topic))
    assert found == expected
    assert all(one.span.stop <= other.span.start for one, other in itertools.pairwise(gaps))


def atoms(wanted: Filter) -> set[tuple[bytes, bytes | None]]:
    """Pairs of address and topic; None stands for all topics."""
    return {(address, topic) for address, topics in wanted.topics.items() for topic in (topics or {None})}


@given(span=spans, size=st.integers(1, 9))
def test_pieces_cover_a_span_without_crossing_a_border_of_the_grid(span: Span, size: int) -> None:
    cut = list(Grid(size).pieces(span))
    assert [block for piece in cut for block in range(piece.start, piece.stop)] == list(range(span.start, span.stop))
    assert all(piece.start // size == (piece.stop - 1) // size for piece in cut)
    assert all(piece.stop % size == 0 for piece in cut[:-1])


@given(mask=st.lists(st.booleans(), max_size=12), cuts=st.lists(st.integers(0, 12), max_size=3))
def test_rows_are_kept_and_joined_as_arrow_filters_and_concatenates(mask: list[bool], cuts: list[int]) -> None:
    table = pa.table({"row": pa.array(range(len(mask)), pa.int64())})
    assert kept(table, np.array(mask, bool)).equals(table.filter(pa.array(mask, pa.bool_())))
    borders = [0, *sorted(min(one, len(mask)) for one in cuts), len(mask)]
    whole = joined(table.schema, (table.slice(start, stop - start) for start, stop in itertools.pairwise(borders)))
    assert whole.equals(table)
    assert whole.column("row").num_chunks == 1

"""Sealing: what is kept, what is refused, and that nothing is ever overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2liq.errors import DuplicateLogError, FilterError, GapError, InputError, LakeError, ReorgError
from l2liq.events.commitment import table_root
from l2liq.events.filter import Filter
from l2liq.lake import BLOCK_DATA, LOG_DATA, OBSERVATION_DATA, SEALED, Lake, Linkage, Span, slug_of
from tests.lake_tables import (
    BORROW,
    CHAIN,
    MARKET,
    ORACLE,
    POOL,
    SUPPLY,
    TOKEN,
    everything,
    files,
    headers,
    logs,
    observation,
    places,
    seal,
)  # fmt: skip

CELL = Span(100, 200)
ROWS = [(150, 3, POOL), (101, 0, POOL), (150, 1, POOL)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def test_a_segment_says_what_it_is(lake: Lake) -> None:
    table = logs(ROWS)
    with lake.writer(MARKET, CHAIN) as writer:
        [segment] = writer.seal_logs(
            CELL, table, Filter({POOL: frozenset({SUPPLY})}), linkage=Linkage.VERIFIED, source="https://user:pw@node.example/key?a=b"
        )  # fmt: skip
    path = lake.path / "logs" / "aave-v3-testnet" / "000000000100-000000000199.parquet"
    footer = json.loads(pq.read_metadata(path).metadata[b"l2liq"])
    assert footer == {
        "lake_version": 1, "dataset": "logs", "market": "aave-v3-testnet", "chain_id": CHAIN, "start": 100, "stop": 200,
        "status": "sealed", "linkage": "verified", "source": "https://node.example", "rows": 3,
        "root": "0x" + table_root(table.sort_by([("block_number", "ascending"), ("log_index", "ascending")])).hex(),
        "filter": {"0x" + POOL.hex(): ["0x" + SUPPLY.hex()]},
    }  # fmt: skip
    assert segment.rows == 3
    assert places(lake) == [(101, 0), (150, 1), (150, 3)]


def test_the_same_rows_again_change_no_byte(lake: Lake) -> None:
    seal(lake, CELL, logs(ROWS), everything(POOL))
    before = files(lake)
    assert seal(lake, CELL, logs([*reversed(ROWS), *ROWS]), everything(POOL)) == 0
    assert files(lake) == before


def test_other_rows_for_the_same_blocks_are_a_reorg_and_overwrite_nothing(lake: Lake) -> None:
    seal(lake, CELL, logs(ROWS), everything(POOL))
    before, root = files(lake), lake.dataset_root(MARKET)
    message = r"^logs/aave-v3-testnet/000000000100-000000000199\.parquet: another history .*block_number 1"
    for other in (logs(ROWS, data=b"\x06"), logs(ROWS[:2]), logs([*ROWS, (160, 0, POOL)]), logs([])):
        with pytest.raises(
            ReorgError,
            match=message,
        ):
            seal(lake, CELL, other, everything(POOL))
    assert files(lake) == before
    assert lake.dataset_root(MARKET) == root


def test_the_same_logs_under_another_block_hash_are_a_reorg_but_an_unknown_hash_is_none(lake: Lake) -> None:
    seal(lake, CELL, logs(ROWS), everything(POOL))
    assert seal(lake, CELL, logs(ROWS, with_hash=False), everything(POOL)) == 0
    forked = logs(ROWS).set_column(1, LOG_DATA.schema.field(1), pa.array([b"f" * 32] * 3, pa.binary(32)))
    with pytest.raises(ReorgError):
        seal(lake, CELL, forked, everything(POOL))


def test_addresses_found_later_are_sealed_beside(lake: Lake) -> None:
    seal(lake, CELL, logs(ROWS), everything(POOL))
    before = files(lake)
    rows = [*ROWS, (120, 0, TOKEN), (150, 2, TOKEN)]
    assert seal(lake, CELL, logs(rows), everything(POOL, TOKEN)) == 1
    assert list(files(lake)) == ["000000000100-000000000199.parquet", "000000000100-000000000199.s1.parquet"]
    assert before.items() <= files(lake).items()
    assert places(lake) == [(101, 0), (120, 0), (150, 1), (150, 2), (150, 3)]
    assert lake.coverage(MARKET).covered(CELL).topics == {POOL: None, TOKEN: None}


def test_topics_wanted_later_are_sealed_beside_but_all_topics_never_doubly(lake: Lake) -> None:
    seal(lake, CELL, logs(ROWS), Filter({POOL: frozenset({SUPPLY})}))
    both = pa.concat_tables([logs(ROWS), logs([(130, 0, POOL)], topic=BORROW)])
    assert seal(lake, CELL, both, Filter({POOL: frozenset({SUPPLY, BORROW})})) == 1
    assert places(lake) == [(101, 0), (130, 0), (150, 1), (150, 3)]
    before = files(lake)
    with pytest.raises(LakeError, match=r"sealed for some topics of 0x.* and cannot be widened to all"):
        seal(lake, CELL, both, everything(POOL))
    assert files(lake) == before


def test_a_study_window_inside_a_cell_is_kept_and_the_cell_sealed_around_it(lake: Lake) -> None:
    window = Span(120, 160)
    seal(lake, window, logs([row for row in ROWS if row[0] != 101]), everything(POOL))
    assert seal(lake, CELL, logs(ROWS), everything(POOL)) == 2
    assert list(files(lake)) == [
        "000000000100-000000000119.parquet", "000000000120-000000000159.parquet", "000000000160-000000000199.parquet",
    ]  # fmt: skip
    assert places(lake) == [(101, 0), (150, 1), (150, 3)]
    assert lake.coverage(MARKET).gaps(CELL, everything(POOL), SEALED) == []


def test_an_empty_segment_means_looked_and_nothing_there(lake: Lake) -> None:
    seal(lake, CELL, logs([]), everything(POOL))
    lake.coverage(MARKET).require(CELL, everything(POOL))
    assert places(lake) == []


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (logs([(200, 0, POOL)]), InputError, "block_number 200, log_index 0 is not in blocks 100–199"),
        (logs([(150, 0, TOKEN)]), FilterError, f"is of 0x{TOKEN.hex()}, which the filter does not let through"),
        (logs(ROWS).drop_columns(["data", "topic1"]), InputError, "logs without topic1, data"),
        (logs(ROWS).set_column(6, "address", pa.array([b"x" * 19] * 3, pa.binary())), InputError, "has another type"),
        (logs(ROWS).set_column(5, "timestamp_s", pa.array([1, None, 3], pa.int64())), InputError, "_s is empty"),
        (pa.concat_tables([logs(ROWS), logs(ROWS[:1], data=b"\x06")]), DuplicateLogError, "block_number 150, log_i"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_are_refused_and_nothing_is_written(
    lake: Lake, table: pa.Table, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        seal(lake, CELL, table, everything(POOL))
    assert files(lake) == {}


def test_headers_and_observations_grow_but_never_change(lake: Lake) -> None:
    with lake.writer(MARKET, CHAIN) as writer:
        put = {"linkage": Linkage.VERIFIED, "source": "test"}
        assert len(writer.seal(BLOCK_DATA, CELL, headers([100, 150, 199]), **put)) == 1
        assert writer.seal(BLOCK_DATA, CELL, headers([150]), **put) == []
        assert len(writer.seal(BLOCK_DATA, CELL, headers([100, 120]), **put)) == 1
        with pytest.raises(ReorgError, match="blocks/aave-v3-testnet"):
            writer.seal(BLOCK_DATA, CELL, headers([120], fork=1), **put)
        assert len(writer.seal(OBSERVATION_DATA, CELL, observation(150, b"\x01"), **put)) == 1
        assert writer.seal(OBSERVATION_DATA, CELL, observation(150, b"\x01", "given"), **put) == []
        with pytest.raises(ReorgError, match="observations/aave-v3-testnet"):
            writer.seal(OBSERVATION_DATA, CELL, observation(150, b"\x02"), **put)
    assert lake.read(BLOCK_DATA, MARKET).column("number").to_pylist() == [100, 120, 150, 199]
    assert lake.read(BLOCK_DATA, MARKET, Span(110, 160)).column("number").to_pylist() == [120, 150]


def test_the_tail_is_replaced_and_gives_way_to_what_is_sealed(lake: Lake) -> None:
    put = {"linkage": Linkage.VERIFIED, "source": "test"}
    with lake.writer(MARKET, CHAIN) as writer:
        writer.seal_logs(CELL, logs(ROWS), everything(POOL), **put)
        writer.replace_tail(LOG_DATA, Span(200, 230), logs([(210, 0, POOL), (220, 5, POOL)]), everything(POOL), **put)
        writer.replace_tail(LOG_DATA, Span(200, 240), logs([(210, 0, POOL), (220, 1, POOL)]), everything(POOL), **put)
        assert places(lake)[-2:] == [(210, 0), (220, 1)]
        with_tail = lake.dataset_root(MARKET)
        assert lake.coverage(MARKET).marks(Span(200, 210)) == ("tail",)
        writer.seal_logs(Span(200, 300), logs([(210, 0, POOL), (225, 0, POOL)]), everything(POOL), **put)
    assert places(lake)[-2:] == [(210, 0), (225, 0)], "a reorganised row of the tail must not outlive the sealed cell"
    assert lake.dataset_root(MARKET) != with_tail


def test_a_file_as_found_is_usable_flagged_and_seals_nothing(lake: Lake) -> None:
    with lake.writer(MARKET, CHAIN) as writer:
        writer.keep_as_found(logs([(150, 3, POOL), (160, 0, POOL)]), source="found.csv")
        writer.keep_as_found(logs([(160, 0, POOL), (170, 0, TOKEN)]), source="more.csv")
    coverage = lake.coverage(MARKET)
    assert places(lake) == [(150, 3), (160, 0), (170, 0)]
    assert coverage.marks(CELL) == ("as_found", "unverified")
    coverage.require(Span(150, 161), everything(POOL))
    assert coverage.gaps(Span(150, 161), everything(POOL), SEALED)
    with lake.writer(MARKET, CHAIN) as writer, pytest.raises(ReorgError):
        writer.keep_as_found(logs([(160, 0, POOL)], data=b"\x06"), source="other.csv")
    seal(lake, CELL, logs([(150, 3, POOL)]), everything(POOL))
    assert places(lake) == [(150, 3), (170, 0)], "where a sealed segment speaks, files as found do not"


def test_missing_coverage_names_blocks_addresses_and_the_command(lake: Lake) -> None:
    lake.grid(CHAIN, 100)
    seal(lake, CELL, logs(ROWS), everything(POOL))
    with pytest.raises(GapError) as caught:
        lake.coverage(MARKET).require(Span(100, 1300), everything(POOL, ORACLE), market=MARKET)
    assert str(caught.value) == (
        f"logs/aave-v3-testnet: blocks 100–199 are missing for 0x{ORACLE.hex()} and 1 more ranges up to block "
        "1,299 (12 cells). "
        "Fetch them with `l2liq ingest https://… --market aave-v3/testnet --from-block 100 --to-block 1300`."
    )


def test_unsealing_moves_the_segment_and_all_that_descend_from_it_to_quarantine(lake: Lake) -> None:
    for start in (100, 200, 300):
        seal(lake, Span(start, start + 100), logs([(start + 5, 0, POOL)]), everything(POOL))
    kept, lost = files(lake)["000000000100-000000000199.parquet"], files(lake)["000000000200-000000000299.parquet"]
    with lake.writer(MARKET, CHAIN) as writer:
        moved = writer.unseal_from(250, reason="parent hash of block 250 does not match")
    assert [name.rpartition("/")[2] for name in moved] == [
        "000000000300-000000000399.parquet",
        "000000000200-000000000299.parquet",
    ]
    assert files(lake) == {"000000000100-000000000199.parquet": kept}
    [entry] = lake.quarantined()
    assert entry.reason == "parent hash of block 250 does not match"
    assert (entry.path / "logs/aave-v3-testnet/000000000200-000000000299.parquet").read_bytes() == lost
    assert seal(lake, Span(200, 300), logs([(205, 0, POOL)], data=b"\x06"), everything(POOL)) == 1


def test_what_is_refused_is_kept_with_the_reason(lake: Lake) -> None:
    lake.quarantine(b"not a log", reason="cut short", place="https://u:p@node.example/secret")
    lake.quarantine(logs(ROWS), reason="wrong chain", place="found.csv")
    first, second = lake.quarantined()
    assert (first.reason, first.place, first.files) == ("cut short", "https://node.example", ("content.bin",))
    assert (first.path / "content.bin").read_bytes() == b"not a log"
    assert pq.read_table(second.path / "rows.parquet").num_rows == 3


@pytest.mark.parametrize("name", ["../x", "a/../../b", "a/b/c", "/etc", "_schema", "x'; DROP VIEW logs; --", 'a"b', "A",
                                  "", "-a", "a--b", "a b", "a" * 101, "\x00", "é", "a\n"])  # fmt: skip
def test_names_that_are_paths_or_sql_cannot_name_a_market(lake: Lake, name: str) -> None:
    with pytest.raises(InputError, match="cannot name a market"), lake.writer(name, CHAIN):
        pass
    with pytest.raises(InputError, match="cannot name a market"):
        lake.coverage(name)


def test_a_market_keeps_its_slug() -> None:
    assert slug_of("aave-v3/arbitrum") == slug_of("aave-v3-arbitrum") == "aave-v3-arbitrum"


def test_a_market_stays_on_its_chain(lake: Lake) -> None:
    seal(lake, CELL, logs(ROWS), everything(POOL))
    with pytest.raises(InputError, match=f"on chain {CHAIN} in this lake, not 10"), lake.writer(MARKET, 10):
        pass


def test_cells_of_a_chain_have_one_size(lake: Lake) -> None:
    grid = lake.grid(CHAIN, 100)
    assert list(grid.pieces(Span(150, 320))) == [Span(150, 200), Span(200, 300), Span(300, 320)]
    assert list(grid.whole_cells(Span(150, 320))) == [Span(200, 300)]
    assert Lake.open(lake.path).grid(CHAIN, 100) == grid
    with pytest.raises(LakeError, match="cells of chain 31337 have 100 blocks here, not 200"):
        lake.grid(CHAIN, 200)

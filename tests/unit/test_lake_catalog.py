"""Catalog and queries: what SQL sees, what it may not do, and how results come out."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2liq.errors import InputError
from l2liq.events.log import key_of
from l2liq.lake import BLOCK_DATA, LOG_DATA, CacheKey, Lake, Linkage, Span
from l2liq.lake.markets import shown_tables
from l2liq.lake.queries import write_csv, write_json, write_parquet, write_table
from l2liq.market import LEDGER, PRICE, Ledger, Leg, LegKind, Market, Series
from l2liq.outcome.schema import METRICS
from tests.lake_tables import CHAIN, MARKET, ORACLE, POOL, TOKEN, everything, headers, logs
from tests.small_market import START_S, small_market

NASTY = "it's [a] *lake*? 100%, {b}; $c "
KEY = CacheKey(b"r" * 32, "abi", "code")


def filled(path: Path) -> Lake:
    """A lake with sealed logs, a supplement, a tail, a file as found, headers, events, a run."""
    lake = Lake.create(path)
    put = {"linkage": Linkage.VERIFIED, "source": "test"}
    with lake.writer(MARKET, CHAIN) as writer:
        writer.keep_as_found(logs([(105, 0, POOL), (205, 0, POOL), (206, 0, TOKEN)]), source="found.csv")
        writer.seal_logs(Span(100, 200), logs([(105, 0, POOL), (110, 1, POOL)]), everything(POOL), **put)
        writer.seal_logs(Span(100, 200), logs([(110, 0, ORACLE)]), everything(ORACLE), **put)
        writer.replace_tail(LOG_DATA, Span(200, 220), logs([(207, 0, POOL)]), everything(POOL), **put)
        writer.seal(BLOCK_DATA, Span(100, 200), headers([100, 199]), **put)
        writer.replace_tail(BLOCK_DATA, Span(199, 220), headers([199, 219]), **put)
    liquidations = pa.table({"block_number": [110], "debt_to_cover": pa.array([5], pa.decimal128(38, 0))})
    lake.event_cache("aave-v3", MARKET).write("2023q4", [{"LiquidationCall": liquidations}], KEY)
    metric = {"run_id": "run-1", "world": "control", "metric": "bad_debt", "asset": None, "value": 1.5, "unit": "usd"}
    lake.publish_run("run-1", {"market": MARKET}, {"metrics": pa.Table.from_pylist([metric], schema=METRICS)})
    return lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return filled(tmp_path_factory.mktemp("catalog") / NASTY)


def rows(lake: Lake, sql: str) -> list[tuple[object, ...]]:
    return list(lake.query(sql).rows())


def test_the_logs_view_is_what_reading_gives(lake: Lake) -> None:
    read = [
        tuple(row.values())
        for table in lake.read_logs(MARKET, columns=["block_number", "log_index"])
        for row in table.to_pylist()
    ]
    assert rows(lake, "SELECT block_number, log_index FROM logs ORDER BY ALL") == read
    assert rows(lake, "SELECT status, count(*) FROM logs GROUP BY ALL ORDER BY ALL") == [
        ("as_found", 1),
        ("sealed", 3),
        ("tail", 1),
    ]


def test_views_show_markets_runs_events_and_coverage(lake: Lake) -> None:
    assert rows(lake, "SELECT market, debt_to_cover FROM aave_v3_liquidation_call") == [("aave-v3-testnet", "5")]
    assert rows(lake, "SELECT number, status FROM blocks ORDER BY 1") == [
        (100, "sealed"),
        (199, "sealed"),
        (219, "tail"),
    ]
    assert rows(lake, "SELECT run_id, market FROM runs") == [("run-1", MARKET)]
    assert rows(lake, "SELECT metric, value FROM metrics") == [("bad_debt", 1.5)]
    assert rows(lake, "SELECT first_block, last_block, status, address_count FROM coverage ORDER BY ALL") == [
        (100, 199, "sealed", 1), (100, 199, "sealed", 1), (105, 206, "as_found", 2), (200, 219, "tail", 1),
    ]  # fmt: skip
    for view in (
        "receipts",
        "observations",
        "ledger",
        "series",
        "parameters",
        "assets",
        "market_accounts",
        "outcomes",
        "accounts",
    ):
        assert rows(lake, f"SELECT count(*) FROM {view}") == [(0,)]


def test_macros_speak_to_people(lake: Lake) -> None:
    sql = f"SELECT hex0x(address), time_of(timestamp_s)::VARCHAR FROM logs WHERE address = from0x('0x{ORACLE.hex()}')"
    assert rows(lake, sql) == [("0x" + ORACLE.hex(), "2023-11-14 22:17:00")]
    assert rows(
        lake, "SELECT block_of(key_of(7, 3)), log_index_of(key_of(7, 3)), from_ray(1e27), units(1500000, 6)"
    ) == [(7, 3, 1.0, 1.5)]


def test_the_catalog_file_shows_the_same_by_hand_and_every_column_has_a_comment(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lake.rebuild_catalog()
    monkeypatch.chdir(lake.path)
    with duckdb.connect(path.name, read_only=True) as connection:
        expected = rows(lake, "SELECT market, block_number, log_index FROM logs ORDER BY ALL")
        assert connection.sql("SELECT market, block_number, log_index FROM logs ORDER BY ALL").fetchall() == expected
        bare = (
            "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'catalog' AND comment IS NULL"
        )
        assert connection.sql(bare).fetchall() == []
        assert connection.sql(
            "SELECT count(*) FROM duckdb_views() WHERE comment IS NULL AND NOT internal"
        ).fetchall() == [(0,)]
    assert path.read_bytes()[8:12] == b"DUCK"
    assert not list(lake.path.glob("catalog.duckdb.*"))


FORBIDDEN = """
COPY (SELECT 1) TO '{lake}/x.csv'
EXPLAIN ANALYZE COPY (SELECT 1) TO '{lake}/x.csv'
CREATE TABLE t (a INT)
DROP VIEW logs
SELECT 1; DROP VIEW logs
ATTACH '{lake}/x.db'
INSTALL httpfs
SET lock_configuration = false
PRAGMA enable_external_access
SELECT
SELECT nothing FROM logs
SELECT * FROM nowhere
SELECT 'a'::INT
SELECT * FROM read_text('/etc/passwd')
SELECT * FROM '{lake}/../outside.csv'
SELECT * FROM read_text('lake.json')
SELECT * FROM glob('/*')
SELECT * FROM 'https://node.example/x.parquet'
SELECT getenv('HOME')
"""


def market_of_one_account() -> Market:
    """Legs that go up, below zero, and beyond 38 digits; parameters that change once."""
    amounts = [7, -3, 10**38 - 1, 10**38, 1 - 10**38, -(10**38), -(2**128), -(2**255)]
    ledger = pa.table(
        {
            "key": [key_of(1_000 + n, n) for n in range(len(amounts))],
            "timestamp_s": [START_S + n for n in range(len(amounts))],
            "transaction_index": pa.array([0] * len(amounts), pa.int32()),
            "account": pa.array([1] * len(amounts), pa.int32()),
            "leg": pa.array([0] * len(amounts), pa.int16()),
            "after_raw": pa.array([amount.to_bytes(32, "big", signed=True) for amount in amounts], pa.binary(32)),
        },
        schema=LEDGER,
    )
    raw = np.frombuffer((2_000 * 10**8).to_bytes(32, "big"), np.uint8).reshape(1, 32)
    price = Series(PRICE, 0, np.array([key_of(1_000, 5)]), np.array([START_S]), raw)
    return replace(
        small_market(),
        legs=(Leg(LegKind.COLLATERAL, "collateral/weth", 0),),
        addresses=pa.array([ORACLE, POOL], pa.binary(20)),
        ledger=Ledger(ledger, 2),
        series={(PRICE, 0): price},
    )


def test_a_folded_market_can_be_queried_by_address_name_and_number(tmp_path: Path) -> None:
    lake, market = Lake.create(tmp_path / "lake"), market_of_one_account()
    snapshot = {"ledger": market.ledger.table}
    lake.market_cache(market.slug).write(KEY, {**snapshot, **shown_tables(market)}, {})
    assert rows(
        lake, 'SELECT market, block_number, log_index, hex0x(account), kind, leg, "after" FROM ledger ORDER BY key'
    ) == [
        ("aave-v3-small", 1_000 + n, n, "0x" + POOL.hex(), "collateral", "collateral/weth", after)
        for n, after in enumerate(["7", "-3", str(10**38 - 1), None, str(1 - 10**38), None, None, None])
    ]
    assert rows(lake, 'SELECT kind, asset, block_number, log_index, "value" FROM series') == [
        (PRICE, 0, 1_000, 5, "200000000000")
    ]
    assert rows(lake, "SELECT asset, symbol, decimals FROM assets ORDER BY 1") == [
        (0, "WETH", 18),
        (1, "USDC", 6),
        (2, "USDC", 6),
    ]
    changed = "FROM parameters WHERE block_number = 1500"
    assert rows(lake, f"SELECT subject, item, name, \"value\" {changed} AND item = '0'") == [
        ("reserves", "0", "liquidation_threshold_bps", "8300")
    ]
    assert rows(lake, f"SELECT DISTINCT subject, item {changed} ORDER BY ALL") == [("reserves", "0"), ("reserves", "2")]
    assert rows(lake, "SELECT \"value\" FROM parameters WHERE subject = 'emodes' AND name = 'label'") == [
        ("Stablecoins",)
    ]


@pytest.mark.parametrize("sql", ["", "  ", *FORBIDDEN.strip().splitlines()])
def test_a_query_reads_the_lake_and_does_nothing_else(lake: Lake, sql: str) -> None:
    (lake.path.parent / "outside.csv").write_text("a\n1\n")
    before = sorted(lake.path.rglob("*"))
    with pytest.raises(InputError):
        lake.query(sql.format(lake=lake.path)).table()
    assert sorted(lake.path.rglob("*")) == before


def test_a_query_may_read_files_of_the_lake(lake: Lake) -> None:
    path = str(lake.path / "lake.json").replace("'", "''").replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")
    assert len(rows(lake, f"SELECT content FROM read_text('{path}')")) == 1


RESULT = "SELECT 1 AS n, 'a,\"b\"\n\x1b[31m' AS text, from0x('0x00ff') AS raw, 12345678901234567890123456789012345678::DECIMAL(38, 0) AS exact, NULL AS none"  # noqa: E501


def test_results_come_out_as_table_csv_json_and_parquet(lake: Lake, tmp_path: Path) -> None:
    out = io.StringIO()
    assert write_csv(lake.query(RESULT), out) == 1
    assert list(csv.reader(io.StringIO(out.getvalue()))) == [
        ["n", "text", "raw", "exact", "none"],
        ["1", 'a,"b"\n\x1b[31m', "0x00ff", "12345678901234567890123456789012345678", ""],
    ]
    out = io.StringIO()
    assert write_json(lake.query(RESULT), out) == 1
    assert json.loads(out.getvalue()) == [
        {
            "n": 1,
            "text": 'a,"b"\n\x1b[31m',
            "raw": "0x00ff",
            "exact": "12345678901234567890123456789012345678",
            "none": None,
        }
    ]
    out = io.StringIO()
    assert write_table(lake.query(RESULT), out) == 1
    assert out.getvalue().count("\n") == 3
    assert "\x1b" not in out.getvalue(), "text of the chain must not steer the terminal"
    assert write_parquet(lake.query(RESULT), tmp_path / "r.parquet") == 1
    assert pq.read_table(tmp_path / "r.parquet").column("raw").to_pylist() == [b"\x00\xff"]


def test_an_empty_result_is_still_a_table(lake: Lake) -> None:
    outs = [io.StringIO() for _ in range(3)]
    counts = [
        write(lake.query("SELECT 1 AS n WHERE false"), out)
        for write, out in zip((write_csv, write_json, write_table), outs, strict=True)
    ]
    assert counts == [0, 0, 0]
    assert [out.getvalue() for out in outs] == ["n\r\n", "[]\n", "n\n─\n"]


def test_a_query_that_fails_half_way_leaves_no_file(lake: Lake, tmp_path: Path) -> None:
    sql = "SELECT CASE WHEN range < 90000 THEN 1 ELSE error('no') END FROM range(100000)"
    with pytest.raises(InputError, match=r"The query fails: .*no"):
        write_parquet(lake.query(sql), tmp_path / "r.parquet")
    assert list(tmp_path.iterdir()) == []

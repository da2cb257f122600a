"""Files of logs: every tool's file of the same logs reads as the same logs; what is wrong is named by its place."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from l2liq.chains.markets import chains as known_chains
from l2liq.chains.markets import find_market
from l2liq.errors import InputError
from l2liq.events.log import LOGS
from pipelines.sources.logfiles import LogFile
from pipelines.sources.opening import Format
from pipelines.sources.rows import UNTIMED_LOGS
from tests.pipelines.logfiles import WRITERS, as_rpc, chains, table, write_cryo, write_etl, write_json, write_lines

POLYGON = known_chains()["polygon"]
POOL = find_market("aave-v3/polygon").deployment.addresses["pool"]


def read(path: Path, log_format: Format | None = None, contract: bytes | None = None) -> pa.Table:
    tables = LogFile(path, log_format, POLYGON, contract).tables()
    return pa.concat_tables([UNTIMED_LOGS.empty_table(), *tables])


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(logs=chains())
def test_what_any_tool_wrote_reads_as_the_same_logs(tmp_path: Path, write, logs) -> None:
    path = tmp_path / "logs"
    write(path, logs)
    assert read(path).cast(LOGS).equals(table(logs))


def test_the_raw_logs_of_polygon_are_the_2111_of_its_pool(shared_data: Path) -> None:
    found = read(shared_data / "aave-v3-polygon-logs" / "usdc-2024-01-06.raw.csv.gz", contract=POOL)
    assert found.num_rows == 2111
    assert found.column("address").unique().to_pylist() == [POOL]
    assert found.column("timestamp_s")[0].as_py() == 1_704_499_201


def test_every_log_of_the_362_receipts_is_read_from_the_chain_it_says(shared_data: Path) -> None:
    path = shared_data / "l2-receipts" / "receipts.jsonl.gz"
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert len(lines) == 362
    expected = Counter(line["chain"] for line in lines for _ in line["receipt"]["logs"])
    for name in ("arbitrum", "optimism", "polygon"):
        found = pa.concat_tables(LogFile(path, None, known_chains()[name]).tables())
        assert found.num_rows == expected[name]
        wanted = [log["transactionHash"] for line in lines if line["chain"] == name for log in line["receipt"]["logs"]]
        assert ["0x" + one.hex() for one in found.column("transaction_hash").to_pylist()] == wanted


LOG = dict(
    zip(
        LOGS.names,
        (7, b"\1" * 32, 0, b"\2" * 32, 3, 1000, b"\3" * 20, b"\5" * 32, None, None, None, b"\4" * 32),
        strict=True,
    )
)
MANY = [{**LOG, "log_index": index} for index in range(500)]


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_file_cut_short_anywhere_is_refused_or_lacks_whole_logs_only(tmp_path: Path, write, share: float) -> None:
    path = tmp_path / "logs"
    write(path, MANY)
    cut(path, share)
    try:
        found = read(path)
    except InputError as error:
        assert str(path) in str(error)
        return
    assert found.num_rows < len(MANY)
    assert found.cast(LOGS).equals(table(MANY[: found.num_rows]))


@pytest.mark.parametrize(
    "name", ["json", "response", "lines", "receipts", "cryo", "own", "json.gz", "lines.gz", "etl.gz"]
)
def test_a_file_that_lost_its_last_bytes_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "logs"
    WRITERS[name](path, MANY)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match=str(path)):
        read(path)


def broken(field: str, value: object) -> list[dict[str, object]]:
    entries = [as_rpc(log) for log in MANY[:3]]
    entries[1][field] = value
    return entries


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("blockNumber", None), ("blockNumber", "0xzz"), ("blockNumber", -1), ("blockNumber", hex(1 << 70)),
        ("logIndex", True), ("logIndex", hex(1 << 24)), ("address", "0x12"), ("address", 5), ("topics", "0x"),
        ("topics", ["0x12"]), ("topics", ["0x" + "11" * 32] * 5), ("data", "0x1"), ("data", None),
        ("transactionHash", "0x"), ("removed", True), ("blockTimestamp", "soon"), ("blockHash", "0x1234"),
    ],
)  # fmt: skip
def test_a_damaged_field_is_named_by_its_log(tmp_path: Path, field: str, value: object) -> None:
    path = tmp_path / "logs.json"
    path.write_text(json.dumps(broken(field, value)))
    with pytest.raises(InputError, match=r"logs\.json: log 2: ") as caught:
        read(path)
    assert field in str(caught.value) or field == "removed"
    lines = tmp_path / "logs.jsonl"
    lines.write_text("".join(json.dumps(entry) + "\n" for entry in broken(field, value)))
    with pytest.raises(InputError, match=r"logs\.jsonl:2: "):
        read(lines)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"%PDF-1.4 hello", "not a file of logs"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "not a file of logs"),
        (b"just some words\n", "not a file of logs"),
        (b"a,b,c,d\n1,2,3,4\n", "column block_number, transaction_hash"),
        (b'{"some": "object"}\n', ":1: neither a receipt"),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit"}}\n', "error message"),
        (b'[{"hello": 1}]', "log 1: the log has no blockNumber"),
        (b"[1, 2]", "log 1: not a log"),
        (b"PAR1" + bytes(100), "not a whole Parquet file"),
        (b'{"chain": "arbitrum", "receipt": {"logs": []}}\n', "logs of arbitrum, but the market is on polygon"),
    ],
)
def test_a_foreign_file_is_refused_in_one_sentence_that_names_it(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_logs_of_another_chain_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "logs.parquet"
    write_cryo(path, MANY)
    with pytest.raises(InputError, match="a log of chain 137, but the market is on base"):
        list(LogFile(path, None, known_chains()["base"]).tables())


@pytest.mark.parametrize("column", ["block_number", "transaction_hash", "data", "topics"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    path = tmp_path / "logs.csv"
    write_etl(path, MANY)
    path.write_text(path.read_text().replace(column, f"x{column}", 1))
    with pytest.raises(InputError, match=f"column {column} is missing"):
        read(path)
    if column == "topics":
        return
    write_cryo(tmp_path / "logs.parquet", MANY)
    pq.write_table(pq.read_table(tmp_path / "logs.parquet").drop_columns([column]), tmp_path / "less.parquet")
    with pytest.raises(InputError, match=f"column {column} is missing"):
        read(tmp_path / "less.parquet")


def test_a_line_with_too_few_fields_is_named(tmp_path: Path) -> None:
    path = tmp_path / "logs.csv"
    write_etl(path, MANY)
    lines = path.read_text().splitlines()
    lines[4] = lines[4].rsplit(",", 3)[0]
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"logs\.csv:5: fewer fields"):
        read(path)


def test_the_format_can_be_said_and_a_wrong_one_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "logs"
    write_lines(path, MANY)
    assert read(path, Format.JSONL).num_rows == 500
    for wrong in (Format.PARQUET, Format.CSV, Format.JSON):
        with pytest.raises(InputError, match=str(path)):
            read(path, wrong)


def test_a_file_of_no_contract_needs_one(tmp_path: Path) -> None:
    path = tmp_path / "logs.csv"
    write_etl(path, MANY)
    path.write_text(path.read_text().replace("address", "nobody", 1))
    with pytest.raises(InputError, match="--contract"):
        read(path)
    assert read(path, contract=POOL).column("address").unique().to_pylist() == [POOL]


def test_no_file_no_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            read(path)


def test_a_json_file_is_read_as_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "logs.json"
    write_json(path, [{**LOG, "log_index": index} for index in range(20_001)])
    tables = [found.num_rows for found in LogFile(path, None, POLYGON).tables()]
    assert tables == [20_000, 1]

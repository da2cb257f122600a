"""Files that are not what ``l2liq ingest`` asks for: one sentence, exit code 2, and the lake as it was."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.e2e.cli import LOGS, MARKET, STOP, ingesting, l2liq, roots

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli")]

RAW = LOGS.read_bytes()
TABLE = pq.read_table(LOGS)
COLUMNS = {name: TABLE.column(name) for name in TABLE.column_names}


def wrote(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def tabled(table: pa.Table) -> Callable[[Path], object]:
    return lambda path: pq.write_table(table, path)


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.parquet": (wrote(b""), "the file is empty. Export the logs again"),
    "half.parquet": (wrote(RAW[: len(RAW) // 2]), "not a whole Parquet file"),
    "almost.parquet": (wrote(RAW[:-10]), "not a whole Parquet file"),
    "middle.parquet": (wrote(RAW[:1000] + RAW[2000:]), "damaged|not a whole Parquet file|cannot be read"),
    "noise.bin": (wrote(random.Random(1).randbytes(5_000)), "not a file of logs. Readable are json"),
    "zeros.json": (wrote(bytes(100)), "not a file of logs"),
    "latin.csv": (wrote(b"block_number,\xff\xfe\n1,2\n"), "not a file of logs"),
    "picture.png": (wrote(b"\x89PNG\r\n\x1a\n" + bytes(99)), "not a file of logs"),
    "folder": (lambda path: path.mkdir(), r"a folder, not a file\. Name the files in it"),
    "nowhere.parquet": (lambda path: None, "no such file"),
    "open.json": (wrote(b"[" * 100_000), "nested deeper than any log"),
    "deep.json": (wrote(b"[" * 100_000 + b"]" * 100_000), "nested deeper than any log"),
    "cut.json": (wrote(b'[{"address": "0x'), "ends too early or is damaged"),
    "none.json": (wrote(b"[]"), r"no logs in blocks 0–3,985\. Check the file, the chain and the range"),
    "other.jsonl": (wrote(b'{"a": 1}\n'), r"other\.jsonl:1: neither a receipt with logs nor a log"),
    "foreign.parquet": (tabled(pa.table({"x": [1]})), "column block_number.* is missing"),
    "nodata.parquet": (tabled(TABLE.drop_columns(["data"])), "the column data is missing"),
    "norows.parquet": (tabled(TABLE.slice(0, 0)), "no logs in blocks"),
    "chain.jsonl": (wrote(b'{"chainId": 10, "logs": []}\n'), "logs of chain 10.* Give the file of the right chain"),
    "negative.parquet": (
        tabled(pa.table(COLUMNS | {"block_number": pc.negate(COLUMNS["block_number"])})),
        "no logs in blocks 0–3,985",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_none_of_logs_is_named_and_changes_nothing(sampled: Path, tmp_path: Path, name: str) -> None:
    make, message = BAD_FILES[name]
    make(tmp_path / name)
    before = roots(sampled)
    told = l2liq(*ingesting(tmp_path / name), lake=sampled).refusal()
    assert name in told
    assert re.search(message, told), told
    assert roots(sampled) == before


def test_order_and_repetition_of_logs_do_not_matter(sampled: Path, tmp_path: Path) -> None:
    order = list(range(TABLE.num_rows)) * 2
    random.Random(1).shuffle(order)
    pq.write_table(TABLE.take(order), tmp_path / "shuffled.parquet")
    assert l2liq(*ingesting(tmp_path / "shuffled.parquet"), lake=tmp_path / "lake").code == 0
    assert roots(tmp_path / "lake") == roots(sampled)


def changed(number: int, **columns: object) -> pa.Table:
    """The sample with other values in one log."""
    row = TABLE.slice(number, 1).to_pylist()[0] | columns
    return pa.concat_tables(
        [TABLE.slice(0, number), pa.Table.from_pylist([row], TABLE.schema), TABLE.slice(number + 1)]
    )


def test_another_history_of_sealed_blocks_is_a_reorg_and_overwrites_nothing(sampled: Path, tmp_path: Path) -> None:
    number = TABLE.num_rows // 2
    data = TABLE.column("data")[number].as_py()
    pq.write_table(changed(number, data=data[:-1] + bytes([data[-1] ^ 1])), tmp_path / "fork.parquet")
    before = roots(sampled)
    told = l2liq(*ingesting(tmp_path / "fork.parquet"), lake=sampled).refusal()
    assert "reorg" in told or "contradict" in told, told
    assert roots(sampled) == before


def test_a_log_that_does_not_fit_its_event_is_quarantined_and_said(tmp_path: Path) -> None:
    pq.write_table(changed(TABLE.num_rows // 2, data=b"\0" * 31), tmp_path / "odd.parquet")
    said = l2liq(*ingesting(tmp_path / "odd.parquet"), lake=tmp_path / "lake")
    assert said.code == 1
    assert "uarantine" in said.out
    assert "uarantine" in l2liq("status", lake=tmp_path / "lake").out
    told = l2liq("check", "--market", MARKET, lake=tmp_path / "lake").refusal()
    assert re.search(r"blocks .* are missing|never looked at", told), told
    assert "l2liq ingest" in told


def test_a_gap_is_named_with_the_command_that_closes_it(tmp_path: Path) -> None:
    for window in ("0:1000", f"2000:{STOP}"):
        assert l2liq(*ingesting(complete=window), lake=tmp_path / "lake").code == 0
    told = l2liq("check", "--market", MARKET, lake=tmp_path / "lake").refusal()
    assert re.search("blocks 1,000–", told), told
    assert "l2liq ingest" in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--complete", "5:4"), "write FROM:TO"),
        (("--complete", "a:b"), "--complete a:b: write FROM:TO"),
        (("--complete", "-5:10"), "write FROM:TO"),
        (("--complete", "0:" + "9" * 20), "write FROM:TO"),
        (("--complete", "0:999999999999"), r"cells.*Check the block numbers"),
        (("--complete", ""), "write FROM:TO"),
        (("--format", "nonsense"), r"--format nonsense: not a format\. Known: json, jsonl, csv, parquet"),
        (("--format", "csv"), "not text"),
        (("--contract", "0x12"), "not an address"),
        (("--market", "aave-v3/arbitrum"), r"none of its .* contracts is known to be of aave-v3/arbitrum"),
        (("--market", "aave-v3/nowhere"), r"'aave-v3/nowhere' is not known\. Known are aave-v3/sample, aave-v3/"),
        (("--market", "../../etc/passwd"), "is not known|no market"),
        (("--market", ""), "is not known"),
        (("--market", "x" * 5_000), "is not known"),
        (("--market", "/dev/zero"), "is not known|not a file"),
        (("--from-block", "10", "--to-block", "5"), r"blocks 10 to 5 are no range\. Give a first block below the end"),
        (("--from-block", str(1 << 62)), "are no range"),
        (("http://127.0.0.1:1",), "one RPC address, or files"),
        (("--dry-run",), "for nodes"),
        (("--prices", "/nowhere.csv"), "/nowhere.csv: no such file"),
        (("--blocks", "/nowhere.csv"), "/nowhere.csv: no such file"),
    ],
)
def test_an_option_that_cannot_be_is_named(sampled: Path, options: tuple[str, ...], message: str) -> None:
    before = roots(sampled)
    words = ["ingest", LOGS, *options]
    words += [] if "--market" in options else ["--market", MARKET]
    told = l2liq(*words, lake=sampled).refusal()
    assert re.search(message, told), told
    assert roots(sampled) == before


@pytest.mark.parametrize(
    "words",
    [
        ("ingest",),
        ("ingest", "x.json"),
        ("ingest", "x.json", "--market", "m", "--from-block", "-5"),
        ("ingest", "x.json", "--market", "m", "--from-block", "ten"),
        ("ingest", "x.json", "--market", "m", "--nonsense"),
        ("ingest", "https://x", "--market", "m", "--concurrency", "0"),
        ("nonsense",),
        ("query",),
        ("query", "SELECT 1", "--format", "nonsense"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_tells_of_help(words: tuple[str, ...]) -> None:
    assert "--help' for help" in l2liq(*words).usage()

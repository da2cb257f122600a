"""Symbols, labels and queries that are SQL, HTML, a path or an escape sequence: shown as they are, never obeyed."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.cli import LOGS, MARKET, SCENARIO, STOP, l2liq, quick

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli")]

SQL = "WETH'; DROP TABLE logs; --"
HTML = "<script>window.hacked=1</script>"
ROUTE = "../../../etc/passwd"
TERMINAL = "\x1b[31mred\x07 :smile: [bold]x[/] | =1+1"
SYMBOLS = {"WETH": SQL, "wstETH": HTML, "USDC": ROUTE, "WBTC": TERMINAL}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake whose market has hostile symbols, and a run with a hostile name."""
    folder = tmp_path_factory.mktemp("hostile")
    text = MARKET.read_text(encoding="utf-8")
    for symbol, bad in SYMBOLS.items():
        text = text.replace(f"symbol: {symbol},", f"symbol: {json.dumps(bad)},")
    (folder / "market.yaml").write_text(text, encoding="utf-8")
    change = f"reserves: {{{json.dumps(SQL)}: {{liquidation_threshold: {{shift: -2pp}}}}}}"
    scenario = quick(change).replace(str(MARKET), "market.yaml").replace("name: quick", f"name: {json.dumps(HTML)}")
    (folder / "scenario.yaml").write_text(scenario, encoding="utf-8")
    lake = folder / "lake"
    words = ("ingest", LOGS, "--market", folder / "market.yaml", "--complete", f"0:{STOP}")
    assert l2liq(*words, lake=lake).code == 0
    said = l2liq("backtest", folder / "scenario.yaml", lake=lake)
    assert said.code == 0, said
    assert "DROP TABLE" in said.out
    assert l2liq("check", "--market", folder / "market.yaml", lake=lake).code == 0
    return folder


def test_the_page_holds_no_foreign_markup(hostile: Path) -> None:
    page = Path(l2liq("report", lake=hostile / "lake").out.strip()).read_text(encoding="utf-8")
    assert "window.hacked=1" in page
    assert HTML not in page
    assert "</script>window" not in page
    index = Path(l2liq("report", "--index", lake=hostile / "lake").out.strip()).read_text(encoding="utf-8")
    assert HTML not in index


def test_markdown_and_csv_hold_no_foreign_markup(hostile: Path) -> None:
    text = l2liq("report", "--format", "md", lake=hostile / "lake").out
    assert HTML not in text
    rows = list(csv.reader(io.StringIO(l2liq("report", "--format", "csv", lake=hostile / "lake").out)))
    assert len({len(row) for row in rows if row}) == 1
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "@")], "a spreadsheet would compute it"


def test_queries_find_the_symbols_as_they_are(hostile: Path) -> None:
    lake = hostile / "lake"
    for form in ("json", "csv"):
        said = l2liq("query", "SELECT DISTINCT symbol FROM assets ORDER BY 1", "--format", form, lake=lake)
        assert said.code == 0, said
        found = (
            [row["symbol"] for row in json.loads(said.out)]
            if form == "json"
            else [row[0] for row in csv.reader(io.StringIO(said.out, newline=""))][1:]
        )
        assert set(SYMBOLS.values()) <= set(found)
    assert l2liq("query", "SELECT count(*) FROM logs", lake=lake).code == 0


def test_no_escape_sequence_reaches_the_terminal(hostile: Path) -> None:
    lake, scenario = hostile / "lake", hostile / "scenario.yaml"
    move = f"{TERMINAL}=-60%"
    for words in (
        ("query", "SELECT DISTINCT symbol FROM assets"),
        ("impact", scenario, "--price", move),
        ("impact", scenario, "--price", "\x1b[31mX=-10%"),
        ("runs",),
        ("status",),
        ("backtest", scenario),
        ("report", "\x1b[31mred"),
        ("check", "--market", "\x1b[31mred"),
        ("query", "SELECT * FROM \"\x1b[31mred\""),
        ("\x1b[31mred",),
    ):  # fmt: skip
        said = l2liq(*words, lake=None if words[0].startswith("\x1b") else lake)
        assert "\x1b" not in said.out + said.err, said
        assert "\x07" not in said.out + said.err, said
    assert ":smile: [bold]x[/] | =1+1" in l2liq("query", "SELECT DISTINCT symbol FROM assets", lake=lake).out


BAD_QUERIES = {
    "": "The query is empty",
    "SELECT": "The query fails",
    "SELECT * FROM nowhere": "The query fails.*nowhere does not exist",
    "SELECT 'x'::INT": "The query fails",
    "\0": "The query fails",
    "SELECT " + "(" * 5_000 + "1" + ")" * 5_000: "The query fails",
    "DROP VIEW logs": "Only one SELECT",
    "SELECT 1; DROP VIEW logs": "Only one SELECT",
    "COPY (SELECT 1) TO '{folder}/out.csv'": "Only one SELECT",
    "ATTACH '{folder}/out.db'": "Only one SELECT",
    "INSTALL httpfs": "Only one SELECT",
    "SET enable_external_access = true": "Only one SELECT",
    "SELECT * FROM read_text('{folder}/secret.txt')": "reads outside the lake",
    "SELECT * FROM read_csv('{folder}/secret.txt')": "reads outside the lake",
    "SELECT * FROM read_parquet('{lake}/../*')": "reads outside the lake",
    "SELECT * FROM glob('{folder}/*')": "reads outside the lake|fails",
    "SELECT * FROM '{folder}/secret.txt'": "reads outside the lake|fails",
    "SELECT * FROM duckdb_secrets()": "reads outside the lake",
    "SELECT getenv('HOME')": "The query fails",
}


@pytest.mark.parametrize("sql", BAD_QUERIES)
def test_a_query_does_nothing_but_read_the_lake(sampled: Path, tmp_path: Path, sql: str) -> None:
    (tmp_path / "secret.txt").write_text("the-secret")
    told = l2liq("query", sql.format(folder=tmp_path, lake=sampled), lake=sampled).refusal()
    assert re.search(BAD_QUERIES[sql], told), told
    assert "the-secret" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["secret.txt"]
    assert len(told) < 1_000


@pytest.mark.parametrize("run", ["nope", "", "../..", "/etc/passwd", "%", "_", "x" * 9_000, "<b>", "latest'"])
@pytest.mark.parametrize("command", ["report", "verify"])
def test_an_unknown_run_is_refused_whatever_its_name(backtested: Path, command: str, run: str) -> None:
    told = l2liq(command, run, lake=backtested).refusal()
    assert "no run has this id. `l2liq runs` lists them" in told
    assert len(told) < 1_000


def test_a_format_that_is_none_is_refused(backtested: Path, tmp_path: Path) -> None:
    assert "a report is html, md or csv" in l2liq("report", "--format", "pdf", lake=backtested).refusal()
    told = l2liq("query", "SELECT 1", "--format", "parquet", lake=backtested).refusal()
    assert "--out result.parquet" in told
    told = l2liq("query", "SELECT 1", "--format", "csv", "--out", tmp_path, lake=backtested).refusal(3)
    assert "Is a directory" in told
    told = l2liq("query", "SELECT 1", "--format", "json", "--out", "/dev/full", lake=backtested).refusal(3)
    assert "the disk is full" in told


def test_the_name_of_a_scenario_file_is_no_markup(sampled: Path, tmp_path: Path) -> None:
    file = shutil.copy(SCENARIO, tmp_path / "[red]:smile:.yaml")
    Path(file).write_text("name: x\nmore: 1\n")
    assert "[red]:smile:.yaml:2: more: unknown key" in l2liq("backtest", file, "-m", MARKET, lake=sampled).refusal()

"""Names a lake knows, output that programs can read, and errors that end in one sentence."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pytest

from l2liq.lake import Lake
from tests.e2e.cli import MARKET, NAME, PROGRAM, environment, ingesting, installed, l2liq, quick

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli")]


def test_the_lake_knows_the_markets_that_were_ingested_from_a_file(backtested: Path, tmp_path: Path) -> None:
    lake = shutil.copytree(backtested, tmp_path / "lake", symlinks=True)
    unnamed = tmp_path / "unnamed.yaml"
    unnamed.write_text(quick().replace(f"market: {MARKET}\n", ""))
    named = tmp_path / "named.yaml"
    named.write_text(quick().replace(str(MARKET), NAME))
    for words in (
        ("verify", "latest"),
        ("check", "--market", NAME),
        ("backtest", unnamed),
        ("backtest", named),
        ("impact", named),
        ("market", "show", NAME),
        ("scenario", "show", named),
        ingesting(market=Path(NAME)),
    ):
        said = l2liq(*words, lake=lake, folder=tmp_path)
        assert said.code == 0, said
    assert NAME in l2liq("market", "list", lake=lake).out
    shown = tmp_path / "shown.yaml"
    shown.write_text(l2liq("market", "show", NAME, lake=lake).out)
    assert l2liq("check", "--market", shown, lake=lake).code == 0
    assert NAME in l2liq("check", "--market", "aave-v3/nowhere", lake=lake).refusal()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3.6.0", "9.9", r"m\.yaml: Aave v3 version '9\.9' is unknown"),
        ("decimals: 18", "decimals: 300", r"m\.yaml: supplement\.tokens\.0x.*decimals: 300 is too much"),
        ("name: aave-v3/sample", "name: aave-v3/base", r"m\.yaml: aave-v3/base is a market of chain 8453 .* 31337"),
    ],
)
def test_a_market_file_that_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    (tmp_path / "m.yaml").write_text(MARKET.read_text().replace(old, new))
    told = l2liq(*ingesting(market=tmp_path / "m.yaml"), lake=tmp_path / "lake").refusal()
    assert re.search(message, told), told
    assert not (tmp_path / "lake").exists()


def test_a_market_file_of_another_chain_is_not_the_lakes_market(sampled: Path, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MARKET.read_text().replace("31337", "5"))
    (tmp_path / "s.yaml").write_text(quick())
    for words in (("check",), ("backtest", tmp_path / "s.yaml")):
        told = l2liq(*words, "--market", tmp_path / "m.yaml", lake=sampled).refusal()
        assert "are of chain 31337, and the market is said to be on chain 5" in told


@contextmanager
def node_answering(answer: Any) -> Iterator[str]:
    """A node that answers the same to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            one = isinstance(asked, dict)
            answers = [{"jsonrpc": "2.0", "id": each["id"], "result": answer} for each in ([asked] if one else asked)]
            body = json.dumps(answers[0] if one else answers).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("answer", [None, "0xzz", [], "ten"])
def test_a_node_whose_chain_id_is_no_number_is_one_sentence(tmp_path: Path, answer: Any) -> None:
    with node_answering(answer) as url:
        told = l2liq("ingest", url, "--market", MARKET, "--attempts", "1", lake=tmp_path / "lake").refusal(3)
    assert "eth_chainId" in told
    assert "another node" in told


def test_a_defect_of_l2liq_is_called_that(tmp_path: Path) -> None:
    """A module that cannot be imported stands for a defect: nothing of l2liq is replaced."""
    (tmp_path / "duckdb.py").write_text("raise ValueError('out of order')\n")
    (tmp_path / "lake").mkdir()
    env = environment(PYTHONPATH=f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    said = installed("status", env=env, lake=tmp_path / "lake")
    assert said.code == 3
    assert re.search(r"l2liq: ValueError: out of order\. That is a defect of l2liq.*L2LIQ_DEBUG=1", said.err), said
    debugged = subprocess.run([PROGRAM, "status"], env={**env, "L2LIQ_DEBUG": "1"}, capture_output=True, text=True)
    assert "Traceback" in debugged.stderr


def test_json_of_a_query_is_json(sampled: Path) -> None:
    sql = "SELECT 'nan'::DOUBLE AS n, 'inf'::DOUBLE AS i, INTERVAL 3 DAY AS d, ['nan'::FLOAT] AS l"
    said = l2liq("query", sql, "--json", lake=sampled)

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    (row,) = json.loads(said.out, parse_constant=refuse)
    assert row == {"n": None, "i": "inf", "d": {"months": 0, "days": 3, "nanoseconds": 0}, "l": [None]}
    for count in (0, 3):
        said = l2liq("query", f"SELECT range AS n FROM range({count})", "--json", lake=sampled)
        assert json.loads(said.out) == [{"n": n} for n in range(count)]


def test_results_go_outside_the_lake_whole_and_in_the_form_of_their_suffix(sampled: Path, tmp_path: Path) -> None:
    target = sampled / "logs" / "mine.csv"
    assert "lies in the lake" in l2liq("query", "SELECT 1 AS a", "--out", target, lake=sampled).refusal()
    assert not target.exists()
    for suffix, start in {"csv": b"a\r\n1", "json": b'[\n{"a": 1}', "parquet": b"PAR1"}.items():
        out = tmp_path / f"out.{suffix}"
        assert l2liq("query", "SELECT 1 AS a", "--out", out, lake=sampled).code == 0
        assert out.read_bytes().startswith(start)
    out = tmp_path / "out.csv"
    failing = "SELECT CASE WHEN range = 99999 THEN error('no') ELSE range::VARCHAR END FROM range(100000)"
    assert l2liq("query", failing, "--out", out, lake=sampled).code == 2
    assert out.read_bytes().startswith(b"a\r\n1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.json", "out.parquet"]


def test_a_reader_that_leaves_does_not_turn_a_failed_check_into_a_good_one(lacking: Path) -> None:
    checking = f"{PROGRAM} check --market {MARKET} --lake {lacking} --json"
    done = subprocess.run(["bash", "-c", f"{checking} | head -c 1; exit ${{PIPESTATUS[0]}}"], capture_output=True)
    assert (done.returncode, done.stderr) == (1, b"")


def test_lines_are_not_broken_where_nobody_watches(backtested: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    said = installed("query", "SELECT repeat('x', 300) AS long", lake=backtested, env=env)
    assert "x" * 300 in said.out
    assert Lake.open(backtested).read_run().manifest["title"] in installed("runs", lake=backtested, env=env).out


def test_an_index_has_no_text_form(backtested: Path) -> None:
    assert "--index is a page" in l2liq("report", "--index", "--format", "md", lake=backtested).refusal()


def test_every_column_of_every_view_has_a_comment(backtested: Path) -> None:
    with duckdb.connect(str(backtested / "catalog.duckdb"), read_only=True) as catalog:
        lacking = catalog.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE database_name = 'catalog' AND comment IS NULL"
        ).fetchall()
    assert lacking == []

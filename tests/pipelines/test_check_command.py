"""``l2liq check`` and the market cache: the sample is reproduced, pieces continue, what is missing is named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from l2liq.chains.markets import Listing, find_market
from l2liq.errors import GapError, InputError
from l2liq.events.abi import contract_event
from l2liq.lake import Lake, Span
from pipelines.cli import check
from pipelines.ingest.file_job import FileWish, ingest_files
from pipelines.market import fold_market, load_market
from pipelines.sources.logfiles import LogFile

SAMPLE = Path(__file__).parents[2] / "pipelines" / "sample"
YAML = str(SAMPLE / "market.yaml")
LISTING = find_market(YAML)
BORDER = 1500
STOP = 4000


def ingest(lake: Path, start: int, stop: int, logs: Path = SAMPLE / "logs.parquet", listing: Listing = LISTING) -> None:
    wish = FileWish(complete=Span(start, stop), blocks=[SAMPLE / "blocks.parquet"])
    ingest_files(lake, listing, [LogFile(logs, None, listing.chain)], wish)


def with_its_pool(folder: Path) -> Path:
    """A market file that also names the Pool, as a window without a beginning needs."""
    topic = contract_event("aave_v3/pool", "ReserveDataUpdated").topic0
    logs = pq.read_table(SAMPLE / "logs.parquet", columns=["address", "topic0"]).to_pylist()
    pool = next(row["address"] for row in logs if row["topic0"] == topic)
    path = folder / "pool.yaml"
    path.write_text(Path(YAML).read_text() + f'addresses: {{pool: "0x{pool.hex()}"}}\n')
    return path


def altered(folder: Path, change) -> Path:
    """The sample's logs with one column of some rows changed: ``change`` takes and gives rows."""
    path = folder / "altered.parquet"
    table = pq.read_table(SAMPLE / "logs.parquet")
    pq.write_table(pa.Table.from_pylist(change(table.to_pylist()), table.schema), path)
    return path


def run(*arguments: object):
    app = typer.Typer()
    check.register(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that holds the sample."""
    path = tmp_path_factory.mktemp("whole") / "lake"
    ingest(path, 0, STOP)
    return path


def test_the_sample_is_reproduced_in_every_number(whole: Path) -> None:
    outcome = run("--market", YAML, "--lake", whole, "--json")
    assert outcome.exit_code == 0, outcome.output
    report = json.loads(outcome.stdout)
    assert report["divergences"] == []
    assert report["liquidations"]["recorded"] == report["liquidations"]["reproduced"] > 50
    for subject in ("balances", "indices", "treasury"):
        assert report[subject]["compared"] == report[subject]["equal"] > 0
    assert "reproduced to the last unit" in run("--market", YAML, "--lake", whole).stdout


def test_a_changed_amount_in_one_log_is_found_and_the_exit_code_is_1(tmp_path: Path) -> None:
    topic = contract_event("aave_v3/pool", "LiquidationCall").topic0

    def more_collateral(rows):
        row = next(row for row in rows if row["topic0"] == topic)
        words = bytearray(row["data"])
        words[63] ^= 1
        row["data"] = bytes(words)
        return rows

    ingest(tmp_path / "lake", 0, STOP, altered(tmp_path, more_collateral))
    outcome = run("--market", YAML, "--lake", tmp_path / "lake", "--json")
    assert outcome.exit_code == 1
    report = json.loads(outcome.stdout)
    assert report["liquidations"]["recorded"] - report["liquidations"]["reproduced"] == 1
    one = report["divergences"][0]
    assert (one["kind"], one["field"]) == ("liquidation", "collateral_to_liquidator")
    assert abs(int(one["expected"]) - int(one["actual"])) == 1
    assert set(one) == {"kind", "account", "token", "block", "log_index", "field", "expected", "actual"}


def test_a_market_continued_from_its_cache_is_the_market_folded_at_once(whole: Path, tmp_path: Path) -> None:
    ingest(tmp_path, 0, BORDER)
    first = load_market(Lake.open(tmp_path), LISTING)
    assert first.last_block < BORDER
    ingest(tmp_path, BORDER, STOP)
    folded = []
    continued = load_market(Lake.open(tmp_path), LISTING, told=lambda what, done: folded.append(done))
    assert folded[0] > 1 / (STOP - BORDER) and len(folded) == (STOP - BORDER) // 500, "only what is new is folded"
    again = fold_market(Lake.open(tmp_path), LISTING, told=lambda what, done: pytest.fail("folded again")).market
    once = load_market(Lake.open(whole), LISTING)
    for market in (continued, again):
        for name in ("actions", "liquidations", "deficits"):
            assert getattr(market, name).equals(getattr(once, name)), name
        assert market.ledger.table.equals(once.ledger.table)
        assert market.addresses.equals(once.addresses)
        assert market.parameters == once.parameters
        assert market.series.keys() == once.series.keys()
        assert all(market.series[key].values == once.series[key].values for key in once.series)


def test_an_empty_lake_a_window_without_a_beginning_and_missing_blocks_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no logs of it"):
        load_market(Lake.create(tmp_path / "empty"), LISTING)
    late = find_market(str(with_its_pool(tmp_path)))
    ingest(tmp_path / "late", 2000, STOP, listing=late)
    with pytest.raises(GapError, match="list no reserve"):
        load_market(Lake.open(tmp_path / "late"), late)
    ingest(tmp_path / "holes", 0, 500)
    ingest(tmp_path / "holes", 1000, STOP)
    with pytest.raises(GapError, match=r"blocks 500–999 are missing .*`l2liq ingest"):
        load_market(Lake.open(tmp_path / "holes"), LISTING)


def test_an_asset_without_a_price_is_an_error_that_names_asset_and_range(tmp_path: Path) -> None:
    answered = contract_event("chainlink/aggregator", "AnswerUpdated").topic0
    source = next(iter(LISTING.deployment.supplement["sources"].values()))
    feed = bytes.fromhex(source["aggregator"][2:])
    silent = altered(tmp_path, lambda rows: [r for r in rows if (r["address"], r["topic0"]) != (feed, answered)])
    unknown = tmp_path / "unknown.yaml"
    unknown.write_text(re.sub(r", answer: \d+", "", Path(YAML).read_text()))
    listing = find_market(str(unknown))
    ingest(tmp_path / "lake", 0, STOP, silent, listing)
    with pytest.raises(InputError, match=r"price of 0x[0-9a-f]{40} \('WETH'\) is unknown from block [\d,]+ to the end"):
        load_market(Lake.open(tmp_path / "lake"), listing)


def test_indices_of_logs_without_a_beginning_are_still_checked(tmp_path: Path) -> None:
    yaml = with_its_pool(tmp_path)
    ingest(tmp_path / "late", 2000, STOP, listing=find_market(str(yaml)))
    outcome = run("--market", yaml, "--lake", tmp_path / "late", "--json")
    report = json.loads(outcome.stdout)
    assert report["liquidations"] == {"recorded": 0, "reproduced": 0}
    assert report["indices"]["compared"] > 1000
    assert any("only indices" in note for note in report["notes"])

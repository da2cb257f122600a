"""What was brought in wrongly is refused or can be taken back: prices, windows, files changed by other hands."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from l2liq.chains.markets import find_market
from l2liq.lake import Lake
from tests.e2e.cli import MARKET, SLUG, ingesting, l2liq, roots

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli")]

TOKENS = find_market(str(MARKET)).deployment.supplement["tokens"]
WETH = next(address for address, token in TOKENS.items() if token["symbol"] == "WETH")


@pytest.fixture
def lake(backtested: Path, tmp_path: Path) -> Path:
    return shutil.copytree(backtested, tmp_path / "lake", symlinks=True)


def importing(folder: Path, *rows: str) -> tuple[object, ...]:
    (folder / "prices.csv").write_text("block,asset,price\n" + "".join(f"{row}\n" for row in rows))
    return ("ingest", "--prices", folder / "prices.csv", "--market", MARKET)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((f"100,{WETH},2400",), r"WETH take the place .* leave none from block 82 to block 100.*nothing was imported"),
        ((f"1,{WETH},2400", f"1,{WETH},2500"), r"prices\.csv:3: another price .* than .*prices\.csv:2"),
        ((f"1,{WETH},1e30",), r"prices\.csv:2: the price 1e30 is above"),
        ((f"1,{WETH},0",), r"prices\.csv:2: the price 0 is not above zero"),
        ((f"-1,{WETH},1",), r"prices\.csv:2: block -1 lies before the first block"),
        ((f"99999,{WETH},1",), "no price falls into the blocks that the lake knows"),
    ],
)
def test_a_price_table_that_would_break_the_market_is_refused(
    lake: Path, tmp_path: Path, rows: tuple[str, ...], message: str
) -> None:
    root = Lake.open(lake).dataset_root(SLUG)
    told = l2liq(*importing(tmp_path, *rows), lake=lake).refusal()
    assert re.search(message, told), told
    assert Lake.open(lake).dataset_root(SLUG) == root


def test_imported_prices_say_what_they_replace_and_can_be_taken_back(lake: Path, tmp_path: Path) -> None:
    root = Lake.open(lake).dataset_root(SLUG)
    said = l2liq(*importing(tmp_path, f"1,{WETH},24"), lake=lake)
    assert re.search(r"They replace the prices of WETH that the lake had, at most by a factor of \d{2,3}", said.out)
    assert "--drop-prices" in said.out
    assert l2liq("check", "--market", MARKET, lake=lake).code == 1
    told = l2liq(*importing(tmp_path, f"1,{WETH},2400"), lake=lake).refusal()
    assert "l2liq ingest --drop-prices" in told
    said = l2liq("ingest", "--drop-prices", "--market", MARKET, lake=lake)
    assert (said.code, "Took back the imported prices of aave-v3/sample: 1 files" in said.out) == (0, True)
    assert Lake.open(lake).dataset_root(SLUG) == root
    assert [one.reason for one in Lake.open(lake).quarantined()] == ["imported prices, taken back by hand"]
    assert l2liq("check", "--market", MARKET, lake=lake).code == 0


def test_what_is_sealed_can_be_taken_back_and_sealed_again(lake: Path) -> None:
    before = roots(lake)
    assert l2liq("ingest", "--unseal-from", "1000", "--market", MARKET, lake=lake).code == 0
    assert roots(lake) == {span: root for span, root in before.items() if span in ("blocks 0–499", "blocks 500–999")}
    assert l2liq(*ingesting(), lake=lake).code == 0
    assert roots(lake) == before


def test_a_window_that_no_file_supports_is_refused_with_the_one_that_is(tmp_path: Path) -> None:
    told = l2liq(*ingesting(complete="0:999999"), lake=tmp_path / "lake").refusal()
    assert re.search(r"--complete 0:999999: the last block that the files tell of is 3,985.*--complete 0:3986", told)
    assert roots(tmp_path / "lake") == {}


def test_logs_that_are_left_out_are_counted(tmp_path: Path) -> None:
    said = l2liq(*ingesting(complete="0:1000"), lake=tmp_path / "lake")
    sealed = int(re.search(r"\(([\d,]+) logs\)", said.out)[1].replace(",", ""))  # type: ignore[index]
    outside = int(re.search(r"([\d,]+) logs of other blocks", said.out)[1].replace(",", ""))  # type: ignore[index]
    others = int(re.search(r"([\d,]+) logs of other contracts", said.out)[1].replace(",", ""))  # type: ignore[index]
    assert sealed + outside + others == pq.read_metadata(MARKET.parent / "logs.parquet").num_rows


def test_check_reads_the_logs_even_where_their_market_is_cached(lake: Path) -> None:
    assert l2liq("check", "--market", MARKET, lake=lake).code == 0
    segment = sorted((lake / "logs" / SLUG).glob("*.parquet"))[2]
    table = pq.read_table(segment, partitioning=None)
    index = table.schema.get_field_index("timestamp_s")
    other = table.set_column(index, table.schema.field(index), table["timestamp_s"].combine_chunks().take(
        list(reversed(range(table.num_rows)))
    ))  # fmt: skip
    pq.write_table(other, segment, row_group_size=65_536, compression="zstd", write_page_checksum=True)
    told = l2liq("check", "--market", MARKET, lake=lake).refusal(3)
    assert segment.name in told
    assert "hash" in told

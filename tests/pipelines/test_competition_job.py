"""A scenario with competing liquidators as a job: rows, names, the section of its report, and one liquidator's part."""

from __future__ import annotations

import json
import re
from importlib.resources import as_file, files
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from l2liq.errors import InputError
from l2liq.lake import Lake
from l2liq.lake.runs import Run
from l2liq.liquidators import synthetic_address
from l2liq.report import words
from l2liq.report.competition import competition
from pipelines.bot import bot_of
from pipelines.bundle import bundle_of
from pipelines.cli.main import app

FIRST = "0x21cf5207704580d1ae0ac50afdd4207d27def2b1"
"""Liquidates most often in the sample."""

SHORT = "\nwindow: {from: 2026-03-10, to: end}\n"
CHEAP = "policy_range: false\ndistance: off\nuncertainty: {resamples: 0}\n"
FITTED = f"""
name: as they were
window: {{from: 2026-03-10, to: end}}
{CHEAP}
liquidator: {{model: competition, delay: fitted, ordering: fcfs, oev: {{bid: 80%, recapture: 65%, success: 50%}}}}
change: {{reserves: {{WETH: {{liquidation_threshold: 81%}}}}}}
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("competing") / "lake"
    with as_file(files("pipelines.sample")) as sample:
        market, logs, blocks = (Path(sample) / name for name in ("market.yaml", "logs.parquet", "blocks.parquet"))
        ends = pc.min_max(pq.read_table(blocks, columns=["number"])["number"]).as_py()
        span = f"{ends['min']}:{ends['max'] + 1}"
        given = ["ingest", logs, "--blocks", blocks, "--market", market, "--complete", span, "--lake", folder]
        assert not app([str(word) for word in given], standalone_mode=False)
        ready = (Path(sample) / "scenarios" / "three-liquidators.yaml").read_text()
        left_out = ("market:", "policy_range:", "distance:", "effective_from:")
        text = "\n".join(line for line in ready.splitlines() if not line.startswith(left_out)) + SHORT
        for name, scenario in (("three", f"{text}\n{CHEAP}"), ("fitted", FITTED)):
            path = folder.parent / f"{name}.yaml"
            path.write_text(scenario)
            given = ["backtest", path, "--market", market, "--lake", folder, "--json"]
            assert not app([str(word) for word in given], standalone_mode=False)
    return folder


def numbers(text: str) -> list[str]:
    """Dollars, shares, durations and counts of a sentence, as the words of a report write them."""
    spaced = text.replace(words.NARROW, "_")
    found = re.findall(r"[−]?\$?\d[\d,.]*\d(?:_[A-Za-z%]+)?|[−]?\$?\d(?:_[A-Za-z%]+)?", spaced)
    return [one.replace("_", words.NARROW) for one in found]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are not broken, wherever the tests run."""
    monkeypatch.setenv("COLUMNS", "300")


def run_named(lake: Path, title: str) -> Run:
    return next(run for run in Lake.open(lake).runs() if str(run.manifest["title"]).startswith(title))


def test_every_liquidation_of_the_model_worlds_has_its_contestant_and_what_it_was_left(lake: Path) -> None:
    run = run_named(lake, "ETH")
    names = {"quick", "bidder", "patient"}
    known = {synthetic_address(name): name for name in names}
    assert {one["name"]: one["address"] for one in run.manifest["liquidators"]} == {
        name: f"0x{address.hex()}" for address, name in known.items()
    }
    rows = [row for row in run.table("outcomes").to_pylist() if row["world"] != "actual"]
    seen = set()
    for row in rows:
        if row["kind"] == "failed_attempt":
            assert (known[row["liquidator"]], row["fee_usd"] > 0) in {(name, True) for name in names}
        if row["kind"] == "liquidation":
            name = known[row["liquidator"]]
            bonus = row["collateral_market_usd"] - row["debt_market_usd"]
            assert row["bid_usd"] == pytest.approx(0.1 * max(0.0, bonus) if name == "bidder" else 0.0)
            assert row["profit_usd"] == pytest.approx(bonus - row["fee_usd"] - row["bid_usd"])
            assert name == "patient" or row["debt_usd"] <= {"quick": 10_000, "bidder": 60_000}[name]
            seen.add(name)
    assert seen == names
    metrics = {effect["metric"]: effect for effect in run.manifest["effects"]}
    for world in ("control", "alternative"):
        mine = [row for row in rows if row["world"] == world]
        failed = [row["fee_usd"] for row in mine if row["kind"] == "failed_attempt"]
        left = sum(row["profit_usd"] for row in mine if row["kind"] == "liquidation")
        assert metrics["failed_attempts"][world] == len(failed) > 0
        assert metrics["liquidators_left_usd"][world] == pytest.approx(left - sum(failed))


@pytest.mark.parametrize("title", ["ETH", "as they were"])
def test_the_finding_of_the_section_says_what_its_tables_and_the_comparison_say(lake: Path, title: str) -> None:
    bundle = bundle_of(run_named(lake, title))
    section = competition(bundle)
    assert section is not None
    assert section.figure is not None
    cells = {cell for table in section.tables for row in table.rows for cell in row}
    cells |= {words.number(value, row.unit) for row in bundle.comparisons for value in (row.control, row.alternative)}
    for found in numbers(section.finding):
        assert found in cells
    assert len(numbers(section.finding)) > 6


def test_fitted_contestants_are_those_of_before_the_window_with_capital_and_delays_of_their_own(lake: Path) -> None:
    run = run_named(lake, "as they were")
    outcomes = run.table("outcomes").to_pylist()
    addresses = {bytes.fromhex(one["address"][2:]) for one in run.manifest["liquidators"]}
    assert bytes.fromhex(FIRST[2:]) in addresses
    assert {row["liquidator"] for row in outcomes if row["kind"] == "liquidation" and row["world"] == "control"} > {
        bytes.fromhex(FIRST[2:])
    }
    recaptured = [row for row in outcomes if row["recaptured_usd"]]
    assert recaptured
    for row in recaptured:
        assert row["timestamp_s"] == row["liquidatable_since_s"]
        assert row["recaptured_usd"] == pytest.approx(row["bid_usd"] * 0.65)
    late = [row for row in outcomes if row["recaptured_usd"] == 0 and row["cause"] == "price"]
    assert late
    assert all(row["timestamp_s"] - row["liquidatable_since_s"] >= 5 for row in late)


def test_one_liquidators_part_adds_up_with_what_it_missed(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_named(lake, "as they were")
    bot = bot_of(run, FIRST.upper().replace("0X", "0x"))
    effects = {effect["metric"]: effect for effect in run.manifest["effects"]}
    for share in bot.shares:
        assert share.takes_part
        assert share.own.liquidations > 0
        assert share.own.liquidations + share.missed == effects["liquidations"][share.world.value]
        assert share.own.debt_usd + share.missed_debt_usd == pytest.approx(
            effects["debt_repaid_usd"][share.world.value]
        )
    assert not app(["report", run.run_id, "--lake", str(lake), "--liquidator", FIRST], standalone_mode=False)
    table = capsys.readouterr().out
    assert re.search(rf"control +{bot.shares[1].own.liquidations} ", table)
    words_ = ["report", run.run_id, "--lake", str(lake), "--liquidator", FIRST, "--json"]
    assert not app(words_, standalone_mode=False)
    assert json.loads(capsys.readouterr().out) == bot.as_plain()


def test_a_backtest_tells_of_one_liquidator_by_name(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with as_file(files("pipelines.sample")) as sample:
        market = str(Path(sample) / "market.yaml")
        given = ["backtest", str(lake.parent / "three.yaml"), "--market", market, "--lake", str(lake), "--liquidator"]
        assert not app([*given, "quick", "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert told["reused"]
    assert told["liquidator"] == bot_of(run_named(lake, "ETH"), "quick").as_plain()
    assert told["liquidator"]["worlds"]["control"]["profit_usd"] > 0


def test_a_liquidator_that_appears_nowhere_is_told_in_a_sentence(
    lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_named(lake, "ETH")
    given = ["report", run.run_id, "--lake", str(lake), "--liquidator", "0x" + "12" * 20]
    assert not app(given, standalone_mode=False)
    said = capsys.readouterr().out
    assert "liquidated nothing in the window" in said
    assert len(said.strip().splitlines()) == 1
    real = bot_of(run, FIRST)
    assert real.absence is None
    assert [share.takes_part for share in real.shares] == [True, False, False]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [("0x12", "this is no address"), ("nobody", "Known are bidder, patient, quick; or write an address.")],
)
def test_who_is_asked_for_has_to_be_somebody(lake: Path, wanted: str, message: str) -> None:
    given = ["report", run_named(lake, "ETH").run_id, "--lake", str(lake), "--liquidator", wanted]
    with pytest.raises(InputError, match=message):
        app(given, standalone_mode=False)

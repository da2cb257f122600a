"""The suites themselves: readable, complete in words, about columns that exist, and each of them able to fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2liq.chains.markets import Listing
from l2liq.events.abi import contract_events, contracts
from l2liq.events.log import LOGS
from l2liq.lake import Lake
from l2liq.outcome.schema import OUTCOMES
from pipelines.market import load_market
from pipelines.quality import tables
from pipelines.quality.jury import SUITES, Cause, Jury, Severity, packaged_suite
from tests.e2e.cli import LOGS as SAMPLE_LOGS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("quality")]
GIVEN = {"logs": {"now_s": 2e9}, "outcomes": {"first_s": 1_000.0, "last_s": 2_000.0}}


@pytest.fixture(scope="module")
def jury() -> Jury:
    return Jury({name: packaged_suite(name) for name in SUITES})


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_goes_through_great_expectations_and_comes_back_the_same(name: str, jury: Jury) -> None:
    import great_expectations as gx

    document = json.loads(packaged_suite(name))
    back = gx.ExpectationSuite(**document).to_json_dict()
    kept = ("type", "kwargs", "severity", "notes")
    assert [{key: one[key] for key in kept} for one in back["expectations"]] == document["expectations"]
    for one in document["expectations"]:
        assert one["severity"] in list(Severity)
        assert one["notes"].endswith(".")


def test_suites_are_about_columns_that_exist(lake: Lake, listing: Listing) -> None:
    market = load_market(lake, listing)
    made = {
        "logs": tables.raw_logs(LOGS.empty_table()),
        "events": tables.measures(LOGS.empty_table(), ("aave_v3",)),
        "activity": tables.activity(lake, listing.deployment, lake.coverage(listing.deployment.slug)),
        "prices": tables.prices(market),
        "ledger": tables.ledger(market),
        "outcomes": tables.outcomes(OUTCOMES.empty_table()),
    }
    for name, table in made.items():
        asked = {one["kwargs"]["column"] for one in json.loads(packaged_suite(name))["expectations"]}
        assert asked <= set(table.columns), name


def test_measures_are_of_arguments_that_events_have() -> None:
    document = tomllib.loads(files("schemas.expectations").joinpath("measures.toml").read_text())
    for family, events in document.items():
        known = [event for one in contracts() if one.startswith(f"{family}/") for event in contract_events(one)]
        for name, arguments in events.items():
            having = [{argument.column for argument in event.arguments} for event in known if event.name == name]
            assert any(set(arguments) <= names for names in having), (family, name)


GOOD = {
    "logs": {"block_number": 5, "log_index": 3, "transaction_index": 1, "timestamp_s": 1_700_000_000, "topics": 3,
             "data_bytes": 64, "known": 1},
    "events": {"block_number": 5, "log_index": 3, "index": 1.1, "rate": 0.05, "amount": 1e21},
    "activity": {"blocks_unseen": 0, "contracts_silent": 0, "blocks_before": 0, "days_flooded": 0, "days_dry": 0},
    "prices": {"not_positive": 0, "unpriced_assets": 0, "largest_jump": 0.3, "longest_silence_s": 80_000,
               "last_silence_s": 3_000},
    "ledger": {"rows": 10, "negative": 0, "beyond_128_bits": 0, "out_of_order": 0, "unknown_accounts": 0,
               "divergences": 0, "divergent_share": 0.0},
    "outcomes": {"sequence": 0, "world": "control", "account": b"a" * 20, "timestamp_s": 1_500, "debt_usd": 10.0,
                 "collateral_usd": 10.5, "protocol_fee_usd": 0.1, "health_of_liquidated": 0.99,
                 "seized_per_repaid": 1.05, "waited_s": 3},
}  # fmt: skip


@pytest.mark.parametrize("name", SUITES)
def test_good_data_passes(name: str, jury: Jury) -> None:
    assert jury.judge(name, pd.DataFrame([GOOD[name]]), "good", **GIVEN.get(name, {})) == []


BAD = [
    ("logs", "timestamp_s", 2_100_000_000, "critical"), ("logs", "timestamp_s", 5, "critical"),
    ("logs", "block_number", -1, "critical"), ("logs", "log_index", 2_000_000, "warning"),
    ("logs", "transaction_index", 200_000, "warning"), ("logs", "topics", 0, "warning"),
    ("logs", "data_bytes", 200_000, "warning"), ("logs", "known", 0, "warning"),
    ("events", "index", 0.5, "critical"), ("events", "index", 12.0, "warning"), ("events", "rate", 2_000.0, "critical"),
    ("events", "rate", 20.0, "warning"), ("events", "amount", 1e40, "critical"), ("events", "amount", 1e34, "warning"),
    ("activity", "blocks_unseen", 7, "critical"), ("activity", "contracts_silent", 1, "warning"),
    ("activity", "blocks_before", 9, "warning"), ("activity", "days_flooded", 1, "warning"),
    ("activity", "days_dry", 1, "warning"), ("prices", "not_positive", 1, "warning"),
    ("prices", "unpriced_assets", 1, "critical"), ("prices", "largest_jump", 0.6, "warning"),
    ("prices", "largest_jump", 15.0, "critical"), ("prices", "longest_silence_s", 100_000, "warning"),
    ("prices", "last_silence_s", 10**6, "critical"), ("ledger", "rows", 0, "critical"),
    ("ledger", "negative", 1, "critical"), ("ledger", "beyond_128_bits", 1, "critical"),
    ("ledger", "out_of_order", 1, "critical"), ("ledger", "unknown_accounts", 1, "critical"),
    ("ledger", "divergences", 1, "warning"), ("ledger", "divergent_share", 0.02, "critical"),
    ("outcomes", "world", "fourth", "critical"), ("outcomes", "account", None, "critical"),
    ("outcomes", "timestamp_s", 2_001, "critical"), ("outcomes", "debt_usd", -1.0, "critical"),
    ("outcomes", "collateral_usd", 1e12, "critical"), ("outcomes", "protocol_fee_usd", -1.0, "critical"),
    ("outcomes", "health_of_liquidated", 1.0, "critical"), ("outcomes", "seized_per_repaid", 2.5, "critical"),
    ("outcomes", "seized_per_repaid", 1.5, "warning"), ("outcomes", "waited_s", -1, "critical"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "column", "value", "severity"), BAD)
def test_every_expectation_can_fail(name: str, column: str, value: object, severity: str, jury: Jury) -> None:
    found = jury.judge(name, pd.DataFrame([GOOD[name] | {column: value}]), "bad", **GIVEN.get(name, {}))
    assert (column, Severity(severity), Cause.DATA) in {(one.column, one.severity, one.cause) for one in found}
    assert {one.column for one in found} == {column}


def test_every_expectation_is_in_the_list_above() -> None:
    for name in SUITES:
        asked = {(one["kwargs"]["column"], one["severity"]) for one in json.loads(packaged_suite(name))["expectations"]}
        assert asked == {(column, severity) for suite, column, _, severity in BAD if suite == name}


def test_a_check_that_raises_says_nothing_about_data(jury: Jury) -> None:
    found = jury.judge("prices", pd.DataFrame([GOOD["prices"]]).drop(columns=["largest_jump"]), "a table cut short")
    assert {(one.column, one.cause) for one in found} == {("largest_jump", Cause.CHECK)}
    assert "the check of largest_jump itself failed" in found[0].sentence()


def test_a_place_is_named(jury: Jury) -> None:
    rows = pd.DataFrame([GOOD["logs"], GOOD["logs"] | {"block_number": 77, "log_index": 4, "data_bytes": 500_000}])
    [finding] = jury.judge("logs", rows, "blocks 0–99", now_s=2e9)
    assert "1 of 2 are not so, such as 500000 (first at block number 77, log index 4)" in finding.sentence()


def test_the_command_line_loads_nothing_heavy() -> None:
    code = (
        "import sys, pipelines.cli.main; print(sorted({'great_expectations', 'botocore', 'pandas'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env=os.environ, check=True
    )
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([100] * 40, (0, 0)), ([100] * 20 + [5_000] + [100] * 5, (1, 0)), ([100] * 20 + [0, 3] + [100] * 5, (0, 2)),
     ([100] * 3 + [5_000] + [100] * 3, (0, 0)), ([1] * 20 + [0] + [1] * 5, (0, 0)),
     ([100] * 20 + [5_000] + [100] * 40, (0, 0))],
)  # fmt: skip
def test_days_are_compared_with_the_thirty_before(counts: list[int], expected: tuple[int, int]) -> None:
    counted = pa.table({"day": range(len(counts)), "logs": counts}).filter(pa.array([n > 0 for n in counts]))
    found = tables._counted("activity", {}, counted=counted)
    assert (found["days_flooded"], found["days_dry"]) == expected


def test_numbers_of_every_measure_are_found_in_the_sample() -> None:
    found = tables.measures(pq.read_table(SAMPLE_LOGS), ("aave_v3",))
    assert found.notna().sum().min() > 1_000
    assert found["index"].min() >= 1
    assert 0 <= found["rate"].min() <= found["rate"].max() < 10

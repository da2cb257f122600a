"""The gate on the sample: a crash is no bad data, bad data blocks runs and no segment, a broken check is told apart."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from l2liq.chains.markets import Listing
from l2liq.errors import CheckError, InputError, QualityError
from l2liq.lake import Lake
from pipelines.backtest import Bench
from pipelines.nightly.gate import objections, outcome_gate
from pipelines.quality.gate import judge
from pipelines.quality.jury import Cause, packaged_suite
from pipelines.report import write_index
from pipelines.scenarios import prepare
from tests.e2e.cli import SLUG, l2liq, quick, roots

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("quality")]


def own_suite(lake: Lake, name: str, **changes: object) -> None:
    """Give the lake its own version of a suite, in which the first expectation is changed."""
    document = json.loads(packaged_suite(name))
    first = document["expectations"][0]
    for key, value in changes.items():
        first["severity" if key == "severity" else "kwargs"] = (
            value if key == "severity" else first["kwargs"] | {key: value}
        )
    place = lake.folder / "quality" / "expectations" / f"{name}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(document))


def test_the_sample_with_its_crash_and_its_outage_is_good_data_and_is_judged_once(lake: Lake, listing: Listing) -> None:
    first = judge(lake, listing)
    assert first.blocking == ()
    assert (first.segments, first.known) == (8, 0)
    again = judge(lake, listing)
    assert (again.segments, again.known) == (0, 8)
    assert again.findings == first.findings
    assert again.pages is not None
    text = again.pages.read_text()
    assert "Nothing critical" in text
    assert "http" not in text, "the page needs nothing from elsewhere"
    for address in re.findall(r'href="([^"]+)"', text):
        assert (again.pages.parent / address).is_file()
    page = write_index(lake)
    [link] = [one for one in page.read_text().split('"') if one.startswith("../quality/")]
    assert (page.parent / link).resolve() == again.pages.resolve()


def test_bad_rows_block_runs_and_no_segment_until_somebody_decides(lake: Lake, listing: Listing) -> None:
    before = roots(lake.path)
    own_suite(lake, "logs", max_value=1_700_000_000)
    first, again = judge(lake, listing), judge(lake, listing)
    assert [one.cause for one in first.blocking] == [Cause.DATA]
    assert again.segments == 0
    assert again.blocking == first.blocking
    with pytest.raises(QualityError, match=r"aave-v3/sample: logs, blocks .*timestamp_s: 10,077 of 10,077 are not so"):
        again.require()
    assert objections(lake, listing) == [first.blocking[0].sentence()]
    assert roots(lake.path) == before
    assert lake.verify(SLUG) == []
    own_suite(lake, "logs", max_value=2_000_000_000)
    decided = judge(lake, listing)
    assert (decided.segments, decided.blocking) == (8, ())


def test_a_broken_check_is_not_bad_data_and_blocks_only_where_it_is_critical(lake: Lake, listing: Listing) -> None:
    own_suite(lake, "ledger", column="no_such_column")
    found = judge(lake, listing)
    assert [(one.suite, one.cause) for one in found.blocking] == [("ledger", Cause.CHECK)]
    with pytest.raises(CheckError, match="the check of no_such_column itself failed"):
        found.require()
    own_suite(lake, "ledger", column="no_such_column", severity="warning")
    found = judge(lake, listing)
    assert [(one.suite, one.cause) for one in found.findings] == [("ledger", Cause.CHECK)]
    found.require()


def test_outcomes_that_cannot_be_are_never_published(lake: Lake, listing: Listing, tmp_path: Path) -> None:
    scenario = tmp_path / "quick.yaml"
    scenario.write_text(quick())
    [loaded] = prepare(lake, scenario, None).scenarios
    bench = Bench(lake, listing, lambda stage: None, outcome_gate(lake))
    assert not bench.run(bench.composed(loaded)).reused
    assert len(lake.runs()) == 1
    scenario.write_text(quick("close_factor: 30%"))
    [other] = prepare(lake, scenario, None).scenarios
    own_suite(lake, "outcomes", value_set=["actual"])
    strict = Bench(lake, listing, lambda stage: None, outcome_gate(lake))
    with pytest.raises(QualityError, match="outcomes, this run: world"):
        strict.run(strict.composed(other))
    assert len(lake.runs()) == 1


def test_the_command_tells_bad_data_from_a_broken_check_by_its_exit_code(lake: Lake) -> None:
    own_suite(lake, "logs", max_value=1_700_000_000)
    bad = l2liq("quality", "--json", lake=lake.path)
    assert bad.code == 1
    document = json.loads(bad.out)
    assert document["publishable"] is False
    assert {one["cause"] for one in document["findings"]} == {"data"}
    own_suite(lake, "logs", column="no_such_column")
    broken = l2liq("quality", lake=lake.path)
    assert broken.code == 3
    assert "itself failed" in broken.out


def test_an_expectation_file_that_is_none_is_named(lake: Lake, listing: Listing) -> None:
    own_suite(lake, "logs")
    (lake.folder / "quality" / "expectations" / "logs.json").write_text("{")
    with pytest.raises(InputError, match=r"expectations/logs\.json: no suite of Great Expectations"):
        judge(lake, listing)

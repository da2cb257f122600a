"""The scenarios that come with the sample: each runs, and its report says in one paragraph what its model changed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from l2liq.lake import Lake
from pipelines.backtest import Bench
from pipelines.bundle import bundle_of
from pipelines.scenarios import prepare
from tests.e2e.cli import MARKET, SAMPLE, ingesting, l2liq

pytestmark = [pytest.mark.slow]

FILES = sorted((SAMPLE / "scenarios").glob("*.yaml"))
SECTION = {
    "sequencer-outage": "sequencer",
    "grace-period-1h-vs-0": "sequencer",
    "twap-30m": "oracle",
    "oracle-delay": "oracle",
    "coarse-feed": "oracle",
    "thin-liquidity": "liquidity",
    "bonus-auction": "auction",
    "l1-fee-spike": "costs",
    "batch-poster-stopped": "settlement-failure",
    "state-root-challenged": "settlement-failure",
    "reverted-hour": "reverted",
    "bridge-delay": "messages",
    "three-liquidators": "liquidators",
}
"""Scenario to the section of its report that holds its finding."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Bench]]:
    """The sample, loaded once for all scenarios."""
    path = tmp_path_factory.mktemp("ready") / "lake"
    assert l2liq(*ingesting(), "--blocks", SAMPLE / "blocks.parquet", lake=path).code == 0
    lake = Lake.open(path)
    with as_file(files("pipelines.sample")):
        yield lake, Bench(lake, prepare(lake, FILES[0], str(MARKET)).listing, lambda stage: None)


def test_every_scenario_that_has_to_be_there_is() -> None:
    assert SECTION.keys() <= {file.stem for file in FILES}


@pytest.mark.parametrize("half", [0, 1])
def test_every_ready_scenario_runs_and_says_what_it_found(bench: tuple[Lake, Bench], half: int) -> None:
    lake, shared = bench
    for file in FILES[half::2]:
        for loaded in prepare(lake, file, str(MARKET)).scenarios:
            run = shared.run(shared.composed(loaded)).run
            manifest = bundle_of(run).manifest
            assert set(manifest["worlds"]) == {"actual", "control", "alternative"}, file
            assert said(run.report, SECTION.get(file.stem)), file


def said(report: Path, section: str | None) -> bool:
    """Whether a page has a section with a finding and a picture; any page will do where none is asked for."""
    page = report.read_text(encoding="utf-8").partition("<script>")[0]
    if section is None:
        return True
    _, begun, rest = page.partition(f'<section id="{section}" ')
    body = rest.partition("</section>")[0]
    finding = body.partition('<p class="finding">')[2].partition("</p>")[0]
    return bool(begun) and len(finding) > 80 and any(c.isdigit() for c in finding) and f"plot-{section}" in body

"""Outages found in block times, and what a market sees of one; clocks of settlement that stop."""

from __future__ import annotations

import csv
import gzip
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2liq.chains.clocks import Clocks
from l2liq.chains.dated import Dated, Span
from l2liq.chains.failures import Challenge, Failures, Stop
from l2liq.chains.outages import Outage, apart, known_outages, standstills
from l2liq.chains.standstill import DOWN, UP, market_through
from l2liq.errors import InputError
from l2liq.events.log import LOG_INDEX_BITS
from l2liq.market import PRICE, SEQUENCER_ANSWER, SEQUENCER_STARTED, SEQUENCER_UPDATED, Market, Series
from tests.e2e.cli import l2liq
from tests.property.market_dice import Shape
from tests.property.market_tables import raw
from tests.property.markets import grow

CLOCKS = Dated((Span(0, None, Clocks(600, 768, 10_000, "made up")),))


def test_the_outage_of_arbitrum_is_found_in_its_block_times(shared_data: Path) -> None:
    with gzip.open(shared_data / "arbitrum-sequencer" / "gas.csv.gz", "rt", newline="") as lines:
        rows = list(csv.DictReader(lines))
    number, time_s = (np.array([int(row[name]) for row in rows]) for name in ("L2blockNumber", "timestamp"))
    found = standstills(number, time_s, 1_800)
    first = found[0]
    assert datetime.fromtimestamp(first.from_s, UTC).strftime("%F %T") == "2023-12-15 15:28:55"
    assert datetime.fromtimestamp(first.to_s, UTC).strftime("%F %T") == "2023-12-15 16:56:13"
    told = known_outages()["arbitrum-2023-12-15"].outage
    assert abs(first.from_s - told.from_s) < 60
    assert abs(first.to_s - told.to_s) < 60
    assert all(datetime.fromtimestamp(one.from_s, UTC).day == 15 for one in found)


def test_a_steady_chain_never_stood_still_and_a_silence_is_found_to_the_second() -> None:
    time_s = np.arange(0, 2_000, 2)
    number = np.arange(len(time_s))
    assert standstills(number, time_s, 60) == ()
    later = np.where(number >= 500, time_s + 900, time_s)
    assert standstills(number, later, 60) == (Outage(998, 1_900),)
    assert standstills(number, later, 1_000) == ()
    assert standstills(number[:1], time_s[:1], 60) == ()


def test_known_outages_end_after_they_begin_and_say_where_they_are_from() -> None:
    for one in known_outages().values():
        assert one.outage.duration_s > 0
        assert one.source
        assert one.name.startswith(one.chain)


@pytest.mark.parametrize(
    ("given", "message"),
    [([Outage(5, 5)], "ends before it begins"), ([Outage(0, 10), Outage(9, 20)], "overlap")],
)
def test_outages_that_cannot_be(given: list[Outage], message: str) -> None:
    with pytest.raises(InputError, match=message):
        apart(given)


def with_feed(market: Market) -> Market:
    """The market with an uptime feed that has been saying "up" since its beginning, and says so again at its end."""
    number, time_s = market.clock.number, market.clock.timestamp_s
    key, told_s = np.array([1, (int(number[-1]) << LOG_INDEX_BITS) + 1], np.int64), time_s[[0, -1]].astype(np.int64)
    values = {
        SEQUENCER_ANSWER: (0, 0),
        SEQUENCER_STARTED: (int(time_s[0]), int(time_s[0])),
        SEQUENCER_UPDATED: (int(time_s[0]), int(time_s[-1])),
    }
    feeds = {
        (kind, -1): Series(kind, -1, key, told_s, np.frombuffer(b"".join(map(raw, both)), np.uint8).reshape(2, 32))
        for kind, both in values.items()
    }
    return replace(market, series={**market.series, **feeds})


@given(st.integers(0, 20), st.floats(0.05, 0.9), st.integers(1, 40_000), st.sampled_from((0, 120)))
def test_prices_of_an_outage_come_all_at_once_when_it_is_over(
    seed: int, begin: float, lasts_s: int, after_s: int
) -> None:
    market = with_feed(grow(seed, Shape(blocks=25)))
    first_s, last_s = int(market.clock.timestamp_s[0]), int(market.clock.timestamp_s[-1])
    from_s = first_s + int(begin * (last_s - first_s))
    outage = Outage(from_s, from_s + lasts_s)
    seen = market_through(market, [outage], after_s)
    back_s = outage.to_s + after_s
    for asset in range(len(market.assets)):
        was, now = market.series[PRICE, asset], seen.series[PRICE, asset]
        assert (np.diff(now.key) >= 0).all()
        assert not ((now.timestamp_s >= from_s) & (now.timestamp_s < back_s)).any()
        for at_s in (from_s - 1, from_s, back_s - 1):
            held = was.values[: int(np.searchsorted(was.timestamp_s, min(at_s, from_s - 1), side="right"))]
            assert now.values[: int(np.searchsorted(now.timestamp_s, at_s, side="right"))][-1:] == held[-1:]
        assert now.values[-1] == was.values[-1]
    answers = seen.series[SEQUENCER_ANSWER, -1]
    at = int(np.searchsorted(answers.key, outage.restart_key(market.clock)))
    assert answers.key[at] == outage.restart_key(market.clock)
    assert answers.values[at - 1 : at + 1] == [DOWN, UP]
    assert answers.timestamp_s[at - 1 : at + 1].tolist() == [outage.to_s] * 2, "a chain that is down cannot learn it"
    since, updated = seen.series[SEQUENCER_STARTED, -1].values, seen.series[SEQUENCER_UPDATED, -1].values
    assert since[at - 1 : at + 1] == [outage.from_s, outage.to_s]
    assert updated[at - 1 : at + 1] == [outage.to_s] * 2
    assert set(since[at + 1 :]) <= {outage.to_s}, "a report that is repeated tells of the same time"
    assert updated[at + 1 :] == [last_s] * (len(updated) - at - 1)


def test_a_poster_that_stops_publishes_everything_when_it_is_back() -> None:
    failures = Failures(poster_stops=(Stop(1_000, 5_000),))
    assert failures.times(CLOCKS, 300).published_s == 900
    assert failures.times(CLOCKS, 400).published_s == 5_000
    assert failures.times(CLOCKS, 4_399).published_s == 5_000
    assert failures.times(CLOCKS, 4_400).published_s == 5_000
    assert failures.times(CLOCKS, 4_401).published_s == 5_001
    late = failures.times(CLOCKS, 400)
    assert (late.l1_final_s, late.settled_s) == (5_768, 15_000)


def test_a_challenge_holds_up_what_had_not_settled_and_what_follows_it() -> None:
    failures = Failures(challenges=(Challenge(12_000, 50_000),))
    assert failures.times(CLOCKS, 1_400).settled_s == 12_000, "settled in that moment"
    assert failures.times(CLOCKS, 1_401).settled_s == 62_000
    assert failures.times(CLOCKS, 40_000).settled_s == 62_000
    assert failures.times(CLOCKS, 60_000).settled_s == 70_600
    assert failures.times(CLOCKS, 1_401).published_s == 2_001


def test_a_prover_that_stops_settles_everything_when_it_is_back() -> None:
    failures = Failures(prover_stops=(Stop(20_000, 30_000),))
    assert failures.times(CLOCKS, 9_399).settled_s == 19_999
    assert failures.times(CLOCKS, 9_400).settled_s == 30_000


def test_the_command_prints_lines_that_a_scenario_takes(shared_data: Path) -> None:
    said = l2liq("outages", shared_data / "arbitrum-sequencer" / "gas.csv.gz", "--at-least", "60m")
    assert said.code == 0
    assert "- {from: 2023-12-15T15:28:55, to: 2023-12-15T16:56:13}" in said.out


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        ("a,b\n1,2\n", (), "no whole numbers of blocks"),
        ("number,timestamp\n1,soon\n", (), "no whole numbers of blocks"),
        ("", (), "Give a Parquet or CSV file"),
        ("number,timestamp\n1,2\n", ("--at-least", "30"), "has no unit"),
        ("number,timestamp\n1,2\n", ("--market", "x"), "either a file of blocks or"),
    ],
)
def test_files_and_words_that_tell_of_no_blocks(
    tmp_path: Path, content: str, words: tuple[str, ...], message: str
) -> None:
    file = tmp_path / "blocks.csv"
    file.write_text(content)
    assert message in " ".join(l2liq("outages", file, *words).refusal(3 if not content else 2).split())

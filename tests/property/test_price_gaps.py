"""How far the seen price is from the world's, against a look at every second."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2liq.liquidators import Immediate
from l2liq.market import PRICE, Market, Series
from l2liq.outcome import OUTCOMES
from l2liq.protocols.interface import Moment
from l2liq.replay import Plan
from pipelines.gaps import price_gaps
from pipelines.pictures import price_paths
from tests.property.market_tables import raw
from tests.small_market import small_market

FIRST, LAST = 100, 400
steps = st.lists(
    st.tuples(st.integers(1, 500), st.integers(900, 1_100)), min_size=1, max_size=8, unique_by=lambda s: s[0]
)


def series(found: list[tuple[int, int]], asset: int = 0) -> Series:
    rows = [(0, 1_000), *sorted(found)]
    words = np.frombuffer(b"".join(raw(price) for _, price in rows), np.uint8).reshape(-1, 32)
    times = np.array([time for time, _ in rows], np.int64)
    return Series(PRICE, asset, times, times, words)


def at(one: Series, time: int) -> float:
    return float(next(v for t, v in reversed(list(zip(one.timestamp_s, one.values, strict=True))) if t <= time))


def plan(market: Market) -> Plan:
    first, last = Moment(FIRST, FIRST), Moment(LAST, LAST)
    return Plan(first, last, market.parameters, market.parameters, first, Immediate())


@given(steps, steps)
def test_gaps_are_those_of_every_second(world: list[tuple[int, int]], seen: list[tuple[int, int]]) -> None:
    shared = series([], 1)
    market = replace(small_market(), series={(PRICE, 0): series(world), (PRICE, 1): shared})
    other = replace(market, series={(PRICE, 0): series(seen), (PRICE, 1): shared})
    (row,) = price_gaps(market, other, plan(market), "r").to_pylist()
    gaps = [at(other.series[PRICE, 0], t) / at(market.series[PRICE, 0], t) - 1 for t in range(FIRST, LAST + 1)]
    assert (row["asset"], row["compared_s"]) == (0, LAST - FIRST)
    assert row["mean_share"] == pytest.approx(sum(map(abs, gaps[:-1])) / (LAST - FIRST))
    assert row["most_above_share"] == pytest.approx(max(0.0, *gaps))
    assert row["most_below_share"] == pytest.approx(max(0.0, *(-gap for gap in gaps)))
    assert row["apart_s"] == sum(abs(gap) > 0.01 for gap in gaps[:-1])

    for path in price_paths(market, other, OUTCOMES.empty_table(), plan(market), "r").to_pylist():
        assert path["usd"] == at(market.series[PRICE, 0], path["timestamp_s"]) / 1e8
        assert path["seen_usd"] == at(other.series[PRICE, 0], path["timestamp_s"]) / 1e8


def test_a_market_with_its_own_oracles_has_no_gaps_and_no_seen_price() -> None:
    market = replace(small_market(), series={(PRICE, 0): series([(150, 1_050)])})
    assert price_gaps(market, market, plan(market), "r").num_rows == 0
    paths = price_paths(market, market, OUTCOMES.empty_table(), plan(market), "r")
    assert paths.num_rows > 1
    assert paths["seen_usd"].null_count == paths.num_rows

"""How far the seen price is from the world's, against a look at every second."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2liq.errors import InputError
from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.liquidators import Immediate
from l2liq.market import PRICE, Clock, Market, Series
from l2liq.oracles.models import ArithmeticMean, Delayed
from l2liq.oracles.path import Path
from l2liq.oracles.seen import seen_market
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


blocks = st.lists(st.integers(1, 90), min_size=3, max_size=12)


@given(steps, blocks, st.integers(1, 200), st.integers(1, 70))
def test_nothing_sees_a_price_before_its_time(
    recorded: list[tuple[int, int]], gaps: list[int], delay_s: int, every_s: int
) -> None:
    """At any place in a block the market sees what the model says of the block's time, and no later reading."""
    times = np.cumsum([0, *gaps])
    clock = Clock(np.arange(len(times), dtype=np.int64), times.astype(np.int64))
    found = {int(times[np.searchsorted(times, min(at_s, times[-1]))]): price for at_s, price in recorded}
    world = series(sorted((at_s, price) for at_s, price in found.items() if at_s))
    world = replace(world, key=np.array([key_of(clock.last_block_at(t), 3 if t else 0) for t in world.timestamp_s]))
    market = replace(small_market(), clock=clock, last_block=len(times) - 1, series={(PRICE, 0): world})
    path = Path(tuple(world.timestamp_s.tolist()), tuple(world.values))
    for model in (Delayed(delay_s), ArithmeticMean(delay_s, every_s)):
        told = model.seen(path, 0, int(times[-1]))
        if not told.prices:
            with pytest.raises(InputError, match="WETH has no price yet"):
                seen_market(market, {0: model}, (0, 0))
            continue
        seen = seen_market(market, {0: model}, (0, 0)).series[PRICE, 0]
        for number, at_s in enumerate(times.tolist()):
            before, after = (seen.at(key_of(number, log)) for log in (2, END_OF_BLOCK))
            then, just_before = (told.at(t) or told.prices[0] for t in (at_s, at_s - 1))
            assert after == then
            assert before in (then, just_before)
        assert (np.diff(seen.key) > 0).all()
        assert (np.diff(seen.timestamp_s) >= 0).all()


def test_a_market_with_its_own_oracles_has_no_gaps_and_no_seen_price() -> None:
    market = replace(small_market(), series={(PRICE, 0): series([(150, 1_050)])})
    assert price_gaps(market, market, plan(market), "r").num_rows == 0
    paths = price_paths(market, market, OUTCOMES.empty_table(), plan(market), "r")
    assert paths.num_rows > 1
    assert paths["seen_usd"].null_count == paths.num_rows

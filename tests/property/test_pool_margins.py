"""Whom a pool names as perhaps liquidatable, against exact health of every account."""

from __future__ import annotations

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from l2liq.market import Market
from l2liq.protocols.aave_v3.pool import open_pool
from l2liq.protocols.aave_v3.record import SeriesRecord
from l2liq.protocols.interface import Moment
from tests.property.markets import Shape, grow, markets
from tests.property.test_aave_screen import span


@settings(deadline=None, max_examples=40)
@given(markets(max_blocks=30), st.floats(0.1, 1.0), st.integers(0, 40 * 86_400))
@example(grow(3, Shape("3.0.0", 8, 2, 6, 0.0, parameter_changes=2)), 0.5, 0)
def test_margins_miss_no_liquidatable_account(market: Market, part: float, later_s: int) -> None:
    opening, _ = span(market, part)
    pool = open_pool(market, market.parameters, SeriesRecord(market), opening.key)
    for seconds in (0, later_s // 7, later_s):
        moment = Moment(opening.key, opening.timestamp_s + seconds)
        situation = pool.at(moment)
        short = {account for account in pool.accounts if situation.health(pool.state(account)).liquidatable}
        assert short <= set(pool.candidates(moment))


@settings(deadline=None, max_examples=40)
@given(markets(max_blocks=30), st.data())
def test_margins_follow_what_is_written(market: Market, data: st.DataObject) -> None:
    opening, _ = span(market, 0.6)
    pool = open_pool(market, market.parameters, SeriesRecord(market), opening.key)
    moment = Moment(opening.key, opening.timestamp_s)
    assume(pool.accounts)
    pool.candidates(moment)
    for _ in range(5):
        account = data.draw(st.sampled_from(sorted(pool.accounts)))
        other = data.draw(st.sampled_from(sorted(pool.accounts)))
        pool.write(account, dict(pool.state(other)))
        situation = pool.at(moment)
        short = {one for one in pool.accounts if situation.health(pool.state(one)).liquidatable}
        assert short <= set(pool.candidates(moment))
        assert set(pool.candidates(moment)) <= set(pool.owing())


@settings(deadline=None, max_examples=40)
@given(markets(max_blocks=30), st.data())
def test_margins_name_an_account_with_the_least_debt_that_makes_it_liquidatable(
    market: Market, data: st.DataObject
) -> None:
    opening, _ = span(market, 0.6)
    pool = open_pool(market, market.parameters, SeriesRecord(market), opening.key)
    moment = Moment(opening.key, opening.timestamp_s)
    owing = pool.owing()
    assume(owing)
    account = data.draw(st.sampled_from(sorted(owing)))
    state, situation = dict(pool.state(account)), pool.at(moment)
    leg = data.draw(st.sampled_from(sorted(set(pool.layout.debt) & state.keys())))

    def liquidatable(quantity: int) -> bool:
        return situation.health({**state, leg: quantity}).liquidatable

    low, high = 1, 1 << 110
    assume(liquidatable(high) and not liquidatable(low))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if liquidatable(middle) else (middle, high)
    pool.write(account, {**state, leg: high})
    assert account in pool.candidates(moment)

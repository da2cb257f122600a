"""Who comes first among several liquidators, what they pay, and what a scenario may not say of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from l2liq.chains.dated import Dated, Span
from l2liq.chains.rollup import Ordering, OrderingPolicy, Rollup
from l2liq.errors import InputError, ScenarioError
from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.liquidators import (
    Auction,
    Capital,
    Competition,
    Constant,
    Contestant,
    Empirical,
    Immediate,
    LatencyBlocks,
    LatencySeconds,
    LogNormal,
    Offer,
    Order,
    Profitable,
    ToHealth,
    TwoStep,
    kaplan_meier,
    largest,
    synthetic_address,
)
from l2liq.market import PRICE, Clock, Series
from l2liq.protocols import protocol
from l2liq.protocols.interface import Health, Moment
from l2liq.replay import Rival
from l2liq.replay.actual import RecordedEpisode, rivals_of
from l2liq.replay.chronicle import Recorded
from l2liq.scenario.compose import Composition, compose
from l2liq.scenario.load import load_scenarios
from pipelines.plan import plan_of, rules_of
from pipelines.surroundings import Surroundings
from tests.small_market import small_market

CLOCK = Clock(np.array([100, 101, 102]), np.array([1_000, 1_002, 1_004]))
CROSSED = Moment(key_of(100, 7), 1_000)
LEVERS = protocol("aave-v3").levers


def at(seconds: float, name: str, bid_bps: int = 0) -> Contestant:
    return Contestant(LatencySeconds(Constant(seconds)), name, bid_bps=bid_bps)


def turns(field: Competition, cause: str = "price", draw: float = 0.5) -> list[tuple[str, int]]:
    """Names in the order of their transactions, with the times of these."""
    race = field.race(lambda purpose: draw, CROSSED, cause, CLOCK)
    found = []
    for now in race.arrivals:
        found += [(e, now) for e in field.present(race, now) if e.due == now]
    return [(field.contestants[e.number].name, now.timestamp_s) for e, now in found]


def test_first_come_first_served_to_the_millisecond() -> None:
    field = Competition((at(3.2, "b"), at(3.1, "c"), at(0, "a"), at(9, "d")))
    assert turns(field) == [("a", 1_000), ("c", 1_003), ("b", 1_003), ("d", 1_009)]


def test_within_a_block_the_higher_bid_comes_first_and_the_next_block_waits() -> None:
    order = Order(Ordering.PRIORITY_FEE, block_ms=2_000)
    field = Competition((at(0.5, "early", 100), at(1.9, "high", 900), at(3.9, "next", 5_000)), order)
    assert turns(field) == [("high", 1_002), ("early", 1_002), ("next", 1_004)]


def test_equal_bids_are_ordered_by_time() -> None:
    field = Competition((at(1.5, "a", 100), at(0.5, "b", 100)), Order(Ordering.PRIORITY_FEE, block_ms=2_000))
    assert [name for name, _ in turns(field)] == ["b", "a"]


def test_the_lane_is_a_head_start_and_no_more() -> None:
    order = Order(Ordering.EXPRESS_LANE, lane="holder", lane_delay_ms=200)
    just_behind = Competition((at(3.1, "holder"), at(3.0, "other")), order)
    far_behind = Competition((at(3.3, "holder"), at(3.0, "other")), order)
    assert [name for name, _ in turns(just_behind)] == ["holder", "other"]
    assert [name for name, _ in turns(far_behind)] == ["other", "holder"]


def test_who_waits_for_the_same_thing_sends_at_once_the_lane_first() -> None:
    field = Competition((at(5, "holder"), at(1, "other")), Order(Ordering.EXPRESS_LANE, lane="holder"))
    race = field.race(lambda purpose: 0.5, CROSSED, "price", CLOCK)
    later = Moment(key_of(102, END_OF_BLOCK), 1_060)
    assert [field.contestants[e.number].name for e in field.present(race, later)] == ["holder", "other"]


def test_the_highest_bidder_wins_the_auction_in_the_same_block_and_the_others_come_after_the_cutoff() -> None:
    field = Competition((at(1, "low", 2_000), at(60, "high", 8_000)), auction=Auction(6_000, 5, 0.9))
    assert turns(field) == [("high", 1_000), ("low", 1_006)]
    race = field.race(lambda purpose: 0.5, CROSSED, "price", CLOCK)
    (winner,) = (e for e in race.entrants if e.by_auction)
    assert winner.due == CROSSED
    offer = Offer(1_050.0, 1_000.0)
    assert field.bid_usd(winner, offer, CROSSED) == 40.0
    assert field.recaptured_usd(winner, 40.0, CROSSED) == 24.0
    later = Moment(CROSSED.key, 1_030)
    assert field.bid_usd(winner, offer, later) == 0.0


def test_without_a_winner_all_come_after_the_cutoff_and_pay_nothing() -> None:
    field = Competition((at(1, "low", 2_000), at(60, "high", 8_000)), auction=Auction(6_000, 5, 0.5))
    assert turns(field) == [("low", 1_006), ("high", 1_065)]


def test_only_an_update_of_a_price_is_auctioned() -> None:
    field = Competition((at(1, "low", 2_000), at(60, "high", 8_000)), auction=Auction(6_000, 5))
    assert turns(field, cause="interest") == [("low", 1_001), ("high", 1_060)]


def test_who_never_comes_is_not_there() -> None:
    never = Contestant(LatencySeconds(Empirical((3.0,), (0.4,))), "never")
    assert turns(Competition((never, at(1, "a")))) == [("a", 1_001)]


def test_whoever_is_told_in_time_does_not_try() -> None:
    field = Competition((at(1, "a"),), notice_s=3)
    race = field.race(lambda purpose: 0.5, CROSSED, "price", CLOCK)
    race.closed = Moment(CROSSED.key, 1_010)
    tried = [field.tries_late(race, Moment(CROSSED.key, second)) for second in (1_010, 1_011, 1_013, 1_014)]
    assert tried == [False, True, True, False]


def test_capital_is_back_after_its_time_and_amounts_are_rounded_against_the_liquidator() -> None:
    purse = Capital((Contestant(Immediate(), "a", capital_base=1_000, recycle_s=60), Contestant(Immediate(), "b")))
    price, unit = 3, 10
    assert purse.affordable(0, 0, price, unit) == 3_333
    purse.pay(0, 0, 3_333, price, unit)
    assert purse.free(0, 59) == 0
    assert purse.next_return_s([0, 1], 0) == 60
    assert purse.free(0, 60) == 1_000
    assert purse.affordable(1, 0, price, unit) is None


def test_what_is_undone_was_never_lent_out() -> None:
    purse = Capital((Contestant(Immediate(), "a", capital_base=1_000, recycle_s=60),))
    purse.pay(0, 10, 300, 1, 1)
    purse.pay(0, 20, 500, 1, 1)
    purse.return_since(15)
    assert purse.free(0, 21) == 700


def test_capital_that_comes_back_at_once_is_back_in_the_next_block() -> None:
    purse = Capital((Contestant(Immediate(), "a", capital_base=1_000),))
    purse.pay(0, 10, 600, 1, 1)
    assert [purse.free(0, second) for second in (10, 11)] == [400, 1_000]


def episode(since_s: int, until_s: int, liquidator: int | None, debt: int = 0) -> RecordedEpisode:
    """An episode of account 0 that a liquidator ended, or none."""
    since, until = (Moment(key_of(second, 0), second) for second in (since_s, until_s))
    taken = Recorded(until, (until_s, 0), b"", 0, liquidator or 0, 0, 1, debt, 0, 0, False)
    health = Health(0, 0, 0, 0, True)
    return RecordedEpisode(0, since, until, "price", health, () if liquidator is None else (taken,))


def rivals(*episodes: RecordedEpisode) -> list[Rival]:
    market = small_market()
    price = Series(PRICE, 1, np.array([0]), np.array([0]), np.frombuffer((10**8).to_bytes(32, "big"), np.uint8)[None])
    addresses = pa.array([bytes([number]) * 20 for number in range(4)], pa.binary(20))
    return rivals_of(episodes, replace(market, addresses=addresses, series={(PRICE, 1): price}))


def reached_by(fitted: Empirical, delay: float) -> float:
    known = zip(fitted.delays, fitted.reached, strict=True)
    return max((reached for at_most, reached in known if at_most <= delay), default=0.0)


def test_everyone_is_fitted_for_itself_and_the_earliest_of_all_has_the_recorded_delays() -> None:
    waits = [(1, 1), (2, 2), (3, 1), (4, None), (5, 3), (6, 1), (7, 2), (8, None)]
    episodes = [episode(100 * n, 100 * n + wait, who, 10**6 * n) for n, (wait, who) in enumerate(waits)]
    found = rivals(*episodes)
    assert [(one.address[0], one.wins, one.largest_base) for one in found] == [
        (1, 3, 5 * 10**8),
        (2, 2, 6 * 10**8),
        (3, 1, 4 * 10**8),
    ]
    overall = kaplan_meier([wait for wait, _ in waits], [who is not None for _, who in waits])
    for delay, reached in zip(overall.delays, overall.reached, strict=True):
        still = 1.0
        for one in found:
            still *= 1 - max(
                (r for d, r in zip(one.delays_s.delays, one.delays_s.reached, strict=True) if d <= delay), default=0
            )
        assert still == pytest.approx(1 - reached)


def test_without_a_liquidation_nobody_can_be_fitted() -> None:
    with pytest.raises(InputError, match="no liquidation in the period"):
        rivals(episode(0, 9, None))


def test_a_bid_counts_against_what_a_liquidator_wants() -> None:
    model = Profitable(Immediate(), least_usd=10.0)
    assert model.wants(Offer(1_050.0, 1_000.0, bid_usd=40.0))
    assert not model.wants(Offer(1_050.0, 1_000.0, bid_usd=40.1))


@pytest.mark.parametrize("stop", [1, 2, 3, 10, 1_000_003])
def test_the_largest_number_is_found_from_any_guess(stop: int) -> None:
    for last in {0, 1, stop // 2, stop - 1} & set(range(stop)):
        for guess in (-5, 0, 1, last, stop // 3, stop, stop + 7):
            assert largest(lambda n, last=last: n <= last, stop, guess) == last


# Scenarios


def composed(text: str) -> Composition:
    (loaded,) = load_scenarios(f"name: x\nliquidator:\n{text}", "s.yaml", LEVERS)
    return compose(loaded, small_market(), LEVERS)


def field_of(text: str, rollup: Rollup | None = None, block_time_ms: int | None = None) -> Competition:
    market = small_market()
    around = Surroundings(rollup=rollup or Rollup(), block_time_ms=block_time_ms)
    found = plan_of(composed(text), market, rules_of(market).venue, around).liquidator
    assert isinstance(found, Competition)
    return found


TWO = "  model: competition\n  contestants:\n    quick: {delay: 2s}\n    rich: {delay: 5s, spread: 1, bid: 5%}\n"


def chain(policy: Ordering, lane_delay_ms: int = 0) -> Rollup:
    return Rollup(ordering=Dated((Span(0, None, OrderingPolicy(policy, lane_delay_ms)),)))


def test_what_a_scenario_says_is_what_competes() -> None:
    text = TWO + (
        "    own: {address: '0x" + "AB" * 20 + "', delay: 3 blocks, capital: $1000.5, recycle: 10m, "
        "profit: {above: $3}}\n  ordering: priority_fee\n  block_time: 2s\n  notice: 4s\n  sizing: {to_health: 1.05}\n"
        "  oev: {recapture: 60%}\n  profit: {above: $1}\n"
    )
    quick, rich = (
        Profitable(model, transaction_usd=0.0, least_usd=1.0)
        for model in (LatencySeconds(Constant(2.0)), LatencySeconds(LogNormal(5.0, 1.0)))
    )
    own = Profitable(LatencyBlocks(Constant(3)), transaction_usd=0.0, least_usd=3.0)
    assert field_of(text) == Competition(
        (
            Contestant(quick, "quick", synthetic_address("quick")),
            Contestant(rich, "rich", synthetic_address("rich"), bid_bps=500),
            Contestant(own, "own", bytes([0xAB]) * 20, 100_050_000_000, 600),
        ),
        Order(Ordering.PRIORITY_FEE, block_ms=2_000),
        4,
        ToHealth(105 * 10**16),
        Auction(6_000, 5),
    )


@pytest.mark.parametrize(
    ("rollup", "more", "order"),
    [
        (None, "", Order()),
        (chain(Ordering.FIRST_COME), "", Order()),
        (chain(Ordering.PRIORITY_FEE), "", Order(Ordering.PRIORITY_FEE, block_ms=250)),
        (chain(Ordering.PRIORITY_FEE), "  ordering: fcfs\n", Order()),
        (chain(Ordering.EXPRESS_LANE, 150), "", Order()),
        (chain(Ordering.EXPRESS_LANE, 150), "  lane: rich\n", Order(Ordering.EXPRESS_LANE, 1_000, "rich", 150)),
        (None, "  lane: rich\n", Order(Ordering.EXPRESS_LANE, 1_000, "rich", 200)),
        (None, "  lane: rich\n  lane_delay: 50ms\n", Order(Ordering.EXPRESS_LANE, 1_000, "rich", 50)),
    ],
)
def test_order_and_block_time_are_the_chains_unless_said_otherwise(
    rollup: Rollup | None, more: str, order: Order
) -> None:
    assert field_of(TWO + more, rollup, 250).order == order


def test_sizing_and_auctions_hold_for_a_liquidator_that_is_alone_too() -> None:
    oev = "  oev: {bid: 80%, recapture: 60%, cutoff: 3s, success: 90%}\n"
    text = f"  model: latency\n  delay: 30s\n  sizing: two_step\n{oev}"
    model = LatencySeconds(Constant(30.0))
    assert field_of(text) == Competition(
        (Contestant(model, bid_bps=8_000),), sizing=TwoStep(), auction=Auction(6_000, 3, 0.9)
    )
    said = field_of(text).words()
    assert "30 s" in said
    assert "60 %" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  model: competition\n", "needs `contestants` or `delay: fitted`"),
        (TWO + "  delay: fitted\n", "has both `contestants` and `delay: fitted`"),
        (TWO + "  delay: 3s\n", "the model competition has no `delay`"),
        ("  model: competition\n  contestants: {}\n", "nobody competes, or too many do: write 1 to 1,000"),
        (TWO + "    quick: {}\n", "quick stands here a second time"),
        (TWO + "  ordering: random\n", "'random' is not one of fcfs, priority_fee, express_lane"),
        (TWO + "  ordering: express_lane\n", "needs `lane`"),
        (TWO + "  lane: nobody\n", "`lane: nobody` is no contestant. Known are quick, rich."),
        (TWO + "  ordering: fcfs\n  block_time: 2s\n", "`block_time` belongs to `ordering: priority_fee`"),
        (TWO + "    poor: {capital: $-5}\n", "$-5 is no amount of dollars"),
        (TWO + "    loud: {bid: 101%}\n", "101% is impossible. It can be 0% to 100%."),
        (TWO + "    slow: {capital: $5, recycle: -1s}\n", "-1s is no time to wait"),
        (TWO + "    slow: {recycle: 5s}\n", "slow: `recycle` says when `capital` comes back"),
        (TWO + "    odd: {spread: 1}\n", "odd: `spread` belongs to a delay"),
        (TWO + "    odd: {delay: fitted}\n", "a contestant's delay is given"),
        (TWO + "    odd: {address: '0x12'}\n", "0x12 is no address"),
        (
            TWO + f"    c: {{address: '0x{'ab' * 20}'}}\n    d: {{address: '0x{'AB' * 20}'}}\n",
            "two contestants have the address 0xabab",
        ),
        (TWO + "    ' ': {}\n", "a contestant's name has 1 to 60 characters"),
        (TWO + "  oev: {recapture: 60%, bid: 10%}\n", "everyone's own `bid` counts"),
        ("  oev: {recapture: 60%}\n", "`oev` needs `bid`"),
        ("  oev: {bid: 60%}\n", "recapture: is missing"),
        ("  lane: a\n", "`lane` belongs to the model competition"),
        ("  sizing: half\n", "half is no sizing. Write max, two_step, what_pays, or {to_health: 1.05}."),
        ("  sizing: {to_health: 0.9}\n", "0.9 is no health to restore"),
        ("  sizing: {to_health: 105%}\n", "a health factor is a plain number"),
    ],
)  # fmt: skip
def test_each_mistake_names_place_and_remedy(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as found:
        composed(text)
    assert message in str(found.value)
    assert str(found.value).startswith("s.yaml:")
    assert len(str(found.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("rollup", "message"),
    [
        (chain(Ordering.PRIORITY_FEE), "Write `block_time: 2s`, or `ordering: fcfs`."),
        (chain(Ordering.OPERATOR), "Write `ordering`."),
    ],
)
def test_what_nobody_knows_of_a_chain_has_to_be_said(rollup: Rollup, message: str) -> None:
    with pytest.raises(ScenarioError, match=message.replace(".", r"\.")):
        field_of(TWO, rollup)


def test_there_has_to_be_a_time_to_fit_competitors_on() -> None:
    with pytest.raises(ScenarioError, match="Let the window start later"):
        field_of("  model: competition\n  delay: fitted\n")


def test_keys_that_are_not_used_leave_no_trace_in_the_effective_scenario() -> None:
    (loaded,) = load_scenarios("name: x\n", "s.yaml", LEVERS)
    assert set(loaded.scenario.effective()["liquidator"]) == {"model", "delay", "spread", "every", "spacing", "profit"}
    effective = composed(TWO).effective["liquidator"]
    assert effective["contestants"]["rich"]["bid"] == "5%"
    assert "oev" not in effective

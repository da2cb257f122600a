"""Stories with a known end: what becomes of users' actions and of liquidations in a world with other rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from l2liq.liquidators import Constant, Empirical, Immediate, LatencyBlocks, LatencySeconds
from l2liq.outcome.schema import World
from l2liq.replay import Infeasible, Plan, replay
from tests.unit.toy import CASH, COIN, SECONDS, Rules, ToyVenue, history, moment

ANNA, BERT, CARL = 0, 1, 2
STEADY = {0: 100}


def told(market, *, percent=60, worlds=(World.ALTERNATIVE,), **more):
    """Outcomes as (kind, block, account, words, amount) and the whole result, with a lower threshold from block 1."""
    alternative = market.parameters.changed(moment(1).key, SECONDS, lambda rules: replace(rules, percent=percent))
    plan = Plan(
        **{
            "first": moment(1),
            "last": moment(market.last_block),
            "actual": market.parameters,
            "alternative": alternative,
            "change": moment(1),
            "liquidator": Immediate(),
            **more,
        }
    )
    result = replay(lambda timeline: ToyVenue(market, timeline), market, plan, worlds)
    rows = [
        (r["kind"], r["block_number"], r["account"][0], r["action"] or r["cause"], int(r["debt_amount"] or 0))
        for r in result.outcomes.to_pylist()
    ]
    return rows, result


LOOP = (
    (2, 0, "supply", ANNA, COIN, 1),
    (3, 0, "borrow", ANNA, CASH, 70),
    (4, 0, "supply", ANNA, CASH, 70),
    (5, 0, "withdraw", ANNA, CASH, 10),
)


def test_a_skipped_borrow_leaves_what_it_paid_for_unfunded():
    rows, result = told(history(*LOOP, coin_prices=STEADY))
    assert rows == [("rejected", 3, ANNA, "borrow", 70), ("unfunded", 4, ANNA, "supply", 70)]
    counters = result.counters[World.ALTERNATIVE]
    assert (counters.rejected, counters.unfunded, counters.diverged, counters.ambiguous) == (1, 1, 1, 0)


def test_unfunded_transactions_are_skipped_where_the_scenario_asks_for_it():
    rows, _ = told(history(*LOOP, coin_prices=STEADY), reject_unfunded=True)
    assert rows == [
        ("rejected", 3, ANNA, "borrow", 70),
        ("rejected", 4, ANNA, "supply", 70),
        ("rejected", 5, ANNA, "withdraw", 10),
    ]


def test_a_clipped_borrow_does_what_is_possible():
    rows, _ = told(history(*LOOP, coin_prices=STEADY), infeasible=Infeasible.CLIP)
    assert rows == [("clipped", 3, ANNA, "borrow", 10), ("unfunded", 4, ANNA, "supply", 10)]


def test_a_frozen_account_does_nothing_more():
    rows, _ = told(history(*LOOP, coin_prices=STEADY), infeasible=Infeasible.FREEZE)
    assert [row[:4] for row in rows] == [
        ("rejected", 3, ANNA, "borrow"),
        ("rejected", 4, ANNA, "supply"),
        ("rejected", 5, ANNA, "withdraw"),
    ]


def test_a_transaction_is_done_whole_or_not_at_all():
    story = (
        (2, 0, "supply", ANNA, COIN, 1),
        (3, 0, "supply", ANNA, CASH, 5),
        (3, 0, "borrow", ANNA, CASH, 70),
        (3, 0, "supply", BERT, CASH, 9),
    )
    _, result = told(history(*story, coin_prices=STEADY), infeasible=Infeasible.CLIP)
    rows = result.outcomes.to_pylist()
    assert [(r["kind"], r["account"][0], r["action"], r["cause"]) for r in rows] == [
        ("rejected", ANNA, "supply", "unsound"),
        ("rejected", ANNA, "borrow", "unsound"),
        ("rejected", BERT, "supply", "unsound"),
    ]
    assert result.counters[World.ALTERNATIVE].diverged == 2


def test_what_a_transfer_no_longer_brings_its_receiver_cannot_use():
    story = (
        (2, 0, "supply", ANNA, COIN, 2),
        (3, 0, "borrow", ANNA, CASH, 80),
        (4, 0, "transfer", ANNA, COIN, 1, BERT),
        (5, 0, "borrow", BERT, CASH, 50),
        (6, 0, "repay", BERT, CASH, 50),
    )
    rows, result = told(history(*story, coin_prices=STEADY))
    assert rows == [
        ("rejected", 4, ANNA, "transfer", 1),
        ("rejected", 5, BERT, "borrow", 50),
        ("rejected", 6, BERT, "repay", 50),
    ]
    ends = {r["account"][0]: int(r["debt_base"]) for r in result.accounts.to_pylist()}
    assert ends == {ANNA: 80, BERT: 0}


FALL = ((2, 0, "supply", ANNA, COIN, 10), (3, 0, "borrow", ANNA, CASH, 700))


def test_the_world_with_the_lower_threshold_liquidates_earlier():
    market = history(*FALL, (9, 0, "supply", ANNA, CASH, 1), coin_prices={0: 100, 5: 90, 7: 80})
    rows, result = told(market, percent=75, worlds=(World.CONTROL, World.ALTERNATIVE))
    events = [(r[0], r[1], r[3]) for r in rows if r[0] != "rejected"]
    assert events == [
        ("margin_call", 5, "price"),
        ("liquidation", 5, "price"),
        ("margin_call", 7, "price"),
        ("liquidation", 7, "price"),
    ]
    assert [r["world"] for r in result.outcomes.to_pylist()] == ["alternative"] * 2 + ["control"] * 2


@pytest.mark.parametrize(
    ("liquidator", "block"), [(LatencyBlocks(Constant(2)), 7), (LatencySeconds(Constant(2 * SECONDS)), 7)]
)
def test_a_late_liquidator_finds_who_is_still_short(liquidator, block):
    market = history(*FALL, coin_prices={0: 100, 5: 80, 9: 80})
    rows, result = told(market, percent=80, liquidator=liquidator)
    assert [(r[0], r[1]) for r in rows] == [("margin_call", 5), ("liquidation", block)]
    assert result.outcomes["liquidatable_since_s"].to_pylist()[1] == 5 * SECONDS


def test_a_late_liquidator_leaves_alone_who_recovered():
    market = history(*FALL, coin_prices={0: 100, 5: 80, 6: 100, 8: 80, 12: 80})
    rows, _ = told(market, percent=80, liquidator=LatencyBlocks(Constant(2)))
    assert [(r[0], r[1]) for r in rows] == [("margin_call", 5), ("margin_call", 8), ("liquidation", 10)]


def test_who_is_never_liquidated_falls_short_again_after_recovering():
    market = history(*FALL, coin_prices={0: 100, 5: 80, 7: 100, 9: 80})
    rows, _ = told(market, percent=80, liquidator=LatencySeconds(Empirical((1.0,), (0.0,))))
    assert [(r[0], r[1]) for r in rows] == [("margin_call", 5), ("margin_call", 9)]


def test_a_gate_holds_a_liquidation_up_until_it_opens():
    closed = {4: Rules(closed_until_s=8 * SECONDS)}
    market = history(*FALL, coin_prices={0: 100, 5: 80, 12: 80}, rules=closed)
    rows, _ = told(market, percent=80)
    assert [(r[0], r[1], r[3]) for r in rows] == [
        ("margin_call", 5, "price"),
        ("blocked", 5, "closed"),
        ("liquidation", 8, "gate"),
    ]


def test_a_reserve_that_a_liquidation_drew_on_cannot_pay_a_recorded_withdrawal():
    story = (
        (2, 0, "supply", ANNA, COIN, 10),
        (2, 1, "supply", BERT, COIN, 4),
        (2, 2, "supply", CARL, CASH, 2_000),
        (3, 0, "borrow", ANNA, CASH, 700),
        (4, 0, "borrow", CARL, COIN, 5),
        (7, 0, "withdraw", BERT, COIN, 4),
        (8, 0, "repay", CARL, COIN, 5),
    )
    rows, result = told(history(*story, coin_prices={0: 100, 5: 90, 9: 90}, cash=(0, 700)), percent=75)
    assert [row[:4] for row in rows] == [
        ("margin_call", 5, ANNA, "price"),
        ("liquidation", 5, ANNA, "price"),
        ("rejected", 7, BERT, "withdraw"),
    ]
    assert result.outcomes["cause"].to_pylist()[-1] == "no_liquidity"


def test_the_change_itself_is_named_as_the_cause():
    market = history((0, 0, "supply", ANNA, COIN, 10), (0, 1, "borrow", ANNA, CASH, 700), coin_prices={0: 100, 5: 100})
    rows, result = told(market, percent=60)
    assert [(r[0], r[1], r[3]) for r in rows] == [("margin_call", 1, "change"), ("liquidation", 1, "change")]
    assert result.changed_itself == (bytes([ANNA]) * 20,)

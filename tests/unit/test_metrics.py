"""Metrics against numbers worked out by hand and against the same question asked in SQL."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from l2liq.market import Asset
from l2liq.metrics.bootstrap import resample_days
from l2liq.metrics.catalogue import METRIC
from l2liq.metrics.compare import Effect, asset_values, effects, metrics_table
from l2liq.metrics.events import events_of
from l2liq.metrics.measure import Measures, measure, over_liquidated, toxic
from l2liq.metrics.validity import misplaced, mistaken, validity
from l2liq.outcome import ACCOUNTS, METRICS, OUTCOMES, Kind, World
from l2liq.replay import Counters, Divergence

USD = 10**8
WAD = 10**18
DAY = 86_400
START = 1_722_470_400
ALICE, BOB, CAROL, BOT, OTHER_BOT = (bytes([n]) * 20 for n in range(1, 6))
WETH, USDC = b"\x11" * 20, b"\x22" * 20


def liquidation(
    account: bytes, at: int, debt: float, collateral: float, fee: float = 0.0, **more: Any
) -> dict[str, Any]:
    return {
        "kind": Kind.LIQUIDATION.value,
        "timestamp_s": START + at,
        "account": account,
        "liquidator": BOT,
        "collateral_asset": WETH,
        "debt_asset": USDC,
        "debt_usd": debt,
        "collateral_usd": collateral,
        "debt_market_usd": debt,
        "collateral_market_usd": collateral,
        "protocol_fee_usd": fee,
        "account_debt_base": 1_000 * USD,
        "account_collateral_base": 1_200 * USD,
        "health_before_wad": int(0.96 * WAD),
        "health_after_wad": None,
        "liquidatable_since_s": START + at - 10,
        "cause": "price",
        "settled_s": START + at + 100,
        "fee_usd": 2.0,
        "proceeds_usd": collateral - 4.0,
        "slippage_usd": 4.0,
        "profit_usd": collateral - debt - 2.0,
        **more,
    }


def table(rows: dict[World, list[dict[str, Any]]]) -> pa.Table:
    defaults = {"run_id": "r", "block_number": 1, "log_index": 0}
    return pa.Table.from_pylist(
        [
            dict.fromkeys(OUTCOMES.names) | defaults | {"world": world.value, "sequence": n} | row
            for world, mine in rows.items()
            for n, row in enumerate(mine)
        ],
        OUTCOMES,
    )


def account(world: World, who: bytes, collateral: int, debt: int, health: float | None, **more: Any) -> dict[str, Any]:
    return {
        "run_id": "r",
        "world": world.value,
        "account": who,
        "collateral_base": collateral * USD,
        "debt_base": debt * USD,
        "health_wad": None if health is None else int(health * WAD),
        "bad_debt_base": max(0, debt - collateral) * USD,
        "borrowable_base": collateral * USD * 3 // 4,
        "repayable_base": collateral * USD * 4 // 5,
        "liquidations": 0,
        "collateral_lost_usd": 0.0,
        "debt_repaid_usd": 0.0,
        "diverged_at_s": None,
        "sellable_usd": None,
        **more,
    }


ROWS = [
    liquidation(ALICE, 100, 500.0, 520.0, 5.0, profit_usd=8.0, bid_usd=10.0, recaptured_usd=6.0),
    liquidation(ALICE, 160, 250.0, 260.0, 2.5, liquidatable_since_s=START + 90, liquidator=OTHER_BOT),
    liquidation(
        BOB,
        DAY,
        250.0,
        255.0,
        liquidatable_since_s=START + DAY - 70,
        debt_market_usd=251.0,
        collateral_market_usd=245.0,
    ),
    liquidation(CAROL, 5, 40.0, 42.0, cause="change", health_after_wad=int(0.95 * WAD)),
    {"kind": Kind.FAILED_ATTEMPT.value, "timestamp_s": START + 100, "account": ALICE, "fee_usd": 1.5},
    {"kind": Kind.DEFICIT.value, "timestamp_s": START + 200, "account": ALICE, "debt_asset": USDC, "debt_usd": 30.0},
    {"kind": Kind.BLOCKED.value, "timestamp_s": START + 50, "account": ALICE, "cause": "sentinel"},
    {"kind": Kind.BLOCKED.value, "timestamp_s": START + 60, "account": ALICE, "cause": "sentinel"},
]
ENDS = [
    account(World.CONTROL, ALICE, 90, 100, 0.5, sellable_usd=70.0),
    account(World.CONTROL, BOB, 400, 200, 1.6),
    account(World.CONTROL, CAROL, 70, 0, None),
]


def measured(world: World = World.CONTROL) -> Measures:
    return measure(events_of(table({world: ROWS}), world, USD), pa.Table.from_pylist(ENDS, ACCOUNTS), world, USD)


def test_metrics_are_what_the_hand_finds() -> None:
    values = measured().values()
    assert values == {
        "liquidated_accounts": 3.0,
        "liquidations": 4.0,
        "debt_repaid_usd": 1040.0,
        "collateral_seized_usd": 1084.5,
        "user_loss_usd": 44.5,
        "over_liquidated_usd": values["over_liquidated_usd"],
        "over_liquidation_cost_usd": values["over_liquidation_cost_usd"],
        "protocol_fees_usd": 7.5,
        "liquidator_profit_usd": 37.0,
        "oracle_gap_usd": -11.0,
        "losing_liquidations": 1.0,
        "liquidator_concentration": 0.75**2 + 0.25**2,
        "liquidation_costs_usd": 8.0,
        "liquidator_profit_after_costs_usd": 29.0,
        "slippage_usd": 16.0,
        "liquidator_profit_after_sale_usd": 14.0 + 4.0 - 2.0 - 4.0,
        "liquidators_left_usd": 8.0 + 8.0 + 3.0 + 0.0 - 1.5,
        "failed_attempts": 1.0,
        "failed_attempts_cost_usd": 1.5,
        "bids_usd": 10.0,
        "oev_revenue_usd": 6.0,
        "toxic_liquidations": 1.0,
        "toxic_debt_repaid_usd": 40.0,
        "at_risk_before_settlement_peak_usd": 525.0 + 262.5,
        "waiting_median_s": 10.0,
        "waiting_p90_s": 70.0,
        "waiting_p99_s": 70.0,
        "blocked_accounts": 1.0,
        "left_open_accounts": 1.0,
        "left_open_debt_usd": 100.0,
        "left_open_blocked_accounts": 1.0,
        "bad_debt_realised_usd": 30.0,
        "bad_debt_open_usd": 10.0,
        "bad_debt_usd": 40.0,
        "bad_debt_liquidation_adjusted_usd": 28.0,
        "bad_debt_market_adjusted_usd": 30.0,
        "undercollateralised_debt_usd": 100.0,
        "unprofitable_debt_usd": 0.0,
        "debt_capacity_usd": 370.0,
        "borrowing_power_usd": 367.5,
        "collateral_use": 300 / 490,
        "liquidated_by_change": 1.0,
        "debt_repaid_by_change_usd": 40.0,
        "user_loss_by_change_usd": 2.0,
    }
    assert values.keys() == METRIC.keys()


def test_without_clocks_and_fees_nothing_is_measured_of_them() -> None:
    rows = [row | {"settled_s": None, "fee_usd": None} for row in ROWS]
    found = measure(
        events_of(table({World.CONTROL: rows}), World.CONTROL, USD), ACCOUNTS.empty_table(), World.CONTROL, USD
    )
    values = found.values()
    assert values["at_risk_before_settlement_peak_usd"] is None
    fees = {"liquidation_costs_usd", "liquidator_profit_after_costs_usd", "failed_attempts_cost_usd"}
    assert not fees & set(values)


def test_transactions_that_came_too_late_leave_no_trace_in_the_actual_world() -> None:
    values = measured(World.ACTUAL).values()
    assert "failed_attempts" not in values


@pytest.mark.parametrize(
    ("before", "after", "repaid", "is_toxic"),
    [
        (0.87, (87 - 0.8715 * 10) / 90, 10.0, True),  # DOMAIN §7.3: LT 0.83, bonus 5 %, worse below 0.8715
        (0.88, (88 - 0.8715 * 10) / 90, 10.0, False),
        (0.87, None, 100.0, False),
        (0.5, 0.4, 0.5, False),
    ],
)
def test_a_liquidation_is_toxic_where_health_falls(
    before: float, after: float | None, repaid: float, is_toxic: bool
) -> None:
    wads = [None if health is None else int(health * WAD) for health in (before, after)]
    row = liquidation(ALICE, 0, repaid, repaid * 1.05, health_before_wad=wads[0], health_after_wad=wads[1])
    done = events_of(table({World.CONTROL: [row]}), World.CONTROL, USD).liquidations
    assert toxic(done).tolist() == [is_toxic]


@pytest.mark.parametrize(
    ("health", "after", "repaid", "seized", "excess"),
    [
        # DOMAIN §7.3: D 100, B 95, LT 0.83, bonus 5 %: 38.91 restore health 1
        (0.95, (95 - 0.8715 * 50) / 50, 50.0, 52.5, 50 - 5 / (1 - 0.8715)),
        (0.95, (95 - 0.8715 * 30) / 70, 30.0, 31.5, 0.0),
        # nothing left: the threshold is the average one, B / C = 95 / 114.457… = 0.83
        (0.95, None, 100.0, 105.0, 100 - 5 / (1 - 0.8715)),
        # toxic: LT * (1 + bonus) above 1, no repayment restores health
        (0.95, (95 - 1.05 * 50) / 50, 50.0, 60.0, 0.0),
    ],
)
def test_over_liquidation_is_what_exceeds_restoring_health(
    health: float, after: float | None, repaid: float, seized: float, excess: float
) -> None:
    row = liquidation(
        ALICE,
        0,
        repaid,
        seized,
        account_debt_base=100 * USD,
        account_collateral_base=round(95 / 0.83 * USD),
        health_before_wad=int(health * WAD),
        health_after_wad=None if after is None else int(after * WAD),
    )
    done = events_of(table({World.CONTROL: [row]}), World.CONTROL, USD).liquidations
    assert over_liquidated(done)[0] == pytest.approx(excess, rel=1e-6)


def random_rows(seed: int, number: int = 400) -> list[dict[str, Any]]:
    draw = np.random.default_rng(seed)
    return [
        liquidation(
            bytes([int(draw.integers(40))]) * 20,
            int(draw.integers(14 * DAY)),
            float(draw.lognormal(6, 2)),
            float(draw.lognormal(6, 2)),
            float(draw.lognormal(2, 1)),
            liquidator=bytes([int(draw.integers(5))]) * 20,
            cause=str(draw.choice(["price", "interest", "change"])),
            collateral_asset=WETH if draw.random() < 0.5 else USDC,
        )
        for _ in range(number)
    ]


def test_metrics_equal_the_same_question_in_sql() -> None:
    outcomes = table({World.CONTROL: random_rows(1), World.ALTERNATIVE: random_rows(2)})
    for world in (World.CONTROL, World.ALTERNATIVE):
        events = events_of(outcomes, world, USD)
        values = measure(events, ACCOUNTS.empty_table(), world, USD).values()
        row = duckdb.sql(
            f"""WITH mine AS (FROM outcomes WHERE world = '{world.value}' AND kind = 'liquidation'),
                others AS (FROM mine WHERE cause <> 'change'),
                shares AS (SELECT sum(debt_usd) AS part FROM others GROUP BY liquidator)
            SELECT count(*) AS liquidations, count(DISTINCT account) AS liquidated_accounts,
                sum(debt_usd) AS debt_repaid_usd, sum(collateral_usd + protocol_fee_usd - debt_usd) AS user_loss_usd,
                sum(protocol_fee_usd) AS protocol_fees_usd, sum(collateral_usd - debt_usd) AS liquidator_profit_usd,
                quantile_disc(timestamp_s - liquidatable_since_s, 0.9) FILTER (cause <> 'change') AS waiting_p90_s,
                (SELECT count(DISTINCT account) FROM mine WHERE cause = 'change') AS liquidated_by_change,
                (SELECT sum(part * part) / pow(sum(part), 2) FROM shares) AS liquidator_concentration
            FROM mine"""
        )
        (found,) = row.df().to_dict("records")
        for name, value in found.items():
            assert values[name] == pytest.approx(value, rel=1e-12), name
        by_asset = duckdb.sql(
            f"""SELECT collateral_asset, sum(collateral_usd + protocol_fee_usd) FROM outcomes
            WHERE world = '{world.value}' AND kind = 'liquidation' GROUP BY ALL"""
        ).fetchall()
        assert asset_values(events)["collateral_seized_usd"] == pytest.approx(dict(by_asset), rel=1e-12)


def ends(*rows: dict[str, Any], events: list[dict[str, Any]] | None = None) -> dict[str, float | None]:
    """What is measured of accounts at the end of the control world."""
    found = events_of(table({World.CONTROL: events or []}), World.CONTROL, USD)
    return measure(found, pa.Table.from_pylist(list(rows), ACCOUNTS), World.CONTROL, USD).values()


@pytest.mark.parametrize(("health_wad", "left_open"), [(WAD, 0.0), (WAD - 1, 1.0), (None, 0.0)])
def test_the_last_unit_of_health_decides_who_is_left_open(health_wad: int | None, left_open: float) -> None:
    row = account(World.CONTROL, ALICE, 200, 100, None, health_wad=health_wad)
    assert ends(row)["left_open_accounts"] == left_open
    assert ends(row)["left_open_debt_usd"] == 100 * left_open


@pytest.mark.parametrize(
    ("collateral_base", "kind"),
    [
        (100 * USD - 1, "undercollateralised_debt_usd"),
        (100 * USD, "unprofitable_debt_usd"),
        (101 * USD - 1, "unprofitable_debt_usd"),
        (101 * USD, None),
    ],
)
def test_the_last_unit_of_collateral_decides_the_type_of_bad_debt(collateral_base: int, kind: str | None) -> None:
    values = ends(account(World.CONTROL, ALICE, 0, 100, 0.8, collateral_base=collateral_base))
    for name in ("undercollateralised_debt_usd", "unprofitable_debt_usd"):
        assert values[name] == (100.0 if name == kind else 0.0)


def test_an_account_without_debt_is_no_bad_debt_of_any_kind() -> None:
    values = ends(account(World.CONTROL, ALICE, 0, 0, None))
    assert {name: value for name, value in values.items() if value} == {}


def test_only_who_was_held_up_and_is_still_short_counts_as_blocked_and_left_open() -> None:
    blocked = [
        {"kind": Kind.BLOCKED.value, "timestamp_s": START, "account": who, "cause": "sentinel"} for who in (ALICE, BOB)
    ]
    rows = [account(World.CONTROL, who, 200, 100, health) for who, health in ((ALICE, 0.9), (BOB, 1.1), (CAROL, 0.9))]
    values = ends(*rows, events=blocked)
    assert (values["blocked_accounts"], values["left_open_accounts"]) == (2.0, 2.0)
    assert values["left_open_blocked_accounts"] == 1.0


def random_ends(seed: int, world: World, number: int = 200) -> list[dict[str, Any]]:
    draw = np.random.default_rng(seed)
    names = ("collateral_base", "debt_base", "borrowable_base", "repayable_base")
    return [
        account(world, bytes([n]) * 20, 0, 0, None)
        | {name: int(draw.integers(0, 50 * USD)) for name in names}
        | {"health_wad": int(draw.integers(WAD // 2, 2 * WAD))}
        for n in range(number)
    ]


def test_ends_equal_the_same_question_in_sql() -> None:
    rows = random_ends(3, World.CONTROL)
    accounts = pa.Table.from_pylist(rows, ACCOUNTS)  # noqa: F841 (the query reads it)
    values = ends(*rows)
    found = duckdb.sql(
        f"""SELECT count(*) FILTER (health_wad < {WAD}) AS left_open_accounts,
            sum(debt_base) FILTER (health_wad < {WAD}) AS left_open_debt_usd,
            sum(greatest(0, debt_base - collateral_base)) AS bad_debt_open_usd,
            sum(greatest(0, debt_base - repayable_base)) AS bad_debt_liquidation_adjusted_usd,
            sum(debt_base) FILTER (collateral_base < debt_base) AS undercollateralised_debt_usd,
            sum(debt_base) FILTER (collateral_base - debt_base BETWEEN 0 AND {USD - 1}) AS unprofitable_debt_usd,
            sum(borrowable_base) AS borrowing_power_usd
        FROM accounts WHERE debt_base > 0"""
    )
    (row,) = [dict(zip(found.columns, one, strict=True)) for one in found.fetchall()]
    assert values["left_open_accounts"] == row.pop("left_open_accounts")
    for name, base in row.items():
        assert base
        assert values[name] == pytest.approx(int(base) / USD, rel=1e-15), name


def compared(control: list[dict[str, Any]], alternative: list[dict[str, Any]], seed: int = 7) -> dict[str, Effect]:
    outcomes = table({World.ACTUAL: control, World.CONTROL: control, World.ALTERNATIVE: alternative})
    measures = {world: measure(events_of(outcomes, world, USD), ACCOUNTS.empty_table(), world, USD) for world in World}
    days = resample_days((START, START + 14 * DAY - 1), 2, 500, seed)
    return {effect.metric: effect for effect in effects(measures, days)}


def test_identical_worlds_have_no_effect_and_no_interval_around_it() -> None:
    rows = random_rows(3)
    for effect in compared(rows, rows).values():
        assert effect.model_error in (0.0, None)
        assert (effect.model_error is None) == (effect.actual is None)
        if effect.effect is not None:
            assert effect.effect == 0.0
            assert effect.low in (0.0, None)
            assert effect.high == effect.low


def test_interval_is_that_of_paired_days() -> None:
    """An effect that is the same every day has no uncertainty, however wildly the days themselves differ."""
    base = random_rows(4)
    extra = [liquidation(b"\x77" * 20, day * DAY + 5, 10.0, 11.0) for day in range(14)]
    found = compared(base, [*base, *extra])["debt_repaid_usd"]
    assert found.effect == pytest.approx(140.0)
    assert (found.low, found.high) == (pytest.approx(140.0), pytest.approx(140.0))
    lumpy = compared(base, [*base, *(liquidation(b"\x77" * 20, DAY + n, 10.0, 11.0) for n in range(14))])
    assert lumpy["debt_repaid_usd"].low == 0.0
    assert (lumpy["debt_repaid_usd"].high or 0) > 140.0


def test_intervals_repeat_with_the_seed_and_cover_the_waits() -> None:
    one, again, other = (compared(random_rows(5), random_rows(6), seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    assert one["waiting_p90_s"].low is not None


def test_each_day_is_drawn_equally_often_and_in_whole_blocks() -> None:
    days = resample_days((START, START + 10 * DAY - 1), 3, 4_000, 1)
    assert days is not None
    assert (days.weights.sum(axis=1) == 10).all()
    assert days.weights.mean(axis=0) == pytest.approx(np.ones(10), abs=0.1)
    assert resample_days((START, START + 3 * DAY - 1), 2, 100, 1) is None
    assert resample_days((START, START + 9 * DAY), 1, 0, 1) is None


def test_effect_smaller_than_the_models_error_is_marked() -> None:
    def worlds(actual: int, control: int, alternative: int) -> bool:
        numbers = dict(zip(World, (actual, control, alternative), strict=True))
        outcomes = table({w: [liquidation(bytes([n]) * 20, n, 1.0, 1.0) for n in range(k)] for w, k in numbers.items()})
        found = effects({w: measure(events_of(outcomes, w, USD), ACCOUNTS.empty_table(), w, USD) for w in World}, None)
        return next(e.within_error for e in found if e.metric == "liquidations")

    assert worlds(10, 13, 15)
    assert not worlds(10, 13, 16)
    assert worlds(10, 13, 11)


def test_validity_is_shares_of_what_users_did() -> None:
    counters = Counters(
        diverged=2,
        actions=10,
        actions_usd=1_000.0,
        rejected=2,
        rejected_usd=60.0,
        clipped=1,
        clipped_usd=5.0,
        ambiguous=3,
    )
    looks = [Divergence(START + day * DAY, 100.0 * day, 500.0) for day in range(4)]
    found = validity(counters, looks)
    assert (found["skipped_action_share"], found["skipped_value_share"]) == (0.2, 0.06)
    assert (found["clipped_action_share"], found["clipped_value_share"]) == (0.1, 0.005)
    assert (found["diverged_value_share"], found["half_diverged_at_s"]) == (0.6, START + 3 * DAY)
    assert (found["diverged_accounts"], found["ambiguous_transactions"]) == (2.0, 3.0)
    assert validity(Counters(), [])["half_diverged_at_s"] is None


def test_metrics_table_holds_every_metric_of_every_world_and_tells_equal_symbols_apart() -> None:
    outcomes = table(dict.fromkeys(World, ROWS))
    events = {world: events_of(outcomes, world, USD) for world in World}
    measures = {w: measure(events[w], pa.Table.from_pylist(ENDS, ACCOUNTS), w, USD) for w in World}
    found = metrics_table("r", measures, events, (Asset(WETH, "USDC", 18), Asset(USDC, "USDC", 6)))
    assert found.schema == METRICS
    whole = [row for row in found.to_pylist() if row["asset"] is None]
    assert [row["metric"] for row in whole] == [*METRIC] * 3
    assert {row["asset"] for row in found.to_pylist()} == {None, f"USDC 0x{WETH.hex()}", f"USDC 0x{USDC.hex()}"}


def in_three_worlds(rows: dict[World, list[dict[str, Any]]], accounts: list[dict[str, Any]]) -> dict[str, Effect]:
    outcomes, standing = table(rows), pa.Table.from_pylist(accounts, ACCOUNTS)
    return {
        e.metric: e for e in effects({w: measure(events_of(outcomes, w, USD), standing, w, USD) for w in World}, None)
    }


def test_dollars_on_the_wrong_account_cancel_in_the_net_error_and_not_in_the_gross_one() -> None:
    """The chain liquidates Alice and writes off Bob; the model has it the other way round."""

    def wrote_off(who: bytes) -> dict[str, Any]:
        return {"kind": Kind.DEFICIT.value, "timestamp_s": START, "account": who, "debt_asset": USDC, "debt_usd": 30.0}

    actual = [liquidation(ALICE, 1, 100.0, 105.0), wrote_off(BOB)]
    control = [liquidation(BOB, 1, 100.0, 105.0), wrote_off(ALICE)]
    left = [account(World.ACTUAL, CAROL, 40, 50, 0.7), account(World.CONTROL, BOB, 40, 50, 0.7)]
    found = in_three_worlds({World.ACTUAL: actual, World.CONTROL: control, World.ALTERNATIVE: control}, left)
    gross = {name: effect.gross_error for name, effect in found.items() if effect.model_error == 0}
    assert gross["debt_repaid_usd"] == 200.0
    assert gross["user_loss_usd"] == 10.0
    assert gross["liquidated_accounts"] == 2.0
    assert gross["bad_debt_realised_usd"] == 60.0
    assert gross["bad_debt_open_usd"] == 20.0
    assert gross["bad_debt_usd"] == 60.0  # Alice 30, Carol 10, and Bob, whose own two mistakes cancel, 20
    assert misplaced([*found.values()]) == {
        "model_gross_debt_repaid_usd": 200.0,
        "model_gross_bad_debt_usd": 60.0,
    }


def test_gross_error_equals_the_same_question_in_sql_and_is_never_below_the_net_one() -> None:
    rows = {World.ACTUAL: random_rows(1), World.CONTROL: random_rows(2), World.ALTERNATIVE: random_rows(3)}
    standing = random_ends(4, World.ACTUAL) + random_ends(5, World.CONTROL)
    found, outcomes = in_three_worlds(rows, standing), table(rows)  # noqa: F841 (the query reads outcomes)
    for name, value in {
        "debt_repaid_usd": "debt_usd",
        "liquidations": "1",
        "user_loss_usd": "collateral_usd + protocol_fee_usd - debt_usd",
    }.items():
        ((gross,),) = duckdb.sql(
            f"""WITH done AS (FROM outcomes WHERE kind = 'liquidation'),
                sums AS (SELECT world, account, sum({value}) AS usd FROM done GROUP BY ALL),
                actual AS (FROM sums WHERE world = 'actual'), control AS (FROM sums WHERE world = 'control')
            SELECT sum(abs(coalesce(control.usd, 0) - coalesce(actual.usd, 0)))
            FROM actual FULL JOIN control USING (account)"""
        ).fetchall()
        assert found[name].gross_error == pytest.approx(float(gross), rel=1e-12)
    for effect in found.values():
        if effect.gross_error is not None:
            assert effect.model_error is not None
            assert effect.gross_error >= abs(effect.model_error) * (1 - 1e-12)
    sums = {"debt_repaid_usd", "bad_debt_usd", "bad_debt_liquidation_adjusted_usd", "left_open_debt_usd"}
    assert all(found[name].gross_error for name in sums)
    for name in ("waiting_p90_s", "collateral_use", "liquidator_concentration", "blocked_accounts"):
        assert found[name].gross_error is None


def test_mistakes_of_the_model_do_not_cancel() -> None:
    actual, control = (
        [liquidation(ALICE, 1, 1.0, 1.0)],
        [liquidation(BOB, 1, 1.0, 1.0), liquidation(CAROL, 2, 1.0, 1.0)],
    )
    found = mistaken(table({World.ACTUAL: actual, World.CONTROL: control, World.ALTERNATIVE: actual}))
    assert found == {"model_false_accounts": 2.0, "model_missed_accounts": 1.0}
    net_and_gross = in_three_worlds({World.ACTUAL: actual, World.CONTROL: control}, [])["liquidated_accounts"]
    assert (net_and_gross.model_error, net_and_gross.gross_error) == (1.0, 3.0)

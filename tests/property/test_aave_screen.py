"""The screen's tables and guard, against brute force over every account and tick."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from l2liq.market import Market
from l2liq.numeric import RAY, WAD
from l2liq.protocols.aave_v3.layout import Role
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.protocols.interface import Moment, ScreenTable, ScreenWeights
from tests.property.markets import Shape, grow, markets


def span(market: Market, part: float = 0.0) -> tuple[Moment, Moment]:
    """From some way into the market to its end."""
    number, time = market.clock.number, market.clock.timestamp_s
    begin = int(part * (len(number) - 1))
    end_of_block = (1 << 24) - 1
    return (
        Moment(max(int(number[begin]) << 24 | end_of_block, market.parameters.keys[0]), int(time[begin])),
        Moment(int(number[-1]) << 24 | end_of_block, int(time[-1])),
    )


def flagged(table: ScreenTable, weights: ScreenWeights) -> set[tuple[int, int]]:
    """(account, tick) that the screen's rule makes candidates, segment by segment in plain loops."""
    found = set()
    for segment in range(len(table.account)):
        entries = slice(table.offset[segment], table.offset[segment + 1])
        column, quantity = table.column[entries], table.quantity[entries]
        weight = weights.weight[table.regime[segment]][column]
        for tick in range(table.start[segment], table.stop[segment]):
            value = table.values[column, tick] * quantity
            margin = float(np.sum(weight * value))
            collateral = float(np.sum(value[weight > 0]))
            guard = (
                weights.guard_share * collateral + weights.guard_base + weights.guard_entry[column[weight != 0]].sum()
            )
            sound = bool(np.all(value > 0)) and margin >= guard
            if not sound:
                found.add((int(table.account[segment]), tick))
    return found


def unsound(market: Market, venue: AaveVenue, table: ScreenTable) -> set[tuple[int, int]]:
    """(account, tick) at which exact health is below one."""
    found = set()
    for account in range(len(market.addresses)):
        rows = market.ledger.rows_of(account)
        keys, state, cursor = market.ledger.key[rows], {}, 0
        for tick, (key, time) in enumerate(zip(table.key.tolist(), table.timestamp_s.tolist(), strict=True)):
            upto = bisect_right(keys.tolist(), key)
            for row in rows[cursor:upto]:
                state[int(market.ledger.leg[row])] = market.ledger.after(int(row))
            cursor = upto
            present = {leg: quantity for leg, quantity in state.items() if quantity}
            if not any(venue.layout.roles[leg][0] == Role.DEBT for leg in present):
                continue
            factor = venue.at(Moment(key, time)).health(present).factor_wad
            if factor is not None and factor < WAD:
                found.add((account, tick))
    return found


@settings(max_examples=60, deadline=None)
@given(markets(max_blocks=25), st.floats(0, 1), st.sampled_from((600, 3_600, 86_400)))
def test_every_unsound_account_is_flagged_at_every_tick(market, part, heartbeat_s):
    venue = AaveVenue(market, market.parameters)
    table = venue.screen_table(*span(market, part), heartbeat_s=heartbeat_s)
    if len(table.key) > 3_000:
        table = venue.screen_table(*span(market, part), heartbeat_s=30 * 86_400)
    expected = unsound(market, venue, table)
    assert expected <= flagged(table, venue.screen_weights(table, market.parameters))


@settings(max_examples=40, deadline=None)
@given(markets(max_blocks=25), st.floats(0, 1), st.integers(-2_000, 2_000), st.booleans())
def test_every_account_unsound_under_another_timeline_is_flagged(market, part, shift_bps, anew):
    """Thresholds move from some block on; the table may have been built with the change or without it."""

    def shifted(parameters: AaveParameters) -> AaveParameters:
        def moved(threshold_bps: int) -> int:
            return min(max(threshold_bps + shift_bps, 1), 10_000) if threshold_bps else 0

        return replace(
            parameters,
            reserves=tuple(
                r and replace(r, liquidation_threshold_bps=moved(r.liquidation_threshold_bps))
                for r in parameters.reserves
            ),
            emodes={
                n: replace(m, liquidation_threshold_bps=moved(m.liquidation_threshold_bps))
                for n, m in parameters.emodes.items()
            },
        )

    first, last = span(market)
    change = span(market, part)[0]
    other = market.parameters.changed(change.key, change.timestamp_s, shifted)
    venue = AaveVenue(market, other)
    builder = venue if anew else AaveVenue(market, market.parameters)
    table = builder.screen_table(first, last, heartbeat_s=86_400)
    expected = unsound(market, venue, table)
    assert expected <= flagged(table, builder.screen_weights(table, other))


@settings(max_examples=40, deadline=None)
@given(markets(max_blocks=25))
def test_screen_flags_little_that_is_sound(market):
    """The guard is a narrow band: whoever is flagged is within two bp of the threshold, a cent or so, or worse."""
    venue = AaveVenue(market, market.parameters)
    table = venue.screen_table(*span(market), heartbeat_s=30 * 86_400)
    weights = venue.screen_weights(table, market.parameters)
    for account, tick in flagged(table, weights):
        key = int(table.key[tick])
        later = table.key[tick + 1] if tick + 1 < len(table.key) else table.key[-1] + 1
        states = [market.ledger.state(account, key)]
        rows = market.ledger.rows_of(account)
        within = market.ledger.key[rows]
        states += [market.ledger.state(account, int(k)) for k in within[(within > key) & (within < later)]]
        situation = venue.at(Moment(key, int(table.timestamp_s[tick])))
        near = [situation.health(state) for state in states]
        assert any(
            health.debt_base and health.threshold_base - health.debt_base <= 2e-4 * health.collateral_base + 1e8
            for health in near
        )


@settings(max_examples=60, deadline=None)
@given(markets(max_blocks=40), st.floats(0, 1))
def test_segments_hold_the_ledgers_state_at_each_of_their_ticks(market, part):
    venue = AaveVenue(market, market.parameters)
    layout = venue.layout
    table = venue.screen_table(*span(market, part), heartbeat_s=30 * 86_400)
    seen = {}
    for segment in range(len(table.account)):
        entries = slice(table.offset[segment], table.offset[segment + 1])
        content = dict(
            zip(table.column_leg[table.column[entries]].tolist(), table.quantity[entries].tolist(), strict=True)
        )
        for tick in range(table.start[segment], table.stop[segment]):
            seen[int(table.account[segment]), tick] = content, table.regimes[table.regime[segment]]
    for account in range(len(market.addresses)):
        for tick, key in enumerate(table.key.tolist()):
            own = market.ledger.key[market.ledger.rows_of(account)]
            if tick + 1 < len(table.key) and np.any((own > key) & (own < table.key[tick + 1])):
                continue  # the account acts before the next tick: a later segment begins at this one
            state = market.ledger.state(account, key)
            counted = {
                leg: float(quantity)
                for leg, quantity in state.items()
                if layout.roles[leg][0] == Role.DEBT
                or (
                    layout.roles[leg][0] == Role.COLLATERAL and layout.uses_as_collateral[layout.roles[leg][1]] in state
                )
            }
            if any(layout.roles[leg][0] == Role.DEBT for leg in counted):
                content, (run, category) = seen[account, tick]
                assert content == pytest.approx(counted, rel=1e-15)
                assert category == state.get(layout.emode, 0)
                assert venue.timeline.keys[run] <= key
            else:
                assert (account, tick) not in seen


@example(7)
@given(st.integers(0, 300))
@settings(max_examples=30, deadline=None)
def test_entries_of_a_recorded_state_are_those_of_its_segment(seed):
    market = grow(seed, Shape(version="3.6", blocks=20))
    venue = AaveVenue(market, market.parameters)
    first, last = span(market)
    table = venue.screen_table(first, last, heartbeat_s=30 * 86_400)
    for segment in range(len(table.account)):
        if table.stop[segment] == len(table.key):
            entries = slice(table.offset[segment], table.offset[segment + 1])
            state = market.ledger.state(int(table.account[segment]), last.key)
            category, column, quantity = venue.screen_entries(table, state)
            assert category == table.regimes[table.regime[segment]][1]
            assert column.tolist() == table.column[entries].tolist()
            assert quantity.tolist() == pytest.approx(table.quantity[entries].tolist(), rel=1e-15)


@settings(max_examples=40, deadline=None)
@given(markets(max_blocks=25))
def test_values_of_columns_are_the_exact_ones_to_a_trillionth(market):
    venue = AaveVenue(market, market.parameters)
    table = venue.screen_table(*span(market), heartbeat_s=86_400)
    for tick in range(0, len(table.key), max(1, len(table.key) // 50)):
        situation = venue.at(Moment(int(table.key[tick]), int(table.timestamp_s[tick])))
        for column, leg in enumerate(table.column_leg.tolist()):
            role, asset = venue.layout.roles[leg]
            index = (situation.debt_index_ray if role == Role.DEBT else situation.income_ray)[asset]
            exact = Fraction(situation.prices[asset] * index, RAY * venue.layout.units[asset])
            assert table.values[column, tick] == pytest.approx(float(exact), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(markets(max_blocks=25, liquidations=False), st.integers(0, 2**32 - 1))
def test_the_guard_holds_at_the_very_edge(market, seed):
    """Debt is raised to the least scaled amount that makes an account unsound: the screen must flag that account."""
    venue = AaveVenue(market, market.parameters)
    first, last = span(market)
    table = venue.screen_table(first, last, heartbeat_s=30 * 86_400)
    weights = venue.screen_weights(table, market.parameters)
    rng = Random(seed)
    for account in range(1, len(market.addresses)):
        state = dict(market.ledger.state(account, last.key))
        situation = venue.at(last)
        leg = venue.layout.debt[rng.randrange(len(market.assets))]
        low, high = 0, 10**40
        if not situation.totals(state).weighted_threshold:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            if situation.health({**state, leg: middle}).liquidatable:
                high = middle
            else:
                low = middle
        category, column, quantity = venue.screen_entries(table, {**state, leg: high})
        regime = max(n for n, (_, number) in enumerate(table.regimes) if number == category)
        value = table.values[column, -1] * quantity
        margin = float(np.sum(weights.weight[regime][column] * value))
        collateral = float(np.sum(value[weights.weight[regime][column] > 0]))
        counted = column[weights.weight[regime][column] != 0]
        assert margin < weights.guard_share * collateral + weights.guard_base + weights.guard_entry[counted].sum()

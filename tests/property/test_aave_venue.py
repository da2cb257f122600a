"""A venue against the market it stands on: history replays to the ledger, bounds are sharp, requests the best ones."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from l2liq.market import PRICE, Series, quantity
from l2liq.numeric import RAY
from l2liq.protocols.aave_v3.parameters import AaveParameters, Sentinel
from l2liq.protocols.aave_v3.reasons import ARITHMETIC, NO_LIQUIDITY
from l2liq.protocols.aave_v3.situation import AaveSituation
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.protocols.aave_v3.versions import VERSIONS, HealthFormula
from l2liq.protocols.interface import Action, Backing, Book, Gate, Liquidated, Moment, Rejection, Request, State, Step
from tests.property.markets import TREASURY, markets

NO_MONEY_NEEDED = 10**60


def rich(_asset: int) -> int:
    return NO_MONEY_NEEDED


def end_of(market) -> Moment:
    return Moment(int(market.clock.number[-1]) << 24 | (1 << 24) - 1, int(market.clock.timestamp_s[-1]))


def requests_of(market):
    for row in market.liquidations.to_pylist():
        request = Request(
            row["account"],
            row["liquidator"],
            row["collateral_asset"],
            row["debt_asset"],
            None,
            row["receives_token"],
        )
        yield row["key"], row, request


@settings(max_examples=80, deadline=None)
@given(markets())
def test_history_replays_to_the_ledger(market):
    """Every recorded action and liquidation, executed on what went before, leaves every leg as the ledger has it."""
    venue = AaveVenue(market, market.parameters)
    own = [a for account in range(len(market.addresses)) for a in venue.actions_of(account, -1, 2**62)]
    actions = {action.row: action for action in own}
    states: dict[int, dict[int, int]] = defaultdict(dict)
    cash: dict[int, int] = defaultdict(int)
    todo = [(action.moment.key, action) for action in actions.values()]
    todo += [(key, (row, request)) for key, row, request in requests_of(market)]
    assert len(actions) == market.actions.num_rows
    for key, what in sorted(todo, key=lambda entry: entry[0]):
        if isinstance(what, Action):
            step = venue.at(what.moment).apply(states.__getitem__, what, cash=cash.__getitem__)
            assert isinstance(step, Step), what
        else:
            row, request = what
            moment = Moment(key, row["timestamp_s"])
            done = venue.at(moment).liquidate(states.__getitem__, request, cash=cash.__getitem__)
            assert isinstance(done, Liquidated)
            recorded = [quantity(row[f"{name}_raw"]) for name in ("debt", "collateral", "protocol_fee")]
            assert [done.debt_repaid, done.collateral_to_liquidator, done.protocol_fee] == recorded
            step = done.step
        for asset, change in step.cash.items():
            cash[asset] += change
            assert cash[asset] == venue.recorded_cash(asset, key)
        for (account, leg), after in step.after.items():
            states[account][leg] = after
        states.update({who: {leg: q for leg, q in state.items() if q} for who, state in states.items()})
    for account in range(len(market.addresses)):
        assert states[account] == market.ledger.state(account, 2**62)


def crashed(market, shock: int) -> AaveSituation:
    """The market's end, with prices that a seed of ``shock`` has moved far."""
    moment, rng = end_of(market), random.Random(shock)
    prices = {
        asset: max(1, int(market.series[PRICE, asset].at(moment.key) * rng.choice((0.2, 0.7, 1, 1, 1.1, 2))))
        for asset in range(len(market.assets))
    }
    return AaveVenue(market, market.parameters).at(moment, prices=prices)


def liquidatable(market, situation) -> Iterator[tuple[int, Book]]:
    """Accounts that may be liquidated, each with the book of the market's end."""

    def book(who: int) -> State:
        return market.ledger.state(who, situation.moment.key)

    for account in range(1, len(market.addresses)):
        if situation.health(book(account)).liquidatable and situation.gate(book(account)) is None:
            yield account, book


shocks = st.integers(0, 2**32 - 1)


def ask(kind: str, account: int, asset: int, moment: Moment, other: int = -1) -> Action:
    return Action(-1, moment, (0, 0), kind, account, other, asset, 10**40, False, 0)


@settings(max_examples=80, deadline=None)
@given(markets(), st.sampled_from(("withdraw", "borrow", "transfer", "repay_with_atokens")), st.data())
def test_the_largest_admissible_amount_is_admitted_and_one_more_is_not(market, kind, data):
    venue, moment = AaveVenue(market, market.parameters), end_of(market)
    situation = venue.at(moment)
    account = data.draw(st.integers(1, len(market.addresses) - 1))
    asset = data.draw(st.integers(0, len(market.assets) - 1))
    action = ask(kind, account, asset, moment, other=TREASURY if kind == "transfer" else -1)
    cash = data.draw(st.sampled_from((rich, lambda asset: venue.recorded_cash(asset, moment.key))))

    def book(who):
        return market.ledger.state(who, moment.key)

    def admitted(amount: int) -> bool:
        return not isinstance(situation.apply(book, replace(action, amount=amount), cash=cash), Rejection)

    most = situation.largest(book, action, cash=cash)
    assert most == 0 or admitted(most)
    if kind == "repay_with_atokens":
        owed = situation.apply(book, replace(action, amount=most + 1), cash=cash)
        assert isinstance(owed, Rejection) or owed == situation.apply(book, replace(action, amount=most), cash=cash)
        return
    assert not admitted(most + 1) or most == 0
    exact = situation.rules.health is HealthFormula.WEIGHTED_SUM
    for factor in (2, 10, 10**6):
        assert not (exact and most) or not admitted(most * factor)


@settings(max_examples=80, deadline=None)
@given(markets(liquidations=False), shocks)
def test_requests_come_best_first_and_each_is_executed_as_valued(market, shock):
    situation = crashed(market, shock)
    units, value = situation.tables.layout.units, situation.tables.math.debt_value
    for account, book in liquidatable(market, situation):
        requests = situation.requests(account, book(account), -1)
        assert len({(r.collateral_asset, r.debt_asset) for r in requests}) == len(requests)
        gains = []
        for request in requests:
            done = situation.liquidate(book, request, cash=rich)
            if done == Rejection(ARITHMETIC) and not situation.rules.fee_capped:
                continue  # 3.0.0 reverts where the fee's last unit is more than the borrower still holds
            assert isinstance(done, Liquidated), done
            received = done.collateral_to_liquidator * done.collateral_price // units[request.collateral_asset]
            gains.append(received - value(done.debt_repaid, done.debt_price, units[request.debt_asset]))
        assert gains == sorted(gains, reverse=True)


@settings(max_examples=80, deadline=None)
@given(markets(liquidations=False), shocks, st.booleans())
def test_a_liquidation_makes_nothing_and_loses_nothing(market, shock, receives_token):
    """Scaled units only move; what is burned is worth what was paid, within the rounding of one unit each."""
    situation = crashed(market, shock)
    for account, book in liquidatable(market, situation):
        liquidator = 1 + account % (len(market.addresses) - 1)
        if liquidator == account:
            continue
        for request in situation.requests(account, book(account), liquidator):
            request = replace(request, receives_token=receives_token)
            done = situation.liquidate(book, request, cash=rich)
            if done == Rejection(ARITHMETIC) and not situation.rules.fee_capped:
                continue
            assert isinstance(done, Liquidated)
            conserved(situation, book, request, done)


def conserved(situation: AaveSituation, book: Book, request: Request, done: Liquidated) -> None:
    layout, math = situation.tables.layout, situation.tables.math
    changes: dict[int, int] = defaultdict(int)
    for (who, leg), after in done.step.after.items():
        changes[leg] += after - book(who).get(leg, 0)
    burned = -changes[layout.collateral[request.collateral_asset]]
    income = situation.income_ray[request.collateral_asset]
    assert burned == (0 if request.receives_token else math.atoken_burn(done.collateral_to_liquidator, income))
    for asset, leg in enumerate(layout.debt):
        gone = done.deficits.get(asset, 0) + (done.debt_repaid if asset == request.debt_asset else 0)
        index = situation.debt_index_ray[asset]
        assert abs(-changes[leg] * index - gone * RAY) <= index + RAY
    paid: dict[int, int] = defaultdict(int)
    paid[request.debt_asset] += done.debt_repaid
    if not request.receives_token:
        paid[request.collateral_asset] -= done.collateral_to_liquidator
    assert done.step.cash == {asset: change for asset, change in paid.items() if change}
    assert done.step.wallet == {(request.liquidator, asset): -change for asset, change in done.step.cash.items()}
    if done.deficits:
        left = {**book(request.account)}
        left |= {leg: after for (who, leg), after in done.step.after.items() if who == request.account}
        assert not any(left[leg] for leg in layout.debt if leg in left)


@settings(max_examples=40, deadline=None)
@given(markets(liquidations=False), shocks)
def test_a_reserve_without_cash_pays_no_liquidator(market, shock):
    situation = crashed(market, shock)
    for account, book in liquidatable(market, situation):
        for request in situation.requests(account, book(account), -1):
            refused = situation.liquidate(book, request, cash=lambda _: 0)
            assert refused == Rejection(NO_LIQUIDITY)
            in_kind = situation.liquidate(book, replace(request, receives_token=True), cash=lambda _: 0)
            assert isinstance(in_kind, Liquidated) or not situation.rules.fee_capped


@settings(max_examples=60, deadline=None)
@given(markets(), st.data())
def test_actions_are_found_by_account_and_span(market, data):
    venue = AaveVenue(market, market.parameters)
    rows = market.actions.to_pylist()
    account = data.draw(st.integers(0, len(market.addresses) - 1))
    start, stop = sorted(data.draw(st.tuples(*[st.sampled_from([-1, *(r["key"] for r in rows), 2**62])] * 2)))
    expected = [
        number
        for number, row in enumerate(rows)
        if start < row["key"] <= stop
        and (row["account"] == account or (row["kind"] == "transfer" and row["other"] == account))
    ]
    assert [action.row for action in venue.actions_of(account, start, stop)] == expected


def test_synthetic_markets_reach_every_version_and_kind():
    """The generator is worth something: all kinds of actions, liquidations, deficits, both payouts."""
    from tests.property.markets import Shape, grow

    grown = [grow(seed, Shape(version=version, volatility=0.3)) for version in VERSIONS for seed in range(12)]
    kinds = {kind for market in grown for kind in market.actions.column("kind").to_pylist()}
    assert {"supply", "withdraw", "borrow", "repay", "repay_with_atokens", "transfer", "emode"} <= kinds
    assert {"collateral_on", "collateral_off", "mint_to_treasury"} <= kinds
    payouts = {payout for market in grown for payout in market.liquidations.column("receives_token").to_pylist()}
    assert payouts == {True, False}
    assert any(market.deficits.num_rows for market in grown)


@settings(max_examples=40, deadline=None)
@given(
    markets(("3.6",), max_blocks=15), st.integers(0, 10**6), st.integers(1, 9_999), st.lists(st.booleans(), max_size=5)
)
def test_a_gate_that_opens_by_itself_has_a_tick(market, grace_after_s, sentinel_grace_s, reports):
    """At each such moment the gate is open, and one second earlier it is shut; the screen has a tick there."""
    start, end = market.clock.timestamp_s[0], market.clock.timestamp_s[-1]
    until = int(start) + grace_after_s
    moments = [Moment(int(n) << 24, int(t)) for n, t in zip(market.clock.number, market.clock.timestamp_s, strict=True)]
    steps = list(zip(moments[1:], reports, strict=False))

    def series(kind: str, values: list[int]) -> Series:
        raw = np.frombuffer(b"".join(v.to_bytes(32, "big") for v in values), np.uint8).reshape(-1, 32)
        keys, times = ([m.key for m, _ in steps], [m.timestamp_s for m, _ in steps])
        return Series(kind, -1, np.array(keys, np.int64), np.array(times, np.int64), raw)

    sequencer = {
        ("sequencer_answer", -1): series("sequencer_answer", [int(down) for _, down in steps]),
        ("sequencer_updated_s", -1): series("sequencer_updated_s", [m.timestamp_s for m, _ in steps]),
    }

    def gated(parameters: AaveParameters) -> AaveParameters:
        first, *others = parameters.reserves
        return replace(
            parameters,
            reserves=(replace(first, grace_until_s=until, paused=False), *others),
            sentinel=Sentinel(b"s" * 20, sentinel_grace_s),
        )

    timeline = market.parameters.changed(market.parameters.keys[0], market.parameters.timestamps_s[0], gated)
    venue = AaveVenue(replace(market, series={**market.series, **sequencer}), timeline)
    first, last = moments[0], end_of(market)
    opening = venue.ticks_of_change(first, last)
    expected = {m.timestamp_s + sentinel_grace_s + 1 for m, down in steps if not down} | {until + 1}
    assert [m.timestamp_s for m in opening] == sorted(t for t in expected if start < t <= end)
    table = venue.screen_table(first, last, heartbeat_s=30 * 86_400)
    assert {(m.key, m.timestamp_s) for m in opening} <= set(
        zip(table.key.tolist(), table.timestamp_s.tolist(), strict=True)
    )
    for moment in opening:
        if moment.timestamp_s == until + 1:
            assert venue.at(moment).gates.reserve(0) is None
            shut = venue.at(replace(moment, timestamp_s=until)).gates.reserve(0)
            assert shut == Gate("grace_period", until + 1)


@settings(max_examples=120, deadline=None)
@given(markets(liquidations=False), shocks)
def test_backing_is_what_the_pool_would_lend_and_what_each_collateral_pays_less_its_bonus(market, shock):
    """A debtless account may borrow all of it; each collateral is valued alone, its bonus taken off in fractions."""
    situation = crashed(market, shock)
    layout, parameters = situation.tables.layout, situation.tables.parameters
    rounded = ceil if parameters.rules.version >= "3.5" else lambda exact: floor(exact + Fraction(1, 2))
    for account in range(1, len(market.addresses)):
        state = market.ledger.state(account, situation.moment.key)
        mode = parameters.emodes.get(state.get(layout.emode, 0))
        repayable = 0
        for asset, reserve in enumerate(parameters.reserves):
            legs = (layout.emode, layout.collateral[asset], layout.uses_as_collateral[asset])
            value = situation.health({leg: state[leg] for leg in legs if leg in state}).collateral_base
            in_mode = mode is not None and asset in mode.collateral
            bonus = mode.liquidation_bonus_bps if in_mode else reserve.liquidation_bonus_bps
            if bonus:
                repayable += rounded(Fraction(value * 10_000, bonus))
        debtless = {leg: quantity for leg, quantity in state.items() if leg not in layout.debt}
        borrowable = situation.account_data(debtless).available_borrows_base
        assert situation.backing(state) == Backing(borrowable, repayable)

"""A protocol of two assets without interest, to see that the engine knows the seam only.

Debt value may be at most threshold * collateral value. A liquidation takes everything the debt is worth, at par.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.market import (
    ACTIONS,
    DEFICITS,
    LEDGER,
    LIQUIDATIONS,
    PRICE,
    Asset,
    Clock,
    Ledger,
    Leg,
    LegKind,
    Market,
    ParameterTimeline,
    Series,
)
from l2liq.protocols.interface import (
    Action,
    Backing,
    Gate,
    Health,
    Liquidated,
    Moment,
    Rejection,
    Request,
    ScreenTable,
    ScreenWeights,
    Step,
)

COIN, CASH = 0, 1
COLLATERAL, DEBT = (0, 1), (2, 3)
SECONDS = 12
SIGN = {"supply": 1, "withdraw": -1, "borrow": -1, "repay": 1}


@dataclass(frozen=True)
class Rules:
    percent: int = 80
    closed_until_s: int = 0


def moment(block: int, log: int = END_OF_BLOCK) -> Moment:
    return Moment(key_of(block, log), block * SECONDS)


@dataclass
class ToySituation:
    market: Market
    rules: Rules
    moment: Moment

    def _worth(self, state, legs):
        return sum(state.get(leg, 0) * self.price(asset) for asset, leg in enumerate(legs))

    def price(self, asset):
        return self.market.series[PRICE, asset].at(self.moment.key)

    def health(self, state):
        collateral, debt = self._worth(state, COLLATERAL), self._worth(state, DEBT)
        limit = collateral * self.rules.percent // 100
        return Health(limit * 10**18 // debt if debt else None, collateral, debt, limit, debt > limit)

    def backing(self, state):
        collateral = self._worth(state, COLLATERAL)
        return Backing(collateral * self.rules.percent // 100, collateral)

    def apply(self, book, action, *, cash):
        state, asset, amount = dict(book(action.account)), action.asset, action.amount
        if action.kind == "transfer":
            other = dict(book(action.other))
            leg = COLLATERAL[asset]
            state[leg], other[leg] = state.get(leg, 0) - amount, other.get(leg, 0) + amount
            if state[leg] < 0 or self.health(state).liquidatable:
                return Rejection("unsound")
            return Step({(action.account, leg): state[leg], (action.other, leg): other[leg]})
        leg = (DEBT if action.kind in ("borrow", "repay") else COLLATERAL)[asset]
        grows = action.kind in ("supply", "borrow")
        state[leg] = state.get(leg, 0) + (amount if grows else -amount)
        if state[leg] < 0:
            return Rejection("too_much")
        if SIGN[action.kind] < 0 and self.health(state).liquidatable:
            return Rejection("unsound")
        change = SIGN[action.kind] * amount
        if -change > cash(asset):
            return Rejection("no_liquidity")
        return Step({(action.account, leg): state[leg]}, {asset: change}, {(action.account, asset): -change})

    def largest(self, book, action, *, cash):
        def possible(amount):
            trial = Action(**{**{f: getattr(action, f) for f in action.__slots__}, "amount": amount})
            return not isinstance(self.apply(book, trial, cash=cash), Rejection)

        return max((amount for amount in range(action.amount + 1) if possible(amount)), default=0)

    def gate(self, state):
        closed = self.moment.timestamp_s < self.rules.closed_until_s
        return Gate("closed", self.rules.closed_until_s) if closed else None

    def requests(self, account, state, liquidator):
        if state.get(COLLATERAL[COIN]) and state.get(DEBT[CASH]):
            return [Request(account, liquidator, COIN, CASH, None)]
        return []

    def liquidate(self, book, request, *, cash):
        state, before = dict(book(request.account)), self.health(book(request.account))
        coins, owed = state[COLLATERAL[COIN]], state[DEBT[CASH]]
        repaid = min(owed, coins * self.price(COIN))
        taken = -(-repaid // self.price(COIN))
        if taken > cash(COIN):
            return Rejection("no_liquidity")
        after = {COLLATERAL[COIN]: coins - taken, DEBT[CASH]: owed - repaid}
        step = Step({(request.account, leg): q for leg, q in after.items()}, {COIN: -taken, CASH: repaid})
        health = self.health({**state, **after})
        return Liquidated(step, repaid, taken, 0, {}, self.price(COIN), self.price(CASH), before, health)


@dataclass
class ToyVenue:
    market: Market
    timeline: ParameterTimeline[Rules]
    guarded_kinds = frozenset({"borrow", "withdraw", "transfer"})
    relief_kinds = frozenset({"supply", "repay"})
    passing_kinds: frozenset[str] = frozenset()

    def at(self, moment, *, prices=None):
        return ToySituation(self.market, self.timeline.at(moment.key), moment)

    def actions_of(self, account, start, stop):
        rows = self.market.actions.to_pylist()
        return [
            action_of(n, row)
            for n, row in enumerate(rows)
            if start < row["key"] <= stop and account in (row["account"], row["other"])
        ]

    def recorded_cash(self, asset, key):
        return self.market.series["cash", asset].at(key)

    def screen_table(self, first, last, *, heartbeat_s):
        blocks = range(first.key // (END_OF_BLOCK + 1), last.key // (END_OF_BLOCK + 1) + 1)
        ticks = [moment(block) for block in blocks]
        keys = [t.key for t in ticks]
        price = [[float(self.market.series[PRICE, asset].at(key)) for key in keys] for asset in (COIN, CASH)]
        account, start, stop, quantity = [], [], [], []
        for number in range(len(self.market.addresses)):
            changes = np.unique(self.market.ledger.key[self.market.ledger.rows_of(number)])
            inside = [int(k) for k in changes if keys[0] < k <= keys[-1]]
            begins = [(0, keys[0]), *((int(np.searchsorted(keys, k)) - 1, k) for k in inside)]
            ends = [*(int(np.searchsorted(keys, k)) for k in inside), len(keys)]
            for (begin, key), end in zip(begins, ends, strict=True):
                state = self.market.ledger.state(number, key)
                if any(state.get(leg) for leg in DEBT):
                    account.append(number)
                    start.append(begin)
                    stop.append(max(end, begin + 1))
                    quantity += [float(state.get(leg, 0)) for leg in (*COLLATERAL, *DEBT)]
        count = len(account)
        return ScreenTable(
            np.array(keys), np.array([t.timestamp_s for t in ticks]), np.array(price * 2),
            np.arange(4, dtype=np.int32), np.array(account, np.int32), np.array(start, np.int32),
            np.array(stop, np.int32), np.zeros(count, np.int32), np.arange(count + 1, dtype=np.int64) * 4,
            np.tile(np.arange(4, dtype=np.int32), count), np.array(quantity),
            tuple((number, 0) for number in range(len(self.timeline.sets))),
        )  # fmt: skip

    def screen_weights(self, table, timeline):
        least = [min(rules.percent for rules in timeline.sets) / 100] * 2
        weight = np.array([[*least, -1.0, -1.0]] * len(table.regimes))
        return ScreenWeights(weight, 0.0, 1.0, np.ones(4))

    def screen_entries(self, table, state):
        legs = sorted(leg for leg, amount in state.items() if amount)
        return 0, np.array(legs, np.int32), np.array([float(state[leg]) for leg in legs])

    def ticks_of_change(self, first, last):
        return []


def action_of(number, row):
    transaction = (row["key"] >> 24, row["transaction_index"])
    amount = int.from_bytes(row["amount_raw"], "big")
    return Action(
        number, Moment(row["key"], row["timestamp_s"]), transaction, row["kind"], row["account"], row["other"],
        row["asset"], amount, row["whole"], row["mode"],
    )  # fmt: skip


def history(*story, coin_prices, accounts=3, rules=(), cash=(10**6, 10**6)):
    """A market from a story: (block, transaction, kind, account, asset, amount[, other]), all of it admitted.

    ``coin_prices``: block to price of a coin; ``rules``: block to Rules, besides the default ones from block 0.
    """
    blocks = range(max(max(coin_prices), max(row[0] for row in story)) + 3)
    sets = {0: Rules(), **dict(rules)}
    timeline = ParameterTimeline(
        tuple(moment(b, 0).key for b in sets), tuple(b * SECONDS for b in sets), tuple(sets.values())
    )
    series = {
        (PRICE, COIN): _series(PRICE, COIN, [(moment(b, 0), p) for b, p in coin_prices.items()]),
        (PRICE, CASH): _series(PRICE, CASH, [(moment(0, 0), 1)]),
    }
    states: dict[int, dict[int, int]] = {number: {} for number in range(accounts)}
    reserve, steps = list(cash), [[(moment(0, 0), amount)] for amount in cash]
    ledger, actions, empty = [], [], _market(blocks, series, timeline, accounts, [], [])
    for number, (block, transaction, kind, account, asset, amount, *other) in enumerate(story):
        at = moment(block, 1 + number)
        action = Action(
            number, at, (block, transaction), kind, account, other[0] if other else -1, asset, amount, False, 0
        )
        step = ToyVenue(empty, timeline).at(at).apply(states.__getitem__, action, cash=reserve.__getitem__)
        assert isinstance(step, Step), f"{action}: {step}"
        for (who, leg), after in step.after.items():
            states[who][leg] = after
            ledger.append((at.key, at.timestamp_s, transaction, who, leg, after.to_bytes(32, "big")))
        for which, change in step.cash.items():
            reserve[which] += change
            steps[which].append((at, reserve[which]))
        raw = amount.to_bytes(32, "big")
        actions.append((at.key, at.timestamp_s, transaction, kind, account, action.other, asset, raw, False, 0))
    series |= {("cash", asset): _series("cash", asset, steps[asset]) for asset in (COIN, CASH)}
    return _market(blocks, series, timeline, accounts, ledger, actions)


def _market(blocks, series, timeline, accounts, ledger, actions):
    legs = [Leg(LegKind.COLLATERAL, f"collateral/{a}", a) for a in (COIN, CASH)]
    legs += [Leg(LegKind.DEBT, f"debt/{a}", a) for a in (COIN, CASH)]
    return Market(
        "toy/test", "toy-test", "toy", 1, 0, blocks[-1], (Asset(b"\1" * 20, "COIN", 0), Asset(b"\2" * 20, "CASH", 0)),
        tuple(legs), pa.array([bytes([number]) * 20 for number in range(accounts)], pa.binary(20)),
        Ledger(_table(ledger, LEDGER), accounts), series, timeline, _table(actions, ACTIONS),
        LIQUIDATIONS.empty_table(), DEFICITS.empty_table(),
        Clock(np.array(list(blocks)), np.array(list(blocks)) * SECONDS),
    )  # fmt: skip


def _table(rows, schema):
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _series(kind, asset, steps):
    raw = np.frombuffer(b"".join(value.to_bytes(32, "big") for _, value in steps), np.uint8).reshape(-1, 32)
    keys, times = (np.array([getattr(m, name) for m, _ in steps]) for name in ("key", "timestamp_s"))
    return Series(kind, asset, keys, times, raw)

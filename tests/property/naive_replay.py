"""A replay that looks at every account at every tick and executes every transaction: slow, without cleverness."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass, field, replace

from l2liq.events.log import LOG_INDEX_BITS, block_of, log_index_of
from l2liq.liquidators import Offer, uniform
from l2liq.market import Market, quantity
from l2liq.protocols.interface import Action, Liquidated, Moment, Rejection
from l2liq.replay.detours import NO_DETOURS


@dataclass
class Naive:
    """One world of one plan. ``happened`` collects what the engine must say too, in the same order."""

    market: Market
    venue: object
    plan: object
    states: dict = field(default_factory=dict)
    cash: dict = field(default_factory=dict)
    pending: dict = field(default_factory=dict)
    frozen: set = field(default_factory=set)
    held: dict = field(default_factory=lambda: defaultdict(set))
    draws: dict = field(default_factory=lambda: defaultdict(int))
    happened: list = field(default_factory=list)
    detours: object = NO_DETOURS
    kept: dict = field(default_factory=dict)
    wallet: dict = field(default_factory=lambda: defaultdict(int))

    def run(self):
        market, plan = self.market, self.plan
        self.accounts = sorted(range(len(market.addresses)), key=market.address)
        self.states = {a: market.ledger.state(a, plan.first.key) for a in self.accounts}
        self.cash = {
            asset: self.venue.recorded_cash(asset, plan.first.key)
            for asset in range(len(market.assets))
            if market.series.get(("cash", asset)) is not None
        }
        table = self.venue.screen_table(plan.first, plan.last, heartbeat_s=plan.heartbeat_s)
        ticks = [Moment(k, t) for k, t in zip(table.key.tolist(), table.timestamp_s.tolist(), strict=True)]
        events = [(m.key, m.timestamp_s, 1, m, None) for m in ticks]
        for group in self.groups():
            moment = group["moment"] = self.detours.moved.get(group["transaction"], group["moment"])
            if moment is not None and (moment.key, moment.timestamp_s) <= (plan.last.key, plan.last.timestamp_s):
                if moment != group["end"]:
                    group["actions"] = [replace(action, moment=moment) for action in group["actions"]]
                events.append((moment.key, moment.timestamp_s, 0, moment, group))
        for stretch in self.detours.stretches:
            events.append((stretch.before.key, stretch.before.timestamp_s, -2, stretch.before, stretch))
            events.append((stretch.at.key, stretch.at.timestamp_s, -1, stretch.at, stretch))
        calendar = sorted(events, key=lambda e: e[:3])
        touched = set()
        for (_, _, what, moment, group), following in zip(calendar, [*calendar[1:], None], strict=True):
            self.liquidate_due((moment.key, moment.timestamp_s))
            if what == -2:
                self.kept[group] = deepcopy((self.states, self.cash, self.frozen, self.wallet, len(self.happened)))
                continue
            if what == -1:
                self.reverse(group, moment, [(g[3], g[4]) for g in calendar if g[2] == 0])
            touched |= self.execute(group) if what == 0 else set(self.accounts)
            if following is not None and following[2] <= 0 and following[3] == moment:
                continue  # users of one moment come before anybody looks
            for account in sorted(touched, key=market.address):
                self.look(account, moment)
            touched = set()
            due = {a for a, when in self.pending.items() if when in ("held", moment)}
            self.settle(due, moment)
        return self

    def groups(self):
        """Recorded transactions of the window: what accounts did, and how the ledger moved others."""
        found = defaultdict(lambda: {"actions": [], "borrowers": set(), "moves": [], "end": Moment(0, 0)})
        for number, row in enumerate(self.market.actions.to_pylist()):
            moment = Moment(row["key"], row["timestamp_s"])
            transaction = (row["key"] >> LOG_INDEX_BITS, row["transaction_index"])
            action = Action(
                number, moment, transaction, row["kind"], row["account"], row["other"], row["asset"],
                quantity(row["amount_raw"]), row["whole"], row["mode"],
            )  # fmt: skip
            found[transaction]["actions"].append(action)
            found[transaction]["end"] = max(found[transaction]["end"], moment, key=lambda m: m.key)
        for row in self.market.liquidations.to_pylist():
            transaction = (row["key"] >> LOG_INDEX_BITS, row["transaction_index"])
            found[transaction]["borrowers"].add(row["account"])
            moment = Moment(row["key"], row["timestamp_s"])
            found[transaction]["end"] = max(found[transaction]["end"], moment, key=lambda m: m.key)
        for row in self.market.ledger.table.to_pylist():
            transaction = (row["key"] >> LOG_INDEX_BITS, row["transaction_index"])
            if transaction in found:
                found[transaction]["moves"].append((row["key"], row["account"], row["leg"], quantity(row["after_raw"])))
        groups = [{**group, "moment": group["end"], "transaction": code} for code, group in found.items()]
        inside = (g for g in groups if self.plan.first.key < g["moment"].key <= self.plan.last.key)
        return sorted(inside, key=lambda g: g["moment"].key)

    def reverse(self, stretch, now, groups):
        """Everything is as it was; what happened since did not."""
        self.states, self.cash, self.frozen, self.wallet, done = deepcopy(self.kept[stretch])
        self.pending.clear()
        self.happened[done:] = [(*said[:3], "reverted", said[4], said[3]) for said in self.happened[done:]]
        for moment, group in groups:
            if stretch.holds(moment) and group["actions"] and stretch.users == "queue":
                self.execute({**group, "actions": [replace(action, moment=now) for action in group["actions"]]})

    def execute(self, group):
        """Everything or nothing; returns who was touched."""
        if not group["actions"]:
            return self.drift(group)
        done = self.attempt(group["actions"])
        if isinstance(done, tuple) and self.plan.infeasible == "clip" and len(group["actions"]) == 1:
            done = self.clip(group["actions"][0], done)
        if isinstance(done, tuple):
            action, reason = done
            for each in group["actions"]:
                self.say("rejected", each.moment, each.account, each.kind, each.amount, reason, log=self.log_of(each))
            if self.plan.infeasible == "freeze":
                self.frozen.add(action.account)
            return set()
        self.states.update(done["states"])
        self.cash.update(done["cash"])
        for place, change in done["wallet"].items():
            self.wallet[place] += change
        return set(done["states"])

    def attempt(self, actions):
        states, cash, wallet = {}, dict(self.cash), defaultdict(int)
        for action in actions:
            if action.account in self.frozen:
                return action, "frozen"
        for action in actions:
            step = self.venue.at(action.moment).apply(
                lambda a: states.get(a, self.states.get(a, {})), action, cash=cash.__getitem__
            )
            if isinstance(step, Rejection):
                return action, step.reason
            for (account, leg), amount in step.after.items():
                state = states.setdefault(account, dict(self.states[account]))
                state[leg] = amount
                if not amount:
                    del state[leg]
            for asset, change in step.cash.items():
                cash[asset] += change
            for place, change in step.wallet.items():
                wallet[place] += change
        return {"states": states, "cash": cash, "wallet": wallet}

    def clip(self, action, refused):
        if action.asset < 0 or action.account in self.frozen:
            return refused
        situation = self.venue.at(action.moment)
        most = situation.largest(self.states.__getitem__, action, cash=self.cash.__getitem__)
        if not 0 < most < action.amount:
            return refused
        done = self.attempt([replace(action, amount=most, whole=False)])
        if isinstance(done, tuple):
            return refused
        cut = action.amount - most
        self.say("clipped", action.moment, action.account, action.kind, cut, refused[1], log=self.log_of(action))
        return done

    def drift(self, group):
        """A transaction of recorded liquidations: the borrower keeps what it has, others keep what they got."""
        before = min(key for key, *_ in group["moves"]) - 1
        touched = set()
        for _, account, leg, after in group["moves"]:
            if account in group["borrowers"]:
                continue
            state = self.states[account]
            was = self.market.ledger.state(account, before).get(leg, 0)
            flag = self.market.legs[leg].kind == "flag"
            state[leg] = after if flag else max(0, state.get(leg, 0) + after - was)
            if not state[leg]:
                del state[leg]
            touched.add(account)
        return touched

    def look(self, account, now):
        if account in self.pending or not self.states[account]:
            return
        if not self.venue.at(now).health(self.states[account]).liquidatable:
            return
        self.say("margin_call", now, account)
        address, day = self.market.address(account), now.timestamp_s // 86_400
        draw = uniform(self.plan.seed, address, "delay", day, self.draws[account, day])
        self.draws[account, day] += 1
        when = self.plan.liquidator.execution(draw, now, self.market.clock)
        self.pending[account] = when
        self.held[account] = set()

    def liquidate_due(self, before):
        """Liquidations whose time came since the last event, one moment after the other."""
        while True:
            due = [when for when in self.pending.values() if isinstance(when, Moment)]
            now = min(due, key=lambda m: (m.key, m.timestamp_s), default=None)
            if now is None or (now.key, now.timestamp_s) >= before:
                return
            self.settle({a for a, when in self.pending.items() if when == now}, now)

    def settle(self, due, now):
        """Liquidate in order of address; cash that one pays in may be what another waits for."""
        while due:
            account = min(due, key=self.market.address)
            due.remove(account)
            if self.liquidate(account, now):
                due |= {a for a, when in self.pending.items() if when == "held" and a != account}

    def liquidate(self, account, now):
        """Returns whether anything was liquidated."""
        any_done = False
        restart = self.detours.restart(now)
        if restart is not None:
            self.pending[account] = restart
            if "sequencer_down" not in self.held[account]:
                self.held[account].add("sequencer_down")
                self.say("blocked", now, account, "sequencer_down")
            return False
        while True:
            situation = self.venue.at(now)
            state = self.states[account]
            if not situation.health(state).liquidatable:
                del self.pending[account]
                return any_done
            self.pending[account] = "held"
            gate = situation.gate(state)
            if gate is not None:
                self.hold(account, now, gate.reason)
                return any_done
            reason = ""
            for request in situation.requests(account, state, -1):
                done = situation.liquidate(lambda a: self.states.get(a, {}), request, cash=self.cash.__getitem__)
                if isinstance(done, Liquidated) and self.wants(request, done):
                    break
                reason = reason or ("unprofitable" if isinstance(done, Liquidated) else done.reason)
            else:
                if reason:
                    self.hold(account, now, reason)
                return any_done
            any_done = True
            for (who, leg), amount in done.step.after.items():
                if who == account:
                    state[leg] = amount
                    if not amount:
                        del state[leg]
            for asset, change in done.step.cash.items():
                self.cash[asset] += change
            amounts = (done.debt_repaid, done.collateral_to_liquidator, done.protocol_fee)
            self.say("liquidation", now, account, request.collateral_asset, request.debt_asset, *amounts)

    def wants(self, request, done):
        usd = [
            amount * price / (self.market.assets[asset].unit * 10**8)
            for asset, amount, price in (
                (request.collateral_asset, done.collateral_to_liquidator, done.collateral_price),
                (request.debt_asset, done.debt_repaid, done.debt_price),
            )
        ]
        return self.plan.liquidator.wants(Offer(*usd))

    def hold(self, account, now, reason):
        if reason not in self.held[account]:
            self.held[account].add(reason)
            self.say("blocked", now, account, reason)

    def log_of(self, action):
        return log_index_of(self.market.actions.column("key")[action.row].as_py())

    def say(self, kind, now, account, *what, log=None):
        self.happened.append((block_of(now.key), log, now.timestamp_s, kind, account, *what))

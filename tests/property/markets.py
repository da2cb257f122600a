"""Synthetic Aave v3 markets: random accounts, prices and actions that the rules admit, with every liquidation executed.

A market is grown block by block. Each action is applied to the accounts by the rules under test and kept if they admit
it, so ledger, series, actions and liquidations agree with one another the way a folded market's do.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st

from l2liq.events.log import key_of
from l2liq.market import (
    PRICE,
    Asset,
    Clock,
    Leg,
    LegKind,
    Market,
    Series,
)
from l2liq.numeric import RAY
from l2liq.protocols.aave_v3.interest import borrow_index_at, liquidity_index_at
from l2liq.protocols.aave_v3.layout import Layout, Tables
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.situation import AaveSituation
from l2liq.protocols.aave_v3.versions import VERSIONS, rule_set
from l2liq.protocols.interface import Action, Liquidated, Moment, Rejection, Request, Step
from tests.property.market_dice import Shape, random_parameters
from tests.property.market_tables import address, addresses, ledger, raw, tables, timeline

TREASURY = 0
"""Account index of the treasury."""

START_S = 1_700_000_000
DECIMALS = (18, 6, 8, 18, 2)
DOLLARS = (2_000, 1, 30_000, 20, 1)


@dataclass
class _Reserve:
    income_ray: int
    income_rate_ray: int
    debt_ray: int
    debt_rate_ray: int
    updated_s: int
    price: int
    cash: int = 0


@dataclass
class _World:
    """What is being grown."""

    shape: Shape
    rng: random.Random
    assets: tuple[Asset, ...]
    legs: tuple[Leg, ...]
    layout: Layout
    parameters: AaveParameters
    reserves: list[_Reserve]
    states: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    steps: dict[tuple[str, int], list[tuple[int, int, int]]] = field(default_factory=lambda: defaultdict(list))
    ledger: list[tuple[int, int, int, int, int, int]] = field(default_factory=list)
    actions: list[tuple[object, ...]] = field(default_factory=list)
    liquidations: list[tuple[object, ...]] = field(default_factory=list)
    deficits: list[tuple[object, ...]] = field(default_factory=list)
    timeline: list[tuple[int, int, AaveParameters]] = field(default_factory=list)
    blocks: list[tuple[int, int]] = field(default_factory=list)
    block: int = 1_000
    now_s: int = START_S
    transaction: int = -1
    log: int = -1

    # what AaveSituation asks of a record

    def price(self, asset: int, key: int) -> int | None:
        return self.reserves[asset].price

    def price_of_source(self, source: bytes, key: int) -> int | None:
        return None

    def income_index_ray(self, asset: int, moment: Moment) -> int | None:
        reserve = self.reserves[asset]
        return liquidity_index_at(reserve.income_ray, reserve.income_rate_ray, self.now_s - reserve.updated_s)

    def debt_index_ray(self, asset: int, moment: Moment) -> int | None:
        reserve, compounding = self.reserves[asset], self.parameters.rules.compounding
        return borrow_index_at(reserve.debt_ray, reserve.debt_rate_ray, self.now_s - reserve.updated_s, compounding)

    def sequencer(self, key: int) -> tuple[int, int] | None:
        return None

    def account_of(self, wanted: bytes) -> int | None:
        return TREASURY if wanted == address(TREASURY) else None

    # growing

    def next_block(self) -> None:
        self.block += self.rng.choice((1, 1, 2, 7))
        self.now_s += self.rng.choice((0, 1, 12, 60, 3_600, 86_400))
        self.transaction, self.log = -1, -1
        self.blocks.append((self.block, self.now_s))

    def next_transaction(self) -> None:
        self.transaction += 1

    def next_key(self) -> int:
        self.log += 1
        return key_of(self.block, self.log)

    def situation(self) -> AaveSituation:
        moment = Moment(key_of(self.block, max(self.log, 0)), self.now_s)
        return AaveSituation(moment, Tables(self.layout, self.parameters), self)

    def emit(self, kind: str, asset: int, value: int) -> None:
        self.steps[kind, asset].append((self.next_key(), self.now_s, value))

    def move_price(self, asset: int) -> None:
        reserve = self.reserves[asset]
        reserve.price = max(1, round(reserve.price * (1 + self.rng.gauss(0, self.shape.volatility))))
        self.emit(PRICE, asset, reserve.price)

    def touch(self, asset: int) -> None:
        """Accrue a reserve and set new rates, as every action does to the reserves it concerns."""
        reserve, moment = self.reserves[asset], Moment(0, self.now_s)
        reserve.income_ray = self.income_index_ray(asset, moment) or 0
        reserve.debt_ray = self.debt_index_ray(asset, moment) or 0
        reserve.updated_s = self.now_s
        reserve.debt_rate_ray = self.rng.randrange(0, RAY)
        reserve.income_rate_ray = self.rng.randrange(0, reserve.debt_rate_ray + 1)
        key = self.next_key()
        for kind, value in (
            ("liquidity_index_ray", reserve.income_ray),
            ("liquidity_rate_ray", reserve.income_rate_ray),
            ("borrow_index_ray", reserve.debt_ray),
            ("borrow_rate_ray", reserve.debt_rate_ray),
        ):
            self.steps[kind, asset].append((key, self.now_s, value))

    def take(self, step: Step) -> None:
        """Write what an action changed into accounts, ledger and cash."""
        for (account, leg), quantity in step.after.items():
            if quantity:
                self.states[account][leg] = quantity
            else:
                self.states[account].pop(leg, None)
            self.ledger.append((self.next_key(), self.now_s, self.transaction, account, leg, quantity))
        for asset, change in step.cash.items():
            self.reserves[asset].cash += change
            self.emit("cash", asset, self.reserves[asset].cash)

    def act(self, action: Action) -> Step | Rejection:
        """Try an action, keep it if admitted."""
        outcome = self.situation().apply(self.states.__getitem__, action, cash=self.cash)
        if isinstance(outcome, Rejection):
            return outcome
        if action.asset >= 0 and action.kind not in ("transfer", "collateral_on", "collateral_off"):
            self.touch(action.asset)
        self.take(outcome)
        self.actions.append(
            (
                self.next_key(),
                self.now_s,
                self.transaction,
                action.kind,
                action.account,
                action.other,
                action.asset,
                raw(action.amount),
                action.whole,
                action.mode,
            )
        )
        return outcome

    def cash(self, asset: int) -> int:
        return self.reserves[asset].cash

    def liquidate(self, request: Request) -> None:
        outcome = self.situation().liquidate(self.states.__getitem__, request, cash=self.cash)
        if not isinstance(outcome, Liquidated):
            return
        start_key = key_of(self.block, self.log + 1)
        for asset in {request.collateral_asset, request.debt_asset, *outcome.deficits}:
            self.touch(asset)
        self.take(outcome.step)
        for asset, amount in outcome.deficits.items():
            self.deficits.append((self.next_key(), self.now_s, request.account, asset, raw(amount)))
        self.liquidations.append(
            (
                self.next_key(),
                self.now_s,
                self.transaction,
                self.block.to_bytes(32, "big"),
                request.account,
                request.liquidator,
                request.collateral_asset,
                request.debt_asset,
                raw(outcome.debt_repaid),
                raw(outcome.collateral_to_liquidator),
                raw(outcome.protocol_fee),
                request.receives_token,
                start_key,
            )
        )


def grow(seed: int, shape: Shape | None = None) -> Market:
    """The market of a seed: equal arguments give equal markets."""
    shape = shape or Shape()
    world = _found(random.Random(seed), shape)
    changes = set(world.rng.sample(range(1, shape.blocks), min(shape.parameter_changes, shape.blocks - 1)))
    for number in range(shape.blocks):
        world.next_block()
        if number in changes:
            _change_parameters(world)
        for asset in range(shape.assets):
            if world.rng.random() < 0.6:
                world.next_transaction()
                world.move_price(asset)
        for _ in range(world.rng.randrange(4)):
            world.next_transaction()
            for _ in range(world.rng.choice((1, 1, 1, 2, 3))):
                world.act(_random_action(world))
        if shape.liquidations and world.rng.random() < 0.5:
            _liquidate_someone(world)
    return _market(world)


def markets(
    versions: tuple[str, ...] = VERSIONS, *, max_accounts: int = 6, max_blocks: int = 40, liquidations: bool = True
) -> st.SearchStrategy[Market]:
    """Markets of any of ``versions``; they shrink towards few accounts, few blocks, few assets."""
    return st.builds(
        lambda seed, version, accounts, assets, blocks, volatility, changes: grow(
            seed,
            Shape(version, accounts, assets, blocks, volatility, liquidations=liquidations, parameter_changes=changes),
        ),
        seed=st.integers(0, 2**32 - 1),
        version=st.sampled_from(versions),
        accounts=st.integers(2, max_accounts),
        assets=st.integers(2, len(DECIMALS)),
        blocks=st.integers(2, max_blocks),
        volatility=st.sampled_from((0.0, 0.01, 0.06, 0.3)),
        changes=st.integers(0, 3),
    )


def _found(rng: random.Random, shape: Shape) -> _World:
    """An empty market with listed, priced reserves."""
    count = shape.assets
    assets = tuple(Asset(bytes([index + 1] * 20), f"T{index}", DECIMALS[index]) for index in range(count))
    legs = [Leg(LegKind.FLAG, "emode", -1)]
    for index, asset in enumerate(assets):
        name = "0x" + asset.address.hex()
        legs.append(Leg(LegKind.COLLATERAL, f"collateral/{name}", index))
        legs.append(Leg(LegKind.DEBT, f"debt/{name}", index))
        legs.append(Leg(LegKind.FLAG, f"uses_as_collateral/{name}", index))
    reserves = [
        _Reserve(RAY, 0, RAY, 0, START_S, round(DOLLARS[index] * 10**8 * (0.5 + rng.random())))
        for index in range(count)
    ]
    empty = AaveParameters(rule_set(shape.version), (None,) * count)
    market = Market(
        "", "", "", 0, 0, 0, assets, tuple(legs), addresses(0), ledger([], 0), {}, timeline([]),
        *tables([], [], []), Clock(np.array([0]), np.array([0])),
    )  # fmt: skip
    world = _World(shape, rng, assets, tuple(legs), Layout(market), empty, reserves)
    world.next_block()
    world.next_transaction()
    world.parameters = random_parameters(rng, empty, address(TREASURY))
    world.timeline.append((world.next_key(), world.now_s, world.parameters))
    for index in range(count):
        world.touch(index)
        world.emit(PRICE, index, reserves[index].price)
        world.emit("cash", index, 0)
    return world


def _change_parameters(world: _World) -> None:
    """Governance moves thresholds and switches."""
    world.next_transaction()
    reserves = [
        replace(
            reserve,
            liquidation_threshold_bps=max(0, reserve.liquidation_threshold_bps - world.rng.choice((0, 100, 1_500)))
            if reserve.liquidation_threshold_bps
            else 0,
            frozen=world.rng.random() < 0.1,
            paused=world.rng.random() < 0.05,
        )
        for reserve in world.parameters.reserves
        if reserve is not None
    ]
    world.parameters = replace(world.parameters, reserves=tuple(reserves))
    world.timeline.append((world.next_key(), world.now_s, world.parameters))


_KINDS = ("supply",) * 5 + ("borrow",) * 6 + (
    "withdraw",
    "withdraw",
    "repay",
    "repay_with_atokens",
    "transfer",
    "collateral_on",
    "collateral_off",
    "emode",
    "mint_to_treasury",
)  # fmt: skip


def _random_action(world: _World) -> Action:
    rng = world.rng
    kind, asset = rng.choice(_KINDS), rng.randrange(world.shape.assets)
    account = TREASURY if kind == "mint_to_treasury" else 1 + rng.randrange(world.shape.accounts)
    dollars = rng.choice((0.001, 1, 50, 900, 2_500, 40_000)) * (0.5 + rng.random())
    amount = round(dollars * 10**8 * world.assets[asset].unit / world.reserves[asset].price)
    whole = kind in ("withdraw", "repay", "repay_with_atokens") and rng.random() < 0.4
    if whole:
        legs = world.layout.debt if kind == "repay" else world.layout.collateral
        amount = world.states[account].get(legs[asset], 0)
    other = 1 + rng.randrange(world.shape.accounts) if kind == "transfer" else -1
    mode = rng.randrange(2) if kind == "emode" else 0
    moment = Moment(key_of(world.block, max(world.log, 0)), world.now_s)
    no_asset = kind == "emode"
    action = Action(
        row=len(world.actions),
        moment=moment,
        transaction=(world.block, world.transaction),
        kind=kind,
        account=account,
        other=other,
        asset=-1 if no_asset else asset,
        amount=0 if no_asset or kind.startswith("collateral") else amount,
        whole=whole,
        mode=mode,
    )
    if kind == "borrow" and rng.random() < 0.7:
        everything = replace(action, amount=10**40)
        most = world.situation().largest(world.states.__getitem__, everything, cash=world.cash)
        action = replace(action, amount=int(most * rng.choice((0.5, 0.9, 0.999, 1.0))))
    return action


def _liquidate_someone(world: _World) -> None:
    situation = world.situation()
    for account in list(world.states):
        state = world.states[account]
        if not situation.health(state).liquidatable:
            continue
        liquidator = 1 + world.rng.randrange(world.shape.accounts)
        requests = situation.requests(account, state, liquidator)
        if requests:
            world.next_transaction()
            world.liquidate(replace(world.rng.choice(requests), receives_token=world.rng.random() < 0.3))
        return


def _market(world: _World) -> Market:
    shape = world.shape
    blocks = dict(world.blocks)
    series = {
        (kind, asset): Series(
            kind,
            asset,
            np.array([key for key, _, _ in rows], np.int64),
            np.array([time for _, time, _ in rows], np.int64),
            np.frombuffer(b"".join(raw(value) for *_, value in rows), np.uint8).reshape(-1, 32),
        )
        for (kind, asset), rows in world.steps.items()
    }
    return Market(
        name="aave-v3/synthetic",
        slug="aave-v3-synthetic",
        protocol="aave-v3",
        chain_id=31_337,
        first_block=min(blocks),
        last_block=max(blocks),
        assets=world.assets,
        legs=world.legs,
        addresses=addresses(1 + shape.accounts),
        ledger=ledger(world.ledger, 1 + shape.accounts),
        series=series,
        parameters=timeline(world.timeline),
        **dict(
            zip(
                ("actions", "liquidations", "deficits"),
                tables(world.actions, world.liquidations, world.deficits),
                strict=True,
            )
        ),
        clock=Clock(np.array(list(blocks), np.int64), np.array(list(blocks.values()), np.int64)),
    )

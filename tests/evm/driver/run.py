"""The whole run: users, feeds, liquidators and governance on one stage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from tests.evm import abi
from tests.evm.anvil import Node
from tests.evm.driver.feeds import Feeds
from tests.evm.driver.governance import Governance
from tests.evm.driver.liquidators import Liquidators
from tests.evm.driver.plan import DAY_S, Plan
from tests.evm.driver.prices import paths
from tests.evm.driver.stage import Stage, account_name
from tests.evm.driver.unusual import Unusual
from tests.evm.driver.users import Ordinary, User, make_users
from tests.evm.market import Deployment


@dataclass(frozen=True, slots=True)
class Trace:
    """Where to look for the truth: which accounts took part, and which blocks the run filled."""

    accounts: tuple[str, ...]
    first_block: int
    last_block: int


def simulate(node: Node, market: Deployment, plan: Plan) -> Trace:
    """Play a plan on a fresh market; the same plan gives the same transactions in the same order."""
    stage = Stage(node, market, plan)
    users = make_users(stage)
    liquidators = Liquidators(stage)
    workers = [liquidator.account for liquidator in liquidators.liquidators]
    stage.accounts = [user.account for user in users]
    first_block = node.block_number + 1
    stage.equip([*stage.accounts, *workers], [market.pool])
    _equip_batcher(stage)
    stage.seal()
    _schedule_whales(stage)
    feeds = Feeds(stage, paths(plan, stage.rng), liquidators.watch)
    feeds.begin()
    _schedule_users(stage, users)
    Governance(stage, feeds).schedule()
    stage.play()
    umbrella = account_name(plan.seed, "umbrella", 0)
    accounts = (*stage.accounts, *workers, umbrella, market.batcher, market.treasury, market.flash_receiver)
    return Trace(accounts, first_block, node.block_number)


def _equip_batcher(stage: Stage) -> None:
    """The batcher spends from itself, so it calls the approvals itself."""
    market = stage.market
    for reserve in market.reserves:
        mint = abi.call_data("mint(address,uint256)", market.batcher, 10**9 * reserve.spec.unit)
        approval = abi.call_data("approve(address,uint256)", market.pool, abi.UINT256_MAX)
        steps = abi.call_data("execute(address[],bytes[],bool)", [reserve.underlying] * 2, [mint, approval], True)
        stage.submit(market.admin, market.batcher, steps)


def _schedule_whales(stage: Stage) -> None:
    """A few passive accounts provide what the others borrow."""
    plan = stage.plan
    each_usd = plan.users * plan.wealth_usd[0] * plan.whale_depth
    for number in range(2):
        whale = account_name(plan.seed, "whale", number)
        stage.accounts.append(whale)
        stage.equip([whale], [stage.market.pool])
        for reserve in stage.market.reserves:
            amount = stage.units(reserve, each_usd * stage.rng.uniform(0.5, 1.5))
            stage.act(whale, "supply(address,uint256,address,uint16)", reserve.underlying, amount, whale, 0)
    stage.seal()


def _schedule_users(stage: Stage, users: list[User]) -> None:
    """First everybody opens a position, lenders first; then actions come at random moments."""
    rng, plan = stage.rng, stage.plan
    ordinary, unusual = Ordinary(stage, users), Unusual(stage, users)
    actions = ordinary.actions() | unusual.actions()
    for user in users:
        hours = plan.arrival_hours if user.borrows else plan.opening_hours / 4
        moment = stage.start_s + 10 + 3600 * rng.uniform(hours / 20, hours)
        stage.at(moment, partial(actions["open"], user))
    names = [name for name in plan.weights if name in actions]
    weights = [plan.weights[name] for name in names]
    moment = stage.start_s + plan.opening_hours * 3600
    while moment < stage.end_s:
        if rng.random() >= plan.together:
            moment += rng.expovariate(plan.actions_per_day / DAY_S)
        name, user = rng.choices(names, weights)[0], rng.choice(users)
        stage.at(moment, partial(actions[name], user))

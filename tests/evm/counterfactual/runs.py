"""The same engine over both machines: l2liq's Pool, and the contracts in a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from l2liq.events.log import END_OF_BLOCK, block_of, key_of
from l2liq.liquidators import Passes
from l2liq.market import ParameterTimeline
from l2liq.outcome.schema import Kind, World
from l2liq.protocols import protocol
from l2liq.protocols.aave_v3.pool import Pool
from l2liq.protocols.interface import Action, Message, Moment
from l2liq.replay import Calldata, Ground, Input, Script
from l2liq.replay.plan import Plan
from l2liq.replay.unfolding import Unfolding
from tests.evm import abi
from tests.evm.anvil import Node
from tests.evm.counterfactual import baseline as lives
from tests.evm.counterfactual import world
from tests.evm.counterfactual.baseline import Baseline
from tests.evm.counterfactual.machine import NodeMachine
from tests.evm.counterfactual.parameters import Alternative
from tests.evm.differential import state

PASSES = Passes(every_s=900, offset_s=301, spacing_s=2)
"""At odd seconds, while everything in the baseline happens at even ones."""

HEARTBEAT_S = 3600
CHANGE_S = 11 * 3600
"""When the other parameters come into force, after the run's beginning."""

_AMOUNTS = ("collateral_amount_raw", "debt_amount_raw", "protocol_fee_amount_raw")


@dataclass(frozen=True)
class Question:
    """What would have happened under other parameters, and the ground on which both machines answer."""

    baseline: Baseline
    alternative: Alternative
    plan: Plan
    change: Moment
    ground: Ground

    @property
    def timeline(self) -> ParameterTimeline[Any]:
        """Parameters of the alternative."""
        return self.plan.alternative


@dataclass(frozen=True)
class Answer:
    """What happened to one machine: its state in the end, the outcome, and how many transactions were sent."""

    state: state.MarketState
    rows: tuple[dict[str, Any], ...]
    sent: int = 0


def question(baseline: Baseline, alternative: Alternative) -> Question:
    """The whole life of the market, under other parameters from :data:`CHANGE_S` on."""
    market = baseline.reading.market
    clock = market.clock
    begin, last = block_of(int(market.actions["key"][0].as_py())) - 1, int(clock.number[-1])
    first_block = next(sent.block for sent in baseline.sent if sent.block >= begin)
    block = clock.last_block_at(clock.time_of(first_block) + CHANGE_S)
    change = Moment(key_of(block, END_OF_BLOCK), clock.time_of(block))
    alternative = _compatible(alternative, baseline, change)
    changed = alternative.change(baseline.deployment, change.timestamp_s)
    plan = Plan(
        first=Moment(key_of(begin, END_OF_BLOCK), clock.time_of(begin)),
        last=Moment(key_of(last, END_OF_BLOCK), clock.time_of(last)),
        actual=market.parameters,
        alternative=market.parameters.changed(change.key, change.timestamp_s, changed),
        change=change,
        liquidator=PASSES,
        heartbeat_s=HEARTBEAT_S,
    )
    ground = Ground.of(lambda timeline: protocol(market.protocol).venue(market, timeline), market, plan)
    return Question(baseline, alternative, plan, change, ground)


def _compatible(alternative: Alternative, baseline: Baseline, change: Moment) -> Alternative:
    """Without grace periods of reserves for which the baseline's governance sets some itself."""
    timeline = baseline.reading.market.parameters
    later = [parameters for key, parameters in zip(timeline.keys, timeline.sets, strict=True) if key >= change.key]
    present = timeline.at(change.key)

    def keeps(symbol: str) -> bool:
        number = baseline.deployment.reserve(symbol).number
        return all(one.reserves[number].grace_until_s == present.reserves[number].grace_until_s for one in later)

    graces = {symbol: grace_s for symbol, grace_s in alternative.graces_s.items() if keeps(symbol)}
    return replace(alternative, graces_s=graces)


def script_of(asked: Question, calldata: Calldata | None = None) -> Script:
    """What users asked for, as l2liq reads it off the baseline's logs, and where given off calldata."""
    market, plan = asked.baseline.reading.market, asked.plan
    historian = protocol(market.protocol).historian(market, plan.first.key)
    return Script.of(historian, asked.ground.chronicle, plan.first, plan.last, calldata=calldata)


def calldata_of(baseline: Baseline) -> Calldata:
    """Calldata of everything that succeeded; of batches, what they called with success."""
    market = baseline.reading.market
    inputs = {
        sent.place: Input(Moment(sent.after, sent.timestamp_s), tuple(_message(call) for call in sent.calls))
        for sent in baseline.sent
        if sent.calls
    }
    return Calldata(protocol(market.protocol).decoder(market), inputs)


def _message(call: lives.Message) -> Message:
    return Message(abi.from_hex(call.sender), abi.from_hex(call.to), call.data)


def by_l2liq(asked: Question, script: Script) -> Answer:
    """What l2liq's Pool makes of it."""
    market = asked.baseline.reading.market
    pool = protocol(market.protocol).machine(market, asked.timeline, asked.plan.first.key)
    assert isinstance(pool, Pool)
    rows = _unfold(asked, pool, script)
    deployment = asked.baseline.deployment
    accounts = range(len(market.addresses))
    assets = [market.assets.index(next(a for a in market.assets if "0x" + a.address.hex() == r.underlying))
              for r in deployment.reserves]  # fmt: skip
    return Answer(state.of_pool(pool, accounts, assets, asked.plan.last), rows)


def by_contracts(asked: Question, script: Script, machine_type: type[NodeMachine] = NodeMachine) -> Answer:
    """What the contracts make of it."""
    baseline = asked.baseline
    market = baseline.reading.market
    with baseline.as_deployed() as node:
        around = world.World(node, [*world.events_of(baseline, machine_type.replaced(baseline)), _change(asked)])
        machine = machine_type(node, baseline, asked.timeline, around, delegations(script))
        rows = _unfold(asked, machine, script)
        machine.at(asked.plan.last)
        node.mine(asked.plan.last.timestamp_s)
        accounts = ["0x" + address.hex() for address in market.addresses.to_pylist()]
        return Answer(state.of_contracts(node, baseline.deployment, accounts), rows, machine.sent)


def _change(asked: Question) -> world.Event:
    alternative, deployment = asked.alternative, asked.baseline.deployment

    def play(node: Node) -> list[str]:
        return alternative.send(node, deployment)

    return world.Event(asked.change.key, asked.change.timestamp_s, play, alone=True)


def _unfold(asked: Question, machine: Any, script: Script) -> tuple[dict[str, Any], ...]:
    unfolding = Unfolding(asked.ground, asked.plan, World.ALTERNATIVE, machine, script)
    unfolding.run()
    return tuple(unfolding.rows.table().to_pylist())


def delegations(script: Script) -> Sequence[tuple[int, int, int]]:
    """Who borrows in whose name: (owner of the debt, borrower, asset)."""
    found = {
        (call.what.account, call.what.other, call.what.asset)
        for transaction in script.transactions
        for call in transaction.calls
        if isinstance(call.what, Action) and call.what.kind in ("borrow", "flash_borrow")
        and 0 <= call.what.other != call.what.account
    }  # fmt: skip
    return sorted(found)


def differences(contracts: Answer, l2liq: Answer) -> list[str]:
    """Everything that differs, for people: the state in the end, then the outcome row by row."""
    found = list(state.differences(contracts.state, l2liq.state))
    if len(contracts.rows) != len(l2liq.rows):
        found.append(f"outcome rows: contracts {len(contracts.rows)}, l2liq {len(l2liq.rows)}")
    for number, (one, other) in enumerate(zip(contracts.rows, l2liq.rows, strict=False)):
        found += [
            f"row {number} ({one['kind']} at {one['timestamp_s']}), {name}: contracts {one[name]}, l2liq {other[name]}"
            for name in one
            if not _same(name, one[name], other[name])
        ]
    return found


def _same(name: str, contracts: Any, l2liq: Any) -> bool:
    """Equal; a reason is one of those between which the contracts make no difference."""
    return contracts == l2liq or (name == "cause" and l2liq in str(contracts).split("|"))


def counted(answer: Answer) -> dict[str, int]:
    """Outcome rows by kind."""
    return {kind.value: sum(row["kind"] == kind.value for row in answer.rows) for kind in Kind}

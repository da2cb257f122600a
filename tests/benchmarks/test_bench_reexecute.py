"""Re-execution beside a node that executes the same transactions.

A market of Aave v3.6 lives on anvil and is ingested over JSON-RPC. Then l2liq executes what its users asked for, and
the node the transactions themselves, from the same state. ``actions_per_s`` counts calls of the Pool and its tokens; on
the node price updates and whatever reverts come on top.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from l2liq.events.log import END_OF_BLOCK, block_of, key_of
from l2liq.market import Market
from l2liq.protocols import protocol
from l2liq.protocols.interface import Moment, Rejection
from l2liq.replay.chronicle import Chronicle
from l2liq.replay.script import Script, Transaction
from tests.evm.anvil import Mark, Node, running_node
from tests.evm.deploy import deploy
from tests.evm.driver.plan import Crash, Plan
from tests.evm.driver.run import simulate
from tests.evm.market import Version
from tests.evm.reading import read_market

PLAN = Plan(5, users=60, days=4.0, actions_per_day=500, crash=Crash(2.5, 3, 0.3))


@dataclass(frozen=True)
class Life:
    """A market that lived, and how to live it again."""

    node: Node
    mark: Mark
    blocks: tuple[tuple[int, tuple[tuple[str, str | None, bytes], ...]], ...]
    market: Market
    start: Moment
    transactions: tuple[Transaction, ...]

    @property
    def actions(self) -> int:
        """Calls of the Pool and its tokens that succeeded."""
        return sum(len(transaction.calls) for transaction in self.transactions)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with running_node() as node:
        deployment = deploy(node, Version.V360)
        mark = node.mark()
        trace = simulate(node, deployment, PLAN)
        folder: Path = tmp_path_factory.mktemp("life")
        market = read_market(node, deployment, folder).market
        begin = block_of(int(market.actions["key"][0].as_py())) - 1
        start = Moment(key_of(begin, END_OF_BLOCK), market.clock.time_of(begin))
        end = Moment(key_of(market.last_block, END_OF_BLOCK), market.clock.time_of(market.last_block))
        historian = protocol(market.protocol).historian(market, start.key)
        script = Script.of(historian, Chronicle(market), start, end)
        assert script.disagreeing == ()
        blocks = tuple(_block(node, number) for number in range(trace.first_block, trace.last_block + 1))
        yield Life(node, mark, blocks, market, start, script.transactions)


def _block(node: Node, number: int) -> tuple[int, tuple[tuple[str, str | None, bytes], ...]]:
    block = node.rpc.call("eth_getBlockByNumber", hex(number), True)
    sent = tuple((t["from"], t["to"], bytes.fromhex(t["input"][2:])) for t in block["transactions"])
    return int(block["timestamp"], 16), sent


def _work_of(node: Node, count: int) -> list[tuple[int, int]]:
    """Number of logs and gas of each of the last blocks."""
    blocks = range(node.block_number - count + 1, node.block_number + 1)
    return [
        (len(node.logs(number, number)), int(node.rpc.call("eth_getBlockByNumber", hex(number), False)["gasUsed"], 16))
        for number in blocks
    ]


@pytest.mark.benchmark(group="re-execution")
def test_pool(benchmark: BenchmarkFixture, life: Life) -> None:
    aave = protocol(life.market.protocol)

    def execute(machine) -> int:  # type: ignore[no-untyped-def]
        done = [machine.execute(transaction.calls) for transaction in life.transactions if transaction.calls]
        return sum(isinstance(receipt, Rejection) for receipt in done)

    def opened() -> tuple[tuple[object], dict[str, object]]:
        return (aave.machine(life.market, life.market.parameters, life.start.key),), {}

    refused = benchmark.pedantic(execute, setup=opened, rounds=5, warmup_rounds=1)
    assert refused < life.actions / 20, "without their liquidations a few accounts cannot do what they did"
    benchmark.extra_info["actions"] = life.actions
    benchmark.extra_info["actions_per_s"] = round(life.actions / benchmark.stats.stats.min)


@pytest.mark.benchmark(group="re-execution")
def test_node_executes_the_same_transactions(benchmark: BenchmarkFixture, life: Life) -> None:
    node = life.node

    def live_again() -> None:
        for timestamp_s, sent in life.blocks:
            for sender, to, data in sent:
                node.send(sender, to, data)
            node.mine(timestamp_s)

    def reverted() -> tuple[tuple[()], dict[str, object]]:
        node.return_to(life.mark)
        return (), {}

    lived = _work_of(node, len(life.blocks))
    benchmark.pedantic(live_again, setup=reverted, rounds=1)
    assert _work_of(node, len(life.blocks)) == lived, "the node did other work than the pool"
    benchmark.extra_info["actions_per_s"] = round(life.actions / benchmark.stats.stats.min)

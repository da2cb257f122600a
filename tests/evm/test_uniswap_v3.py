"""The swap and the history of a pool against Uniswap v3's own bytecode: every step to the last unit."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest

from l2liq.events.log import key_of
from l2liq.liquidity.pool_history import history_of
from l2liq.liquidity.uniswap_v3 import HIGHEST, LOWEST, Pool
from l2liq.numeric.ticks import MAX_TICK, MIN_TICK, sqrt_price_at_tick
from tests.evm import abi, artifacts
from tests.evm.anvil import Node
from tests.evm.logs import logs_table

OWNER = "0x" + "0e" * 20
SPACING = {500: 10, 3_000: 60, 10_000: 200}
STEPS = 90
PROVIDE, WITHDRAW = (f"{name}(address,int24,int24,uint128)" for name in ("provide", "withdraw"))
TRADE = "trade(address,bool,int256,uint160)"
SWAP = abi.topic("Swap(address,address,int256,int256,uint160,uint128,int24)")


@dataclass
class Arena:
    """A pool on a node, and whoever trades with it."""

    node: Node
    pool: str
    trader: str
    fee: int

    def do(self, signature: str, *arguments: Any) -> bool:
        """Call the trader in a block of its own; whether it went through."""
        data = abi.call_data(signature, self.pool, *arguments)
        sent = self.node.send(OWNER, self.trader, data)
        self.node.mine()
        return self.node.receipt(sent).succeeded

    def ask(self, signature: str, types: str, *arguments: Any) -> tuple[Any, ...]:
        return abi.decode_values(types, self.node.call(self.pool, abi.call_data(signature, *arguments)))

    def state(self) -> tuple[int, int, int]:
        price, tick, *_ = self.ask("slot0()", "(uint160,int24,uint16,uint16,uint16,uint8,bool)")
        return price, tick, self.ask("liquidity()", "(uint128)")[0]

    def replayed(self) -> Pool:
        """The pool as its logs give it."""
        logs = logs_table([log for log in self.node.logs(0, self.node.block_number) if log["address"] == self.pool])
        pool = history_of(logs, SPACING[self.fee]).at(key_of(self.node.block_number, 1 << 20))
        assert pool is not None
        return pool


def arena(node: Node, fee: int, tick: int) -> Arena:
    own = artifacts.own()
    token = own["Token"].linked({}) + abi.encode_values("(string,string,uint8)", "T", "T", 18)
    tokens = [node.create(OWNER, token) for _ in range(2)]
    factory = node.create(OWNER, artifacts.uniswap_v3().linked({}))
    trader = node.create(OWNER, own["Trader"].linked({}))
    node.transact(OWNER, factory, abi.call_data("createPool(address,address,uint24)", *tokens, fee))
    found = node.call(factory, abi.call_data("getPool(address,address,uint24)", *tokens, fee))
    pool = abi.address_of(abi.words(found)[0])
    node.transact(OWNER, pool, abi.call_data("initialize(uint160)", sqrt_price_at_tick(tick)))
    return Arena(node, pool, trader, fee)


def ranges(rng: random.Random, spacing: int, near: int) -> tuple[int, int]:
    """A range around a tick: narrow, wide or all there is."""
    width = spacing * rng.choice((1, 3, 20, 300))
    middle = near + rng.randint(-2, 2) * width // 2
    low = min(max(middle - width, MIN_TICK), MAX_TICK - 2 * width) // spacing * spacing
    return (low if low >= MIN_TICK else low + spacing), low + 2 * width


def widest(spacing: int) -> tuple[int, int]:
    """The range of all ticks."""
    return -(MAX_TICK // spacing) * spacing, MAX_TICK // spacing * spacing


@pytest.mark.parametrize(("fee", "tick", "seed"), [(500, -200_311, 1), (3_000, 59, 2), (10_000, 78_000, 3)])
def test_swaps_and_history_are_the_pools_own_to_the_last_unit(node: Node, fee: int, tick: int, seed: int) -> None:
    rng, spacing, there = random.Random(seed), SPACING[fee], arena(node, fee, tick)
    held: dict[tuple[int, int], int] = {}
    swaps = crossed = 0
    assert there.do(PROVIDE, *widest(spacing), 10**17)
    for _ in range(STEPS):
        now = there.replayed()
        assert (now.sqrt_price, now.tick, now.liquidity) == there.state()
        deed = rng.random()
        if deed < 0.3 or not held:
            lower, upper = ranges(rng, spacing, now.tick)
            amount = rng.randint(1, 10 ** rng.randint(3, 22))
            if there.do(PROVIDE, lower, upper, amount):
                held[lower, upper] = held.get((lower, upper), 0) + amount
            continue
        if deed < 0.45:
            place = rng.choice(sorted(held))
            amount = rng.choice((held[place], rng.randint(0, held[place])))
            assert there.do(WITHDRAW, *place, amount)
            held[place] -= amount
            if not held[place]:
                del held[place]
            continue
        if deed < 0.5:
            there.do("borrow(address,uint256,uint256)", 1, 1)
            continue
        zero_for_one, amount = rng.random() < 0.5, rng.randint(1, 10 ** rng.randint(8, 24))
        if rng.random() < 0.15:
            there.do(
                TRADE,
                zero_for_one,
                -min(amount, 10**15),
                LOWEST if zero_for_one else HIGHEST,
            )
            continue
        said = now.swap(amount, fee, spacing, zero_for_one=zero_for_one)
        done = there.do(TRADE, zero_for_one, amount, LOWEST if zero_for_one else HIGHEST)
        if now.sqrt_price == (LOWEST if zero_for_one else HIGHEST):
            assert not done and said.paid_in == said.out == 0
            continue
        assert done
        (log,) = [one for one in last_logs(node) if one["topics"][0] == SWAP]
        amount0, amount1, *after = abi.decode_values("(int256,int256,uint160,uint128,int24)", abi.from_hex(log["data"]))
        paid, given = (amount0, amount1) if zero_for_one else (amount1, amount0)
        assert (said.paid_in, -said.out) == (paid, given)
        assert (said.after.sqrt_price, said.after.liquidity, said.after.tick) == tuple(after)
        swaps += 1
        crossed += said.after.liquidity != now.liquidity
    assert swaps > 20 and crossed > 8
    for edge in {edge for place in held for edge in place}:
        _, net, *_ = there.ask("ticks(int24)", "(uint128,int128,uint256,uint256,int56,uint160,uint32,bool)", edge)
        assert there.replayed().ticks.net(edge) == net, edge


def test_what_a_pool_has_no_liquidity_for_is_not_paid_in(node: Node) -> None:
    there = arena(node, 3_000, 0)
    assert there.do(PROVIDE, -600, 600, 10**18)
    for zero_for_one in (True, False):
        said = there.replayed().swap(10**20, 3_000, 60, zero_for_one=zero_for_one)
        assert there.do(TRADE, zero_for_one, 10**20, LOWEST if zero_for_one else HIGHEST)
        amounts = abi.decode_values("(int256,int256,uint160,uint128,int24)", abi.from_hex(last_logs(node)[-1]["data"]))
        paid, given = amounts[:2] if zero_for_one else amounts[1::-1]
        assert (said.paid_in, -said.out) == (paid, given)
        assert (said.after.sqrt_price, said.after.tick, said.after.liquidity) == there.state()
        assert 0 < said.paid_in < 10**20 and said.after.liquidity == 0


def last_logs(node: Node) -> list[dict[str, Any]]:
    return node.logs(node.block_number, node.block_number)


def test_the_price_that_somebody_would_have_traded_to_has_the_pools_liquidity(node: Node) -> None:
    rng, there = random.Random(9), arena(node, 3_000, 0)
    for _ in range(12):
        lower, upper = ranges(rng, 60, 0)
        assert there.do(PROVIDE, lower, upper, rng.randint(10**15, 10**21))
    assert there.do(PROVIDE, *widest(60), 10**18)
    for _ in range(12):
        tick = rng.randint(-3_000, 3_000)
        target = sqrt_price_at_tick(tick) + rng.randint(1, 10**20)
        before = there.replayed()
        expected = before.moved_to(target)
        assert there.do(TRADE, target < before.sqrt_price, 10**30, target)
        assert (expected.sqrt_price, expected.tick, expected.liquidity) == there.state()

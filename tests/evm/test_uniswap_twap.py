"""Means over time against Uniswap v3: its pool's oracle, its OracleLibrary and its TickMath, to the last unit."""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import isqrt
from typing import Any

from l2liq.numeric.ticks import MAX_TICK, MIN_TICK, mean_tick, sqrt_price_at_tick, tick_at_sqrt_price
from l2liq.oracles.models import GeometricMean, price_at, tick_of
from l2liq.oracles.path import Path
from tests.evm import abi, artifacts
from tests.evm.anvil import Node
from tests.evm.test_uniswap_v3 import OWNER, PROVIDE, TRADE, Arena, arena, widest

MOST = 10**34


def trade_to(there: Arena, sqrt_price: int, at_s: int) -> None:
    """Move the pool's price to a square-root price, in a block at a time."""
    data = abi.call_data(TRADE, there.pool, sqrt_price < there.state()[0], MOST, sqrt_price)
    sent = there.node.send(OWNER, there.trader, data)
    there.node.mine(at_s)
    assert there.node.receipt(sent).succeeded
    assert there.state()[0] == sqrt_price


def cumulatives(there: Arena, *ago_s: int) -> list[int]:
    """What the pool's oracle has summed up so many seconds ago."""
    data = abi.call_data("observe(uint32[])", list(ago_s))
    ticks, _ = abi.decode_values("(int56[],uint160[])", there.node.call(there.pool, data))
    return list(ticks)


@dataclass
class Means:
    """Uniswap's libraries on a node."""

    node: Node
    address: str

    def ask(self, signature: str, answer: str, *arguments: Any) -> int:
        found = self.node.call(self.address, abi.call_data(signature, *arguments))
        return int(abi.decode_values(f"({answer})", found)[0])

    def consult(self, pool: str, ago_s: int) -> int:
        return self.ask("consult(address,uint32)", "int24", pool, ago_s)

    def quote(self, tick: int) -> int:
        """What one unit of a token is worth in another of a higher address."""
        low, high = ("0x" + f"{n:040x}" for n in (1, 2))
        return self.ask("quote(int24,uint128,address,address)", "uint256", tick, 1, low, high)


def libraries(node: Node) -> Means:
    return Means(node, node.create(OWNER, artifacts.uniswap_means().linked({})))


def test_ticks_and_prices_are_the_librarys(node: Node) -> None:
    """TickMath.getSqrtRatioAtTick, getTickAtSqrtRatio and OracleLibrary.getQuoteAtTick."""
    rng, means = random.Random(4), libraries(node)
    powers = [sign * (1 << bit) for bit in range(20) for sign in (1, -1) if 1 << bit < MAX_TICK]
    for tick in [MIN_TICK, MAX_TICK, 0, *powers, *(rng.randint(MIN_TICK, MAX_TICK) for _ in range(60))]:
        boundary = sqrt_price_at_tick(tick)
        assert means.ask("sqrtPrice(int24)", "uint160", tick) == boundary
        for sqrt_price in (boundary - 1, boundary, boundary + 1):
            if sqrt_price_at_tick(MIN_TICK) <= sqrt_price < sqrt_price_at_tick(MAX_TICK):
                assert means.ask("tick(uint160)", "int24", sqrt_price) == tick_at_sqrt_price(sqrt_price)
        if boundary < 1 << 128:
            assert means.quote(tick) == price_at(tick)


def test_a_mean_over_a_window_is_the_pools(node: Node) -> None:
    """Oracle.observe and OracleLibrary.consult, through jumps, quiet hours and several changes within one second."""
    rng = random.Random(6)
    price, now_s = 250_000_000_000, node.now_s
    there, means = arena(node, 500, 0), libraries(node)
    assert there.do(PROVIDE, *widest(10), 10**12)
    node.transact(OWNER, there.pool, abi.call_data("increaseObservationCardinalityNext(uint16)", 300))
    times, prices, compared = [], [], 0
    for number in range(70):
        now_s = node.now_s + rng.choice((0, 1, 1, 12, 300, 5_000))
        if number == 35:
            price = 7
        price = max(2, price * rng.choice((9_000, 9_990, 10_001, 10_400)) // 10_000 + rng.choice((1, 2)))
        sqrt_price = isqrt(price << 192)
        if sqrt_price == there.state()[0]:
            continue
        trade_to(there, sqrt_price, now_s)
        assert there.state()[1] == tick_of(price)
        times.append(node.now_s)
        prices.append(price)
        if times[-1] == times[0]:
            continue
        node.mine(node.now_s + rng.choice((0, 3, 777)))
        last_of = dict(zip(times, prices, strict=True))
        path = Path(tuple(last_of), tuple(last_of.values()))
        for window_s in {1, 60, 1_800, rng.randint(1, 9_000)}:
            if window_s > node.now_s - times[0]:
                continue
            seen = GeometricMean(window_s, 60).seen(path, node.now_s, node.now_s)
            assert seen.prices == (means.quote(means.consult(there.pool, window_s)),)
            compared += 1
    assert compared > 100


def test_means_of_negative_ticks_round_as_the_library_does(node: Node) -> None:
    rng, there, means, inexact = random.Random(8), arena(node, 500, -900), libraries(node), 0
    assert there.do(PROVIDE, *widest(10), 10**12)
    node.transact(OWNER, there.pool, abi.call_data("increaseObservationCardinalityNext(uint16)", 100))
    for _ in range(25):
        trade_to(there, sqrt_price_at_tick(rng.randint(-2_000, 100)) + 1, node.now_s + rng.randint(1, 50))
        node.mine(node.now_s + rng.randint(1, 20))
        window_s = rng.randint(1, 19)
        before, after = cumulatives(there, window_s, 0)
        assert means.consult(there.pool, window_s) == mean_tick(after - before, window_s)
        inexact += after < before and (after - before) % window_s != 0
    assert inexact > 5

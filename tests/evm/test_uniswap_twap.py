"""Means over time against the oracle in Uniswap v3's own bytecode: ticks, sums and mean prices to the last unit."""

from __future__ import annotations

import random
from math import isqrt

from l2liq.numeric.ticks import MAX_TICK, MIN_TICK, mean_tick, sqrt_price_at_tick
from l2liq.oracles.models import GeometricMean, price_at, tick_of
from l2liq.oracles.path import Path
from tests.evm import abi
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


def test_a_tick_begins_exactly_at_its_square_root_price(node: Node) -> None:
    """TickMath: the pool says tick t at our square-root price of t, and t - 1 one unit below."""
    rng, there = random.Random(4), arena(node, 500, 0)
    assert there.do(PROVIDE, *widest(10), 1)
    edges = [MIN_TICK + 1, MAX_TICK - 1, -1, 1]
    ticks = [*edges, *(s * (1 << bit) for bit in range(20) for s in (1, -1) if 1 << bit < MAX_TICK)]
    for tick in [*ticks, *(rng.randint(MIN_TICK + 1, MAX_TICK - 1) for _ in range(8))]:
        boundary = sqrt_price_at_tick(tick)
        for sqrt_price, expected in ((boundary, tick), (boundary - 1, tick - 1), (boundary + 1, tick)):
            trade_to(there, sqrt_price, node.now_s + 1)
            assert there.state()[1] == expected


def test_a_mean_over_a_window_is_the_pools(node: Node) -> None:
    """Oracle.observe and OracleLibrary.consult, through jumps, quiet hours and several changes within one second."""
    rng = random.Random(6)
    price, now_s = 250_000_000_000, node.now_s
    there = arena(node, 500, 0)
    assert there.do(PROVIDE, *widest(10), 10**12)
    node.transact(OWNER, there.pool, abi.call_data("increaseObservationCardinalityNext(uint16)", 300))
    times, prices, compared, inexact = [], [], 0, 0
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
            before, after = cumulatives(there, window_s, 0)
            mean = mean_tick(after - before, window_s)
            seen = GeometricMean(window_s, 60).seen(path, node.now_s, node.now_s)
            assert seen.prices == (price_at(mean),)
            compared += 1
            inexact += (after - before) % window_s != 0
    assert compared > 100
    assert inexact > 50

"""The fold beside merely decoding the same logs one by one with eth-abi, which computes nothing.

Both work on the same logs in one process. ``token_events_per_s`` counts Mint, Burn and BalanceTransfer only, though
the Pool's own events, of which there are as many again, are folded with them.
"""

from __future__ import annotations

import random
import resource

import pyarrow as pa
import pytest
from eth_abi.abi import default_codec
from pytest_benchmark.fixture import BenchmarkFixture

from l2liq.events.abi import contract_event
from l2liq.events.log import BLOCKS
from l2liq.lake import OBSERVATIONS
from l2liq.protocols.aave_v3.fold import fold_logs
from l2liq.protocols.aave_v3.interest import liquidity_index_at
from tests.aave_logs import RAY, Chain, Coin, Token, address, deployment

BLOCKS_OF_ACTIONS = 25_000
RATE = RAY // 25
COIN = Coin("WETH")
TOKEN_EVENTS = [
    contract_event("aave_v3/scaled_token", "Mint"),
    contract_event("aave_v3/scaled_token", "Burn"),
    contract_event("aave_v3/a_token", "BalanceTransfer"),
]


class Plain(Token):
    """The 3.6 rounding of aTokens on integers: the rational numbers of the other tests are slow in the making."""

    def balance(self, scaled: int, index: int) -> int:
        return scaled * index // RAY

    def _to_scaled(self, amount: int, index: int, *, up: bool) -> int:
        return -(-amount * RAY // index) if up else amount * RAY // index


@pytest.fixture(scope="module")
def logs() -> pa.Table:
    """Supplies, withdrawals and transfers of two thousand accounts, a call per block."""
    rng = random.Random(11)
    chain = Chain().found(COIN)
    token = Plain(chain, COIN.atoken, directed=True)
    users = [address(f"user {number}") for number in range(2000)]
    index = RAY
    chain.pool("ReserveDataUpdated", COIN.underlying, RATE, 0, 0, index, RAY)
    since = chain.now_s
    for _ in range(BLOCKS_OF_ACTIONS):
        chain.block(rng.choice((2, 2, 4, 60)))
        user, other = rng.choice(users), rng.choice(users)
        grown = liquidity_index_at(index, RATE, chain.now_s - since)
        held = token.of(user, grown)
        if held and rng.random() < 0.4:
            token.transfer(user, other, rng.randint(1, held), grown)
            continue
        index, since = grown, chain.now_s
        chain.pool("ReserveDataUpdated", COIN.underlying, RATE, 0, 0, index, RAY)
        if held and rng.random() < 0.5:
            amount = rng.randint(1, held)
            token.burn(user, amount, index)
            chain.pool("Withdraw", COIN.underlying, user, user, amount)
        else:
            amount = rng.randint(10**15, 10**20)
            token.mint(user, amount, index)
            chain.pool("Supply", COIN.underlying, user, user, amount, 0)
    return chain.table()


@pytest.mark.benchmark(group="fold")
def test_fold(benchmark: BenchmarkFixture, logs: pa.Table) -> None:
    snapshot = benchmark.pedantic(_fold, (logs,), rounds=3, warmup_rounds=1)
    state = snapshot.state
    assert state.compared == state.equal, "the logs are consistent, so nothing is folded for nothing"
    topics = {event.topic0 for event in TOKEN_EVENTS}
    count = sum(topic in topics for topic in logs.column("topic0").to_pylist())
    benchmark.extra_info["token_events_per_s"] = round(count / benchmark.stats.stats.min)
    benchmark.extra_info["logs_per_s"] = round(logs.num_rows / benchmark.stats.stats.min)
    benchmark.extra_info["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _fold(logs: pa.Table):
    return fold_logs(deployment("3.6"), [logs], BLOCKS.empty_table(), OBSERVATIONS.empty_table())


@pytest.mark.benchmark(group="fold")
def test_eth_abi_decodes_the_token_events_one_by_one(benchmark: BenchmarkFixture, logs: pa.Table) -> None:
    data = [row for event in TOKEN_EVENTS for row in _data_of(logs, event)]
    benchmark.pedantic(lambda: [default_codec.decode(types, raw) for types, raw in data], rounds=3, warmup_rounds=1)


def _data_of(logs: pa.Table, event):
    types = [argument.type for argument in event.data]
    pairs = zip(logs.column("topic0").to_pylist(), logs.column("data").to_pylist(), strict=True)
    return [(types, data) for topic, data in pairs if topic == event.topic0]

"""l2liq against the protocol's own contracts: the same integers, at many blocks of randomly lived markets.

``SEEDS=n`` runs n seeds per version instead of the few that every run has (``make truth SEEDS=n``).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from l2liq.events.log import END_OF_BLOCK, block_of, key_of
from l2liq.market import Market
from l2liq.protocols.aave_v3.nulltest import check
from l2liq.protocols.aave_v3.pool import RecordedPool, open_pool
from l2liq.protocols.aave_v3.pool.opening import accounts_at
from l2liq.protocols.aave_v3.record import SeriesRecord
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.protocols.interface import Moment
from l2liq.replay import Script, replay_recorded
from l2liq.replay.chronicle import Chronicle
from tests.evm import truth
from tests.evm.anvil import Node
from tests.evm.comparing import differences, liquidation_differences
from tests.evm.deploy import deploy
from tests.evm.driver.plan import Crash, Outage, Plan
from tests.evm.driver.run import simulate
from tests.evm.market import Version
from tests.evm.reading import read_market

SEEDS = range(1, 1 + int(os.environ.get("SEEDS", "3")))
BLOCKS_ASKED = 60


def plan_of(seed: int) -> Plan:
    """A market's life; neighbouring seeds differ in more than their dice."""
    plan = Plan(seed, users=18 + seed % 4 * 4, days=3.0, actions_per_day=220, governance_changes=20 + seed % 3 * 6)
    lives = (
        plan,
        replace(plan, crash=Crash(1.5, 5, 0.3), outage=Outage(1.6, 200), health_spread=(1.005, 0.1)),
        replace(plan, crash=Crash(1.2, 0.3, 0.6), outage=Outage(0.5, 30), compact_share=0.9),
        replace(
            plan,
            crash=None,
            outage=None,
            yearly_volatility=3.0,
            together=0.5,
            wealth_usd=(900.0, 2.5),
            health_spread=(1.0, 0.1),
        ),
    )
    return lives[seed % len(lives)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("version", Version, ids=lambda version: version.value)
def test_balances_account_data_indices_and_liquidations_are_those_of_the_contracts(
    node: Node, tmp_path: Path, version: Version, seed: int
) -> None:
    market = deploy(node, version)
    trace = simulate(node, market, plan_of(seed))
    reading = read_market(node, market, tmp_path)

    step = max(1, (trace.last_block - trace.first_block) // BLOCKS_ASKED)
    blocks = [*range(trace.first_block, trace.last_block, step), trace.last_block]
    shots = [truth.snapshot(node, market, trace.accounts, block) for block in blocks]
    assert differences(reading, shots) == []

    liquidations = truth.liquidations(node, market, trace.first_block, trace.last_block)
    assert liquidations
    assert liquidation_differences(reading, liquidations, market.treasury) == []

    report = check(reading.snapshot, reading.market)
    assert report.divergences == ()
    assert report.reproduced == report.recorded == len(liquidations)

    replayed = replay_recorded(AaveVenue(reading.market, reading.market.parameters), *_whole(reading.market))
    assert replayed.discrepancies == ()
    assert replayed.equal == replayed.accounts > 0
    assert replayed.liquidations == len(liquidations)

    first, last = _whole(reading.market)
    historian = RecordedPool(
        open_pool(reading.market, reading.market.parameters, SeriesRecord(reading.market), first.key), reading.market
    )
    script = Script.of(historian, Chronicle(reading.market), first, last)
    assert script.transactions
    assert script.disagreeing == ()
    held = {account: state for account, state in historian.pool.accounts.items() if state}
    assert held == accounts_at(reading.market, last.key)


def _whole(market: Market) -> tuple[Moment, Moment]:
    """From before the first user action to the end."""
    clock = market.clock
    begin = block_of(int(market.actions["key"][0].as_py())) - 1
    last = int(clock.number[-1])
    return Moment(key_of(begin, END_OF_BLOCK), clock.time_of(begin)), Moment(
        key_of(last, END_OF_BLOCK), clock.time_of(last)
    )

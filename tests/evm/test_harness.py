"""The harness itself: both versions deploy, live through everything, and answer for it."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.evm import abi, truth
from tests.evm.anvil import Node
from tests.evm.deploy import deploy
from tests.evm.driver.plan import Plan
from tests.evm.driver.run import simulate
from tests.evm.market import Version

WAD = 10**18


@pytest.mark.parametrize("version", Version, ids=lambda version: version.value)
def test_a_simulated_market_sees_every_kind_of_event_and_only_unhealthy_accounts_are_liquidated(
    node: Node, version: Version
) -> None:
    market = deploy(node, version)
    trace = simulate(node, market, Plan(seed=2, users=20, days=3, actions_per_day=150))
    topics = Counter(log["topics"][0] for log in node.logs(0, trace.last_block))
    for event in (
        "Supply(address,address,address,uint256,uint16)",
        "Withdraw(address,address,address,uint256)",
        "Borrow(address,address,address,uint256,uint8,uint256,uint16)",
        "Repay(address,address,address,uint256,bool)",
        "FlashLoan(address,address,address,uint256,uint8,uint256,uint16)",
        "MintedToTreasury(address,uint256)",
        "BalanceTransfer(address,address,uint256,uint256)",
        "UserEModeSet(address,uint8)",
        "ReserveUsedAsCollateralDisabled(address,address)",
        "AggregatorConfirmed(address,address)",
        "AssetSourceUpdated(address,address)",
        "ReservePaused(address,bool)",
    ):
        assert topics[abi.topic(event)] > 0, event
    liquidations = truth.liquidations(node, market, trace.first_block, trace.last_block)
    assert {event.receive_a_token for event in liquidations} == {True, False}
    assert all(event.before.health_factor_wad < WAD for event in liquidations if event.alone)


@pytest.mark.parametrize("version", Version, ids=lambda version: version.value)
def test_scaled_balances_add_up_to_the_tokens_supplies_at_every_block_asked(node: Node, version: Version) -> None:
    market = deploy(node, version)
    trace = simulate(node, market, Plan(seed=5, users=12, days=1.5, actions_per_day=150, crash=None, outage=None))
    for block in range(trace.first_block, trace.last_block + 1, 50):
        shot = truth.snapshot(node, market, trace.accounts, block)
        for number, reserve in enumerate(shot.reserves):
            assert sum(user.scaled_a[number] for user in shot.users) == reserve.scaled_a_supply
            assert sum(user.scaled_v[number] for user in shot.users) == reserve.scaled_v_supply

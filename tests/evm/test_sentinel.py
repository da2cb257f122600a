"""An outage that a scenario assumes, against contracts that lived through one: who is let in, to the second."""

from __future__ import annotations

from pathlib import Path

import pytest

from l2liq.chains.outages import Outage
from l2liq.chains.standstill import DOWN, UP, market_through
from l2liq.protocols import protocol
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.protocols.interface import Moment
from tests.evm import abi
from tests.evm.anvil import Node
from tests.evm.deploy import deploy
from tests.evm.driver.feeds import PUBLISHER
from tests.evm.market import GRACE_PERIOD_S, Version
from tests.evm.reading import read_market

QUIET_S, DURATION_S = 20_000, 5_280


@pytest.mark.parametrize("version", Version, ids=lambda version: version.value)
def test_an_assumed_outage_opens_and_shuts_the_sentinel_like_one_that_the_feed_reported(
    node: Node, tmp_path: Path, version: Version
) -> None:
    market = deploy(node, version)
    outage = Outage(node.now_s + QUIET_S, node.now_s + QUIET_S + DURATION_S)
    node.mine(outage.from_s - 1)
    reading = read_market(node, market, tmp_path)
    assert allowed(node, market.sentinel, outage.from_s - 1) == (True, True)

    for status, since_s in ((DOWN, outage.from_s), (UP, outage.to_s)):
        node.send(PUBLISHER, market.uptime_feed, abi.call_data("report(int256,uint64)", status, since_s))
    node.mine(outage.to_s)

    seen = market_through(reading.market, [outage], 0)
    venue = protocol(seen.protocol).venue(seen, seen.parameters)
    assert isinstance(venue, AaveVenue)
    restart_key = outage.restart_key(seen.clock)
    told = set()
    for second in (0, 1, 60, GRACE_PERIOD_S - 1, GRACE_PERIOD_S, GRACE_PERIOD_S + 1, 9 * GRACE_PERIOD_S):
        at_s = outage.to_s + second
        liquidate, borrow = allowed(node, market.sentinel, at_s)
        gate = venue.at(Moment(restart_key, at_s)).gates.sentinel
        assert (gate is None) == liquidate == borrow, second
        if gate is not None:
            assert gate.until_s == outage.to_s + GRACE_PERIOD_S + 1, "the first second at which the contract lets in"
        told.add(liquidate)
    assert told == {True, False}


def allowed(node: Node, sentinel: str, at_s: int) -> tuple[bool, bool]:
    """Whether the contract lets people liquidate and borrow in a block of that time."""
    liquidate, borrow = (
        bool(abi.words(node.call(sentinel, abi.call_data(f"{name}()"), time_s=at_s))[0])
        for name in ("isLiquidationAllowed", "isBorrowAllowed")
    )
    return liquidate, borrow

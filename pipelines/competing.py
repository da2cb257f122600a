"""From what a scenario says of liquidators who compete to the competition that a replay holds."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from l2liq.chains.rollup import Ordering, OrderingPolicy
from l2liq.errors import ScenarioError
from l2liq.liquidators import (
    AsMuchAsPays,
    Auction,
    Competition,
    Constant,
    Contestant,
    Delays,
    Immediate,
    Largest,
    LatencyBlocks,
    LatencySeconds,
    Liquidator,
    LogNormal,
    Order,
    Profitable,
    Sizing,
    ToHealth,
    TwoStep,
    synthetic_address,
)
from l2liq.replay import Rival
from l2liq.replay.rows import BASE_UNIT
from l2liq.scenario.competing import LARGEST, TWO_STEP, WHAT_PAYS, Oev, Profit
from l2liq.scenario.competing import Contestant as Written
from l2liq.scenario.compose import Composition
from l2liq.scenario.quantities import BPS
from pipelines.surroundings import Surroundings

LANE_DELAY_MS = 200
"""What those outside Arbitrum's express lane wait (DOMAIN §5.2)."""

_ORDERINGS = {
    "fcfs": Ordering.FIRST_COME,
    "priority_fee": Ordering.PRIORITY_FEE,
    "express_lane": Ordering.EXPRESS_LANE,
}


def competition_of(composition: Composition, contestants: tuple[Contestant, ...], around: Surroundings) -> Competition:
    """The competition of a scenario.

    Raises ScenarioError where the order of transactions or the time between blocks is not known.
    """
    wanted = composition.scenario.liquidator
    return Competition(
        contestants, _order(composition, around), wanted.notice, _sizing(wanted.sizing), _auction(wanted.oev)
    )


def alone(composition: Composition, model: Liquidator) -> Liquidator | Competition:
    """A liquidator without others; a competition of one where it sizes its liquidations or bids in auctions."""
    wanted = composition.scenario.liquidator
    if wanted.sizing == LARGEST and wanted.oev is None:
        return model
    bid_bps = 0 if wanted.oev is None or wanted.oev.bid is None else wanted.oev.bid
    only = (Contestant(model, bid_bps=bid_bps),)
    return Competition(only, sizing=_sizing(wanted.sizing), auction=_auction(wanted.oev))


def given_contestants(composition: Composition) -> tuple[Contestant, ...]:
    """The contestants that a scenario names."""
    return tuple(
        _contestant(composition, name, written)
        for name, written in (composition.scenario.liquidator.contestants or {}).items()
    )


def _contestant(composition: Composition, name: str, written: Written) -> Contestant:
    profit = written.profit or composition.scenario.liquidator.profit
    return Contestant(
        model=choosy_where_asked(composition, _timing(written), profit),
        name=name,
        address=written.address or synthetic_address(name),
        capital_base=None if written.capital is None else capital_base(written.capital),
        recycle_s=written.recycle,
        bid_bps=written.bid,
    )


def capital_base(usd: float) -> int:
    """Dollars in base currency, rounded down."""
    return int(Fraction(usd) * BASE_UNIT)


def choosy_where_asked(composition: Composition, model: Liquidator, profit: Profit | None) -> Liquidator:
    """A model that leaves alone what does not pay, where the scenario asks for that."""
    if profit is None:
        return model
    transaction = 0.0 if profit.transaction is None and composition.scenario.fees is None else profit.transaction
    return Profitable(model, profit.slippage, profit.flash_fee, transaction, profit.attempts, profit.above)


def _timing(written: Written) -> Liquidator:
    delay = written.delay
    if delay is None:
        return Immediate()
    if delay.blocks is not None:
        return LatencyBlocks(delays_of(delay.blocks, written.spread))
    assert delay.ms is not None, "a contestant's delay is never fitted alone"
    return LatencySeconds(delays_of(delay.ms / 1_000, written.spread))


def delays_of(median: float, spread: float) -> Delays:
    """Log-normal delays, or a constant one."""
    return LogNormal(median, spread) if spread and median else Constant(median)


def _auction(wanted: Oev | None) -> Auction | None:
    return None if wanted is None else Auction(wanted.recapture, wanted.cutoff, wanted.success / BPS)


def _sizing(wanted: str | int) -> Sizing:
    if isinstance(wanted, int):
        return ToHealth(wanted)
    sizings: dict[str, Sizing] = {TWO_STEP: TwoStep(), WHAT_PAYS: AsMuchAsPays(), LARGEST: Largest()}
    return sizings[wanted]


def _order(composition: Composition, around: Surroundings) -> Order:
    """What the scenario says, or what holds on the chain at the window's start."""
    wanted, place = composition.scenario.liquidator, f"{composition.scenario.name}: liquidator"
    found = around.rollup.ordering.at(composition.window.first.timestamp_s) or OrderingPolicy(Ordering.FIRST_COME)
    policy = _ORDERINGS[wanted.ordering] if wanted.ordering is not None else found.policy
    if wanted.ordering is None and wanted.lane is not None:
        policy = Ordering.EXPRESS_LANE
    if policy is Ordering.OPERATOR:
        raise ScenarioError(f"{place}: on this chain the operator orders transactions as it likes. Write `ordering`.")
    if policy is Ordering.EXPRESS_LANE:
        if wanted.lane is None:
            return Order()
        delay_ms = wanted.lane_delay if wanted.lane_delay is not None else found.lane_delay_ms or LANE_DELAY_MS
        return Order(policy, lane=wanted.lane, lane_delay_ms=delay_ms)
    if policy is Ordering.PRIORITY_FEE:
        block_ms = wanted.block_time or around.block_time_ms
        if block_ms is None:
            raise ScenarioError(
                f"{place}: who is ready within one block competes by bid, and the time between this chain's blocks is "
                "not known. Write `block_time: 2s`, or `ordering: fcfs`."
            )
        return Order(policy, block_ms=block_ms)
    return Order()


def fitted_contestants(composition: Composition, rivals: Sequence[Rival]) -> tuple[Contestant, ...]:
    """Historical liquidators as contestants, under their own addresses."""
    wanted = composition.scenario.liquidator
    bid_bps = 0 if wanted.oev is None or wanted.oev.bid is None else wanted.oev.bid
    return tuple(
        Contestant(
            model=choosy_where_asked(composition, LatencySeconds(one.delays_s), wanted.profit),
            name=f"0x{one.address.hex()}",
            address=one.address,
            capital_base=one.largest_base,
            bid_bps=bid_bps,
        )
        for one in rivals
    )

"""Who liquidates, and when: a liquidator model turns the moment of a crossing into the moment of execution."""

from __future__ import annotations

import typing
from dataclasses import dataclass

from l2liq.events.log import END_OF_BLOCK, block_of, key_of
from l2liq.liquidators.delays import Delays
from l2liq.market import Clock
from l2liq.protocols.interface import Moment


@dataclass(frozen=True, slots=True)
class Offer:
    """One liquidation as a liquidator may do it: what it gets and what it pays, at the world's prices [USD].

    None where a price is not known; ``transaction_usd`` also where the replay has no fees. ``bid_usd`` is what it pays
    to come first.
    """

    collateral_usd: float | None
    debt_usd: float | None
    transaction_usd: float | None = None
    bid_usd: float = 0.0

    @property
    def bonus_usd(self) -> float:
        """What it gets beyond what it pays, 0 where that is less or not known [USD]."""
        if self.collateral_usd is None or self.debt_usd is None:
            return 0.0
        return max(0.0, self.collateral_usd - self.debt_usd)

    @property
    def left_usd(self) -> float | None:
        """What is left of it after transaction and bid [USD]; None where a price is not known."""
        if self.collateral_usd is None or self.debt_usd is None:
            return None
        return self.collateral_usd - self.debt_usd - (self.transaction_usd or 0.0) - self.bid_usd


class Liquidator(typing.Protocol):
    """A synthetic liquidator with an endless wallet, who tries every account that becomes liquidatable."""

    @property
    def name(self) -> str:
        """What a scenario calls it."""

    @property
    def spacing_s(self) -> int:
        """Time from one of its liquidations to the next one, whichever account that is of [s]."""

    def execution(self, draw: float, crossed: Moment, clock: Clock) -> Moment | None:
        """When the liquidation executes.

        Parameters
        ----------
        draw : float
            Uniform in [0, 1), the only randomness there is.
        crossed : Moment
            First moment at which the account is liquidatable.
        clock : Clock
            Blocks of the market.

        Returns
        -------
        Moment | None
            Not before ``crossed``; None = never.
        """

    def ready_s(self, draw: float, crossed: Moment, due: Moment) -> float:
        """Exact time at which it is ready to execute at ``due`` [s since 1970]: says who of several comes first."""

    def again(self, now: Moment, clock: Clock) -> Moment | None:
        """When it looks again at an account that something holds up; None = whenever that may have changed."""

    def left_usd(self, offer: Offer) -> float | None:
        """What a liquidation leaves it at the world's prices [USD]; None where a price is not known."""

    def wants(self, offer: Offer) -> bool:
        """Whether it does a liquidation that it could do."""

    def words(self) -> str:
        """The model in one sentence, for reports."""


@dataclass(frozen=True, slots=True)
class Immediate:
    """Right after the transaction that made the account liquidatable, in the same block."""

    name: str = "immediate"
    spacing_s: int = 0

    def execution(self, draw: float, crossed: Moment, clock: Clock) -> Moment | None:
        """``crossed`` itself."""
        return crossed

    def ready_s(self, draw: float, crossed: Moment, due: Moment) -> float:
        """When it executes."""
        return float(due.timestamp_s)

    def again(self, now: Moment, clock: Clock) -> Moment | None:
        """Whenever something may have changed."""
        return None

    def left_usd(self, offer: Offer) -> float | None:
        """What the offer leaves."""
        return offer.left_usd

    def wants(self, offer: Offer) -> bool:
        """Every one."""
        return True

    def words(self) -> str:
        """The model in one sentence."""
        return "Every account is liquidated at once, in the block in which it becomes liquidatable."


@dataclass(frozen=True, slots=True)
class LatencySeconds:
    """A delay in seconds, drawn per crossing; executes at the end of the last known block at that time."""

    delays_s: Delays
    name: str = "latency"
    spacing_s: int = 0

    def execution(self, draw: float, crossed: Moment, clock: Clock) -> Moment | None:
        """End of the block in force when the delay is over."""
        delay = self.delays_s.quantile(draw)
        if delay is None:
            return None
        if delay <= 0:
            return crossed
        return at_second(crossed.timestamp_s + round(delay), crossed, clock)

    def ready_s(self, draw: float, crossed: Moment, due: Moment) -> float:
        """The end of the delay."""
        return crossed.timestamp_s + max(self.delays_s.quantile(draw) or 0.0, 0.0)

    def again(self, now: Moment, clock: Clock) -> Moment | None:
        """Whenever something may have changed."""
        return None

    def left_usd(self, offer: Offer) -> float | None:
        """What the offer leaves."""
        return offer.left_usd

    def wants(self, offer: Offer) -> bool:
        """Every one."""
        return True

    def words(self) -> str:
        """The model in one sentence."""
        return f"An account is liquidated {self.delays_s.words('s')} after it becomes liquidatable."


@dataclass(frozen=True, slots=True)
class LatencyBlocks:
    """A delay in blocks, drawn per crossing and rounded to whole blocks; executes at the end of that block."""

    delays_blocks: Delays
    name: str = "latency"
    spacing_s: int = 0

    def execution(self, draw: float, crossed: Moment, clock: Clock) -> Moment | None:
        """End of the block so many blocks later."""
        delay = self.delays_blocks.quantile(draw)
        if delay is None:
            return None
        blocks = max(round(delay), 0)
        if blocks == 0:
            return crossed
        number = block_of(crossed.key) + blocks
        return Moment(key_of(number, END_OF_BLOCK), max(clock.time_of(number), crossed.timestamp_s))

    def ready_s(self, draw: float, crossed: Moment, due: Moment) -> float:
        """When it executes: blocks have no finer time."""
        return float(due.timestamp_s)

    def again(self, now: Moment, clock: Clock) -> Moment | None:
        """Whenever something may have changed."""
        return None

    def left_usd(self, offer: Offer) -> float | None:
        """What the offer leaves."""
        return offer.left_usd

    def wants(self, offer: Offer) -> bool:
        """Every one."""
        return True

    def words(self) -> str:
        """The model in one sentence."""
        return f"An account is liquidated {self.delays_blocks.words('blocks')} after it becomes liquidatable."


def at_second(timestamp_s: int, not_before: Moment, clock: Clock) -> Moment:
    """The moment at a second: the end of the last known block with a timestamp at or before it."""
    block = clock.last_block_at(timestamp_s)
    key = key_of(block, END_OF_BLOCK) if block >= 0 else 0
    return Moment(max(key, not_before.key), max(timestamp_s, not_before.timestamp_s))

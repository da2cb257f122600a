"""A liquidator who looks at the whole market from time to time, on a fixed schedule."""

from __future__ import annotations

from dataclasses import dataclass

from l2liq.liquidators.model import Offer, at_second
from l2liq.market import Clock
from l2liq.protocols.interface import Moment


@dataclass(frozen=True, slots=True)
class Passes:
    """At every multiple of ``every_s`` since 1970, plus ``offset_s``, all accounts are liquidated that can be.

    One liquidation is one transaction, and the next one comes ``spacing_s`` later; accounts are taken in the order of
    their addresses, and each is liquidated until it is safe or something holds it up.
    """

    every_s: int
    offset_s: int = 0
    spacing_s: int = 0
    name: str = "passes"

    def execution(self, draw: float, crossed: Moment, clock: Clock) -> Moment | None:
        """The first pass at or after the crossing."""
        due = self._pass_from(crossed.timestamp_s)
        return crossed if due == crossed.timestamp_s else at_second(due, crossed, clock)

    def ready_s(self, draw: float, crossed: Moment, due: Moment) -> float:
        """The pass."""
        return float(due.timestamp_s)

    def again(self, now: Moment, clock: Clock) -> Moment | None:
        """The next pass."""
        return at_second(self._pass_from(now.timestamp_s + 1), now, clock)

    def _pass_from(self, timestamp_s: int) -> int:
        """Time of the first pass at or after a time."""
        return self.offset_s - (-(timestamp_s - self.offset_s) // self.every_s) * self.every_s

    def left_usd(self, offer: Offer) -> float | None:
        """What the offer leaves."""
        return offer.left_usd

    def wants(self, offer: Offer) -> bool:
        """Every one."""
        return True

    def words(self) -> str:
        """The model in one sentence."""
        after = f", one every {self.spacing_s} s" if self.spacing_s else ""
        return f"Every {self.every_s} s all accounts that are liquidatable are liquidated{after}."

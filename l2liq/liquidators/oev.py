"""Auctions of the right to liquidate right behind an oracle's update, as Chainlink's SVR holds them (DOMAIN §6.2)."""

from __future__ import annotations

from dataclasses import dataclass

PRICE = "price"
"""Why an account is liquidatable: the cause that an oracle's update brings about."""


@dataclass(frozen=True, slots=True)
class Auction:
    """Sells the place behind every update that makes an account liquidatable.

    Attributes
    ----------
    recapture_bps : the protocol's part of the winner's bid
    cutoff_s : where nobody wins, the update reaches the market by the public path, so much later [s]
    success : share of auctions that somebody wins, 0 to 1
    """

    recapture_bps: int
    cutoff_s: int
    success: float = 1.0

    def words(self) -> str:
        """The rule in one sentence."""
        return (
            f"Whoever bids the largest share of its bonus liquidates right behind the oracle's update, and "
            f"{self.recapture_bps / 100:g} % of the bid goes to the protocol; {1 - self.success:.3g} of auctions find "
            f"no winner, and what the winner leaves or nobody wins is open to all {self.cutoff_s} s later. Prices are "
            "seen when they are recorded; only liquidations wait for the cutoff."
        )

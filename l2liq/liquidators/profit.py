"""A liquidator who does not work at a loss (DOMAIN §7.1)."""

from __future__ import annotations

from dataclasses import dataclass

from l2liq.liquidators.model import Liquidator, Offer
from l2liq.market import Clock
from l2liq.protocols.interface import Moment


@dataclass(frozen=True, slots=True)
class Profitable:
    """Acts when another model would, and only where enough is left of it.

    Attributes
    ----------
    model : when it acts
    slippage_bps, flash_fee_bps : share of the collateral lost in selling it, share of the debt paid for borrowing it
    transaction_usd : gas of one attempt, L1 data included [USD]; None = by the fees of the replay
    attempts : transactions that it takes to win one liquidation, failed ones included
    least_usd : what must be left [USD]
    """

    model: Liquidator
    slippage_bps: int = 0
    flash_fee_bps: int = 0
    transaction_usd: float | None = 0.0
    attempts: float = 1.0
    least_usd: float = 0.0

    @property
    def name(self) -> str:
        """The model that says when."""
        return self.model.name

    @property
    def spacing_s(self) -> int:
        """As the model that says when."""
        return self.model.spacing_s

    def execution(self, draw: float, crossed: Moment, clock: Clock) -> Moment | None:
        """As the model that says when."""
        return self.model.execution(draw, crossed, clock)

    def ready_s(self, draw: float, crossed: Moment, due: Moment) -> float:
        """As the model that says when."""
        return self.model.ready_s(draw, crossed, due)

    def again(self, now: Moment, clock: Clock) -> Moment | None:
        """As the model that says when."""
        return self.model.again(now, clock)

    def wants(self, offer: Offer) -> bool:
        """Whether enough is left; also where a price is not known, so that nothing is held up by missing data."""
        left = self.left_usd(offer)
        return left is None or left >= self.least_usd

    def left_usd(self, offer: Offer) -> float | None:
        """Profit at the world's prices, after its bid [USD]; None where one is not known."""
        attempt = offer.transaction_usd if self.transaction_usd is None else self.transaction_usd
        if offer.collateral_usd is None or offer.debt_usd is None or attempt is None:
            return None
        sold = offer.collateral_usd * (1 - self.slippage_bps / 10_000)
        owed = offer.debt_usd * (1 + self.flash_fee_bps / 10_000)
        return sold - owed - self.attempts * attempt - offer.bid_usd

    def words(self) -> str:
        """The model in one sentence."""
        slippage = f"{self.slippage_bps / 100:g} % of slippage, " if self.slippage_bps else ""
        return (
            f"{self.model.words()} It leaves alone what would bring less than ${self.least_usd:,.2f} at the world's "
            f"prices, after {slippage}{self.flash_fee_bps / 100:g} % of flash fee and {_attempts(self.attempts)} at "
            f"{self._price()}."
        )

    def _price(self) -> str:
        return "the rollup's fees" if self.transaction_usd is None else f"${self.transaction_usd:,.2f}"


def _attempts(number: float) -> str:
    return "one attempt" if number == 1 else f"{number:g} attempts"

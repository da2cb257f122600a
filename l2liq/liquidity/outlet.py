"""Where liquidators sell what they seized: the interface of all models, and a way to make any of them thinner.

How far sales have moved a price is a *displacement*: the natural logarithm of the price as it stands over the price
without our sales. 0 = untouched, -0.02 = about 2 % lower. It belongs to a place (a pool, an asset's order books), lasts
from one sale to the next, and halves every ``half_life_s``.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Sale:
    """What is to be sold.

    Attributes
    ----------
    amount : of the asset [base units]
    usd : its value at the world's price [USD]
    key : position in the chain after which it is sold
    price : asset to the world's price of one base unit [USD], None where it has none
    """

    amount: int
    usd: float
    key: int
    price: Callable[[int], float | None]


@dataclass(frozen=True, slots=True)
class Sold:
    """What a sale yields.

    Attributes
    ----------
    proceeds_usd : at the world's prices, fees paid [USD]
    displacement : of the sold asset's price after the sale [natural logarithm]
    """

    proceeds_usd: float
    displacement: float


class Outlet(typing.Protocol):
    """Where one asset is sold; immutable: what sales leave behind is handed in and out as a displacement."""

    @property
    def place(self) -> str:
        """Outlets of one place share its displacement."""

    @property
    def direction(self) -> int:
        """1, or -1 for the second of two assets that are sold for each other: its price moves the other way."""

    @property
    def half_life_s(self) -> int | None:
        """Time in which half of a displacement is gone [s]; None = it stays."""

    def sell(self, sale: Sale, displacement: float) -> Sold | None:
        """What a sale yields while the asset's price is displaced; None where that is not known (no price)."""

    def words(self) -> str:
        """The model in a few words, as in ``constant product, $2,000,000 a side, fee 0.3 %``."""


@dataclass(frozen=True, slots=True)
class Thinner:
    """An outlet with a fraction of another one's depth: a sale moves it as one ``times`` as large moves the other."""

    outlet: Outlet
    times: int

    @property
    def place(self) -> str:
        """As the outlet."""
        return self.outlet.place

    @property
    def direction(self) -> int:
        """As the outlet."""
        return self.outlet.direction

    @property
    def half_life_s(self) -> int | None:
        """As the outlet."""
        return self.outlet.half_life_s

    def sell(self, sale: Sale, displacement: float) -> Sold | None:
        """A share of what the larger sale yields."""
        larger = replace(sale, amount=sale.amount * self.times, usd=sale.usd * self.times)
        sold = self.outlet.sell(larger, displacement)
        return None if sold is None else replace(sold, proceeds_usd=sold.proceeds_usd / self.times)

    def words(self) -> str:
        """The model in a few words."""
        return f"{self.outlet.words()}, divided by {self.times}"

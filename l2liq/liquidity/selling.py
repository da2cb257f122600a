"""How the liquidators of one world sell: which outlet each asset has, and what their own sales have done to prices."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from l2liq.liquidity.outlet import Outlet, Sale, Sold, Thinner
from l2liq.outcome.schema import World


@dataclass(frozen=True, slots=True)
class Liquidity:
    """Outlets of assets, by number; an asset without one is sold at the world's price, however much of it."""

    outlets: tuple[tuple[int, Outlet], ...] = ()

    def outlet(self, asset: int) -> Outlet | None:
        """Where an asset is sold."""
        return next((outlet for number, outlet in self.outlets if number == asset), None)

    def thinner(self, times: int) -> Liquidity:
        """The same with a fraction of the depth."""
        return Liquidity(tuple((asset, Thinner(outlet, times)) for asset, outlet in self.outlets))


DEEP = Liquidity()
"""Everything is sold at the world's price."""


@dataclass(frozen=True, slots=True)
class Markets:
    """Where the liquidators of both worlds sell; nobody asked about the actual world's.

    Attributes
    ----------
    control : in control, and in the alternative before the change
    alternative : in the alternative from the change on
    """

    control: Liquidity = DEEP
    alternative: Liquidity = DEEP

    def with_alternative(self, liquidity: Liquidity) -> Markets:
        """The same with another alternative."""
        return replace(self, alternative=liquidity)


_ASKS_PER_HALF_LIFE = 4
_TELLING = 1e-4
"""A displacement that makes a difference: a basis point."""


class Selling:
    """The sales of one world; remembers displacements.

    ``since``: key from which the alternative's liquidity holds.
    """

    def __init__(self, markets: Markets, world: World, since: int) -> None:
        self._before = markets.control
        self._after = markets.alternative if world is World.ALTERNATIVE else markets.control
        self._since = since
        self._displaced: dict[str, tuple[float, int]] = {}
        self._before_sales: list[dict[str, tuple[float, int]]] = []

    def quote(self, asset: int, sale: Sale, timestamp_s: int) -> Sold | None:
        """What a sale would yield now; None where it cannot be known."""
        outlet = self._outlet(asset, sale.key)
        if outlet is None:
            return Sold(sale.usd, 0.0)
        return outlet.sell(sale, outlet.direction * self._left(outlet, timestamp_s))

    def sell(self, asset: int, sale: Sale, timestamp_s: int) -> Sold | None:
        """What a sale yields now; the price stays displaced by it."""
        sold, outlet = self.quote(asset, sale, timestamp_s), self._outlet(asset, sale.key)
        if sold is not None:
            self._before_sales.append(self._displaced)
        if sold is not None and outlet is not None:
            displaced = (outlet.direction * sold.displacement, timestamp_s)
            self._displaced = {**self._displaced, outlet.place: displaced}
        return sold

    def undo(self) -> None:
        """The last sale that was not undone yet did not happen: its block was reverted."""
        self._displaced = self._before_sales.pop()

    def better_s(self, timestamp_s: int) -> int | None:
        """When prices will have recovered so far that it is worth asking again [s]; None where nothing is displaced."""
        waits = [
            max(outlet.half_life_s // _ASKS_PER_HALF_LIFE, 1)
            for _, outlet in (*self._before.outlets, *self._after.outlets)
            if outlet.half_life_s is not None and abs(self._left(outlet, timestamp_s)) > _TELLING
        ]
        return timestamp_s + min(waits) if waits else None

    def _left(self, outlet: Outlet, timestamp_s: int) -> float:
        """What is left of the displacement of an outlet's place."""
        place, at_s = self._displaced.get(outlet.place, (0.0, timestamp_s))
        return recovering(place, timestamp_s - at_s, outlet.half_life_s)

    def _outlet(self, asset: int, key: int) -> Outlet | None:
        return (self._after if key >= self._since else self._before).outlet(asset)


def recovering(displacement: float, seconds: int, half_life_s: int | None) -> float:
    """What is left of a displacement after a time."""
    if half_life_s is None or seconds <= 0 or displacement == 0:
        return displacement
    return displacement * math.exp2(-seconds / half_life_s)

"""Columns of the screen: what one scaled unit of a leg is worth at every tick, as doubles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from l2liq.market import PRICE, Market, ParameterTimeline
from l2liq.numeric import RAY
from l2liq.protocols.aave_v3.interest import SECONDS_PER_YEAR
from l2liq.protocols.aave_v3.layout import Layout, Role
from l2liq.protocols.aave_v3.parameters import AaveParameters, EMode
from l2liq.protocols.aave_v3.prices import named_price
from l2liq.protocols.aave_v3.versions import Compounding

Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Column:
    """A leg as it is priced: by its asset, or by an e-mode's own price source."""

    leg: int
    source: bytes | None


class Columns:
    """The columns of a market under a timeline: two per asset, and more where e-modes have price sources."""

    def __init__(self, market: Market, layout: Layout, timeline: ParameterTimeline[AaveParameters]) -> None:
        self._market = market
        self._layout = layout
        self.all: list[Column] = []
        sources = {(source, asset) for mode in _modes(timeline) for source, asset in _priced_by_source(mode)}
        for asset in range(len(market.assets)):
            own = sorted(source for source, member in sources if member == asset)
            for source in (None, *own):
                self.all += [Column(leg, source) for leg in (layout.collateral[asset], layout.debt[asset]) if leg >= 0]
        self.index = {column: number for number, column in enumerate(self.all)}

    @property
    def legs(self) -> npt.NDArray[np.int32]:
        """The leg of each column."""
        return np.array([column.leg for column in self.all], np.int32)

    def of_leg(self, mode: EMode | None) -> npt.NDArray[np.int32]:
        """Column by leg for accounts of an e-mode; -1 for flags."""
        found = np.full(len(self._layout.roles), -1, np.int32)
        for leg, (role, asset) in enumerate(self._layout.roles):
            if role in (Role.COLLATERAL, Role.DEBT):
                source = mode.price_source if mode is not None and asset in mode.collateral else None
                found[leg] = self.index.get(Column(leg, source), self.index[Column(leg, None)])
        return found

    def values(self, key: Keys, timestamp_s: Keys) -> Floats:
        """Value of one scaled unit [base currency] per column and tick; NaN where something is not known."""
        values = np.empty((len(self.all), len(key)))
        prices: dict[tuple[int, bytes | None], Floats] = {}
        for number, column in enumerate(self.all):
            role, asset = self._layout.roles[column.leg]
            price = prices.get((asset, column.source))
            if price is None:
                price = prices[asset, column.source] = self._price(asset, column.source, key)
            index = self._index(asset, key, timestamp_s, is_debt=role == Role.DEBT)
            np.multiply(price, index / self._layout.units[asset], out=values[number])
        return values

    def _price(self, asset: int, source: bytes | None, key: Keys) -> Floats:
        kind = (PRICE, asset)
        if source is not None:
            addresses = self._layout.addresses
            kind = (PRICE, addresses.index(source)) if source in addresses else (named_price(source), -1)
        price = self._step(kind, key)
        return np.where(price > 0, price, np.nan)

    def _index(self, asset: int, key: Keys, timestamp_s: Keys, *, is_debt: bool) -> Floats:
        """Accrued index as a plain factor."""
        side = "borrow" if is_debt else "liquidity"
        series = self._market.series.get((f"{side}_index_ray", asset))
        if series is None:
            return np.full(len(key), np.nan)
        step = np.searchsorted(series.key, key, side="right") - 1
        known = step >= 0
        step = np.maximum(step, 0)
        index = np.where(known, series.floats[step] / RAY, np.nan)
        rate = np.nan_to_num(self._step((f"{side}_rate_ray", asset), key)) / RAY
        elapsed = (timestamp_s - series.timestamp_s[step]).astype(np.float64)
        return index * (self._debt_growth(rate, elapsed, key) if is_debt else 1 + rate * elapsed / SECONDS_PER_YEAR)

    def _debt_growth(self, rate: Floats, elapsed: Floats, key: Keys) -> Floats:
        """The formula that was in force on chain at each tick, in doubles."""
        per_second = rate / SECONDS_PER_YEAR
        taylor = per_second * elapsed
        taylor = 1 + taylor + taylor**2 / 2 + taylor**3 / 6
        recorded = self._market.parameters
        in_force = np.array([s.rules.compounding == Compounding.BINOMIAL for s in recorded.sets])
        if not in_force.any():
            return taylor
        square = np.floor(per_second**2 * RAY)  # whole rays, as the contract floors them: they are few
        cube = np.floor(square * per_second)
        pairs = elapsed * np.maximum(elapsed - 1, 0) / RAY
        binomial = 1 + per_second * elapsed + pairs * square / 2 + pairs * np.maximum(elapsed - 2, 0) * cube / 6
        regime = np.maximum(np.searchsorted(np.array(recorded.keys, np.int64), key, side="right") - 1, 0)
        return np.where(in_force[regime], binomial, taylor)

    def _step(self, kind: tuple[str, int], key: Keys) -> Floats:
        series = self._market.series.get(kind)
        if series is None:
            return np.full(len(key), np.nan)
        step = np.searchsorted(series.key, key, side="right") - 1
        return (
            np.where(step >= 0, series.floats[np.maximum(step, 0)], np.nan)
            if len(series.key)
            else np.full(len(key), np.nan)
        )


def _modes(timeline: ParameterTimeline[AaveParameters]) -> Sequence[EMode]:
    return [mode for parameters in timeline.sets for mode in parameters.emodes.values()]


def _priced_by_source(mode: EMode) -> set[tuple[bytes, int]]:
    return set() if mode.price_source is None else {(mode.price_source, asset) for asset in mode.collateral}

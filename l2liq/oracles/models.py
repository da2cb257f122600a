"""What a market could have seen of the world's prices: one small class per oracle (DOMAIN §6).

A model turns the path of a price into the path that the market sees. It reads the recorded path, which is itself what
some oracle saw: a model can be later, smoother or coarser than the record, not finer.
"""

from __future__ import annotations

import typing
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import isqrt
from statistics import median_high

from l2liq.numeric import BPS, WAD
from l2liq.numeric.ticks import mean_tick, sqrt_price_at_tick, tick_at_sqrt_price
from l2liq.oracles.path import Path


class OracleModel(typing.Protocol):
    """An oracle as a function of the world's prices."""

    def seen(self, world: Path, first_s: int, last_s: int) -> Path:
        """What the market sees in [first_s, last_s] of a path that begins before; a price at ``first_s`` included."""

    def words(self) -> str:
        """The model in a few words, as in ``30-minute mean``."""


@dataclass(frozen=True, slots=True)
class Delayed:
    """Every price comes ``delay_s`` later than recorded."""

    delay_s: int

    def seen(self, world: Path, first_s: int, last_s: int) -> Path:
        """The same path, later."""
        return Path(tuple(time_s + self.delay_s for time_s in world.times_s), world.prices).within(first_s, last_s)

    def words(self) -> str:
        """The model in a few words."""
        return f"as recorded, {self.delay_s} s later"


@dataclass(frozen=True, slots=True)
class Published:
    """A price is published when it is ``deviation_bps`` away from the last published one, or after ``heartbeat_s``."""

    heartbeat_s: int
    deviation_bps: int

    def seen(self, world: Path, first_s: int, last_s: int) -> Path:
        """The published prices, looked for at every recorded price and every heartbeat."""
        times: list[int] = []
        prices: list[int] = []
        steps = world.within(first_s, last_s).times_s
        for time_s in sorted({*steps, *range(first_s, last_s + 1, self.heartbeat_s)}):
            price = world.at(time_s)
            if price is None:
                continue
            due = not times or time_s - times[-1] >= self.heartbeat_s
            if due or abs(price - prices[-1]) * BPS >= self.deviation_bps * prices[-1]:
                times.append(time_s)
                prices.append(price)
        return Path(tuple(times), tuple(prices))

    def words(self) -> str:
        """The model in a few words."""
        return f"published at a deviation of {self.deviation_bps / 100:g} % or after {self.heartbeat_s} s"


@dataclass(frozen=True, slots=True)
class ArithmeticMean:
    """The mean of the price over the last ``window_s``, rounded down, read every ``every_s``."""

    window_s: int
    every_s: int

    def seen(self, world: Path, first_s: int, last_s: int) -> Path:
        """Means over the window; over what there is of the path where it begins later than the window."""
        sums = _Sums(world, world.prices)
        return _read(world, first_s, last_s, self.every_s, lambda t: sums.mean_floor(t - self.window_s, t))

    def words(self) -> str:
        """The model in a few words."""
        return f"{_minutes(self.window_s)} arithmetic mean"


@dataclass(frozen=True, slots=True)
class GeometricMean:
    """The price at the mean tick of the last ``window_s``, as a Uniswap v3 pool tells it, read every ``every_s``.

    The mean tick is rounded toward negative infinity, so that the price errs by at most a hundredth of a percent.
    """

    window_s: int
    every_s: int

    def seen(self, world: Path, first_s: int, last_s: int) -> Path:
        """Prices at mean ticks; over what there is of the path where it begins later than the window."""
        sums = _Sums(world, [tick_of(price) for price in world.prices])
        return _read(world, first_s, last_s, self.every_s, lambda t: price_at(sums.mean_floor(t - self.window_s, t)))

    def words(self) -> str:
        """The model in a few words."""
        return f"{_minutes(self.window_s)} geometric mean"


@dataclass(frozen=True, slots=True)
class Median:
    """The median of several oracles; of two middle ones the higher, as OCR has it."""

    models: tuple[OracleModel, ...]

    def seen(self, world: Path, first_s: int, last_s: int) -> Path:
        """Medians whenever one of the oracles moves."""
        paths = [model.seen(world, first_s, last_s) for model in self.models]
        times = sorted({time_s for path in paths for time_s in path.times_s})
        prices = [median_high([p for path in paths if (p := path.at(time_s)) is not None]) for time_s in times]
        return Path(tuple(times), tuple(prices))

    def words(self) -> str:
        """The model in a few words."""
        return f"median of ({'; '.join(model.words() for model in self.models)})"


@dataclass(frozen=True, slots=True)
class Capped:
    """The recorded price, never above one that grows by ``growth_bps`` a year from the price at the window's start.

    Source: CAPO's PriceCapAdapterBase, with the price itself in place of a ratio (DOMAIN §1.9).
    """

    growth_bps: int
    every_s: int

    def seen(self, world: Path, first_s: int, last_s: int) -> Path:
        """The lower of price and cap."""
        snapshot = world.at(first_s) or 0

        def price(time_s: int) -> int:
            cap = snapshot + snapshot * self.growth_bps * (time_s - first_s) // (BPS * _YEAR_S)
            return min(world.at(time_s) or cap, cap)

        return _read(world, first_s, last_s, self.every_s, price)

    def words(self) -> str:
        """The model in a few words."""
        return f"capped at a growth of {self.growth_bps / 100:g} % a year"


@dataclass(frozen=True, slots=True)
class Rated:
    """The price of another asset times an exchange rate, rounded down, as adapters of staked tokens compute it.

    Attributes
    ----------
    base, name : recorded price of the other asset, and what people call that
    rates : exchange rates [wad], the first of them before its time too; None = what the recorded prices of the two
        imply whenever that of the asset itself moves
    growth_bps : the rate counts as at most what grows by so much a year from the one at the window's start; None = all
        of it counts
    every_s : how often it is read beside each move of base or rate, where the rate may not grow at will

    Source: CAPO's PriceCapAdapterBase (DOMAIN §1.9); the growth per second is rounded down as it is there.
    """

    base: Path
    name: str
    rates: Path | None
    growth_bps: int | None
    every_s: int

    def seen(self, world: Path, first_s: int, last_s: int) -> Path:
        """Products whenever the base or the rate moves."""
        rates = self.rates or self._implied(world)
        snapshot = _from_first(rates, first_s)
        growth = None if self.growth_bps is None else snapshot * self.growth_bps // BPS // _YEAR_S
        readings = {*self.base.within(first_s, last_s).times_s, *rates.within(first_s, last_s).times_s}
        if growth is not None:
            readings |= set(range(first_s, last_s + 1, self.every_s))
        times: list[int] = []
        prices: list[int] = []
        for time_s in sorted(readings):
            base, rate = self.base.at(time_s), _from_first(rates, time_s)
            if growth is not None:
                rate = min(rate, snapshot + growth * (time_s - first_s))
            if base is not None and first_s <= time_s <= last_s and (not prices or prices[-1] != base * rate // WAD):
                times.append(time_s)
                prices.append(base * rate // WAD)
        return Path(tuple(times), tuple(prices))

    def _implied(self, world: Path) -> Path:
        """Rates at each move of the asset's own price, rounded up: times the base they are that price again."""
        known = [
            (time_s, price, base)
            for time_s, price in zip(world.times_s, world.prices, strict=True)
            if (base := self.base.at(time_s))
        ]
        rates = tuple(-(-price * WAD // base) for _, price, base in known)
        return Path(tuple(time_s for time_s, *_ in known), rates)

    def words(self) -> str:
        """The model in a few words."""
        rate = "the recorded exchange rate" if self.rates is None else "an exchange rate"
        cap = "" if self.growth_bps is None else f", which counts with a growth of {self.growth_bps / 100:g} % a year"
        return f"{self.name} times {rate}{cap}"


def _from_first(rates: Path, time_s: int) -> int:
    """The rate at a time; the first one before it."""
    found = rates.at(time_s)
    return rates.prices[0] if found is None else found


_YEAR_S = 365 * 86_400


class _Sums:
    """Integrals over time of a step function with the path's steps."""

    def __init__(self, world: Path, values: Sequence[int]) -> None:
        self._times, self._values = world.times_s, values
        areas = (value * (stop - start) for value, (start, stop) in zip(values, pairwise(self._times), strict=False))
        self._until = tuple(accumulate(areas, initial=0))

    def mean_floor(self, since_s: int, until_s: int) -> int:
        """Mean over [since_s, until_s], rounded down; over less where the path begins later, then its first value."""
        since_s = max(since_s, self._times[0])
        if until_s <= since_s:
            return self._values[0]
        return mean_tick(self._sum(until_s) - self._sum(since_s), until_s - since_s)

    def _sum(self, time_s: int) -> int:
        """Integral from the path's beginning to ``time_s``."""
        step = bisect_right(self._times, time_s) - 1
        return self._until[step] + self._values[step] * (time_s - self._times[step])


def tick_of(price: int) -> int:
    """The tick of a price, as a pool has it whose price is this number."""
    return tick_at_sqrt_price(isqrt(price << 192))


def price_at(tick: int) -> int:
    """The price of :func:`tick_of` at a tick, rounded down."""
    return sqrt_price_at_tick(tick) ** 2 >> 192


def _minutes(seconds: int) -> str:
    return f"{seconds // 60}-minute" if seconds % 60 == 0 else f"{seconds}-second"


def _read(world: Path, first_s: int, last_s: int, every_s: int, price: Callable[[int], int]) -> Path:
    """A path that is read at a cadence, equal neighbours left out; from the first price of the world on."""
    times: list[int] = []
    prices: list[int] = []
    for time_s in range(first_s, last_s + 1, every_s):
        if time_s < world.times_s[0]:
            continue
        value = price(time_s)
        if not prices or prices[-1] != value:
            times.append(time_s)
            prices.append(value)
    return Path(tuple(times), tuple(prices))

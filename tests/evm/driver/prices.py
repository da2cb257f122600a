"""Price paths by the minute, and when feeds publish them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from tests.evm.driver.plan import Crash, Plan
from tests.evm.market import RESERVES

_MINUTES_PER_YEAR = 365 * 24 * 60
_BTC_BETA, _BTC_CORRELATION = 0.75, 0.8
_STAKING_YIELD = 0.03


@dataclass(frozen=True, slots=True)
class Paths:
    """USD prices per symbol, one per minute from the start of the run."""

    by_symbol: dict[str, list[float]]

    def at_minute(self, symbol: str, minute: int) -> float:
        """Price at a minute; the last one beyond the end."""
        path = self.by_symbol[symbol]
        return path[min(minute, len(path) - 1)]


def paths(plan: Plan, rng: random.Random) -> Paths:
    """Correlated random walks: ETH, BTC, the dollar around one, staked ETH at a slowly growing ratio to ETH."""
    start = {spec.symbol: spec.price_usd for spec in RESERVES}
    minutes = int(plan.days * 24 * 60) + 24 * 60
    step = plan.yearly_volatility / math.sqrt(_MINUTES_PER_YEAR)
    eth, btc, dollar, discount = 0.0, 0.0, 0.0, 0.0
    series: dict[str, list[float]] = {symbol: [] for symbol in start}
    for minute in range(minutes):
        common, own = rng.gauss(0, 1), rng.gauss(0, 1)
        drift = _crash_drift(plan.crash, minute)
        eth += step * common + drift
        mixed = _BTC_CORRELATION * common + math.sqrt(1 - _BTC_CORRELATION**2) * own
        btc += _BTC_BETA * step * mixed + _BTC_BETA * drift
        dollar += -0.002 * dollar + 2e-5 * rng.gauss(0, 1)
        discount += -0.001 * discount + 3e-5 * rng.gauss(0, 1) + (0.07 * drift if drift < 0 else 0.0)
        staked = math.exp(eth + _STAKING_YIELD * minute / _MINUTES_PER_YEAR + min(0.0, discount))
        for symbol, factor in zip(start, (math.exp(eth), staked, math.exp(dollar), math.exp(btc)), strict=True):
            series[symbol].append(start[symbol] * factor)
    return Paths(series)


def _crash_drift(crash: Crash | None, minute: int) -> float:
    """Log drift of ETH in this minute: the fall, and a third of it back within a day."""
    if crash is None:
        return 0.0
    begin, length = crash.day * 1440, crash.hours * 60
    fall = math.log(1 - crash.depth)
    if begin <= minute < begin + length:
        return fall / length
    if begin + length <= minute < begin + length + 1440:
        return -fall / 3 / 1440
    return 0.0

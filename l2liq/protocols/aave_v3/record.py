"""What the market's series say about a moment."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from l2liq.market import (
    PRICE,
    SEQUENCER_ANSWER,
    SEQUENCER_STARTED,
    SEQUENCER_UPDATED,
    Market,
    ParameterTimeline,
)
from l2liq.protocols.aave_v3.interest import borrow_index_at, liquidity_index_at
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.prices import named_price
from l2liq.protocols.aave_v3.versions import Compounding
from l2liq.protocols.interface import Moment

_BEFORE, _AFTER = -1, 1 << 63
_NEVER = (0, 0, -1)


class SeriesRecord:
    """Reads a market's series; see :class:`l2liq.protocols.aave_v3.situation.Record`.

    The compounding formula is that of the parameters which the market had: what the chain recorded does not change with
    a scenario.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self._recorded: ParameterTimeline[AaveParameters] = market.parameters
        self._find = {name: series.key.searchsorted for name, series in market.series.items()}
        self._last: dict[tuple[str, int], tuple[int, int, int]] = {}

    def price(self, asset: int, key: int) -> int | None:
        return self._value(PRICE, asset, key)

    def price_of_source(self, source: bytes, key: int) -> int | None:
        return self._value(named_price(source), -1, key)

    def income_index_ray(self, asset: int, moment: Moment) -> int | None:
        stored = self._stored("liquidity", asset, moment)
        return None if stored is None else liquidity_index_at(*stored)

    def debt_index_ray(self, asset: int, moment: Moment) -> int | None:
        stored = self._stored("borrow", asset, moment)
        return None if stored is None else borrow_index_at(*stored, self.compounding(moment.key))

    def compounding(self, key: int) -> Compounding:
        """Formula of the borrow index in force."""
        return self._recorded.at(key).rules.compounding

    def sequencer(self, key: int) -> tuple[int, int] | None:
        parameters: AaveParameters = self._market.parameters.at(key)
        since = SEQUENCER_STARTED if parameters.rules.sentinel_waits_from_start else SEQUENCER_UPDATED
        answer, since_s = self._value(SEQUENCER_ANSWER, -1, key), self._value(since, -1, key)
        return None if answer is None or since_s is None else (answer, since_s)

    def account_of(self, address: bytes) -> int | None:
        return self._market.account_of.get(address)

    def _step(self, name: tuple[str, int], key: int) -> int:
        """Number of the step that holds at ``key``; -1 where none does. Fast where the last one still holds."""
        since, until, step = self._last.get(name, _NEVER)
        if since <= key < until:
            return step
        find = self._find.get(name)
        if find is None:
            return -1
        keys = self._market.series[name].key
        step = int(find(key, "right")) - 1
        since = int(keys[step]) if step >= 0 else _BEFORE
        until = int(keys[step + 1]) if step + 1 < len(keys) else _AFTER
        self._last[name] = since, until, step
        return step

    def _value(self, kind: str, asset: int, key: int) -> int | None:
        step = self._step((kind, asset), key)
        return None if step < 0 else self._market.series[kind, asset].values[step]

    def _stored(self, side: str, asset: int, moment: Moment) -> tuple[int, int, int] | None:
        """Index and rate as stored, and the seconds since the index was stored."""
        name = (f"{side}_index_ray", asset)
        step = self._step(name, moment.key)
        if step < 0:
            return None
        index = self._market.series[name]
        rate = self._value(f"{side}_rate_ray", asset, moment.key) or 0
        return index.values[step], rate, moment.timestamp_s - int(index.timestamp_s[step])


def steps_of(market: Market, kind: str, asset: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Keys and times of a series' steps; empty where the market has no such series."""
    series = market.series.get((kind, asset))
    if series is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return series.key, series.timestamp_s

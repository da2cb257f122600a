"""The ticks of a market: moments at which margins or gates can change, as sorted columns of (key, time)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from l2liq.events.log import END_OF_BLOCK, LOG_INDEX_BITS
from l2liq.market import (
    PRICE,
    SEQUENCER_ANSWER,
    SEQUENCER_STARTED,
    SEQUENCER_UPDATED,
    Market,
    ParameterTimeline,
)
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.record import steps_of
from l2liq.protocols.interface import Moment

Keys = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Transactions:
    """Spans of logs of the transactions that the ledger and the market's tables know.

    Attributes
    ----------
    first, last : keys of a transaction's first and last known log, increasing; shape (n,)
    """

    first: Keys
    last: Keys

    @classmethod
    def of(cls, market: Market) -> Transactions:
        """The transactions of a market."""
        tables = (market.ledger.table, market.actions, market.liquidations)
        key = np.concatenate([table.column("key").to_numpy() for table in tables])
        number = np.concatenate([table.column("transaction_index").to_numpy() for table in tables])
        if not len(key):
            return cls(key, key)
        order = np.argsort(key, kind="stable")
        key, number = key[order], number[order]
        block = key >> LOG_INDEX_BITS
        starts = np.flatnonzero(np.r_[True, (block[1:] != block[:-1]) | (number[1:] != number[:-1])])
        return cls(key[starts], key[np.r_[starts[1:] - 1, len(key) - 1]])

    def end(self, key: Keys) -> Keys:
        """Last known log of the transaction that each key falls into; the key itself where no known one spans it."""
        if not len(self.first):
            return key
        place = np.searchsorted(self.first, key, side="right") - 1
        spans = (place >= 0) & (key <= self.last[place])
        return np.where(spans, self.last[place], key)


def after_time(market: Market, timestamp_s: Keys, first: Moment, last: Moment) -> Keys:
    """Keys behind the last known block at each time, kept within the span."""
    clock = market.clock
    block = clock.number[np.maximum(np.searchsorted(clock.timestamp_s, timestamp_s, side="right") - 1, 0)]
    return np.clip((block << LOG_INDEX_BITS) | END_OF_BLOCK, first.key, last.key)


def gate_times(market: Market, timeline: ParameterTimeline[AaveParameters]) -> list[int]:
    """Times [s] at which a gate may open by itself: grace periods of reserves and of the sentinel run out."""
    times = {
        reserve.grace_until_s + 1
        for parameters in timeline.sets
        for reserve in parameters.reserves
        if reserve is not None and reserve.grace_until_s
    }
    graces = {parameters.sentinel.grace_s for parameters in timeline.sets if parameters.sentinel is not None}
    if graces:
        times |= {back_s + grace_s + 1 for back_s in _sequencer_returns(market) for grace_s in graces}
    return sorted(times)


def _sequencer_returns(market: Market) -> Iterator[int]:
    """Times that the uptime feed names when it reports the sequencer up: since when, and when it reported."""
    answer = market.series.get((SEQUENCER_ANSWER, -1))
    for kind in (SEQUENCER_STARTED, SEQUENCER_UPDATED):
        named = market.series.get((kind, -1))
        if answer is not None and named is not None:
            for key, value in zip(named.key, named.values, strict=True):
                if answer.at(int(key)) == 0:
                    yield value


def ticks(
    market: Market, timeline: ParameterTimeline[AaveParameters], first: Moment, last: Moment, heartbeat_s: int
) -> tuple[Keys, Keys]:
    """Keys and times of all ticks in [first, last], both ends included, in order."""
    transactions = Transactions.of(market)
    keys, times = [np.array([first.key, last.key])], [np.array([first.timestamp_s, last.timestamp_s])]
    stepping = [name for name in market.series if name[0].startswith(PRICE)]
    for kind, asset in (*stepping, (SEQUENCER_ANSWER, -1), (SEQUENCER_UPDATED, -1)):
        key, time = steps_of(market, kind, asset)
        within = (key > first.key) & (key <= last.key)
        keys.append(np.minimum(transactions.end(key[within]), last.key))
        times.append(time[within])
    changed = np.array(timeline.keys, np.int64), np.array(timeline.timestamps_s, np.int64)
    within = (changed[0] > first.key) & (changed[0] <= last.key)
    keys.append(np.minimum(transactions.end(changed[0][within]), last.key))
    times.append(changed[1][within])
    beats = np.arange(first.timestamp_s, last.timestamp_s, heartbeat_s, dtype=np.int64)
    gates = np.array(gate_times(market, timeline), np.int64)
    alone = np.concatenate([beats, gates[(gates > first.timestamp_s) & (gates <= last.timestamp_s)]])
    keys.append(after_time(market, alone, first, last))
    times.append(alone)
    key, time = np.concatenate(keys), np.concatenate(times)
    order = np.lexsort((time, key))
    key, time = key[order], np.maximum.accumulate(time[order])
    fresh = np.r_[True, (key[1:] != key[:-1]) | (time[1:] != time[:-1])]
    return key[fresh], time[fresh]

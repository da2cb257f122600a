"""What a market sees of an outage: prices wait for the restart, and the uptime feed tells of it afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from l2liq.chains.outages import Outage
from l2liq.events.raw import to_raw
from l2liq.events.words import words_of
from l2liq.market import PRICE, SEQUENCER_ANSWER, SEQUENCER_STARTED, SEQUENCER_UPDATED, Clock, Market, Series

DOWN, UP = 1, 0
"""Answers of an uptime feed (DOMAIN §5.5)."""


def market_through(market: Market, outages: Sequence[Outage], oracle_after_s: int) -> Market:
    """The market as it would have seen its prices, had its chain stood still.

    A chain that is down cannot learn it: its uptime feed says "down" and "up" in the first block after the restart,
    both before anything else. The price of the restart is the last one of the world until then.

    Parameters
    ----------
    market : Market
        As recorded.
    outages : Sequence[Outage]
        In order, apart from each other.
    oracle_after_s : int
        How long after the restart the first new price comes [s].
    """
    series = dict(market.series)
    for outage in outages:
        for name in (name for name in market.series if name[0].startswith(PRICE)):
            series[name] = _held(series[name], outage, oracle_after_s, market.clock)
        _report(series, outage, outage.restart_key(market.clock))
    return replace(market, series=series)


def _held(path: Series, outage: Outage, after_s: int, clock: Clock) -> Series:
    """A price path without the steps of an outage, whose last one comes when the oracle is back."""
    back_s = outage.to_s + after_s
    back_key = Outage(outage.from_s, back_s).restart_key(clock)
    meanwhile = (path.timestamp_s >= outage.from_s) & (path.key <= back_key)
    if not meanwhile.any():
        return path
    last = int(np.flatnonzero(meanwhile)[-1])
    first = int(np.flatnonzero(meanwhile)[0])
    return _spliced(path, first, last + 1, [(back_key, back_s, path.values[last])])


def _report(series: dict[tuple[str, int], Series], outage: Outage, restart_key: int) -> None:
    """Write what the uptime feed says of an outage; nothing where the market has none.

    What it reported within the outage about itself is left out; what it repeats later of the time before has begun at
    the restart.
    """
    told = [
        (SEQUENCER_ANSWER, DOWN, UP),
        (SEQUENCER_STARTED, outage.from_s, outage.to_s),
        (SEQUENCER_UPDATED, outage.to_s, outage.to_s),
    ]
    for kind, down, up in told:
        path = series.get((kind, -1))
        if path is not None:
            first = int(np.searchsorted(path.timestamp_s, outage.from_s))
            last = int(np.searchsorted(path.key, restart_key, side="right"))
            steps = [(restart_key - 1, outage.to_s, down), (restart_key, outage.to_s, up)]
            if kind == SEQUENCER_STARTED:
                later = zip(path.key[last:].tolist(), path.timestamp_s[last:].tolist(), path.values[last:], strict=True)
                steps += [(key, time_s, max(since_s, outage.to_s)) for key, time_s, since_s in later]
                last = len(path.key)
            series[kind, -1] = _spliced(path, min(first, last), last, steps)


def _spliced(path: Series, first: int, last: int, steps: list[tuple[int, int, int]]) -> Series:
    """A path with the steps [first, last) replaced by others: key, time, value."""
    key, time_s, value = zip(*steps, strict=True)
    return Series(
        path.kind,
        path.asset,
        np.r_[path.key[:first], np.array(key, np.int64), path.key[last:]],
        np.r_[path.timestamp_s[:first], np.array(time_s, np.int64), path.timestamp_s[last:]],
        np.concatenate([path.raw[:first], words_of(to_raw(list(value))), path.raw[last:]]),
    )

"""From dates and blocks of a scenario to positions of a market."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.market import Market
from l2liq.protocols.interface import Moment
from l2liq.scenario.load import Loaded
from l2liq.scenario.quantities import When, written_time

SLACK_S = 60
"""A window may end this long after the last block that is known; a chain may have no block in its last moments."""


@dataclass(frozen=True, slots=True)
class BlockWindow:
    """The blocks [start, stop) of a run.

    Attributes
    ----------
    first : the moment before the window's first block; its state is where all worlds start
    last : the end of its last block
    """

    start: int
    stop: int
    first: Moment
    last: Moment


def before_block(market: Market, block: int, timestamp_s: int | None = None) -> Moment:
    """The moment after everything before ``block``; its time is the block's, unless a time is given."""
    at = market.clock.time_of(block) if timestamp_s is None else timestamp_s
    return Moment(key_of(block - 1, END_OF_BLOCK) if block else 0, at)


def block_at(market: Market, when: When) -> int | None:
    """First block at or after a moment, as far as blocks with logs are concerned; None for an open edge."""
    if when.timestamp_s is None:
        return when.block
    return max(market.clock.last_block_at(when.timestamp_s - 1) + 1, market.first_block)


def first_known_block(market: Market, when: When) -> int | None:
    """First known block at or after a moment that is no open edge; None where none follows."""
    clock = market.clock
    if when.timestamp_s is not None:
        found = int(np.searchsorted(clock.timestamp_s, when.timestamp_s))
    else:
        found = int(np.searchsorted(clock.number, when.block or 0))
    return int(clock.number[found]) if found < len(clock.number) else None


def opening(market: Market, block: int) -> Moment:
    """The moment of a known block's first log: what holds from here on meets every log of the block."""
    return Moment(key_of(block, 0), market.clock.time_of(block))


def window_of(loaded: Loaded, market: Market) -> BlockWindow:
    """The window's blocks. Raises ScenarioError where it is empty or outside what is known of the market."""
    wanted = loaded.scenario.window
    for key, when in (("from", wanted.start), ("to", wanted.stop)):
        _hold_inside(loaded, market, key, when)
    start = block_at(market, wanted.start)
    stop = block_at(market, wanted.stop)
    start = market.first_block if start is None else start
    stop = market.last_block + 1 if stop is None else min(stop, market.last_block + 1)
    if start >= stop:
        raise loaded.error(
            ("window", "to"), "the window is empty. `to` must lie after `from`; it is no part of the window."
        )
    first_s = wanted.start.timestamp_s
    return BlockWindow(
        start,
        stop,
        before_block(market, start, first_s),
        Moment(key_of(stop - 1, END_OF_BLOCK), market.clock.time_of(stop - 1)),
    )


def _hold_inside(loaded: Loaded, market: Market, key: str, when: When) -> None:
    clock = market.clock
    first_s, last_s = clock.time_of(market.first_block), clock.time_of(market.last_block)
    outside = (when.block is not None and not market.first_block <= when.block <= market.last_block + 1) or (
        when.timestamp_s is not None and not first_s - SLACK_S <= when.timestamp_s <= last_s + SLACK_S
    )
    if outside:
        given = when.block if when.block is not None else written_time(when.timestamp_s or 0)
        raise loaded.error(
            ("window", key),
            f"{given} is outside what the lake has of {market.name}: blocks {market.first_block:,} to "
            f"{market.last_block:,}, {written_time(first_s)} to {written_time(last_s)}. Fetch more with "
            f"`l2liq ingest SOURCE --market {market.name} --from-block A --to-block B`, or change the window.",
        )

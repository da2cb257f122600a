"""A market as it would have been with other oracles: the same history, other prices from some moment on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from l2liq.errors import InputError
from l2liq.events.log import key_of
from l2liq.events.raw import to_raw
from l2liq.events.words import words_of
from l2liq.market import PRICE, Clock, Market, Series
from l2liq.oracles.models import OracleModel
from l2liq.oracles.path import Path


def seen_market(market: Market, models: Mapping[int, OracleModel], since: tuple[int, int]) -> Market:
    """The market with other prices.

    Parameters
    ----------
    market : Market
        With the prices of the world.
    models : Mapping[int, OracleModel]
        Asset to the oracle through which the market sees its price.
    since : tuple[int, int]
        Key and time from which it does, or the first recorded price; before, prices are as recorded.

    Raises
    ------
    InputError
        An asset has no recorded price, or none that the oracle would have shown by the end of the data.
    """
    series = dict(market.series)
    for asset, model in models.items():
        recorded = series.get((PRICE, asset))
        if recorded is None or not len(recorded.key):
            name = market.assets[asset].symbol or f"0x{market.assets[asset].address.hex()}"
            raise InputError(f"{name} has no recorded price that another oracle could show. Leave it out.")
        begin = (int(recorded.key[0]), int(recorded.timestamp_s[0]))
        series[PRICE, asset] = _seen(market, recorded, model, max(since, begin))
    return replace(market, series=series)


def price_path(market: Market, asset: int) -> Path | None:
    """The recorded price of an asset over time; None where there is none."""
    recorded = market.series.get((PRICE, asset))
    return None if recorded is None or not len(recorded.key) else _path(recorded)


def _path(recorded: Series) -> Path:
    last_of_time = dict(zip(recorded.timestamp_s.tolist(), recorded.values, strict=True))
    return Path(tuple(last_of_time), tuple(last_of_time.values()))


def _seen(market: Market, recorded: Series, model: OracleModel, since: tuple[int, int]) -> Series:
    key_of_time = dict(zip(recorded.timestamp_s.tolist(), recorded.key.tolist(), strict=True))
    world = _path(recorded)
    path = model.seen(world, since[1], max(world.times_s[-1], market.clock.time_of(market.last_block)))
    if not path.prices:
        name = market.assets[recorded.asset].symbol or f"0x{market.assets[recorded.asset].address.hex()}"
        raise InputError(f"{name} has no price yet at the end of the data through this oracle. Let it be less late.")
    steps = {since[0]: (since[1], path.prices[0])}
    for time_s, price in zip(path.times_s, path.prices, strict=True):
        place = (key_of_time[time_s], time_s) if time_s in key_of_time else _block_from(market.clock, time_s)
        if place is not None and place[0] > since[0]:
            steps[place[0]] = (place[1], price)
    before = int(np.searchsorted(recorded.key, since[0]))
    keys = sorted(steps)
    return Series(
        PRICE,
        recorded.asset,
        np.r_[recorded.key[:before], np.array(keys, np.int64)],
        np.r_[recorded.timestamp_s[:before], np.array([steps[key][0] for key in keys], np.int64)],
        np.concatenate([recorded.raw[:before], words_of(to_raw([steps[key][1] for key in keys]))]),
    )


def _block_from(clock: Clock, time_s: int) -> tuple[int, int] | None:
    """Key and time of the beginning of the first block at or after a time; None after the last.

    Between two blocks nothing is executed, and nothing in the earlier one may see what comes after it.
    """
    found = int(np.searchsorted(clock.timestamp_s, time_s))
    return None if found == len(clock.number) else (key_of(int(clock.number[found]), 0), int(clock.timestamp_s[found]))

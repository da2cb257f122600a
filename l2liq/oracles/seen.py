"""A market as it would have been with other oracles: the same history, other prices from some moment on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from l2liq.errors import InputError
from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.events.raw import to_raw
from l2liq.events.words import words_of
from l2liq.market import PRICE, Market, Series
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
        An asset has no recorded price.
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
    keys, times, prices = [since[0]], [since[1]], [path.prices[0]]
    for time_s, price in zip(path.times_s, path.prices, strict=True):
        key = key_of_time.get(time_s, key_of(market.clock.last_block_at(time_s), END_OF_BLOCK))
        if key > since[0]:
            keys.append(key)
            times.append(time_s)
            prices.append(price)
    before = int(np.searchsorted(recorded.key, since[0]))
    raw = words_of(to_raw(prices))
    return Series(
        PRICE,
        recorded.asset,
        np.r_[recorded.key[:before], np.array(keys, np.int64)],
        np.r_[recorded.timestamp_s[:before], np.array(times, np.int64)],
        np.concatenate([recorded.raw[:before], raw]),
    )

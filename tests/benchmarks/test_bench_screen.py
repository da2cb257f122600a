"""The screen, with and without skipping, beside NumPy doing the same sums in the same process.

50 accounts in 1,000 come near their threshold; three legs each; one price path per asset at 70 % yearly volatility.
``account_ticks_per_s`` stands in the extra information of each benchmark.
"""

from __future__ import annotations

import numpy as np
import pytest

from l2liq.protocols.interface import ScreenTable, ScreenWeights
from l2liq.replay.screen import Lens, Screen

ACCOUNTS, TICKS, ASSETS = 2_000, 100_000, 20
YEAR_MINUTES = 525_600


@pytest.fixture(scope="module")
def scene() -> tuple[Screen, Lens]:
    rng = np.random.default_rng(0)
    prices = np.exp(np.cumsum(rng.normal(0, 0.7 / np.sqrt(YEAR_MINUTES), (ASSETS, TICKS)), axis=1))
    held = np.stack([rng.choice(ASSETS, 3, replace=False) for _ in range(ACCOUNTS)]).astype(np.int32)
    held[:, 2] += ASSETS
    quantity = np.ones((ACCOUNTS, 3))
    quantity[:, 2] = rng.uniform(0.1, 0.8, ACCOUNTS)
    table = ScreenTable(
        key=np.arange(TICKS),
        timestamp_s=np.arange(TICKS) * 60,
        values=np.concatenate([prices, prices]),
        column_leg=np.arange(2 * ASSETS, dtype=np.int32),
        account=np.arange(ACCOUNTS, dtype=np.int32),
        start=np.zeros(ACCOUNTS, np.int32),
        stop=np.full(ACCOUNTS, TICKS, np.int32),
        regime=np.zeros(ACCOUNTS, np.int32),
        offset=np.arange(ACCOUNTS + 1, dtype=np.int64) * 3,
        column=held.ravel(),
        quantity=quantity.ravel(),
        regimes=((0, 0),),
    )
    weight = np.repeat([[0.8, -1.0]], ASSETS, axis=1).reshape(1, -1)
    weights = ScreenWeights(np.sort(weight)[:, ::-1], 0.0, 0.0, np.zeros(2 * ASSETS))
    screen, lens = Screen(table, [0]), Lens.of(weights)
    screen.first_hits([lens])
    return screen, lens


def looked_at(first: np.ndarray) -> int:
    """(account, tick) pairs up to each account's first hit, which is where any scan may stop."""
    return int(np.where(first < 0, TICKS, first + 1).sum())


def in_numpy(screen: Screen, lens: Lens) -> np.ndarray:
    """First hits by array expressions, one account at a time."""
    table, first = screen.table, np.full(ACCOUNTS, -1)
    for account in range(ACCOUNTS):
        entries = slice(table.offset[account], table.offset[account + 1])
        factors = lens.weight[0, table.column[entries]] * table.quantity[entries]
        below = factors @ table.values[table.column[entries]] < lens.base
        if below.any():
            first[account] = np.argmax(below)
    return first


@pytest.mark.parametrize("skip", [True, False], ids=["skipping", "every tick"])
def test_screen(benchmark: object, scene: tuple[Screen, Lens], skip: bool) -> None:
    screen, lens = scene
    first = benchmark(screen.first_hits, [lens], skip=skip)
    benchmark.extra_info["account_ticks_per_s"] = looked_at(first[0]) / benchmark.stats.stats.min


def test_numpy_reference(benchmark: object, scene: tuple[Screen, Lens]) -> None:
    screen, lens = scene
    first = benchmark.pedantic(in_numpy, args=(screen, lens), rounds=1)
    assert first.tolist() == screen.first_hits([lens])[0].tolist()
    benchmark.extra_info["account_ticks_per_s"] = looked_at(first) / benchmark.stats.stats.min


def test_sixteen_scenarios_in_one_pass(benchmark: object, scene: tuple[Screen, Lens]) -> None:
    screen, lens = scene
    lenses = [Lens(lens.weight * np.where(lens.weight > 0, 1 - k / 100, 1), lens.base, lens.entry) for k in range(16)]
    first = benchmark(screen.first_hits, lenses)
    benchmark.extra_info["account_ticks_per_s"] = looked_at(first) / benchmark.stats.stats.min

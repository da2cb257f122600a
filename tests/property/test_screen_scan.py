"""The scan against a NumPy evaluation of every tick of every segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from l2liq.protocols.interface import ScreenTable, ScreenWeights
from l2liq.replay.screen import Holding, Lens, Screen

BAD = (np.nan, np.inf, -np.inf, 0.0, -1.0)


@dataclass(frozen=True)
class Scene:
    """A random table with lenses; prices wander, some are missing."""

    seed: int
    ticks: int
    accounts: int
    columns: int
    bad: int
    volatility: float

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def table(self) -> ScreenTable:
        rng = self.rng
        steps = rng.normal(0, self.volatility, (self.columns, self.ticks))
        values = np.exp(np.cumsum(steps, axis=1))
        for _ in range(self.bad):
            values[rng.integers(self.columns), rng.integers(self.ticks)] = rng.choice(BAD)
        account, start, stop, regime, offset, column, quantity = [], [], [], [], [0], [], []
        for number in range(self.accounts):
            cuts = np.unique(rng.integers(0, self.ticks, rng.integers(1, 5)))
            for begin, end in zip(cuts, np.append(cuts[1:] + 1, self.ticks), strict=True):
                held = rng.choice(self.columns, rng.integers(0, min(self.columns, 5) + 1), replace=False)
                account.append(number * 3)
                start.append(begin)
                stop.append(end)
                regime.append(rng.integers(2))
                column.extend(held)
                quantity.extend(rng.uniform(0, 2, len(held)))
                offset.append(len(column))
        return ScreenTable(
            key=np.arange(self.ticks, dtype=np.int64) * 7,
            timestamp_s=np.arange(self.ticks, dtype=np.int64),
            values=values,
            column_leg=np.arange(self.columns, dtype=np.int32),
            account=np.array(account, np.int32),
            start=np.array(start, np.int32),
            stop=np.array(stop, np.int32),
            regime=np.array(regime, np.int32),
            offset=np.array(offset, np.int64),
            column=np.array(column, np.int32),
            quantity=np.array(quantity, np.float64),
            regimes=((0, 0), (0, 1)),
        )

    def weights(self, number: int) -> ScreenWeights:
        rng = np.random.default_rng(self.seed + 1 + number)
        sign = np.where(np.arange(self.columns) % 2, -1.0, 1.0)
        weight = sign * rng.choice((0.0, 0.5, 0.8, 1.0), (2, self.columns))
        guard = rng.choice((0.0, 0.05))
        return ScreenWeights(weight, rng.choice((0.0, 1e-4)), guard, rng.uniform(0, guard, self.columns))


scenes = st.builds(
    Scene,
    seed=st.integers(0, 2**32),
    ticks=st.sampled_from((1, 63, 64, 65, 300, 4_096, 4_097, 9_000)),
    accounts=st.integers(1, 6),
    columns=st.integers(1, 6),
    bad=st.sampled_from((0, 0, 1, 5)),
    volatility=st.sampled_from((0.0, 1e-4, 1e-2)),
)


def expected(table: ScreenTable, weights: ScreenWeights, from_tick: int) -> list[int]:
    """First hit of every account, tick by tick: margin below the guard, or any value that counts is no good price."""
    first = {int(account): -1 for account in table.account}
    for s, account in enumerate(table.account.tolist()):
        entries = slice(table.offset[s], table.offset[s + 1])
        column, quantity = table.column[entries], table.quantity[entries]
        weight = weights.weight[table.regime[s], column]
        column, quantity, weight = column[weight != 0], quantity[weight != 0], weight[weight != 0]
        ticks = np.arange(max(table.start[s], from_tick), table.stop[s])
        value = table.values[np.ix_(column, ticks)]
        with np.errstate(all="ignore"):
            worth = value * quantity[:, None]
            margin = (weight[:, None] * worth).sum(0)
            guard = weights.guard_share * worth[weight > 0].sum(0) + weights.guard_base
            guard += weights.guard_entry[column].sum()
            good = np.isfinite(value).all(0) & (value > 0).all(0)
            near = np.abs(margin - guard) <= 1e-12 * (np.abs(worth).sum(0) + 1)
        assert not (near & good).any() or len(column) == 0, "too close for two float sums to agree"
        hits = ticks[~(good & (margin >= guard))]
        if len(hits) and (first[account] < 0 or hits[0] < first[account]):
            first[account] = int(hits[0])
    return [first[account] for account in sorted(first)]


@settings(deadline=None, max_examples=150)
@given(scenes, st.integers(0, 9_000), st.booleans(), st.sampled_from((1, 2)))
def test_scan_finds_each_account_s_first_bad_tick(scene: Scene, from_tick: int, skip: bool, threads: int) -> None:
    table, weights = scene.table(), scene.weights(0)
    found = Screen(table, [0]).first_hits([Lens.of(weights)], from_tick=from_tick, skip=skip, threads=threads)
    assert found[0].tolist() == expected(table, weights, from_tick)


@settings(deadline=None, max_examples=60)
@given(scenes, st.integers(2, 5))
def test_many_lenses_in_one_pass_equal_one_pass_each(scene: Scene, count: int) -> None:
    screen = Screen(scene.table(), [0])
    lenses = [Lens.of(scene.weights(number)) for number in range(count)]
    together = screen.first_hits(lenses)
    assert together.tolist() == [screen.first_hits([lens])[0].tolist() for lens in lenses]


@settings(deadline=None, max_examples=60)
@given(scenes, st.integers(0, 9_000))
def test_skipping_blocks_changes_no_answer(scene: Scene, from_tick: int) -> None:
    screen, lens = Screen(scene.table(), [0]), Lens.of(scene.weights(0))
    with_skip, without = (screen.first_hits([lens], from_tick=from_tick, skip=skip) for skip in (True, False))
    assert with_skip.tolist() == without.tolist()


@settings(deadline=None, max_examples=60)
@given(scenes, st.integers(0, 9_000))
def test_one_account_alone_is_screened_as_among_all(scene: Scene, from_tick: int) -> None:
    table = scene.table()
    screen, lens = Screen(table, [0]), Lens.of(scene.weights(0))
    among_all = screen.first_hits([lens], from_tick=from_tick)[0].tolist()
    assert [screen.first_hit_of(a, lens, from_tick) for a in screen.accounts.tolist()] == among_all
    for s in range(len(table.account)):
        if (table.account == table.account[s]).sum() == 1:
            entries = slice(table.offset[s], table.offset[s + 1])
            spans = [(int(table.start[s]), int(table.stop[s]), int(table.regime[s]))]
            alone = Holding(spans, table.column[entries], table.quantity[entries])
            place = screen.accounts.tolist().index(table.account[s])
            assert screen.first_hit(alone, lens, from_tick) == among_all[place]


def test_an_account_that_the_table_does_not_know_has_no_hit() -> None:
    screen = Screen(Scene(1, 100, 2, 2, 0, 0.01).table(), [0])
    assert screen.first_hit_of(1, Lens(np.ones((2, 2)), np.inf, np.zeros(2)), 0) == -1

"""Which accounts of a pool may be liquidatable: one product of a matrix and the present prices, in doubles.

Margin and guard are those of :mod:`l2liq.protocols.aave_v3.screen`. Exact rules decide about whom this names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from l2liq.protocols.aave_v3.layout import COLLATERAL, DEBT
from l2liq.protocols.aave_v3.screen import FLOAT_SHARE, ONE_BP
from l2liq.protocols.aave_v3.situation import AaveSituation
from l2liq.protocols.aave_v3.versions import HealthFormula

if TYPE_CHECKING:
    from l2liq.protocols.aave_v3.pool.pool import Pool

_BASE = 2.0
"""Rounding of the totals [base currency]."""


class Margins:
    """A row for each account with debt: guarded weight of every balance, collateral first, then debt."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._assets = len(pool.reserves)
        self._accounts: list[int] = []
        self._row_of: dict[int, int] = {}
        self._weights = np.zeros((0, 2 * self._assets))
        self._floor = np.zeros(0)
        self._changed: set[int] = set(pool.accounts)
        self._held: list[int] = []

    def reset(self) -> None:
        """Other parameters hold: every row is to be made anew."""
        self._changed |= set(self._pool.accounts)

    def changed(self, account: int) -> None:
        """An account has another state."""
        self._changed.add(account)

    def owing(self) -> Sequence[int]:
        """Accounts with debt."""
        debts = set(self._pool.layout.debt)
        return [account for account, state in self._pool.accounts.items() if not debts.isdisjoint(state)]

    def short(self, situation: AaveSituation) -> Sequence[int]:
        """Accounts whose margin is below the guard, or not a number."""
        self._update(situation)
        used = len(self._accounts)
        values = self._values(situation)
        with np.errstate(all="ignore"):
            margin = self._weights[:used] @ values
            sound = margin >= self._floor[:used]
        return [self._accounts[row] for row in np.flatnonzero(~sound)]

    def _values(self, situation: AaveSituation) -> npt.NDArray[np.float64]:
        """Value of one scaled unit [base currency], collateral first, then debt; NaN where there is no price."""
        values = np.zeros(2 * self._assets)
        for place in self._held:
            asset = place % self._assets
            index = situation.income_ray[asset] if place < self._assets else situation.debt_index_ray[asset]
            values[place] = situation.prices[asset] * (index / 1e27) / situation.tables.layout.units[asset]
        return values

    def _update(self, situation: AaveSituation) -> None:
        """Make the rows of accounts that changed."""
        if not self._changed:
            return
        share = ONE_BP if situation.rules.health is HealthFormula.AVERAGED else 0.0
        for account in self._changed:
            self._write(account, situation, FLOAT_SHARE + share)
        self._changed.clear()
        self._held = np.flatnonzero((self._weights[: len(self._accounts)] != 0.0).any(axis=0)).tolist()

    def _write(self, account: int, situation: AaveSituation, guard_share: float) -> None:
        """Make one row; ``guard_share`` of the collateral itself, not of what counts of it, may be lost to rounding."""
        state, tables = self._pool.state(account), situation.tables
        category = state.get(tables.layout.emode, 0)
        summands = tables.summands(category)
        weights, floor, owes = np.zeros(2 * self._assets), _BASE, False
        for leg, quantity in state.items():
            kind, asset, balance, threshold_bps, _, _ = summands[leg]
            if kind == COLLATERAL:
                weights[asset] += state.get(balance, 0) * (threshold_bps / 10_000 - guard_share) - 1.0
                floor += 1.0
            elif kind == DEBT:
                weights[self._assets + asset] -= float(quantity) + 1.0
                floor += 1.0
                owes = True
        mode = tables.mode(category)
        if mode is not None and mode.price_source is not None:
            floor = np.inf  # priced by a source of its own: exact rules look every time
        row = self._row_of.get(account)
        if row is None:
            if not owes:
                return
            row = self._row_of[account] = len(self._accounts)
            self._accounts.append(account)
            self._grow()
        self._weights[row] = weights
        self._floor[row] = floor if owes else -np.inf

    def _grow(self) -> None:
        if len(self._accounts) > len(self._floor):
            size = max(64, 2 * len(self._floor))
            weights, floor = np.zeros((size, 2 * self._assets)), np.zeros(size)
            weights[: len(self._floor)], floor[: len(self._floor)] = self._weights, self._floor
            self._weights, self._floor = weights, floor

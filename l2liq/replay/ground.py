"""What all replays of one market over one window share: screen table, recorded transactions. Built once for a sweep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.errors import InputError
from l2liq.market import PRICE, LegKind, Market, ParameterTimeline, Series, quantity
from l2liq.protocols.interface import Moment, Venue
from l2liq.replay.chronicle import Chronicle, Group, Recorded
from l2liq.replay.groups import Run, execute
from l2liq.replay.plan import Plan, VenueOf
from l2liq.replay.rows import BASE_UNIT
from l2liq.replay.screen import Floats, Ints, Lens, Screen

ENDLESS = 1 << 255
"""Cash of a reserve where history shows that it was enough."""


@dataclass(frozen=True, slots=True)
class Hits:
    """Accounts that the screen gives to the exact rules: account to its first tick."""

    first_tick: dict[int, int]


class Ground:
    """Use one ground for every plan with the same window, heartbeat, actual parameters and moments of change."""

    def __init__(self, venue_of: VenueOf, market: Market, plan: Plan, history: Venue | None = None) -> None:
        """``history``: the market's actual rules over the world's prices, where ``market`` has those that it sees."""
        self.market = market
        self.first, self.last = plan.first, plan.last
        self.actual = venue_of(plan.actual)
        self.history = history or self.actual
        self.prices = self.history.market
        self.chronicle = Chronicle(market)
        self._timeline = plan.alternative
        self._tabled = venue_of(plan.alternative)
        self._table = self._tabled.screen_table(plan.first, plan.last, heartbeat_s=plan.heartbeat_s)
        self.screen = Screen(self._table, plan.alternative.keys)
        self._lenses: list[tuple[ParameterTimeline[Any], Lens, Lens]] = []
        self._hits: list[tuple[ParameterTimeline[Any], Hits]] = []
        self._recorded: dict[tuple[int, int], Run | None] = {}
        self._totals: dict[int, float] = {}

    @staticmethod
    def of(venue_of: VenueOf, market: Market, plan: Plan, history: Venue | None = None) -> Ground:
        """The ground of a plan; ``history`` as in the constructor."""
        return Ground(venue_of, market, plan, history)

    def lenses(self, timeline: ParameterTimeline[Any]) -> tuple[Lens, Lens]:
        """Lenses of a timeline: where accounts may be liquidatable, and where they may be safe again.

        Raises InputError where the timeline changes at a moment that is no tick of the table.
        """
        for known, short, safe in self._lenses:
            if known is timeline:
                return short, safe
        if not set(timeline.keys) <= set(self._timeline.keys):
            raise InputError(
                "a parameter timeline changes where the replay's ground has no tick. Build a ground of its own for it."
            )
        weights = self._tabled.screen_weights(self._table, timeline)
        short, safe = Lens.of(weights), Lens.of_recovery(weights)
        self._lenses.append((timeline, short, safe))
        return short, safe

    def screen_all(self, timelines: Iterable[ParameterTimeline[Any]], threads: int = 1) -> None:
        """Screen under many timelines in one pass; later replays find the answers here."""
        new = [timeline for timeline in timelines if all(timeline is not known for known, _ in self._hits)]
        if not new:
            return
        ticks = self.screen.first_hits([self.lenses(timeline)[0] for timeline in new], threads=threads)
        for timeline, first in zip(new, ticks, strict=True):
            hit = np.flatnonzero(first >= 0)
            found = zip(self.screen.accounts[hit].tolist(), first[hit].tolist(), strict=True)
            self._hits.append((timeline, Hits(dict(found))))

    def hits(self, timeline: ParameterTimeline[Any]) -> Hits:
        """Accounts in question under a timeline, as far as they follow their history."""
        self.screen_all([timeline])
        return next(hits for known, hits in self._hits if known is timeline)

    def liquidations(self) -> list[Recorded]:
        """Recorded liquidations of the window."""
        return self.chronicle.liquidations_in(self.first, self.last)

    def recorded(self, group: Group) -> Run | None:
        """What the actual rules make of a recorded transaction; None where they refuse it (the log is ambiguous)."""
        if group.transaction not in self._recorded:
            run = execute(
                group,
                group.actions,
                self.chronicle,
                book=lambda account: self.chronicle.state(account, group.before),
                at=lambda action: self.history.at(action.moment),
                cash=lambda asset: ENDLESS,
            )
            self._recorded[group.transaction] = run if isinstance(run, Run) else None
        return self._recorded[group.transaction]

    def not_as_recorded(self, venue: Venue, change: Moment) -> list[Group]:
        """Transactions from ``change`` on that ``venue`` does not admit, or executes otherwise than history has it.

        Accounts that never owed anything are left out: there is nothing that parameters could endanger.
        """
        actions = self.market.actions
        key = self.chronicle.action_key
        kinds = np.isin(actions.column("kind").to_numpy(zero_copy_only=False).astype(str), list(venue.guarded_kinds))
        borrowers = np.isin(actions.column("account").to_numpy(), self.borrowers)
        rows = np.flatnonzero((key > self.first.key) & (key >= change.key) & (key <= self.last.key) & kinds & borrowers)
        return [group for group in self.chronicle.groups_of(rows) if self._differs(group, venue)]

    @cached_property
    def borrowers(self) -> npt.NDArray[np.int32]:
        """Accounts that owed something at some time until the window's end; increasing."""
        debt = [number for number, leg in enumerate(self.market.legs) if leg.kind is LegKind.DEBT]
        ledger = self.market.ledger
        stop = int(np.searchsorted(ledger.key, self.last.key, side="right"))
        owed = np.isin(ledger.leg[:stop], debt)
        return np.unique(ledger.table.column("account").to_numpy()[:stop][owed])

    def _differs(self, group: Group, venue: Venue) -> bool:
        run = execute(
            group,
            group.actions,
            self.chronicle,
            book=lambda account: self.chronicle.state(account, group.before),
            at=lambda action: venue.at(action.moment),
            cash=lambda asset: ENDLESS,
        )
        if isinstance(run, Run) and all(
            state == self.chronicle.state(account, group.end) for account, state in run.states.items()
        ):
            return False
        recorded = self.recorded(group)
        return recorded is not None and (not isinstance(run, Run) or run.states != recorded.states)

    def actions_in_window(self) -> tuple[int, float]:
        """Number of recorded actions that change accounts, and their value [USD] at the prices that the market saw."""
        table = self.market.actions
        passing = pc.is_in(table.column("kind"), value_set=pa.array(sorted(self.actual.passing_kinds), pa.string()))
        table = table.filter(pc.invert(passing))
        key = table.column("key").to_numpy()
        start, stop = np.searchsorted(key, (self.first.key, self.last.key), side="right").tolist()
        asset = table.column("asset").to_numpy()[start:stop]
        raw = table.column("amount_raw").slice(start, stop - start).to_pylist()
        amount = np.array([float(quantity(value)) for value in raw])
        total = 0.0
        for (kind, number), series in self.market.series.items():
            rows = np.flatnonzero(asset == number) if kind == PRICE else ()
            if len(rows) and len(series.key):
                step = np.searchsorted(series.key, key[start:stop][rows], side="right") - 1
                value = amount[rows] * np.where(step >= 0, series.floats[step], 0.0)
                total += float(value.sum()) / self.market.assets[number].unit / BASE_UNIT
        return stop - start, total

    @cached_property
    def unseen_prices(self) -> Mapping[int, Series]:
        """Asset to its price in the world where the market sees another one."""
        seen = self.market.series
        return {
            name[1]: series
            for name, series in self.prices.series.items()
            if name[0] == PRICE and seen.get(name) is not series
        }

    def world_prices_after(self, now: Moment, assets: Iterable[int]) -> list[Moment]:
        """When a price of the world that the market does not see next moves, asset by asset: sales then bring more."""
        found = []
        for asset in assets:
            series = self.unseen_prices.get(asset)
            if series is not None and (step := series.step_at(now.key) + 1) < len(series.key):
                found.append(Moment(int(series.key[step]), max(int(series.timestamp_s[step]), now.timestamp_s)))
        return found

    def gross_usd(self, columns: Ints, quantities: Floats, tick: int) -> float:
        """Value of entries at a tick, debts counted as positive [USD]."""
        return float(np.nansum(self.screen.values[columns, tick] * quantities)) / BASE_UNIT

    def total_usd(self, tick: int) -> float:
        """Collateral and debt of all accounts with debt at a tick, as history has it [USD]."""
        if tick not in self._totals:
            table = self._table
            held = np.flatnonzero((table.start <= tick) & (table.stop > tick))
            last = held[np.append(table.account[held][1:] != table.account[held][:-1], True)] if len(held) else held
            sizes = np.diff(table.offset)[last]
            entries = np.repeat(table.offset[last] - np.concatenate(([0], np.cumsum(sizes)[:-1])), sizes)
            entries += np.arange(len(entries))
            self._totals[tick] = self.gross_usd(table.column[entries], table.quantity[entries], tick)
        return self._totals[tick]

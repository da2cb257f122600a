"""An Aave v3 market under one parameter timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from l2liq.errors import InputError
from l2liq.events.log import block_of
from l2liq.market import Market, ParameterTimeline
from l2liq.protocols.aave_v3.actions import ActionIndex
from l2liq.protocols.aave_v3.layout import Layout, Tables
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.record import SeriesRecord
from l2liq.protocols.aave_v3.screen import Screen
from l2liq.protocols.aave_v3.situation import AaveSituation
from l2liq.protocols.aave_v3.ticks import after_time, gate_times
from l2liq.protocols.interface import Action, Moment, ScreenTable, ScreenWeights, State

REMEMBERED = 4_096
"""Moments whose prices and indices are kept at hand."""


class AaveVenue:
    """See :class:`l2liq.protocols.interface.Venue`."""

    relief_kinds = frozenset({"supply", "repay"})
    guarded_kinds = frozenset(
        {
            "supply",
            "withdraw",
            "transfer",
            "borrow",
            "flash_borrow",
            "repay_with_atokens",
            "collateral_on",
            "collateral_off",
            "emode",
        }
    )

    passing_kinds = frozenset({"flash_take", "flash_repay", "synchronise", "donate"})

    def __init__(self, market: Market, timeline: ParameterTimeline[AaveParameters]) -> None:
        self.market = market
        self.timeline = timeline
        self.layout = Layout(market)
        self._record = SeriesRecord(market)
        self._tables: dict[int, Tables] = {}
        self._situations: dict[Moment, AaveSituation] = {}

    def at(self, moment: Moment, *, prices: Mapping[int, int] | None = None) -> AaveSituation:
        """The situation at a moment; ``prices`` (asset to price) replaces what the market saw."""
        if prices is not None:
            return AaveSituation(moment, self._tables_at(moment.key), self._record, prices)
        found = self._situations.get(moment)
        if found is None:
            if len(self._situations) >= REMEMBERED:
                self._situations.clear()
            found = self._situations[moment] = AaveSituation(moment, self._tables_at(moment.key), self._record)
        return found

    def actions_of(self, account: int, start: int, stop: int) -> Sequence[Action]:
        """Actions with start < key <= stop that touch the account, in order: its own and transfers it receives."""
        return self._actions.of(account, start, stop)

    def recorded_cash(self, asset: int, key: int) -> int:
        """The reserve's cash as history had it after ``key`` [base units]."""
        series = self.market.series.get(("cash", asset))
        found = None if series is None else series.at(key)
        if found is None:
            address = self.market.assets[asset].address.hex()
            raise InputError(
                f"block {block_of(key)}: the cash of asset 0x{address} is not known. "
                "Ingest the market from its deployment."
            )
        return found

    def screen_table(self, first: Moment, last: Moment, *, heartbeat_s: int) -> ScreenTable:
        """Ticks in [first, last] and segments of every account with debt there; no loop over accounts or ticks."""
        return self._screen.table(first, last, heartbeat_s)

    def screen_weights(self, table: ScreenTable, timeline: ParameterTimeline[AaveParameters]) -> ScreenWeights:
        """Weights of another timeline over the same table, and the guard that keeps the screen from missing anyone."""
        return self._screen.weights(table, timeline)

    def screen_entries(
        self, table: ScreenTable, state: State
    ) -> tuple[int, npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Class, columns and quantities that a segment of ``table`` would have for an account in this state."""
        return self._screen.entries(table, state)

    def ticks_of_change(self, first: Moment, last: Moment) -> Sequence[Moment]:
        """Moments in (first, last] at which a grace period, of a reserve or of the sentinel, is over."""
        times = [t for t in gate_times(self.market, self.timeline) if first.timestamp_s < t <= last.timestamp_s]
        keys = after_time(self.market, np.array(times, np.int64), first, last)
        return [Moment(int(key), time) for key, time in zip(keys, times, strict=True)]

    @cached_property
    def _actions(self) -> ActionIndex:
        return ActionIndex(self.market)

    @cached_property
    def _screen(self) -> Screen:
        return Screen(self.market, self.layout, self.timeline)

    def _tables_at(self, key: int) -> Tables:
        regime = self.timeline.regime_at(key)
        if regime < 0:
            raise InputError(
                f"block {block_of(key)}: the market has no parameters yet. "
                "Ingest it from its deployment, or start later."
            )
        found = self._tables.get(regime)
        if found is None:
            found = self._tables[regime] = Tables(self.layout, self.timeline.sets[regime])
        return found

"""What the screen scans of an Aave v3 market, and the weights and guard that make it miss nothing (DESIGN §9).

Margin = sum of collateral value x liquidation threshold - sum of debt value, in doubles. The exact test differs from
its sign by less than the guard: balances and values are rounded to whole units (at most one base unit of the asset and
one of the base currency per leg), and averaged thresholds (until 3.4) lose up to one bp of the counted collateral.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from l2liq.market import Market, ParameterTimeline
from l2liq.protocols.aave_v3.columns import Columns
from l2liq.protocols.aave_v3.layout import Layout, Role, Tables
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.segments import Spans, spans
from l2liq.protocols.aave_v3.ticks import ticks
from l2liq.protocols.aave_v3.versions import HealthFormula
from l2liq.protocols.interface import Moment, ScreenTable, ScreenWeights, State

FLOAT_SHARE = 1e-9
"""What doubles may be off, as a share of the collateral; a million times their precision."""

ONE_BP = 1e-4


class Screen:
    """Builds the tables of one market under one timeline."""

    def __init__(self, market: Market, layout: Layout, timeline: ParameterTimeline[AaveParameters]) -> None:
        self._market = market
        self._layout = layout
        self._timeline = timeline
        self._columns = Columns(market, layout, timeline)
        self._runs = _runs(timeline)
        self._of_category: dict[int, npt.NDArray[np.int32]] = {}

    def table(self, first: Moment, last: Moment, heartbeat_s: int) -> ScreenTable:
        """See :meth:`l2liq.protocols.interface.Venue.screen_table`."""
        key, timestamp_s = ticks(self._market, self._timeline, first, last, heartbeat_s)
        found = spans(self._market, self._layout, key)
        run_of_tick = np.searchsorted(self._run_keys(), key, side="right") - 1
        runs = np.unique(np.maximum(run_of_tick, 0))
        regimes = tuple((self._runs[run], category) for run in runs.tolist() for category in found.categories)
        run, part, start, stop = _cut(found, np.maximum(run_of_tick, 0))
        offset, entry = _take(found.offset, part)
        column = self._columns_by_regime(regimes)
        regime = self._regime_numbers(runs, found.categories, run, found.category[part])
        return ScreenTable(
            key=key,
            timestamp_s=timestamp_s,
            values=self._columns.values(key, timestamp_s),
            column_leg=self._columns.legs,
            account=found.account[part].astype(np.int32),
            start=start.astype(np.int32),
            stop=stop.astype(np.int32),
            regime=regime.astype(np.int32),
            offset=offset,
            column=column[np.repeat(regime, np.diff(offset)), found.leg[entry]],
            quantity=found.quantity[entry],
            regimes=regimes,
        )

    def weights(self, table: ScreenTable, timeline: ParameterTimeline[AaveParameters]) -> ScreenWeights:
        """See :meth:`l2liq.protocols.interface.Venue.screen_weights`.

        Where ``timeline`` changes within one regime of the table, the least favourable weight of the regime is used.
        """
        weight = np.zeros((len(table.regimes), len(table.column_leg)))
        averaged = False
        for number, (start, category) in enumerate(table.regimes):
            sets = self._in_force(start, timeline)
            averaged = averaged or any(s.rules.health is HealthFormula.AVERAGED for s in sets)
            weight[number] = np.min([self._weights_of(s, category) for s in sets], axis=0)
        return ScreenWeights(
            weight=weight,
            guard_share=FLOAT_SHARE + (ONE_BP if averaged else 0),
            guard_base=2.0,
            guard_entry=_rounding(table),
        )

    def entries(self, table: ScreenTable, state: State) -> tuple[int, npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """See :meth:`l2liq.protocols.interface.Venue.screen_entries`.

        Columns are those of the last set: with price sources that e-modes gained or lost, only a later table is exact.
        """
        layout = self._layout
        category = state.get(layout.emode, 0)
        of_leg = self._columns_of_category(category)
        legs = []
        for leg in sorted(state):
            role, asset = layout.roles[leg]
            used = role == Role.COLLATERAL and layout.uses_as_collateral[asset] in state
            if used or role == Role.DEBT:
                legs.append(leg)
        return category, of_leg[legs], np.array([float(state[leg]) for leg in legs])

    def _columns_of_category(self, category: int) -> npt.NDArray[np.int32]:
        found = self._of_category.get(category)
        if found is None:
            mode = self._timeline.sets[-1].emodes.get(category)
            found = self._of_category[category] = self._columns.of_leg(mode)
        return found

    def _run_keys(self) -> npt.NDArray[np.int64]:
        return np.array([self._timeline.keys[start] for start in self._runs], np.int64)

    def _regime_numbers(
        self,
        runs: npt.NDArray[np.int64],
        categories: Sequence[int],
        run: npt.NDArray[np.int64],
        category: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        return np.searchsorted(runs, run) * len(categories) + np.searchsorted(np.array(categories), category)

    def _columns_by_regime(self, regimes: Sequence[tuple[int, int]]) -> npt.NDArray[np.int32]:
        """Column by regime and leg."""
        modes = [self._timeline.sets[start].emodes.get(category) for start, category in regimes]
        return np.array([self._columns.of_leg(mode) for mode in modes], np.int32)

    def _in_force(self, start: int, timeline: ParameterTimeline[AaveParameters]) -> Sequence[AaveParameters]:
        """Sets of ``timeline`` that are in force at some time while the run of sets beginning with ``start`` is."""
        run = self._runs.index(start)
        low = timeline.regime_at(self._timeline.keys[start])
        if run + 1 < len(self._runs):
            high = timeline.regime_at(self._timeline.keys[self._runs[run + 1]] - 1)
        else:
            high = len(timeline.sets) - 1
        return timeline.sets[max(low, 0) : high + 1]

    def _weights_of(self, parameters: AaveParameters, category: int) -> npt.NDArray[np.float64]:
        terms = Tables(self._layout, parameters).terms(category)
        weight = np.zeros(len(self._columns.all))
        for number, column in enumerate(self._columns.all):
            role, asset = self._layout.roles[column.leg]
            term = terms[asset]
            if term is not None and role == Role.DEBT:
                weight[number] = -1.0
            elif term is not None and term.counts:
                weight[number] = term.threshold_bps / 10_000
        return weight


def _runs(timeline: ParameterTimeline[AaveParameters]) -> list[int]:
    """First set of every run of sets between which nothing changes that margins depend on."""
    starts: list[int] = []
    before: object = None
    for number, parameters in enumerate(timeline.sets):
        thresholds = [r and (r.liquidation_threshold_bps, r.emode_category) for r in parameters.reserves]
        modes = [
            (category, mode.liquidation_threshold_bps, mode.collateral, mode.price_source)
            for category, mode in sorted(parameters.emodes.items())
        ]
        relevant = (parameters.rules, thresholds, modes)
        if relevant != before:
            starts.append(number)
            before = relevant
    return starts


def _cut(
    found: Spans, run_of_tick: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Cut spans where a run of parameter sets begins: run, number of the span, start and stop of every piece."""
    low = run_of_tick[found.start] if len(found.start) else found.start
    high = run_of_tick[found.stop - 1] if len(found.stop) else found.stop
    pieces = high - low + 1
    part = np.repeat(np.arange(len(pieces)), pieces)
    run = low[part] + np.arange(len(part)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begins = np.searchsorted(run_of_tick, np.arange(run_of_tick[-1] + 2), side="left")
    start = np.maximum(found.start[part], begins[run])
    stop = np.minimum(found.stop[part], begins[run + 1])
    kept = stop > start
    return run[kept], part[kept], start[kept], stop[kept]


def _take(
    offset: npt.NDArray[np.int64], part: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Offsets of the pieces, and for each of their entries the entry of the span it repeats."""
    count = np.diff(offset)[part]
    taken = np.r_[0, np.cumsum(count)]
    return taken, np.arange(taken[-1]) - np.repeat(taken[:-1] - offset[part], count)


def _rounding(table: ScreenTable) -> npt.NDArray[np.float64]:
    """Most that roundings of an entry's balance and value can come to, by column [base currency]; shape (V,)."""
    with np.errstate(all="ignore"):
        unit = np.fmax.reduce(table.values, axis=1, initial=0.0)
    return np.asarray(1.0 + unit, dtype=np.float64)

"""A pool that follows history: each recorded transaction is executed again, and must give the recorded numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, product

from l2liq.market import Market, Series
from l2liq.protocols.aave_v3.fold_market import BORROW_INDEX, BORROW_RATE, LIQUIDITY_INDEX, LIQUIDITY_RATE
from l2liq.protocols.aave_v3.pool.execution import PoolExecution
from l2liq.protocols.aave_v3.pool.pool import Pool
from l2liq.protocols.aave_v3.pool.reading import readings
from l2liq.protocols.interface import Action, Call, Done, Liquidated, Reading, Receipt, Rejection, Request

MOST_WAYS = 64
"""Combinations of liquidators' intents within one transaction that are tried."""

_KINDS = (LIQUIDITY_INDEX, LIQUIDITY_RATE, BORROW_INDEX, BORROW_RATE)


class RecordedPool:
    """Executes recorded transactions in order on a pool under the parameters that history had."""

    def __init__(self, pool: Pool, market: Market) -> None:
        self.pool = pool
        self._series: dict[int, tuple[Series, ...]] = {
            asset: tuple(market.series[kind, asset] for kind in _KINDS)
            for asset in range(len(market.assets))
            if (LIQUIDITY_INDEX, asset) in market.series
        }

    def read(self, calls: Sequence[Call], amounts: Sequence[tuple[int, int, int] | None]) -> Reading:
        """Find out what a transaction asked for, and execute it.

        Parameters
        ----------
        calls : Sequence[Call]
            Actions and liquidations as the logs show them, in order.
        amounts : Sequence[tuple[int, int, int] | None]
            For each call that is a liquidation: debt repaid, collateral to the liquidator, protocol fee, as recorded.
        """
        expected = {call.moment.key: amount for call, amount in zip(calls, amounts, strict=True) if amount is not None}

        def witness(execution: PoolExecution, call: Call, done: Done) -> bool:
            if isinstance(call.what, Action) and call.what.kind == "flash_take":
                return True  # it is not logged: what history had after it is not known
            if isinstance(done, Liquidated) and expected.get(call.moment.key) != _amounts(done):
                return False
            return self._as_recorded(execution, call.moment.key)

        for reading in readings(calls):
            for tried in _ways(reading):
                receipt = self.pool.execute(tried, witness)
                if isinstance(receipt, Receipt):
                    return Reading(tuple(tried), receipt, None, True)
        first = tuple(next(readings(calls)))
        receipt = self.pool.execute(first)
        if isinstance(receipt, Rejection):
            return Reading(first, None, receipt.reason, False)
        return Reading(first, receipt, None, False)

    def _as_recorded(self, execution: PoolExecution, key: int) -> bool:
        """Whether every reserve that the transaction touched stands where history had it."""
        for asset in execution.touched:
            series = self._series[asset]
            reserve = execution.of(asset)
            step = series[0].step_at(key)
            stands = (
                reserve.liquidity_index_ray,
                reserve.liquidity_rate_ray,
                reserve.borrow_index_ray,
                reserve.borrow_rate_ray,
            )
            if tuple(one.values[step] for one in series) != stands:
                return False
        return True


def _ways(calls: list[Call]) -> Iterator[list[Call]]:
    """A log states what a liquidator repaid; it may have asked for just that, or for as much as there was."""
    places = [place for place, call in enumerate(calls) if isinstance(call.what, Request)]
    for most in islice(product((False, True), repeat=len(places)), MOST_WAYS):
        tried = list(calls)
        for place, everything in zip(places, most, strict=True):
            what = tried[place].what
            if everything and isinstance(what, Request):
                tried[place] = replace(tried[place], what=replace(what, amount=None))
        yield tried


def _amounts(done: Liquidated) -> tuple[int, int, int]:
    return done.debt_repaid, done.collateral_to_liquidator, done.protocol_fee

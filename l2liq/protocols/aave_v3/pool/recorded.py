"""A pool that follows history: each recorded transaction is executed again, and must give the recorded numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product

from l2liq.market import Market, Series
from l2liq.protocols.aave_v3.fold_market import BORROW_INDEX, BORROW_RATE, LIQUIDITY_INDEX, LIQUIDITY_RATE
from l2liq.protocols.aave_v3.pool.execution import PoolExecution
from l2liq.protocols.aave_v3.pool.pool import Pool
from l2liq.protocols.aave_v3.pool.rates import available_at
from l2liq.protocols.aave_v3.pool.reading import readings
from l2liq.protocols.interface import Action, Call, Done, Liquidated, Reading, Receipt, Rejection, Request

MOST_WAYS = 64
"""Combinations of liquidators' intents within one transaction that are tried."""

NOT_LOGGED = frozenset({"flash_take", "donate"})
"""Actions of which no log tells: what history had right after them is not known."""

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
        """Find out what a transaction asked for, and execute it; see :class:`l2liq.protocols.interface.Historian`."""
        expected = {call.moment.key: amount for call, amount in zip(calls, amounts, strict=True) if amount is not None}
        gifts: list[Call] = []
        while True:
            witness = _Witness(self, expected)
            for reading in readings(calls):
                for tried in _ways(reading):
                    receipt = self.pool.execute([*gifts, *tried], witness)
                    if isinstance(receipt, Receipt):
                        return Reading((*gifts, *tried), receipt, None, True)
            gift = witness.gift
            if gift is None or gift[0] in {call.what.asset for call in gifts if isinstance(call.what, Action)}:
                break
            gifts.append(_gift(calls[0], *gift))
        first = tuple(next(readings(calls)))
        receipt = self.pool.execute(first)
        if isinstance(receipt, Rejection):
            return Reading(first, None, receipt.reason, False)
        return Reading(first, receipt, None, False)

    def recorded(self, asset: int, key: int) -> tuple[int, ...]:
        """Liquidity index and rate, borrow index and rate of a reserve after ``key``, as history has them."""
        series = self._series[asset]
        step = series[0].step_at(key)
        return tuple(one.values[step] for one in series)


class _Witness:
    """Compares what a call did with what history has.

    Attributes
    ----------
    gift : asset and amount that its reserve must have been given without anybody supplying it; the first that was seen
    """

    def __init__(self, pool: RecordedPool, expected: Mapping[int, tuple[int, int, int]]) -> None:
        self._pool = pool
        self._expected = expected
        self.gift: tuple[int, int] | None = None

    def __call__(self, execution: PoolExecution, call: Call, done: Done) -> bool:
        """Whether amounts, rates and indices are the recorded ones after a call."""
        if isinstance(call.what, Action) and call.what.kind in NOT_LOGGED:
            return True
        if isinstance(done, Liquidated) and self._expected.get(call.moment.key) != _amounts(done):
            return False
        return all(self._stands(execution, asset, call.moment.key) for asset in execution.touched)

    def _stands(self, execution: PoolExecution, asset: int, key: int) -> bool:
        reserve, recorded = execution.of(asset), self._pool.recorded(asset, key)
        stands = (
            reserve.liquidity_index_ray,
            reserve.liquidity_rate_ray,
            reserve.borrow_index_ray,
            reserve.borrow_rate_ray,
        )
        if stands == recorded:
            return True
        if self.gift is None and not execution.rules.virtual_accounting and stands[::2] == recorded[::2]:
            self.gift = self._given(execution, asset, recorded[3])
        return False

    def _given(self, execution: PoolExecution, asset: int, borrow_rate_ray: int) -> tuple[int, int] | None:
        """What a reserve holds beyond what it should: before virtual accounting its rates tell."""
        reserve = execution.of(asset)
        debt = execution.math.debt_balance(reserve.scaled_debt, reserve.borrow_index_ray)
        held = available_at(borrow_rate_ray, debt, execution.reserve(asset), execution.rules)
        return None if held is None or held <= reserve.cash else (asset, held - reserve.cash)


def _gift(call: Call, asset: int, amount: int) -> Call:
    """Tokens sent to an aToken some time before ``call``; rates do not see them until then."""
    assert isinstance(call.what, Action | Request), "a transaction begins with something"
    row, transaction = (call.what.row, call.what.transaction) if isinstance(call.what, Action) else (-1, (0, 0))
    action = Action(row, call.moment, transaction, "donate", -1, -1, asset, amount, False, 0)
    return Call(call.moment, action)


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

"""The reserves' cash in a world: which recorded payouts it can no longer afford."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from l2liq.protocols.interface import Moment
from l2liq.replay.chronicle import Group, Transaction
from l2liq.replay.course import Course, Order


class CashWatch:
    """Finds the next recorded transaction after which a reserve would be short, and has it executed exactly."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._due: dict[int, int] = {}
        self._recorded: dict[int, tuple[npt.NDArray[np.int64], list[Transaction], npt.NDArray[np.float64]]] = {}

    def order_next(self, asset: int, now: Moment) -> None:
        """Order the next transaction with ``asset`` that leaves less than nothing of it in this world."""
        change = self._course.cash_change[asset]
        if change >= 0:
            return
        keys, transactions, cash = self._history(asset)
        start = int(np.searchsorted(keys, now.key, side="right"))
        short = np.flatnonzero((cash[start:] >= 0) & (cash[start:] + change < 0))
        if len(short):
            transaction = transactions[start + int(short[0])]
            moment = self._course.ground.chronicle.group(transaction).last
            if not now.key < self._due.get(asset, -1) <= moment.key:
                self._due[asset] = moment.key
                self._course.push(moment, Order.SHORT, (asset, transaction))

    def is_due(self, asset: int, now: Moment) -> bool:
        """Whether what was ordered for ``now`` is the latest order."""
        return self._due.get(asset) == now.key

    def next_rise(self, asset: int, now: Moment) -> Moment | None:
        """End of the next recorded transaction after which the reserve holds more than now."""
        keys, transactions, cash = self._history(asset)
        start = int(np.searchsorted(keys, now.key, side="right"))
        rises = np.flatnonzero(cash[start:] > float(self._course.venue.recorded_cash(asset, now.key)))
        if not len(rises):
            return None
        return self._course.ground.chronicle.group(transactions[start + int(rises[0])]).last

    def _history(self, asset: int) -> tuple[npt.NDArray[np.int64], list[Transaction], npt.NDArray[np.float64]]:
        """End, transaction and lowest cash within it, of every recorded transaction with actions on an asset."""
        if asset not in self._recorded:
            ground = self._course.ground
            key = ground.chronicle.action_key
            here = ground.market.actions.column("asset").to_numpy() == asset
            rows = np.flatnonzero(here & (key > ground.first.key) & (key <= ground.last.key))
            groups = list(ground.chronicle.groups_of(rows))
            self._recorded[asset] = (
                np.array([group.last.key for group in groups], dtype=np.int64),
                [group.transaction for group in groups],
                np.array([self._lowest(asset, group) for group in groups]),
            )
        return self._recorded[asset]

    def _lowest(self, asset: int, group: Group) -> float:
        keys = [action.moment.key for action in group.actions if action.asset == asset]
        return float(min(self._course.venue.recorded_cash(asset, key) for key in keys))

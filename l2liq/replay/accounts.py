"""Every account at the end of a window, exact."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from l2liq.market import LegKind
from l2liq.outcome.schema import ACCOUNTS
from l2liq.protocols.interface import Backing, Health, Moment, Situation, State
from l2liq.replay.course import Course, Position
from l2liq.replay.rows import Rows, fitting, table_of

Standing = tuple[Health, Backing]


class Ends:
    """Exact standing of all accounts at the window's end; what several worlds have in common is computed once."""

    def __init__(self, course: Course) -> None:
        ground = course.ground
        self._last = course.plan.last
        self._debt = {leg for leg, found in enumerate(ground.market.legs) if found.kind is LegKind.DEBT}
        self._accounts = ground.screen.accounts.tolist()
        self._known: dict[tuple[int, int], Standing | None] = {}

    def table(self, course: Course) -> pa.Table:
        """ACCOUNTS of one world, ordered by address: accounts with debt at the end, and those that diverged.

        Accounts that left the world are not there.
        """
        market = course.ground.market
        involved = {account for account, p in course.positions.items() if p.diverged_at_s is not None or p.liquidations}
        rows = []
        for account in sorted(involved | set(self._accounts), key=market.address):
            position = course.positions.get(account)
            if position is not None and position.left:
                continue
            standing = self._standing(course, account)
            if standing is not None and (standing[0].debt_base or account in involved):
                rows.append(row_of(course.rows, account, *standing, position, self._last))
        return table_of(rows, ACCOUNTS)

    def _standing(self, course: Course, account: int) -> Standing | None:
        """None for an account of history without debt."""
        position = course.positions.get(account)
        situation = course.at(account, self._last)
        if position is not None and (position.own is not None or position.liquidations):
            return _standing(situation, course.state(account, self._last.key))
        place = (account, id(course.rules_at(account, self._last)))
        if place not in self._known:
            state = course.ground.chronicle.state(account, self._last.key)
            self._known[place] = _standing(situation, state) if self._debt & state.keys() else None
        return self._known[place]


def _standing(situation: Situation, state: State) -> Standing:
    return situation.health(state), situation.backing(state)


def row_of(
    rows: Rows, account: int, health: Health, backing: Backing, position: Position | None, last: Moment
) -> dict[str, Any]:
    """One row of ACCOUNTS at the end ``last`` of the world that ``rows`` tell of; ``run_id`` empty."""
    return {
        **rows.whose(account),
        "collateral_base": fitting(health.collateral_base),
        "debt_base": fitting(health.debt_base),
        "health_wad": fitting(health.factor_wad),
        "bad_debt_base": fitting(max(0, health.debt_base - health.collateral_base)),
        "borrowable_base": fitting(backing.borrowable_base),
        "repayable_base": fitting(backing.repayable_base),
        "liquidations": position.liquidations if position else 0,
        "collateral_lost_usd": position.lost_usd if position else 0.0,
        "debt_repaid_usd": position.repaid_usd if position else 0.0,
        "diverged_at_s": position.diverged_at_s if position else None,
        "sellable_usd": rows.sellable_usd(backing.collateral_base, last) if health.liquidatable else None,
    }

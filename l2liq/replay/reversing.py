"""A chain that returns to an earlier state: what was executed since is undone (DESIGN §10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from l2liq.protocols.interface import Moment
from l2liq.replay.acting import Acting
from l2liq.replay.chronicle import Group, Transaction
from l2liq.replay.course import Course, Position
from l2liq.replay.detours import Stretch
from l2liq.replay.disruption import Users
from l2liq.replay.looks import Looks
from l2liq.replay.result import OF_USERS, Counters


@dataclass(frozen=True, slots=True)
class Standing:
    """What is remembered of an account: its own state, None where it follows history, and what it lost so far."""

    own: Mapping[int, int] | None
    frozen: bool
    liquidations: int
    lost_usd: float
    repaid_usd: float

    @staticmethod
    def of(position: Position) -> Standing:
        """As it stands now."""
        own = None if position.own is None else dict(position.own)
        return Standing(own, position.frozen, position.liquidations, position.lost_usd, position.repaid_usd)

    def restored(self, position: Position) -> None:
        """Write all but the state back."""
        position.frozen, position.liquidations = self.frozen, self.liquidations
        position.lost_usd, position.repaid_usd = self.lost_usd, self.repaid_usd


UNTOUCHED = Standing(None, False, 0, 0.0, 0.0)


def of_users(counters: Counters) -> Mapping[str, float]:
    """What users could not do so far."""
    return {name: getattr(counters, name) for name in OF_USERS}


def restore(counters: Counters, kept: Mapping[str, float]) -> None:
    """Count anew from what was kept."""
    for name, value in kept.items():
        setattr(counters, name, value)


@dataclass(frozen=True)
class _Kept:
    """A world before a stretch that is undone later."""

    standings: Mapping[int, Standing]
    cash_change: Mapping[int, int]
    wallet: Mapping[tuple[int, int], int]
    counters: Mapping[str, float]
    rows: int


class Reversing:
    """Keeps states of the chain and returns to them."""

    def __init__(self, course: Course, looks: Looks, acting: Acting) -> None:
        self._course, self._looks, self._acting = course, looks, acting
        self._chronicle = course.ground.chronicle
        self._kept: dict[Stretch, _Kept] = {}

    def keep(self, stretch: Stretch) -> None:
        """Remember the state before a stretch."""
        course = self._course
        self._kept[stretch] = _Kept(
            {account: Standing.of(position) for account, position in course.positions.items()},
            dict(course.cash_change),
            dict(course.wallet),
            of_users(course.counters),
            len(course.rows),
        )

    def reverse(self, stretch: Stretch, now: Moment) -> None:
        """Go on from the state before a stretch; its transactions are lost, or come again now in their order."""
        kept = self._kept.pop(stretch)
        course = self._course
        course.rows.revert(kept.rows)
        restore(course.counters, kept.counters)
        groups = [self._chronicle.group(code) for code in self._chronicle.codes_in(stretch.before, now)]
        returned = self._return_states(stretch, groups, kept, now)
        self._return_money(stretch, groups, kept, now)
        for position in returned:
            self._looks.order_from(position, now)
        if stretch.users is Users.QUEUE:
            for transaction in self._executed(stretch, groups):
                self._acting.moved(transaction, now)

    def _return_states(self, stretch: Stretch, groups: list[Group], kept: _Kept, now: Moment) -> list[Position]:
        course = self._course
        changed = {account for group in groups for account in self._chronicle.accounts_changed(group)}
        concerned = changed | {a for a, p in course.positions.items() if p.own is not None or p.episode is not None}
        returned = []
        for account in sorted(concerned, key=course.ground.market.address):
            standing = kept.standings.get(account, UNTOUCHED)
            before = self._chronicle.state(account, stretch.before.key) if standing.own is None else standing.own
            position = course.position(account)
            standing.restored(position)
            position.episode = None
            if position.own is not None or before != self._chronicle.state(account, now.key):
                self._acting.set_state(position, dict(before), now)
            returned.append(position)
        return returned

    def _return_money(self, stretch: Stretch, groups: list[Group], kept: _Kept, now: Moment) -> None:
        """Cash and wallets are those from before; history's have moved on, so they differ from it by something else."""
        course, recorded_cash = self._course, self._course.venue.recorded_cash
        moved = [run for group in groups if (run := course.ground.recorded(group)) is not None]
        assets = {*kept.cash_change, *course.cash_change, *(asset for run in moved for asset in run.cash)}
        for asset in sorted(assets):
            before = recorded_cash(asset, stretch.before.key) + kept.cash_change.get(asset, 0)
            wanted = before - recorded_cash(asset, now.key)
            self._acting.change_cash(asset, wanted - course.cash_change[asset], now)
        course.wallet.clear()
        course.wallet.update(kept.wallet)
        for run in moved:
            for place, change in run.wallet.items():
                course.wallet[place] -= change

    def _executed(self, stretch: Stretch, groups: list[Group]) -> list[Transaction]:
        """Transactions of users that were executed in a stretch, in their order."""
        moved = self._course.detours.moved
        then = [(group.last, group.transaction) for group in groups if group.actions and group.transaction not in moved]
        then += [(m, code) for code, m in moved.items() if m is not None and stretch.holds(m)]
        return [
            transaction for _, transaction in sorted(then, key=lambda one: (one[0].key, one[0].timestamp_s, one[1]))
        ]

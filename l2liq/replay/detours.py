"""Where the calendar of a world departs from the recorded one, under a disruption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from l2liq.chains.outages import Outage
from l2liq.liquidators import Draws, at_second
from l2liq.protocols.interface import Moment
from l2liq.replay.chronicle import Group, Transaction
from l2liq.replay.disruption import Disruption, Messages, Reversal, Users
from l2liq.replay.ground import Ground
from l2liq.replay.result import Counters


@dataclass(frozen=True, slots=True)
class Stretch:
    """A reversal as moments: the state after ``before`` is in force again at ``at``."""

    before: Moment
    at: Moment
    users: Users

    def holds(self, moment: Moment) -> bool:
        """Whether what happens at a moment is undone."""
        first, end = ((edge.key, edge.timestamp_s) for edge in (self.before, self.at))
        return first <= (moment.key, moment.timestamp_s) < end


@dataclass(frozen=True)
class Detours:
    """Where the calendar of a world departs from the recorded one.

    Attributes
    ----------
    moved : recorded transactions to when they happen instead; None = never
    stretches : what is undone, in order
    """

    moved: Mapping[Transaction, Moment | None] = field(default_factory=dict)
    stretches: tuple[Stretch, ...] = ()
    _restarts: tuple[tuple[Outage, Moment], ...] = ()

    def count(self, counters: Counters) -> None:
        """Add up what happens at another moment, and what never does."""
        counters.lost = sum(moment is None for moment in self.moved.values())
        counters.moved = len(self.moved) - counters.lost

    def restart(self, now: Moment) -> Moment | None:
        """When anything can be executed again; None where it can now."""
        for outage, restart in self._restarts:
            if outage.from_s <= now.timestamp_s and (now.key, now.timestamp_s) < (restart.key, restart.timestamp_s):
                return restart
        return None


NO_DETOURS = Detours()


def detours(disruption: Disruption | None, ground: Ground, seed: int) -> Detours:
    """The calendar of a world on a ground.

    Parameters
    ----------
    disruption : Disruption | None
        None = as recorded.
    ground : Ground
        Of the recorded market.
    seed : int
        Of all draws.
    """
    if disruption is None:
        return NO_DETOURS
    market = ground.market
    outages = disruption.standstill.outages
    restarts = tuple((one, Moment(one.restart_key(market.clock), one.to_s)) for one in outages)
    return Detours(
        _Moving(disruption, ground, restarts, Draws(seed)).moved(),
        tuple(
            stretch for one in disruption.reversals if _is_after((stretch := _stretch(one, ground)).at, ground.first)
        ),
        restarts,
    )


def _is_after(moment: Moment, other: Moment) -> bool:
    return (moment.key, moment.timestamp_s) > (other.key, other.timestamp_s)


def _stretch(reversal: Reversal, ground: Ground) -> Stretch:
    before, at = (
        Moment(Outage(reversal.from_s, second).restart_key(ground.market.clock), second)
        for second in (reversal.from_s, reversal.at_s)
    )
    first = ground.first
    return Stretch(before if before.key > first.key else Moment(first.key, reversal.from_s), at, reversal.users)


class _Moving:
    """Finds the transactions that come at another moment."""

    def __init__(
        self, disruption: Disruption, ground: Ground, restarts: Sequence[tuple[Outage, Moment]], draws: Draws
    ) -> None:
        self._disruption, self._ground, self._restarts, self._draws = disruption, ground, restarts, draws
        self._clock = ground.market.clock
        self._chronicle = ground.chronicle

    def moved(self) -> dict[Transaction, Moment | None]:
        found: dict[Transaction, Moment | None] = {}
        for transaction in self._chronicle.codes_in(self._ground.first, self._ground.last):
            group = self._chronicle.group(transaction)
            if group.actions:
                moment = self._moment(group)
                if moment != group.last:
                    found[transaction] = moment
        return found

    def _moment(self, group: Group) -> Moment | None:
        """When a transaction happens; its recorded moment where nothing is in its way."""
        sent = self._sent(group)
        if sent is None:
            return None
        let_in = self._let_in(group, sent)
        standstill = self._disruption.standstill
        for outage, restart in self._restarts:
            if not outage.from_s <= let_in.timestamp_s < outage.to_s:
                continue
            forced = self._forced(let_in.timestamp_s)
            if forced is not None and forced < outage.to_s:
                return at_second(forced, self._ground.first, self._clock)
            if standstill.users is Users.LOST:
                return None
            if not standstill.users_after_s:
                return restart
            return at_second(outage.to_s + standstill.users_after_s, restart, self._clock)
        return let_in

    def _sent(self, group: Group) -> Moment | None:
        """When a message arrives that came from another layer; None = never. Others come when they came."""
        messages = self._disruption.messages
        if messages is None or not self._came_in_stress(group, messages):
            return group.last
        address, second = self._ground.market.address(group.actions[0].account), group.last.timestamp_s
        if self._draws.next(address, "message", second) >= messages.share:
            return group.last
        draw = self._draws.next(address, "message delay", second)
        was, becomes = messages.recorded_s.quantile(draw), messages.delay_s.quantile(draw)
        if becomes is None:
            return None
        shift = round(becomes - (was or 0.0))
        return group.last if shift == 0 else at_second(second + shift, self._ground.first, self._clock)

    def _came_in_stress(self, group: Group, messages: Messages) -> bool:
        account = group.actions[0].account
        eases = all(a.kind in self._ground.history.relief_kinds and a.account == account for a in group.actions)
        if not eases or group.liquidations:
            return False
        before = Moment(group.before, group.last.timestamp_s)
        health = self._ground.history.at(before).health(self._chronicle.state(account, group.before))
        return health.factor_wad is not None and health.debt_base > 0 and health.factor_wad < messages.below_health_wad

    def _let_in(self, group: Group, sent: Moment) -> Moment:
        """When a censored transaction is let in: when that is over, or by way of L1."""
        second = sent.timestamp_s
        for censorship in self._disruption.censorships:
            if censorship.from_s <= second < censorship.to_s and self._is_of(group, censorship.accounts):
                forced = self._forced(second)
                second = censorship.to_s if forced is None else min(forced, censorship.to_s)
        return sent if second == sent.timestamp_s else at_second(second, sent, self._clock)

    def _is_of(self, group: Group, accounts: frozenset[bytes]) -> bool:
        return any(a.account >= 0 and self._ground.market.address(a.account) in accounts for a in group.actions)

    def _forced(self, sent_s: int) -> int | None:
        after = self._disruption.forced_after_s
        return None if after is None else sent_s + after

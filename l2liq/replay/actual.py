"""The actual world in the terms of the other two: recorded liquidations and deficits, and when accounts fell short."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from l2liq.liquidators import Empirical, kaplan_meier
from l2liq.market import PRICE, Market, quantity
from l2liq.numeric import mul_div_ceil
from l2liq.outcome.schema import World
from l2liq.protocols.interface import Health, Liquidated, Moment, Request, Step
from l2liq.replay.chronicle import Recorded
from l2liq.replay.course import Course, Position
from l2liq.replay.ground import Ground
from l2liq.replay.looks import Looks
from l2liq.replay.plan import Plan


@dataclass(frozen=True, slots=True)
class RecordedEpisode:
    """A span in which an account was liquidatable in history; a liquidation that leaves it so does not end it.

    Attributes
    ----------
    since, until : first moment of it, and the liquidation or other recovery that ended it, or the window's end
    cause : what brought it about
    health : just after it began
    liquidations : recorded in it, in order
    """

    account: int
    since: Moment
    until: Moment
    cause: str
    health: Health
    liquidations: tuple[Recorded, ...]


class History:
    """Reads episodes off the recorded states."""

    def __init__(self, ground: Ground, plan: Plan) -> None:
        self._ground, self._plan = ground, plan
        self.course = Course(ground, plan, World.ACTUAL, ground.actual)
        self._looks = Looks(self.course)
        self._taken: dict[int, list[Recorded]] = {}
        for taken in ground.liquidations():
            self._taken.setdefault(taken.account, []).append(taken)

    def episodes(self) -> list[RecordedEpisode]:
        """Episodes of all accounts, ordered by their beginning, then by address."""
        accounts = set(self._ground.hits(self._plan.actual).first_tick) | set(self._taken)
        found = [episode for account in accounts for episode in self._of(account)]
        address = self._ground.market.address
        return sorted(found, key=lambda e: (e.since.key, e.since.timestamp_s, address(e.account), e.until.key))

    def emit(self, episodes: Sequence[RecordedEpisode]) -> Course:
        """Write everything that happened into the rows of the actual world, in order."""
        begun = [(e.since, 0, e.account, e) for e in episodes]
        taken = [(one.moment, 1, e.account, (e, one)) for e in episodes for one in e.liquidations]
        key, table = self._plan.first.key, self._ground.market.deficits.to_pylist()
        lost = [(Moment(row["key"], row["timestamp_s"]), 2, row["account"], row) for row in table if row["key"] > key]
        address = self._ground.market.address
        everything = [*begun, *taken, *(found for found in lost if found[0].key <= self._plan.last.key)]
        for moment, order, account, found in sorted(
            everything, key=lambda e: (e[0].key, e[0].timestamp_s, e[1], address(e[2]))
        ):
            if order == 2:
                self.course.rows.deficit(moment, account, found["asset"], quantity(found["amount_raw"]))
            elif order == 1:
                self._emit_liquidation(*found)
            else:
                self.course.rows.margin_call(moment, account, found.health, found.cause)
        return self.course

    def _emit_liquidation(self, episode: RecordedEpisode, taken: Recorded) -> None:
        situation = self._ground.actual.at(taken.moment)
        chronicle = self._ground.chronicle
        done = Liquidated(
            step=Step({}),
            debt_repaid=taken.debt,
            collateral_to_liquidator=taken.collateral,
            protocol_fee=taken.protocol_fee,
            deficits={},
            collateral_price=self._price(taken.collateral_asset, taken.moment.key),
            debt_price=self._price(taken.debt_asset, taken.moment.key),
            health_before=situation.health(chronicle.just_before(taken)),
            health_after=situation.health(chronicle.state(taken.account, taken.moment.key)),
        )
        request = Request(
            taken.account, taken.liquidator, taken.collateral_asset, taken.debt_asset, taken.debt, taken.receives_token
        )
        lost_usd, repaid_usd = self.course.rows.liquidation(
            taken.moment,
            request,
            done,
            since_s=episode.since.timestamp_s,
            cause=episode.cause,
            transaction_hash=taken.transaction_hash,
        )
        position = self.course.position(taken.account)
        position.liquidations += 1
        position.lost_usd += lost_usd
        position.repaid_usd += repaid_usd

    def _of(self, account: int) -> Iterator[RecordedEpisode]:
        position = self.course.position(account)
        waiting = list(reversed(self._taken.get(account, ())))
        now = self._looks.first_short(position)
        while now is not None or waiting:
            if waiting and (now is None or waiting[-1].moment.key <= now.key):
                since, cause = waiting[-1].moment, "price"
                health = self._ground.actual.at(since).health(self._ground.chronicle.just_before(waiting[-1]))
            else:
                assert now is not None
                since, health = now, self._health(position, now)
                if not health.liquidatable:
                    now = self._looks.next_look(position, now)
                    continue
                cause = self._looks.cause(position, now, own_action=False)
            taken, until = self._taken_until(position, since, waiting)
            yield RecordedEpisode(account, since, until, cause, health, taken)
            now = self._looks.next_look(position, until)

    def _taken_until(
        self, position: Position, since: Moment, waiting: list[Recorded]
    ) -> tuple[tuple[Recorded, ...], Moment]:
        """Liquidations of the episode that began at ``since``, taken off ``waiting`` (next one last), and its end."""
        taken: list[Recorded] = []
        end = self._recovery(position, since)
        while waiting and waiting[-1].moment.key <= end.key:
            taken.append(waiting.pop())
            now = taken[-1].moment
            if not self._health(position, now).liquidatable:
                return tuple(taken), now
            end = self._recovery(position, now)
        return tuple(taken), end

    def _recovery(self, position: Position, now: Moment) -> Moment:
        """First tick or own change after ``now`` at which the account is safe; the window's end where there is none."""
        moment = self._looks.next_relief(position, now)
        while moment is not None and self._health(position, moment).liquidatable:
            moment = self._looks.next_relief(position, moment)
        return moment or self._plan.last

    def _health(self, position: Position, now: Moment) -> Health:
        return self._ground.actual.at(now).health(self._ground.chronicle.state(position.account, now.key))

    def _price(self, asset: int, key: int) -> int:
        series = self._ground.market.series.get((PRICE, asset))
        return (series.at(key) if series is not None else None) or 0


def delays_of(episodes: Iterable[RecordedEpisode]) -> tuple[list[float], list[bool]]:
    """Time from liquidatable to first liquidated [s], and which are censored (False), for a fit.

    An account that was short already when observation began, or that nobody could gain from, counts like any other.
    """
    found = [(e.since, e.liquidations[0].moment if e.liquidations else e.until, bool(e.liquidations)) for e in episodes]
    delays = [float(end.timestamp_s - since.timestamp_s) for since, end, _ in found]
    return delays, [liquidated for _, _, liquidated in found]


@dataclass(frozen=True, slots=True)
class Rival:
    """One liquidator of a period of history.

    Attributes
    ----------
    address : 20 bytes
    wins : episodes in which it was the first to liquidate
    liquidations : all of them
    delays_s : from liquidatable to its liquidation, had nobody else come before it [s]
    largest_base : largest amount that it repaid at once [base currency], rounded up
    """

    address: bytes
    wins: int
    liquidations: int
    delays_s: Empirical
    largest_base: int


def rivals_of(episodes: Sequence[RecordedEpisode], market: Market) -> list[Rival]:
    """Everyone who was the first to liquidate in an episode, most wins first.

    Each is fitted for itself: an episode that another liquidator began, or that nobody did, is censored there. If their
    delays are independent, the earliest of all has the recorded delays, and each comes first as often as it did.

    Raises InputError where the period holds no liquidation.

    Source: Kaplan & Meier 1958; cause-specific times of competing risks.
    """
    durations, liquidated = delays_of(episodes)
    if not any(liquidated):
        kaplan_meier(durations, liquidated)
    first = [e.liquidations[0].liquidator if e.liquidations else -1 for e in episodes]
    taken: dict[int, list[Recorded]] = {}
    for episode in episodes:
        for one in episode.liquidations:
            taken.setdefault(one.liquidator, []).append(one)
    found = [
        Rival(
            address=market.address(number),
            wins=first.count(number),
            liquidations=len(taken[number]),
            delays_s=kaplan_meier(durations, [one == number for one in first]),
            largest_base=max(_worth(market, one) for one in taken[number]),
        )
        for number in sorted(set(first) - {-1})
    ]
    return sorted(found, key=lambda one: (-one.wins, one.address))


def _worth(market: Market, taken: Recorded) -> int:
    """What a recorded liquidation repaid [base currency], rounded up; 0 without a price."""
    series = market.series.get((PRICE, taken.debt_asset))
    price = (series.at(taken.moment.key) if series is not None else None) or 0
    return mul_div_ceil(taken.debt, price, market.assets[taken.debt_asset].unit)

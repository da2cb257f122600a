"""The actual world in the terms of the other two: recorded liquidations and deficits, and when accounts fell short."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from l2liq.market import PRICE, quantity
from l2liq.outcome.schema import World
from l2liq.protocols.interface import Health, Liquidated, Moment, Request, Step
from l2liq.replay.chronicle import Recorded
from l2liq.replay.course import Course, Position
from l2liq.replay.ground import Ground
from l2liq.replay.looks import Looks
from l2liq.replay.plan import Plan


@dataclass(frozen=True, slots=True)
class RecordedEpisode:
    """A span in which an account was liquidatable in history.

    Attributes
    ----------
    since, until : first moment of it, and its liquidation, its recovery or the window's end
    cause : what brought it about
    health : just after it began
    liquidated_by : the liquidation that ended it, None = censored
    """

    account: int
    since: Moment
    until: Moment
    cause: str
    health: Health
    liquidated_by: Recorded | None


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
        ended = [(e.liquidated_by.moment, 1, e.account, e) for e in episodes if e.liquidated_by is not None]
        key, table = self._plan.first.key, self._ground.market.deficits.to_pylist()
        lost = [(Moment(row["key"], row["timestamp_s"]), 2, row["account"], row) for row in table if row["key"] > key]
        address = self._ground.market.address
        everything = [*begun, *ended, *(found for found in lost if found[0].key <= self._plan.last.key)]
        for moment, order, account, found in sorted(
            everything, key=lambda e: (e[0].key, e[0].timestamp_s, e[1], address(e[2]))
        ):
            if order == 2:
                self.course.rows.deficit(moment, account, found["asset"], quantity(found["amount_raw"]))
            elif order == 1:
                self._emit_liquidation(found)
            else:
                self.course.rows.margin_call(moment, account, found.health, found.cause)
        return self.course

    def _emit_liquidation(self, episode: RecordedEpisode) -> None:
        taken = episode.liquidated_by
        assert taken is not None
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
                taken = waiting.pop()
                health = self._ground.actual.at(taken.moment).health(self._ground.chronicle.just_before(taken))
                yield RecordedEpisode(account, taken.moment, taken.moment, "price", health, taken)
                now = taken.moment
                continue
            assert now is not None
            health = self._ground.actual.at(now).health(self._ground.chronicle.state(account, now.key))
            if not health.liquidatable:
                now = self._looks.next_short(position, now)
                continue
            cause = self._looks.cause(position, now, own_action=False)
            end = self._recovery(position, now)
            if waiting and waiting[-1].moment.key <= end.key:
                taken = waiting.pop()
                yield RecordedEpisode(account, now, taken.moment, cause, health, taken)
                now = taken.moment
            else:
                yield RecordedEpisode(account, now, end, cause, health, None)
                now = self._looks.next_short(position, end)

    def _recovery(self, position: Position, now: Moment) -> Moment:
        """First tick after ``now`` at which the account is safe; the window's end where there is none."""
        moment = self._looks.next_recovery(position, now)
        while moment is not None:
            state = self._ground.chronicle.state(position.account, moment.key)
            if not self._ground.actual.at(moment).health(state).liquidatable:
                return moment
            moment = self._looks.next_recovery(position, moment)
        return self._plan.last

    def _price(self, asset: int, key: int) -> int:
        series = self._ground.market.series.get((PRICE, asset))
        return (series.at(key) if series is not None else None) or 0


def delays_of(episodes: Iterable[RecordedEpisode]) -> tuple[list[float], list[bool]]:
    """Time from liquidatable to liquidated [s], and which are censored (False), for a fit.

    An account that was short already when observation began, or that nobody could gain from, counts like any other.
    """
    found = [(float(e.until.timestamp_s - e.since.timestamp_s), e.liquidated_by is not None) for e in episodes]
    return [delay for delay, _ in found], [liquidated for _, liquidated in found]

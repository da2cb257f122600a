"""Several liquidators who compete for the same accounts (DOMAIN §7.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from l2liq.chains.rollup import Ordering
from l2liq.events.log import block_of
from l2liq.liquidators.model import Liquidator, Offer, at_second
from l2liq.liquidators.oev import PRICE, Auction
from l2liq.liquidators.profit import Profitable
from l2liq.liquidators.sizing import Largest, Sizing
from l2liq.market import Clock
from l2liq.protocols.interface import Moment

BPS = 10_000
DELAY = "delay"
"""Purpose of the draws of a liquidator that is alone."""


def synthetic_address(name: str) -> bytes:
    """The address of a contestant that has none, 20 bytes: a hash of its name, which nobody holds the key of."""
    return blake2b(b"l2liq liquidator " + name.encode(), digest_size=20).digest()


@dataclass(frozen=True, slots=True)
class Contestant:
    """One of several liquidators.

    Attributes
    ----------
    model : when it comes, and what it wants
    name : among the others
    address : 20 bytes, None = nobody's
    capital_base : what it can have lent out at once [base currency]; None = without end
    recycle_s : time from a liquidation until what it repaid is its own again [s]
    bid_bps : share of the bonus, at the world's prices, that it pays to come first
    """

    model: Liquidator
    name: str = ""
    address: bytes | None = None
    capital_base: int | None = None
    recycle_s: int = 0
    bid_bps: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """Whose transaction comes first.

    Attributes
    ----------
    policy : first come; those who are ready within one block by bid; or first come with an express lane
    block_ms : time between blocks [ms], with priority fees
    lane : name of who holds the express lane
    lane_delay_ms : what the others wait [ms]
    """

    policy: Ordering = Ordering.FIRST_COME
    block_ms: int = 1_000
    lane: str = ""
    lane_delay_ms: int = 0


@dataclass(slots=True)
class Entrant:
    """One contestant on its way to one account.

    Attributes
    ----------
    number : of the contestant
    due : when its transaction executes
    ready_s : exact time at which it is ready [s since 1970]
    coin : uniform draw that settles ties
    by_auction : it won the place behind the oracle's update
    took : it liquidated something
    declined : when it last let others go ahead
    short : it did so because it had too little money
    """

    number: int
    due: Moment
    ready_s: float
    coin: float
    by_auction: bool = False
    took: bool = False
    declined: Moment | None = None
    short: bool = False


@dataclass(slots=True)
class Race:
    """Who comes for an account since it became liquidatable.

    Attributes
    ----------
    entrants : all who ever come
    last : the latest liquidation
    closed : when a liquidation made the account safe
    era : number of times that the world had returned to an earlier state when it began
    """

    entrants: tuple[Entrant, ...]
    last: Moment | None = None
    closed: Moment | None = None
    era: int = 0

    @property
    def arrivals(self) -> list[Moment]:
        """Moments at which somebody arrives, in order."""
        return sorted({entrant.due for entrant in self.entrants}, key=_place)


@dataclass(frozen=True, slots=True)
class Competition:
    """All liquidators of a world, and the rules among them.

    Attributes
    ----------
    contestants : at least one, ordered by name, so that the order in which they were written says nothing
    order : whose transaction comes first
    notice_s : whoever comes so much later than a position was closed knows it and does not try [s]; None = all try
    sizing : how much they repay at once
    auction : sells the place behind the oracle's updates, None = nobody does
    """

    contestants: tuple[Contestant, ...]
    order: Order = Order()
    notice_s: int | None = None
    sizing: Sizing = field(default_factory=Largest)
    auction: Auction | None = None
    name: str = "competition"

    @classmethod
    def of(cls, liquidator: Liquidator | Competition) -> Competition:
        """A liquidator that is alone, as a competition of one."""
        return liquidator if isinstance(liquidator, Competition) else cls((Contestant(liquidator),))

    def __post_init__(self) -> None:
        object.__setattr__(self, "contestants", tuple(sorted(self.contestants, key=lambda one: one.name)))

    @property
    def spacing_s(self) -> int:
        """Time from one liquidation to the next one, whichever account that is of [s]; several do not wait."""
        return self.contestants[0].model.spacing_s if len(self.contestants) == 1 else 0

    def again(self, now: Moment, clock: Clock) -> Moment | None:
        """When all look again at what something holds up; None = whenever that may have changed."""
        return self.contestants[0].model.again(now, clock) if len(self.contestants) == 1 else None

    @property
    def addresses(self) -> Mapping[bytes, str]:
        """Address to name, of those that have one."""
        return {one.address: one.name for one in self.contestants if one.address is not None}

    @property
    def pays_bids(self) -> bool:
        """Whether somebody pays to come first."""
        sold = self.order.policy is Ordering.PRIORITY_FEE or self.auction is not None
        return sold and any(one.bid_bps for one in self.contestants)

    def race(self, draw: Callable[[str], float], crossed: Moment, cause: str, clock: Clock) -> Race:
        """Who comes for an account that becomes liquidatable, and when.

        Parameters
        ----------
        draw : Callable[[str], float]
            The account's next uniform draw for a purpose. Purposes carry the contestant's name, unless it is alone.
        crossed : Moment
            First moment at which the account is liquidatable.
        cause : str
            Why it is.
        clock : Clock
            Blocks of the market.
        """
        since, winner = crossed, None
        if self.auction is not None and cause == PRICE:
            if draw("auction") < self.auction.success:
                winner = self._highest_bidder(draw)
            since = at_second(crossed.timestamp_s + self.auction.cutoff_s, crossed, clock)
        found = []
        for number, one in enumerate(self.contestants):
            entrant = self._entrant(number, one, draw, since, clock)
            if number == winner:
                coin = 0.0 if entrant is None else entrant.coin
                entrant = Entrant(number, crossed, crossed.timestamp_s, coin, by_auction=True)
            if entrant is not None:
                found.append(entrant)
        if self.order.policy is Ordering.PRIORITY_FEE:
            self._into_blocks(found, clock)
        return Race(tuple(found))

    def _entrant(
        self, number: int, one: Contestant, draw: Callable[[str], float], since: Moment, clock: Clock
    ) -> Entrant | None:
        alone = len(self.contestants) == 1
        uniform = draw(DELAY if alone else f"{DELAY} of {one.name}")
        coin = 0.0 if alone else draw(f"turn of {one.name}")
        due = one.model.execution(uniform, since, clock)
        if due is None:
            return None
        ready_s = one.model.ready_s(uniform, since, due)
        if self.order.policy is Ordering.EXPRESS_LANE and one.name != self.order.lane:
            ready_s += self.order.lane_delay_ms / 1_000
            due = max(due, at_second(round(ready_s), due, clock), key=_place)
        return Entrant(number, due, ready_s, coin)

    def _highest_bidder(self, draw: Callable[[str], float]) -> int:
        def bid(number: int) -> tuple[int, float]:
            one = self.contestants[number]
            return one.bid_bps, draw(f"bid of {one.name}")

        return max(range(len(self.contestants)), key=bid)

    def _into_blocks(self, entrants: Iterable[Entrant], clock: Clock) -> None:
        """Those who are ready within one block execute together, when the last of them is ready."""
        blocks: dict[int, list[Entrant]] = {}
        for one in entrants:
            if not one.by_auction:
                blocks.setdefault(self._block(one, clock), []).append(one)
        for together in blocks.values():
            latest = max((one.due for one in together), key=_place)
            for one in together:
                one.due = latest

    def _block(self, one: Entrant, clock: Clock) -> int:
        """Number of the block in whose time an entrant is ready, counted on from the last known one."""
        in_seconds = one.ready_s != one.due.timestamp_s
        known = clock.last_block_at(int(one.ready_s)) if in_seconds else block_of(one.due.key)
        return known + (round(one.ready_s * 1_000) - clock.time_of(known) * 1_000) // self.order.block_ms

    def present(self, race: Race, now: Moment) -> list[Entrant]:
        """Who is there, in the order of their transactions."""
        here = (one for one in race.entrants if _place(one.due) <= _place(now))
        return sorted(here, key=lambda one: self._turn(one, now))

    def _turn(self, one: Entrant, now: Moment) -> tuple[bool, bool, float, float, float]:
        """Place in the line. Whoever waits for something all wait for sends the moment it is there, the lane first."""
        ahead = not (one.by_auction and one.due == now)
        if self.order.policy is Ordering.PRIORITY_FEE:
            return ahead, False, -self.contestants[one.number].bid_bps, one.ready_s, one.coin
        waits = one.due != now
        behind = waits and self.contestants[one.number].name != self.order.lane
        return ahead, not waits, float(behind), one.ready_s, one.coin

    def bid_usd(self, one: Entrant, offer: Offer, now: Moment) -> float:
        """What an entrant pays to come first [USD]."""
        if self.order.policy is not Ordering.PRIORITY_FEE and not (one.by_auction and one.due == now):
            return 0.0
        return offer.bonus_usd * self.contestants[one.number].bid_bps / BPS

    def recaptured_usd(self, one: Entrant, bid_usd: float, now: Moment) -> float | None:
        """The protocol's part of a bid [USD]; None where no auction is held."""
        if self.auction is None:
            return None
        return bid_usd * self.auction.recapture_bps / BPS if one.by_auction and one.due == now else 0.0

    def tries_late(self, race: Race, now: Moment) -> bool:
        """Whether who arrives now at a position that is gone does not know that."""
        if race.closed is None or _place(now) <= _place(race.closed):
            return False
        return self.notice_s is None or now.timestamp_s - race.closed.timestamp_s <= self.notice_s

    def words(self) -> str:
        """The competition in a few sentences."""
        rules = [self.sizing.words()] if self.auction is None else [self.auction.words(), self.sizing.words()]
        if len(self.contestants) == 1 and not self.contestants[0].name:
            return " ".join(filter(None, (self.contestants[0].model.words(), *rules)))
        told = self._told_one_by_one() if len(self.contestants) <= MOST_TOLD else self._told_together()
        return " ".join(filter(None, (told, self._order_words(), self._late_words(), *rules)))

    def _told_one_by_one(self) -> str:
        several = (
            f"{len(self.contestants)} liquidators compete" if len(self.contestants) > 1 else "One liquidator works"
        )
        return f"{several}: {'; '.join(self._told(one) for one in self.contestants)}."

    def _told_together(self) -> str:
        return f"{len(self.contestants)} liquidators compete, each with a delay and a capital of its own."

    def _told(self, one: Contestant) -> str:
        share = f", bids {one.bid_bps / 100:g} % of the bonus" if one.bid_bps else ""
        if one.capital_base is None:
            money = "has money without end"
        else:
            back = f", back after {one.recycle_s} s" if one.recycle_s else ", back with the next block"
            money = f"has ${one.capital_base / 10**8:,.0f}{back}"
        when = one.model.words()
        return f"{one.name} {money}{share} ({when[:1].lower()}{when[1:].rstrip('.')})"

    def _order_words(self) -> str:
        if self.order.policy is Ordering.PRIORITY_FEE:
            return (
                f"Those who are ready within the same {self.order.block_ms:,} ms are ordered by bid, and bids are paid."
            )
        bids = self.auction is None and any(one.bid_bps for one in self.contestants)
        unpaid = " Bids buy nothing, and are not paid." if bids else ""
        if self.order.policy is Ordering.EXPRESS_LANE:
            return (
                f"First come, first served; {self.order.lane} holds the express lane, and all others come "
                f"{self.order.lane_delay_ms:,} ms later.{unpaid}"
            )
        return f"First come, first served.{unpaid}"

    def _late_words(self) -> str:
        if len(self.contestants) == 1:
            return ""
        who = "Whoever" if self.notice_s is None else f"Whoever comes within {self.notice_s} s"
        return f"{who} finds a position gone has paid for a failed attempt."


MOST_TOLD = 6
"""Contestants whom a sentence has room for."""


def endless(liquidator: Liquidator | Competition) -> bool:
    """Whether every liquidator has money without end."""
    return all(one.capital_base is None for one in Competition.of(liquidator).contestants)


def choosy(liquidator: Liquidator | Competition) -> bool:
    """Whether a liquidator leaves alone what does not pay."""
    return any(isinstance(one.model, Profitable) for one in Competition.of(liquidator).contestants)


def _place(moment: Moment) -> tuple[int, int]:
    return moment.key, moment.timestamp_s

"""What can go wrong between a rollup and L1 while the rollup goes on: the later clocks stop (DOMAIN §5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from l2liq.chains.clocks import Clocks, ClockTimes
from l2liq.chains.dated import Dated


@dataclass(frozen=True, slots=True)
class Stop:
    """A clock stands still in [``from_s``, ``to_s``) [s since 1970]; what was due then comes at ``to_s``."""

    from_s: int
    to_s: int

    def delayed(self, due_s: int) -> int:
        """When something comes that was due at a time."""
        return self.to_s if self.from_s <= due_s < self.to_s else due_s


@dataclass(frozen=True, slots=True)
class Challenge:
    """At ``at_s`` the state root is challenged; ``lasts_s`` later the challenge has failed, and roots settle again."""

    at_s: int
    lasts_s: int


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures of settlement; none = the clocks run as they do.

    Attributes
    ----------
    poster_stops : nothing is published
    prover_stops : nothing is settled
    challenges : whatever is published and not settled, and what follows it, waits until the challenge is over
    """

    poster_stops: tuple[Stop, ...] = field(default=())
    prover_stops: tuple[Stop, ...] = field(default=())
    challenges: tuple[Challenge, ...] = field(default=())

    def times(self, clocks: Dated[Clocks], executed_s: int) -> ClockTimes:
        """When a transaction executed at a time is published, final on L1 and settled, whatever fails."""
        found = clocks.at(executed_s)
        if found is None:
            return ClockTimes()
        published_s = executed_s + found.publication_s
        for stop in self.poster_stops:
            published_s = stop.delayed(published_s)
        settled_s = published_s + found.settlement_s
        for challenge in self.challenges:
            if settled_s > challenge.at_s:
                settled_s = max(settled_s, challenge.at_s + challenge.lasts_s)
        for stop in self.prover_stops:
            settled_s = stop.delayed(settled_s)
        return ClockTimes(published_s, published_s + found.l1_finality_s, settled_s)


NO_FAILURES = Failures()

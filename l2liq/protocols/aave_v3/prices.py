"""What price the market saw: the oracle's sources as a timeline of steps (DOMAIN §1.9, §6.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from l2liq.market import PRICE
from l2liq.oracles.feeds import Feeds
from l2liq.protocols.aave_v3.supplement import Supplement

NO_PRICE = 0
"""Value of a step from which on nothing is known, or the source's answer is not positive."""


def named_price(source: bytes) -> str:
    """Kind of the series, with asset -1, of a price that belongs to no reserve; e-modes may have one until 3.1."""
    return f"{PRICE}/0x{source.hex()}"


Emit = Callable[[bytes, int], None]
"""Takes (address the oracle is asked for, new price)."""


@dataclass
class Prices:
    """The oracles of a market and the price each address has now.

    Attributes
    ----------
    oracle : the oracle in force, empty before there is one
    sources : oracle to (address asked for to source)
    units : oracle to units of its base currency
    last : address to the price last emitted
    """

    feeds: Feeds
    oracle: bytes = b""
    sources: dict[bytes, dict[bytes, bytes]] = field(default_factory=dict)
    units: dict[bytes, int] = field(default_factory=dict)
    last: dict[bytes, int] = field(default_factory=dict)

    def _in_force(self) -> dict[bytes, bytes]:
        return self.sources.get(self.oracle, {})

    def use_oracle(self, oracle: bytes, emit: Emit) -> None:
        """The addresses provider names another oracle."""
        self.oracle = oracle
        self._refresh(set(self._in_force()) | set(self.last), emit)

    def set_source(self, oracle: bytes, asset: bytes, source: bytes, block: int, known: Supplement, emit: Emit) -> None:
        """An oracle gets a source for an address."""
        self.sources.setdefault(oracle, {})[asset] = source
        aggregator = known.aggregator(source, block)
        if aggregator is not None:
            self.feeds.aggregators.setdefault(source, aggregator)
        if self.feeds.current(source) is None:
            self._take(source, known.answer_before(source, block))
        if oracle == self.oracle:
            self._refresh([asset], emit)

    def confirm(self, source: bytes, aggregator: bytes, block: int, known: Supplement, emit: Emit) -> None:
        """A source moves to another aggregator."""
        self.feeds.aggregators[source] = aggregator
        if self.feeds.current(source) is None:
            self._take(source, known.answer_at(source, block))
        self._refresh([asset for asset, used in self._in_force().items() if used == source], emit)

    def heard(self, contract: bytes, emit: Emit) -> None:
        """A contract has a new answer."""
        answering = self.feeds.answering
        self._refresh([asset for asset, source in self._in_force().items() if answering(source) == contract], emit)

    def _take(self, source: bytes, answer: int | None) -> None:
        if answer is not None:
            self.feeds.answers[self.feeds.answering(source)] = answer

    def _refresh(self, assets: Iterable[bytes], emit: Emit) -> None:
        for asset in sorted(assets):
            source = self._in_force().get(asset)
            answer = self.feeds.current(source) if source is not None else None
            price = max(answer, NO_PRICE) if answer is not None else NO_PRICE
            if price != self.last.get(asset, NO_PRICE):
                self.last[asset] = price
                emit(asset, price)

    def to_json(self) -> dict[str, Any]:
        """For a snapshot, without the feeds."""
        return {
            "oracle": self.oracle.hex(),
            "sources": {o.hex(): {a.hex(): s.hex() for a, s in of.items()} for o, of in self.sources.items()},
            "units": {o.hex(): str(unit) for o, unit in self.units.items()},
            "last": {a.hex(): str(price) for a, price in self.last.items()},
        }

    @classmethod
    def from_json(cls, document: dict[str, Any], feeds: Feeds) -> Prices:
        """From a snapshot."""
        read = bytes.fromhex
        return cls(
            feeds,
            read(document["oracle"]),
            {read(o): {read(a): read(s) for a, s in of.items()} for o, of in document["sources"].items()},
            {read(o): int(unit) for o, unit in document["units"].items()},
            {read(a): int(price) for a, price in document["last"].items()},
        )

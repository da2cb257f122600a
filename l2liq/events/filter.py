"""Which logs a market needs: addresses, and for each the event topics, or all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

ALL_TOPICS: None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """What has to be looked at on a chain.

    Attributes
    ----------
    topics : mapping of address (20 bytes) to topic0 values (32 bytes each), or :data:`ALL_TOPICS`
    """

    topics: Mapping[bytes, frozenset[bytes] | None] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def addresses(self) -> frozenset[bytes]:
        return frozenset(self.topics)

    def union(self, other: Filter) -> Filter:
        """The filter that lets through what either lets through."""
        merged: dict[bytes, frozenset[bytes] | None] = dict(self.topics)
        for address, wanted in other.topics.items():
            if address not in merged:
                merged[address] = wanted
                continue
            known = merged[address]
            merged[address] = None if known is None or wanted is None else known | wanted
        return Filter(MappingProxyType(merged))

    def minus(self, covered: Filter) -> Filter:
        """What this filter lets through and ``covered`` does not."""
        rest: dict[bytes, frozenset[bytes] | None] = {}
        for address, wanted in self.topics.items():
            if address not in covered.topics:
                rest[address] = wanted
                continue
            known = covered.topics[address]
            if known is None:
                continue
            missing = None if wanted is None else wanted - known
            if missing is None or missing:
                rest[address] = missing
        return Filter(MappingProxyType(rest))

    def __bool__(self) -> bool:
        return bool(self.topics)

"""The logsBloom of a block header: 2,048 bits that every log of the block sets some of (Yellow Paper, 4.3.1)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from eth_utils.crypto import keccak

from l2liq.events.filter import Filter

BITS = 2048


@lru_cache(1 << 16)
def bits_of(value: bytes) -> int:
    """The three bits that an address or a topic sets, as an integer of :data:`BITS` bits."""
    digest = keccak(value)
    found = 0
    for start in (0, 2, 4):
        found |= 1 << (int.from_bytes(digest[start : start + 2], "big") & (BITS - 1))
    return found


def bloom_of(logs: Iterable[tuple[bytes, Iterable[bytes]]]) -> int:
    """The bloom of logs, each an address and its topics."""
    bloom = 0
    for address, topics in logs:
        bloom |= bits_of(address)
        for topic in topics:
            bloom |= bits_of(topic)
    return bloom


def may_hold(bloom: int, wanted: Filter) -> bool:
    """Whether a block with this bloom can hold a log that the filter lets through; False is certain."""
    for address, topics in wanted.topics.items():
        bits = bits_of(address)
        if bloom & bits != bits:
            continue
        if topics is None or any(bloom & (needed := bits_of(topic)) == needed for topic in topics):
            return True
    return False

"""Length of data after FastLZ compression, level 1, without the data: the OP stack's measure of a transaction's size.

The format knows runs of up to 32 literal bytes, one byte of control before each, and references of two bytes (three
from nine bytes on) to what stood up to 8,191 bytes before. Which references are found is part of the consensus: the
last place of each hash of three bytes is remembered, and only that place is tried.

Source: op-geth core/types/rollup_cost.go, FlzCompressLen; the reference is ariya/FastLZ 344eb40, fastlz1_compress.
"""

from __future__ import annotations

_TAIL = 13
"""Bytes at the end that are never the start of a reference."""

_WINDOW = 0x1FFF
_PIECE = 262
"""Longest stretch that one reference covers."""

_RUN = 32


def compressed_length(data: bytes) -> int:
    """Bytes that ``data`` would have, compressed."""
    limit = max(len(data) - _TAIL, 0)
    last_at: dict[int, int] = {}
    length, anchor, at = 0, 0, 2
    while at < limit:
        found = _next_reference(data, at, limit, last_at)
        if found is None:
            break
        at, target = found
        length += literals_length(at - anchor)
        matched = _matched(data, target + 3, at + 3, limit + 9)
        length += _reference_length(matched)
        at += matched
        for _ in range(2):
            last_at[_hash(data, at)] = at
            at += 1
        anchor = at
    return length + literals_length(len(data) - anchor)


def literals_length(count: int) -> int:
    """Bytes that so many literals need, also what data without any repetition comes to."""
    runs, rest = divmod(count, _RUN)
    return (_RUN + 1) * runs + (rest + 1 if rest else 0)


def _next_reference(data: bytes, at: int, limit: int, last_at: dict[int, int]) -> tuple[int, int] | None:
    """First place from ``at`` on whose three bytes stood before, and where; None where the limit comes first."""
    while at < limit:
        slot = _hash(data, at)
        target = last_at.get(slot, 0)
        last_at[slot] = at
        if at - target <= _WINDOW and data[at : at + 3] == data[target : target + 3]:
            # The reference stops one place short of the limit, as it looks at the limit after stepping on.
            return (at, target) if at + 1 < limit else None
        at += 1
    return None


def _matched(data: bytes, one: int, other: int, stop: int) -> int:
    """Bytes looked at until both places differ; the one that differs counts, as the original counts it."""
    count = 0
    while other + count < stop:
        count += 1
        if data[one + count - 1] != data[other + count - 1]:
            break
    return count


def _reference_length(matched: int) -> int:
    pieces, rest = divmod(matched - 1, _PIECE)
    return 3 * pieces + (3 if rest >= 6 else 2)


def _hash(data: bytes, at: int) -> int:
    three = int.from_bytes(data[at : at + 3], "little")
    return (2654435769 * three & 0xFFFFFFFF) >> 19 & 0x1FFF

"""Random numbers that stay where they are when something else changes (DESIGN §2).

A draw belongs to (seed, account, purpose, ordinal within a calendar day) and to nothing else. So control and
alternative share draws, and a small change of a parameter moves few of them.
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b

BUCKET_S = 86_400


def uniform(seed: int, account: bytes, purpose: str, bucket: int, ordinal: int) -> float:
    """Uniform in [0, 1) with 53 random bits; ``account``: its address, ``bucket``: day since 1970."""
    text = b"|".join((b"%d" % seed, account.hex().encode(), purpose.encode(), b"%d" % bucket, b"%d" % ordinal))
    return (int.from_bytes(blake2b(text, digest_size=8).digest(), "big") >> 11) / 2.0**53


class Draws:
    """The draws of one world: counts ordinals."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._used: Counter[tuple[bytes, str, int]] = Counter()

    def next(self, account: bytes, purpose: str, timestamp_s: int) -> float:
        """The next draw of an account for a purpose on the day of ``timestamp_s``."""
        place = (account, purpose, timestamp_s // BUCKET_S)
        ordinal = self._used[place]
        self._used[place] += 1
        return uniform(self._seed, *place, ordinal)

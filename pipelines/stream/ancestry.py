"""The hashes of the blocks that came of a market, and of their parents: by the thousand, or one by one."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint8]
Known = tuple[bytes, bytes]
"""Hash of a block, hash of its parent."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """Blocks in rising order.

    Attributes
    ----------
    numbers : of the blocks; shape (n,)
    hashes, parents : of each block and of the block before it; shape (n, 32)
    """

    numbers: Numbers
    hashes: Hashes = field(repr=False)
    parents: Hashes = field(repr=False)

    def between(self, start: int, stop: int) -> Hashed:
        """The blocks [start, stop)."""
        first, last = self.numbers.searchsorted([start, stop])
        return Hashed(self.numbers[first:last], self.hashes[first:last], self.parents[first:last])

    @property
    def follow(self) -> bool:
        """Whether the numbers rise, and each block that is next to another is its child."""
        steps = np.diff(self.numbers)
        strangers = (self.parents[1:].view(np.uint64) != self.hashes[:-1].view(np.uint64)).any(axis=1)
        return bool((steps > 0).all() and not (strangers & (steps == 1)).any())


class Ancestry:
    """What is known of which block. No two blocks of one number are."""

    def __init__(self) -> None:
        self._runs: list[tuple[int, int, Hashed]] = []  # first and last number, each run behind the one before
        self._single: dict[int, Known] = {}

    @property
    def last(self) -> int:
        """The highest number known, -1 for none."""
        return max(self._runs[-1][1] if self._runs else -1, max(self._single, default=-1))

    def get(self, number: int) -> Known | None:
        """Hash and parent's hash of a block, None where it is not known."""
        for first, last, run in self._runs:
            if first <= number <= last:
                at = int(run.numbers.searchsorted(number))
                if run.numbers[at] == number:
                    return run.hashes[at].tobytes(), run.parents[at].tobytes()
        return self._single.get(number)

    def put(self, number: int, known: Known) -> None:
        """Know one block more."""
        self._single[number] = known

    def extend(self, blocks: Hashed) -> bool:
        """Know blocks behind all others; False, having done nothing, where they are not, or do not follow by hash."""
        if not len(blocks.numbers):
            return True
        first, last = int(blocks.numbers[0]), int(blocks.numbers[-1])
        before = self.get(first - 1)
        if first <= self.last or (before and before[0] != blocks.parents[0].tobytes()) or not blocks.follow:
            return False
        self._runs.append((first, last, blocks))
        return True

    def keep(self, start: int = 0, stop: int = sys.maxsize) -> None:
        """Forget all blocks that are not in [start, stop)."""
        runs = (run.between(start, stop) for _, _, run in self._runs)
        self._runs = [(int(run.numbers[0]), int(run.numbers[-1]), run) for run in runs if len(run.numbers)]
        self._single = {number: known for number, known in self._single.items() if start <= number < stop}

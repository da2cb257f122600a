"""Which blocks a topic was told of, by hash: where a follower goes on, and how far back a reorganisation reaches."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from l2liq.errors import MessageError
from pipelines.stream.broker import Inlet
from pipelines.stream.messages import Message, Retract, Scanned, decode, is_mark

FIRST_LOOK_BACK = 1_000


class Marks:
    """Hashes of blocks at which something was told, back to the last final one.

    Attributes
    ----------
    final_to : last block that was told to be final
    filter_id : filter of the last :class:`Scanned`, None before any
    """

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._hashes: dict[int, bytes] = {}
        self.final_to = -1
        self.filter_id: bytes | None = None

    @property
    def newest(self) -> int | None:
        """The last block that was told of."""
        return self._numbers[-1] if self._numbers else None

    @property
    def lowest(self) -> int | None:
        """The first block that is remembered."""
        return self._numbers[0] if self._numbers else None

    @property
    def reaches_finality(self) -> bool:
        """Whether a final block is among them."""
        return bool(self._numbers) and self._numbers[0] <= self.final_to

    def add(self, number: int, block_hash: bytes) -> None:
        """Remember a block."""
        if number not in self._hashes:
            insort(self._numbers, number)
        self._hashes[number] = block_hash

    def scanned(self, told: Scanned) -> None:
        """Remember the last block of what was told; forget what is behind the last final one."""
        self.add(told.last.number, told.last.hash)
        self.filter_id = told.filter_id
        self.final_to = max(self.final_to, told.final_to)
        needless = max(0, bisect_right(self._numbers, self.final_to) - 1)
        for number in self._numbers[:needless]:
            del self._hashes[number]
        del self._numbers[:needless]

    def retract(self, block: int) -> None:
        """Forget everything from a block on."""
        keep = bisect_left(self._numbers, block)
        for number in self._numbers[keep:]:
            del self._hashes[number]
        del self._numbers[keep:]

    def take(self, message: Message) -> None:
        """Learn from what was told."""
        if isinstance(message, Scanned):
            self.scanned(message)
        elif isinstance(message, Retract):
            self.retract(message.from_block)
            if message.from_block:
                self.add(message.from_block - 1, message.new_parent)

    def descending(self, latest: int) -> Iterator[int]:
        """Blocks up to ``latest``, the newest first."""
        return reversed(self._numbers[: bisect_right(self._numbers, latest)])

    def newest_until(self, latest: int) -> int | None:
        """The last block that was told of, among those up to ``latest``."""
        return next(self.descending(latest), None)

    def hash_of(self, number: int) -> bytes | None:
        """The hash that was told, None for a block that is not remembered."""
        return self._hashes.get(number)


def last_marks(inlet: Inlet, market: str, chain_id: int) -> Marks:
    """What the end of a partition says of a market, read back as far as a final block, or as far as there is."""
    begin, end = inlet.bounds()
    back = FIRST_LOOK_BACK
    while True:
        start = max(begin, end - back)
        marks = Marks()
        for record in inlet.between(start, end):
            if record.key == market.encode() and is_mark(record.value):
                try:
                    marks.take(decode(record.value, record.headers, market, chain_id))
                except MessageError:  # the sink judges it; nothing rests on a mark that cannot be read
                    continue
        if marks.reaches_finality or start == begin:
            return marks
        back *= 4

"""How records become what an assembly holds: together where they simply go on, one by one where they do not."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import compress
from operator import attrgetter, not_
from typing import Protocol

from l2liq.errors import LogError, MessageError
from pipelines.stream.assembly import Assembly
from pipelines.stream.broker import Record
from pipelines.stream.columns import blocks_of
from pipelines.stream.messages import Block, Message, Scanned, are_blocks, decode, encode

MOST_BYTES = 1 << 28
"""Of records taken in at once: data of one table of logs is counted in 31 bits, and what is packed may be far more."""
_VALUE = attrgetter("value")


class Refuse(Protocol):
    """Who is told of a record that cannot be used."""

    def __call__(self, offset: int, error: LogError, block: int | None, content: bytes) -> None:
        """``block`` is None where the record does not say what it is about."""


class Intake:
    """Takes records of one market into an assembly; every method tells how many logs it took in."""

    def __init__(self, assembly: Assembly, market: str, chain_id: int, refuse: Refuse) -> None:
        self._assembly, self._market, self._chain_id, self._refuse = assembly, market, chain_id, refuse

    def take(self, records: Sequence[Record]) -> int:
        """Take in the market's own among records that follow each other; a partition holds several markets."""
        key = self._market.encode()
        mine = [one for one in records if one.key == key]
        half = len(mine) // 2
        if half and sum(map(len, filter(None, map(_VALUE, mine)))) > MOST_BYTES:
            return self.take(mine[:half]) + self.take(mine[half:])
        together = self.take_together(mine)
        return self.take_each(mine) if together is None else together

    def take_together(self, records: Sequence[Record]) -> int | None:
        """Take in records that simply go on from what came; None, having done nothing, where any of them does not."""
        kinds = are_blocks(map(_VALUE, records))
        blocks = list(compress(records, kinds))
        try:
            marks = [(one, self._decoded(one)) for one in compress(records, map(not_, kinds))]
        except LogError:
            return None
        found = blocks_of(blocks, self._market, self._chain_id)
        if found is None:
            return None
        offsets, numbers = [one.offset for one in blocks], found.headers.numbers
        places = [bisect(offsets, record.offset) for record, _ in marks]
        for (_, mark), place in zip(marks, places, strict=True):
            if not isinstance(mark, Scanned) or (place < len(offsets) and numbers[place] <= mark.last.number):
                return None
        if not self._assembly.take_blocks(found):
            return None
        start = 0
        for (record, mark), place in zip(marks, places, strict=True):
            self._assembly.expect(offsets[start:place], numbers[start:place])
            self._take(record, mark)
            start = place
        self._assembly.expect(offsets[start:], numbers[start:])
        return found.logs.num_rows

    def take_each(self, records: Sequence[Record]) -> int:
        """Take in records one by one; what cannot be used is refused."""
        logs = 0
        for record in records:
            try:
                message = self._decoded(record)
            except LogError as error:
                self._refuse(record.offset, error, None, record.value or b"")
            else:
                logs += self._take(record, message)
        for block, offset, why in self._assembly.unpack():
            number = block.header.number
            self._refuse(offset, MessageError(f"block {number:,}: {why}"), number, encode(block)[0])
        return logs

    def _take(self, record: Record, message: Message) -> int:
        try:
            self._assembly.take(message, record.offset)
        except LogError as error:
            block = message.header.number if isinstance(message, Block) else None
            self._refuse(record.offset, error, block, record.value or b"")
            return 0
        return message.logs.rows if isinstance(message, Block) else 0

    def _decoded(self, record: Record) -> Message:
        return decode(record.value, record.headers, self._market, self._chain_id)

"""Coverage: which blocks were looked at for which addresses. It is blocks × filter (DESIGN §7)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from l2liq.errors import GapError
from l2liq.events.filter import Filter
from l2liq.lake.datasets import Linkage, Span, Status
from l2liq.lake.segments import Segment

ANY = frozenset(Status)
SEALED = frozenset({Status.SEALED})


@dataclass(frozen=True, slots=True)
class Gap:
    """Blocks that were not looked at for what ``missing`` lets through."""

    span: Span
    missing: Filter = field(repr=False)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the lake holds of one market's logs.

    Attributes
    ----------
    slug : the market
    segments : its segments of logs, sealed first, then by blocks
    cell_blocks : size of a cell of its chain, None where the lake does not know the chain yet
    """

    slug: str
    segments: tuple[Segment, ...] = field(repr=False)
    cell_blocks: int | None = None

    @property
    def span(self) -> Span | None:
        """From the first to the last block that is covered by anything; None for an empty market."""
        if not self.segments:
            return None
        return Span(min(one.span.start for one in self.segments), max(one.span.stop for one in self.segments))

    @property
    def sealed_until(self) -> int | None:
        """First block behind everything that is sealed; None where nothing is."""
        return max((one.span.stop for one in self.segments if one.status is Status.SEALED), default=None)

    def covered(self, span: Span, status: Collection[Status] = ANY) -> Filter:
        """What was looked at in every block of ``span``."""
        pieces = self._pieces(span, status)
        common = _union(pieces[0][1])
        for _, filters in pieces[1:]:
            union = _union(filters)
            common = union.minus(union.minus(common))
        return common

    def gaps(self, span: Span, wanted: Filter, status: Collection[Status] = ANY) -> list[Gap]:
        """Where ``wanted`` was not looked at, in order of blocks; ``status`` says what counts as looked at."""
        found: list[Gap] = []
        for piece, filters in self._pieces(span, status):
            missing = wanted
            for known in filters:
                missing = missing.minus(known)
            if not missing:
                continue
            if found and found[-1].span.stop == piece.start and found[-1].missing.topics == missing.topics:
                piece = Span(found.pop().span.start, piece.stop)
            found.append(Gap(piece, missing))
        return found

    def require(self, span: Span, wanted: Filter, *, market: str | None = None) -> None:
        """Raise GapError naming blocks and addresses unless ``wanted`` was looked at in all of ``span``."""
        gaps = self.gaps(span, wanted)
        if not gaps:
            return
        first, more = gaps[0], len(gaps) - 1
        addresses = sorted("0x" + address.hex() for address in first.missing.addresses)
        shown = ", ".join(addresses[:3]) + (f" and {len(addresses) - 3} more" if len(addresses) > 3 else "")
        blocks = sum(gap.span.stop - gap.span.start for gap in gaps)
        cells = f" ({-(-blocks // self.cell_blocks):,} cells)" if self.cell_blocks else ""
        elsewhere = f" and {more} more ranges up to block {gaps[-1].span.stop - 1:,}{cells}" if more else cells
        raise GapError(
            f"logs/{self.slug}: {first.span} are missing for {shown}{elsewhere}. Fetch them with "
            f"`l2liq ingest https://… --market {market or self.slug} "
            f"--from-block {first.span.start} --to-block {gaps[-1].span.stop}`."
        )

    def marks(self, span: Span) -> tuple[str, ...]:
        """What a result over ``span`` has to be flagged with: ``tail``, ``as_found``, ``unverified``; () = nothing."""
        touched = [one for one in self.segments if one.span.intersection(span)]
        marks = {one.status.value for one in touched if one.status is not Status.SEALED}
        marks |= {Linkage.UNVERIFIED.value for one in touched if one.linkage is Linkage.UNVERIFIED}
        return tuple(sorted(marks))

    def _pieces(self, span: Span, status: Collection[Status]) -> list[tuple[Span, Sequence[Filter]]]:
        """``span`` cut wherever a segment begins or ends, each piece with the filters that cover it."""
        touching = sorted(
            (one for one in self.segments if one.status in status and one.span.intersection(span)), key=_start
        )
        borders = {span.start, span.stop}
        for one in touching:
            borders |= {max(one.span.start, span.start), min(one.span.stop, span.stop)}
        edges = sorted(borders)
        pieces: list[tuple[Span, Sequence[Filter]]] = []
        active: list[Segment] = []
        following = iter(touching)
        upcoming = next(following, None)
        for start, stop in pairwise(edges):
            active = [one for one in active if one.span.stop > start]
            while upcoming is not None and upcoming.span.start <= start:
                active.append(upcoming)
                upcoming = next(following, None)
            pieces.append((Span(start, stop), [one.filter for one in active if one.filter is not None]))
        return pieces


def _start(segment: Segment) -> int:
    return segment.span.start


def _union(filters: Sequence[Filter]) -> Filter:
    union = Filter()
    for one in filters:
        union = union.union(one)
    return union

"""The state of a lake, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from l2liq.lake.coverage import Coverage
from l2liq.lake.datasets import Linkage, Status
from l2liq.lake.quarantining import Quarantined
from l2liq.lake.runs import Run

FOLDERS = ("logs", "blocks", "receipts", "observations", "tail", "cache", "runs", "quarantine")


@dataclass(frozen=True, slots=True)
class MarketStatus:
    """What the lake holds of one market.

    Attributes
    ----------
    first_block, last_block : sealed blocks, from the first to the last; None where nothing is sealed
    holes : ranges of blocks between them, [start, stop), at which no sealed segment looked
    tail_blocks : blocks in the tail, not final yet
    problem : why the market cannot be read, None where it can
    """

    market: str
    first_block: int | None = None
    last_block: int | None = None
    holes: tuple[tuple[int, int], ...] = ()
    segments: int = 0
    logs: int = 0
    addresses: int = 0
    unverified_segments: int = 0
    tail_blocks: int = 0
    tail_logs: int = 0
    as_found_logs: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class LakeStatus:
    """The state of a lake.

    ``bytes_on_disk``: per folder of the lake; ``streams``: what each sink last said; ``broken_runs``: folder and why.
    """

    name: str
    markets: tuple[MarketStatus, ...]
    quarantined: tuple[Quarantined, ...]
    bytes_on_disk: dict[str, int]
    last_run: Run | None
    streams: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    broken_runs: tuple[tuple[Path, str], ...] = ()

    @property
    def sound(self) -> bool:
        """Whether everything in it can be read."""
        return not self.broken_runs and not any(market.problem for market in self.markets)


def market_status(coverage: Coverage) -> MarketStatus:
    """The state of a market that can be read."""
    sealed = [one for one in coverage.segments if one.status is Status.SEALED]
    tail = [one for one in coverage.segments if one.status is Status.TAIL]
    known = {address for one in sealed if one.filter is not None for address in one.filter.addresses}
    return MarketStatus(
        market=coverage.slug,
        first_block=min((one.span.start for one in sealed), default=None),
        last_block=max((one.span.stop - 1 for one in sealed), default=None),
        holes=tuple(_holes(coverage)),
        segments=len(sealed),
        logs=sum(one.rows for one in sealed),
        addresses=len(known),
        unverified_segments=sum(one.linkage is Linkage.UNVERIFIED for one in sealed),
        tail_blocks=sum(one.span.stop - one.span.start for one in tail),
        tail_logs=sum(one.rows for one in tail),
        as_found_logs=sum(one.rows for one in coverage.segments if one.status is Status.AS_FOUND),
    )


def _holes(coverage: Coverage) -> list[tuple[int, int]]:
    holes: list[tuple[int, int]] = []
    reached: int | None = None
    for one in sorted(one.span for one in coverage.segments if one.status is Status.SEALED):
        if reached is not None and one.start > reached:
            holes.append((reached, one.start))
        reached = one.stop if reached is None else max(reached, one.stop)
    return holes

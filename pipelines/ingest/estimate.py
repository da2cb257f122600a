"""What an ingest would cost, from a few probes: calls, time, size."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from l2liq.chains.markets import Listing
from l2liq.errors import InputError
from l2liq.events.filter import ALL_TOPICS, Filter
from l2liq.lake import Grid, Span
from pipelines.ingest.node_job import Wish, first_block
from pipelines.ingest.outcome import duration
from pipelines.sources.node import Node
from pipelines.status import size

PROBES = 5
PROBE_BLOCKS = 2_000
TOKEN_LOGS_PER_ENTRY_LOG = 2.5
"""Logs of tokens and feeds per log of the entry contracts, roughly: probes cannot know the tokens yet."""
BYTES_PER_LOG = 110
"""On disk, compressed; roughly, from recorded markets."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an ingest would cost; everything but ``blocks`` and ``cells`` is rough.

    Attributes
    ----------
    first_block, last_block, blocks, cells : what would be looked at
    calls : requests to the node
    seconds : at the pace of the probes [s]
    logs : rows
    size_bytes : on disk
    """

    market: str
    first_block: int
    last_block: int
    blocks: int
    cells: int
    calls: int
    seconds: float
    logs: int
    size_bytes: int

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return asdict(self)

    def sentences(self) -> list[str]:
        """For people."""
        span, disk = f"{self.first_block:,}–{self.last_block:,}", size(self.size_bytes)
        return [
            f"{self.market}: blocks {span} ({self.blocks:,} blocks, {self.cells:,} cells).",
            f"About {self.calls:,} calls, {duration(self.seconds)}, {self.logs:,} logs, {disk} on disk.",
            f"Estimated from {PROBES} probes; nothing was written.",
        ]


def estimate(listing: Listing, node: Node, wish: Wish) -> Estimate:
    """Probe a node at a few places between the market's first block and the head."""
    node.check_chain()
    deployment, grid = listing.deployment, Grid(listing.chain.cell_blocks)
    latest = node.latest()
    first = first_block(deployment, node, latest)
    start = grid.cell_of(max(first, wish.from_block or 0)).start
    stop = min(latest + 1, wish.to_block or latest + 1)
    if stop <= start:
        raise InputError(
            f"{deployment.name}: blocks {start:,} to {stop - 1:,} are no range. Choose a later --to-block."
        )
    logs, seen, seconds = _probe(node, Filter(dict.fromkeys(deployment.addresses.values(), ALL_TOPICS)), start, stop)
    cells = -(-(stop - start) // grid.cell_blocks)
    per_cell = node.requests_for(grid.cell_of(start), Filter({b"": ALL_TOPICS, b"\1": frozenset({b""})}))
    checks = grid.cell_blocks if wish.checks is None else wish.checks
    calls = cells * (per_cell + checks + 2 + (checks > 0))
    rows = round(logs / seen * (stop - start) * (1 + TOKEN_LOGS_PER_ENTRY_LOG))
    pace = seconds / node.rpc.manners.concurrency
    return Estimate(
        deployment.name, start, stop - 1, stop - start, cells, calls, calls * pace, rows, rows * BYTES_PER_LOG
    )


def _probe(node: Node, wanted: Filter, start: int, stop: int) -> tuple[int, int, float]:
    """Logs found, blocks looked at, and seconds per call."""
    logs = seen = 0
    calls, begun = node.rpc.calls, time.monotonic()
    for index in range(PROBES):
        first = start + (stop - start) * index // PROBES
        span = Span(first, min(first + PROBE_BLOCKS, stop))
        logs += node.logs(span, wanted).num_rows
        seen += span.stop - span.start
    return logs, seen, (time.monotonic() - begun) / max(node.rpc.calls - calls, 1)

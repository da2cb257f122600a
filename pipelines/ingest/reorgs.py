"""Is what the lake holds still the node's history? The headers it sealed tell."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import pyarrow as pa

from l2liq.errors import ReorgError, SourceError
from l2liq.lake import BLOCK_DATA, Lake, Span, Writer
from pipelines.sources.node import Node


def unseal_orphans(lake: Lake, writer: Writer, slug: str, node: Node) -> list[str]:
    """Move what the chain has abandoned to quarantine; returns the names of the files, empty as a rule.

    Raises SourceError where the node does not reach as far as the lake, but agrees with it.
    """
    sealed_until = lake.coverage(slug).sealed_until
    if sealed_until is None:
        return []
    held = _hashes(lake.read(BLOCK_DATA, slug, Span(0, sealed_until)))
    numbers = sorted(held)
    latest = node.latest()
    reached = numbers[: bisect_right(numbers, latest)]
    if reached and _agrees(node, reached[-1], held):
        agreeing = len(reached)
    else:
        agreeing = bisect_left(reached, True, key=lambda number: not _agrees(node, number, held))
    if agreeing == len(numbers):
        return []
    orphan = numbers[agreeing]
    if agreeing == len(reached):
        raise SourceError(
            f"{node.label}: the node is at block {latest:,}, the lake holds blocks until {sealed_until - 1:,}. "
            f"Wait until the node has caught up, or use another one."
        )
    reason = ReorgError(
        f"block {orphan:,} is 0x{held[orphan].hex()} here, but {node.label} has another block there: "
        f"the chain was reorganised"
    )
    return writer.unseal_from(orphan, reason=reason)


def _hashes(blocks: pa.Table) -> dict[int, bytes]:
    pairs = zip(blocks.column("number").to_pylist(), blocks.column("hash").to_pylist(), strict=True)
    return {number: block_hash for number, block_hash in pairs if block_hash is not None}


def _agrees(node: Node, number: int, held: dict[int, bytes]) -> bool:
    """Whether the node has the block that the lake has; a difference is read twice before it counts."""
    return any(node.headers([number])[number].hash == held[number] for _ in range(2))

"""Whether a node gave every log: headers against logs, by hash and by logsBloom.

A header's bloom has the bits of every log of its block. Where it may hold a wanted log that did not come, the block's
whole list of logs is fetched: if its bloom has every bit of the header's, the list is complete and judges the range.
A bloom of zeros (some chains compute none) proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.errors import ReorgError, SourceError
from l2liq.events.filter import Filter
from l2liq.lake import Span
from pipelines.sources.bloom import bloom_of, may_hold
from pipelines.sources.node import Header, Node


@dataclass(frozen=True, slots=True)
class Proof:
    """What was checked of one cell.

    Attributes
    ----------
    headers : blocks whose header was compared
    settled : blocks whose whole list of logs was compared
    open : blocks that a bloom leaves open and that were not settled
    """

    headers: int
    settled: int
    open: int


def check_hashes(logs: pa.Table, headers: Mapping[int, Header], label: str) -> None:
    """ReorgError where a log names another block hash than the header of its block."""
    pairs = set(zip(logs.column("block_number").to_pylist(), logs.column("block_hash").to_pylist(), strict=True))
    for number, block_hash in sorted(pairs, key=lambda pair: pair[0]):
        header = headers.get(number)
        if header is not None and block_hash is not None and header.hash != block_hash:
            raise ReorgError(
                f"{label}: logs of block {number:,} are of 0x{block_hash.hex()}, its header is 0x{header.hash.hex()}: "
                f"the chain was reorganised meanwhile, or the node has two histories. Run the same command again."
            )


def check_completeness(node: Node, logs: pa.Table, wanted: Filter, headers: Mapping[int, Header], most: int) -> Proof:
    """Compare what came with the blooms of ``headers``; SourceError naming the block where a log was kept back.

    At most ``most`` blocks are settled by fetching their whole list of logs.
    """
    counts: dict[int, int] = {}
    for number in logs.column("block_number").to_pylist():
        counts[number] = counts.get(number, 0) + 1
    silent = [one for number, one in sorted(headers.items()) if number not in counts and may_hold(one.bloom, wanted)]
    speaking = [one for number, one in sorted(headers.items()) if number in counts and one.bloom]
    suspects = silent + speaking
    settled = suspects[:most]
    with ThreadPoolExecutor(node.rpc.manners.concurrency) as pool:
        for _ in pool.map(lambda one: _settle(node, one, wanted, counts.get(one.number, 0)), settled):
            pass
    return Proof(len(headers), len(settled), len(suspects) - len(settled))


def check_linkage(headers: Mapping[int, Header], label: str) -> None:
    """ReorgError where neighbouring headers do not follow each other by hash."""
    for number, header in headers.items():
        before = headers.get(number - 1)
        if before is not None and header.parent_hash != before.hash:
            raise ReorgError(
                f"{label}: block {number:,} does not follow block {number - 1:,} by hash: the chain was reorganised "
                f"meanwhile, or the node has two histories. Run the same command again."
            )


def check_chain(blocks: pa.Table, label: str) -> None:
    """ReorgError where neighbouring blocks (schema BLOCKS, in order) do not follow each other by the hashes known."""
    earlier, later = blocks.slice(0, max(blocks.num_rows - 1, 0)), blocks.slice(1)
    neighbours = np.diff(blocks.column("number").to_numpy()) == 1
    other = pc.fill_null(pc.not_equal(later.column("parent_hash"), earlier.column("hash")), False).to_numpy()
    if (neighbours & other).any():
        block = later.column("number")[int(np.flatnonzero(neighbours & other)[0])].as_py()
        raise ReorgError(
            f"{label}: block {block:,} does not follow block {block - 1:,} by hash. Take both from one history."
        )


def check_blocks(logs: pa.Table, blocks: pa.Table, label: str) -> None:
    """ReorgError where a log names another block hash than a table of blocks (schema BLOCKS, in order) does."""
    if not blocks.num_rows:
        return
    numbers, known = logs.column("block_number").to_numpy(), blocks.column("number").to_numpy()
    place = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    other = pc.fill_null(pc.not_equal(logs.column("block_hash"), blocks.column("hash").take(pa.array(place))), False)
    wrong = np.flatnonzero((known[place] == numbers) & other.to_numpy())
    if len(wrong):
        raise ReorgError(
            f"{label}: logs of block {numbers[wrong[0]]:,} name another hash than the block itself has. Take both from "
            f"one history."
        )


def samples(span: Span, most: int) -> list[int]:
    """At most ``most`` blocks of a span at equal distances, both ends among them; the same for the same span."""
    length = span.stop - span.start
    if length <= most:
        return list(range(span.start, span.stop))
    return sorted({span.start + index * (length - 1) // (most - 1) for index in range(most)}) if most > 1 else []


def _settle(node: Node, header: Header, wanted: Filter, received: int) -> None:
    """Compare one block with the node's list of all its logs."""
    found = node.block_logs(header.hash)
    place = f"{node.label}: block {header.number:,}"
    if header.bloom & ~bloom_of(found):
        raise SourceError(
            f"{place}: the node does not give all of its logs (the header's bloom has more). Use another node."
        )
    expected = sum(_passes(wanted, address, topics) for address, topics in found)
    if expected != received:
        raise SourceError(
            f"{place}: {received} logs came for the range, but the block has {expected}: the node leaves logs out. "
            f"Nothing of this cell was sealed. Use another node."
        )


def _passes(wanted: Filter, address: bytes, topics: tuple[bytes, ...]) -> bool:
    if address not in wanted.topics:
        return False
    known = wanted.topics[address]
    return known is None or (bool(topics) and topics[0] in known)

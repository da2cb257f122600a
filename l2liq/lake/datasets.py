"""What a lake holds of the chain: five datasets, each one table per market, cut into segments by block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from l2liq.errors import InputError
from l2liq.events.log import BLOCKS, LOGS

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""What may name a market in a path."""

RECEIPTS = pa.schema(
    [
        pa.field("block_number", pa.int64(), nullable=False),
        pa.field("transaction_index", pa.int32(), nullable=False),
        pa.field("transaction_hash", pa.binary(32), nullable=False),
        pa.field("sender", pa.binary(20), nullable=False),
        pa.field("recipient", pa.binary(20)),
        pa.field("gas_used", pa.int64(), nullable=False),
        pa.field("gas_price_wei", pa.int64(), nullable=False),
        pa.field("l1_gas_used", pa.int64()),
        pa.field("l1_gas_price_wei", pa.int64()),
        pa.field("l1_fee_wei", pa.int64()),
    ]
)
"""What transactions cost. ``gas_price_wei`` is the effective price; ``l1_`` columns are null where there is none."""

OBSERVATIONS = pa.schema(
    [
        pa.field("block_number", pa.int64(), nullable=False),
        pa.field("target", pa.binary(20), nullable=False),
        pa.field("call", pa.string(), nullable=False),
        pa.field("arguments", pa.binary(), nullable=False),
        pa.field("answer", pa.binary(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
    ]
)
"""Answers that logs do not hold. ``call`` is a signature such as ``getGracePeriod()(uint256)``; ``arguments`` and
``answer`` are ABI-encoded without the selector; ``source`` says who answered (``rpc``, ``given``, ``prices.csv``)."""


INPUTS = pa.schema(
    [
        pa.field("block_number", pa.int64(), nullable=False),
        pa.field("transaction_index", pa.int32(), nullable=False),
        pa.field("transaction_hash", pa.binary(32), nullable=False),
        pa.field("sender", pa.binary(20), nullable=False),
        pa.field("recipient", pa.binary(20)),
        pa.field("input", pa.binary(), nullable=False),
    ]
)
"""What transactions asked for: ``recipient`` is null where they create a contract, ``input`` is their calldata."""


class Status(StrEnum):
    """How far a segment can be relied on, most first."""

    SEALED = "sealed"
    TAIL = "tail"
    AS_FOUND = "as_found"


class Linkage(StrEnum):
    """Whether the blocks of a segment were checked to follow each other by hash."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class Dataset:
    """One kind of table.

    Attributes
    ----------
    name : its folder
    key : columns that identify a row and order the table; the first is the block number
    may_lack : columns that a source may not know; a null agrees with any value
    free : columns in which two readings of one row may differ
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    may_lack: tuple[str, ...] = ()
    free: tuple[str, ...] = ()

    @property
    def block(self) -> str:
        return self.key[0]


LOG_DATA = Dataset("logs", LOGS, ("block_number", "log_index"), may_lack=("block_hash",))
BLOCK_DATA = Dataset("blocks", BLOCKS, ("number",), may_lack=("hash", "parent_hash", "base_fee_wei"))
RECEIPT_DATA = Dataset(
    "receipts",
    RECEIPTS,
    ("block_number", "transaction_index"),
    may_lack=("l1_gas_used", "l1_gas_price_wei", "l1_fee_wei"),
)
OBSERVATION_DATA = Dataset(
    "observations", OBSERVATIONS, ("block_number", "target", "call", "arguments"), free=("source",)
)

INPUT_DATA = Dataset("inputs", INPUTS, ("block_number", "transaction_index"))

DATASETS = (LOG_DATA, BLOCK_DATA, RECEIPT_DATA, OBSERVATION_DATA, INPUT_DATA)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The blocks [start, stop)."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop < 10**12:
            raise InputError(f"blocks {self.start} to {self.stop} are no range. Give a first block below the end.")

    @property
    def name(self) -> str:
        """First and last block, as in file names."""
        return f"{self.start:012d}-{self.stop - 1:012d}"

    def intersection(self, other: Span) -> Span | None:
        """The blocks of both, None where there are none."""
        start, stop = max(self.start, other.start), min(self.stop, other.stop)
        return Span(start, stop) if start < stop else None

    def __str__(self) -> str:
        return f"blocks {self.start:,}–{self.stop - 1:,}"


@dataclass(frozen=True, slots=True)
class Grid:
    """The fixed cells [k·n, (k+1)·n) of a chain, n = ``cell_blocks``."""

    cell_blocks: int

    def cell_of(self, block: int) -> Span:
        """The cell that holds a block."""
        start = block // self.cell_blocks * self.cell_blocks
        return Span(start, start + self.cell_blocks)

    def pieces(self, span: Span) -> Iterator[Span]:
        """``span`` cut at the borders of cells: what is fetched and sealed in one go."""
        start = span.start
        while start < span.stop:
            stop = min(self.cell_of(start).stop, span.stop)
            yield Span(start, stop)
            start = stop

    def whole_cells(self, span: Span) -> Iterator[Span]:
        """The cells that lie in ``span`` entirely."""
        return (piece for piece in self.pieces(span) if piece.stop - piece.start == self.cell_blocks)


def slug_of(market: str) -> str:
    """A market's name in paths: ``aave-v3/arbitrum`` and ``aave-v3-arbitrum`` both give the latter.

    Raises
    ------
    InputError
        The name holds anything but lower-case letters, digits, single dashes and one slash.
    """
    slug = market.replace("/", "-", 1)
    if not SLUG.fullmatch(slug) or len(slug) > 100:
        raise InputError(
            f"{market[:80]!r} cannot name a market: use lower-case letters, digits and dashes, as in aave-v3/arbitrum"
        )
    return slug

"""What a rollup is before anything of it is read: its identity, its grid of cells, when its blocks are final."""

from __future__ import annotations

from dataclasses import dataclass, field

from l2liq.chains.rollup import Kind, Rollup

UNKNOWN_CELL_BLOCKS = 10_000
"""Blocks per cell of a chain that the registry does not know, unless its market file says otherwise."""

_KINDS = {
    Kind.OPTIMISTIC: "optimistic rollup",
    Kind.VALIDITY: "validity rollup",
    Kind.SIDECHAIN: "sidechain",
    Kind.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True)
class Finality:
    """When a block counts as final.

    Attributes
    ----------
    tag : block tag that the node answers for, such as ``finalized``
    confirmations : or so many blocks behind the latest one, if ``tag`` is None
    """

    tag: str | None = "finalized"
    confirmations: int = 0

    def __str__(self) -> str:
        return self.tag or f"{self.confirmations} confirmations"


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain.

    Attributes
    ----------
    name : e.g. ``arbitrum``
    chain_id : EIP-155 id; 0 where there is none
    block_time_ms : nominal time between blocks [ms]; None where it is not known
    cell_blocks : blocks of a cell, about a day
    finality : when a block counts as final
    explorer : address of a block explorer without a trailing slash; None where there is none
    rollup : its clocks, fees and ordering, as far as they are known
    """

    name: str
    chain_id: int
    block_time_ms: int | None
    cell_blocks: int
    finality: Finality
    explorer: str | None
    rollup: Rollup = field(default_factory=Rollup)

    @property
    def kind(self) -> str:
        """What settles it, for people."""
        return _KINDS[self.rollup.kind]

    def transaction_url(self, transaction_hash: bytes) -> str | None:
        """Address of a page about a transaction."""
        return f"{self.explorer}/tx/0x{transaction_hash.hex()}" if self.explorer else None


def unknown_chain(chain_id: int) -> Chain:
    """A chain that the registry does not know."""
    return Chain(f"chain {chain_id}", chain_id, None, UNKNOWN_CELL_BLOCKS, Finality(), None)

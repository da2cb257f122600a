"""The four clocks of a rollup: execution, publication, L1 finality of the batch, settlement (DOMAIN §5.1)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clocks:
    """How far the later clocks run behind, each from the one before it; what usually passes, not a bound [s].

    Attributes
    ----------
    publication_s : from execution until the batch is on L1
    l1_finality_s : from there until L1 can no longer reorganise it away
    settlement_s : from publication until the state is accepted on L1: the challenge window is over (optimistic), or a
        proof verified and executed (validity); never less than ``l1_finality_s``
    source : where the values are from
    """

    publication_s: int
    l1_finality_s: int
    settlement_s: int
    source: str


@dataclass(frozen=True, slots=True)
class ClockTimes:
    """When something that was executed passes each clock [s since 1970]; None where the chain has no such clock."""

    published_s: int | None = None
    l1_final_s: int | None = None
    settled_s: int | None = None

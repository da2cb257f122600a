"""What a market trades in: assets, accounts and legs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Asset:
    """An underlying token of a market.

    Attributes
    ----------
    address : 20 bytes
    symbol : as the chain gives it: untrusted text, unique within no market; for people only
    decimals : one unit = 10**decimals base units
    """

    address: bytes
    symbol: str
    decimals: int

    @property
    def unit(self) -> int:
        return int(10**self.decimals)


class LegKind(StrEnum):
    COLLATERAL = "collateral"
    DEBT = "debt"
    FLAG = "flag"
    """Account state without a value of its own: a collateral switch (0/1), an e-mode category."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One signed quantity that every account of a market has.

    Attributes
    ----------
    kind : what it counts as
    name : unique in the market, e.g. ``collateral/0x82af…``, ``uses_as_collateral/0x82af…``, ``emode``
    asset : index into the market's assets, -1 where a flag belongs to none
    """

    kind: LegKind
    name: str
    asset: int

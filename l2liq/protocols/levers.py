"""What a scenario may change of a protocol: its parameter model as data, from which scenarios are composed (DESIGN §8, §11)."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from l2liq.market import Market


class Scale(StrEnum):
    """How a stored integer reads to people."""

    SHARE = "share"
    """Basis points: ``80%`` is stored as 8_000."""
    PREMIUM = "premium"
    """10_000 plus basis points: ``5%`` is stored as 10_500."""
    HEALTH = "health"
    """A health factor in wad: ``0.95`` is stored as 95 * 10**16."""


@dataclass(frozen=True, slots=True)
class Lever:
    """One parameter that a scenario may change.

    Attributes
    ----------
    group : what it belongs to, e.g. ``reserves``; empty for the market as a whole
    name : key in a scenario, unique in its group
    scale : unit that people write and the protocol stores
    lower, upper : smallest and largest stored value the protocol can hold
    meaning : one sentence for people
    """

    group: str
    name: str
    scale: Scale
    lower: int
    upper: int
    meaning: str

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ").replace("ltv", "LTV")


@dataclass(frozen=True, slots=True)
class Target:
    """A thing of a group that has levers, e.g. one reserve.

    Attributes
    ----------
    key : how the protocol tells it apart, canonical (``0x…`` in lower case, a category's number)
    names : what people may call it instead (symbol, label); untrusted text, not unique
    """

    key: str
    names: tuple[str, ...]

    @property
    def label(self) -> str:
        """First name, or the key."""
        return self.names[0] if self.names else self.key


Values = Mapping[tuple[Lever, str], int]
"""Stored values by lever and target key; the key of a market-wide lever is empty."""


class Levers(typing.Protocol):
    """The parameter model of one protocol. Parameters are the protocol's own immutable sets."""

    all: Sequence[Lever]
    groups: Mapping[str, str]
    """Group to what one of it is called, e.g. ``reserves`` to ``reserve``."""

    def targets(self, market: Market, group: str) -> Sequence[Target]:
        """Everything of a group that the market ever had."""

    def value(self, parameters: Any, lever: Lever, key: str) -> int | None:
        """Stored value, None where these parameters have no such target."""

    def replaced(self, parameters: Any, values: Values) -> Any:
        """The parameters with other stored values; raises KeyError for a target they do not have."""

    def objections(self, parameters: Any) -> Sequence[str]:
        """Why the protocol would refuse these parameters, one sentence each; empty = deployable."""

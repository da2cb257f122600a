"""A protocol's parameter model as data: what a scenario may change, and from which it is composed (DESIGN §8, §11)."""

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
    RATE = "rate"
    """A yearly rate or a usage in ray: ``4%`` is stored as 4 * 10**25."""
    COUNT = "count"
    """A whole number, as it is."""
    DURATION = "duration"
    """Seconds: ``1h`` is stored as 3_600."""


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
    zero_is_off : a stored 0 means "switched off", which a relative change leaves as it is
    moves_interest : it acts through rates or totals of the market, which only re-executed interest knows
    """

    group: str
    name: str
    scale: Scale
    lower: int
    upper: int
    meaning: str
    zero_is_off: bool = False
    moves_interest: bool = False

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ").replace("ltv", "LTV")


@dataclass(frozen=True, slots=True)
class Target:
    """A thing of a group that has levers, e.g. one reserve.

    Attributes
    ----------
    key : the protocol's number for it (an asset index, a category); 0 for the market as a whole
    name : canonical name, unique in the group (``0x…`` in lower case, a category's number)
    aliases : what people may call it instead (symbol, label); untrusted text, not unique
    kind : word that a sentence puts before its label where that does not speak for itself, e.g. ``e-mode``
    """

    key: int
    name: str
    aliases: tuple[str, ...] = ()
    kind: str = ""

    @property
    def label(self) -> str:
        """First alias, or the name."""
        return self.aliases[0] if self.aliases else self.name

    @property
    def title(self) -> str:
        """Kind and label, as in ``e-mode ETH correlated``."""
        return f"{self.kind} {self.label}".strip()


Values = Mapping[tuple[Lever, int], int]
"""Stored values by lever and target key."""


class Levers(typing.Protocol):
    """The parameter model of one protocol. Parameters are the protocol's own immutable sets."""

    all: Sequence[Lever]
    groups: Mapping[str, str]
    """Group to what one of it is called, e.g. ``reserves`` to ``reserve``."""

    def targets(self, market: Market, group: str) -> Sequence[Target]:
        """Everything of a group that the market ever had."""

    def value(self, parameters: Any, lever: Lever, key: int) -> int | None:
        """Stored value, None where these parameters have no such target."""

    def replaced(self, parameters: Any, values: Values) -> Any:
        """The parameters with other stored values; every target must exist in them."""

    def objections(self, market: Market, parameters: Any) -> Sequence[str]:
        """Why the protocol would refuse these parameters, one sentence each; empty = deployable."""

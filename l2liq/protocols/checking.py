"""What a null test finds: numbers that the logs state and the rules do not give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from l2liq.errors import LogError
from l2liq.market import NullTest


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A log that cannot be true beside the others of its market. ``error``: of the kind that it is, and says why."""

    block: int
    log_index: int
    error: LogError


@dataclass(frozen=True, slots=True)
class Divergence:
    """One number that differs.

    Attributes
    ----------
    kind : ``liquidation``, ``balance``, ``index`` or another subject of the protocol
    account, token : addresses concerned, None where there is none
    block, log_index : the log that states it
    expected, actual : what the rules give, what the chain recorded
    """

    kind: str
    account: bytes | None
    token: bytes | None
    block: int
    log_index: int
    field: str
    expected: str
    actual: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many numbers were compared, and how many were equal."""

    compared: int
    equal: int


@dataclass(frozen=True)
class CheckReport:
    """Outcome of a null test.

    Attributes
    ----------
    subjects : ``balances``, ``indices`` and others of the protocol, each with its counts
    recorded, reproduced : liquidations in the log, and those reproduced in every number
    divergences : every difference, in order of the chain within its kind
    """

    subjects: Mapping[str, Count]
    recorded: int
    reproduced: int
    divergences: tuple[Divergence, ...] = field(repr=False)

    @property
    def counts(self) -> NullTest:
        """How much was compared and how much of it differs."""
        subjects = self.subjects.values()
        compared, equal = sum(one.compared for one in subjects), sum(one.equal for one in subjects)
        return NullTest(compared, equal, self.recorded, self.reproduced)

    @property
    def exact(self) -> bool:
        """Whether nothing differs."""
        return not self.divergences

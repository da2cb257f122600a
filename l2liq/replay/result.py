"""What a replay gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from l2liq.outcome.schema import World


@dataclass(frozen=True, slots=True)
class Divergence:
    """How much of the market no longer follows its history, at one time.

    Attributes
    ----------
    timestamp_s : time
    diverged_usd, total_usd : debt and collateral of diverged accounts, and of all accounts with debt
    """

    timestamp_s: int
    diverged_usd: float
    total_usd: float


@dataclass(slots=True)
class Counters:
    """What happened to users' actions in one world.

    Attributes
    ----------
    candidates : accounts that the screen or a dependency gave to the exact rules
    diverged : accounts that left their history
    actions, actions_usd : all recorded actions in the window, and their value
    rejected, clipped, unfunded : actions, of those that could not be done (or paid for) as recorded
    rejected_usd, clipped_usd, unfunded_usd : value of what was not done (or not paid for)
    ambiguous : transactions that the rules do not reproduce from the recorded state; they follow history
    exogenous_usd : what real liquidators and the treasury keep from recorded liquidations that this world does not have
    tests : exact looks at one account
    moved, lost : recorded transactions that happen at another moment, or not at all, since the rollup works otherwise
    """

    candidates: int = 0
    diverged: int = 0
    actions: int = 0
    actions_usd: float = 0.0
    rejected: int = 0
    rejected_usd: float = 0.0
    clipped: int = 0
    clipped_usd: float = 0.0
    unfunded: int = 0
    unfunded_usd: float = 0.0
    ambiguous: int = 0
    exogenous_usd: float = 0.0
    tests: int = 0
    moved: int = 0
    lost: int = 0


OF_USERS = (
    "rejected", "rejected_usd", "clipped", "clipped_usd", "unfunded", "unfunded_usd",
)  # fmt: skip
"""Counters of what users could not do; undone with the blocks in which they tried."""


@dataclass(frozen=True)
class Result:
    """Outcome of a replay.

    Attributes
    ----------
    outcomes : OUTCOMES of all worlds asked for, ordered by (world, sequence); ``run_id`` empty
    accounts : ACCOUNTS of all worlds asked for; ``run_id`` empty
    counters : per world
    divergence : per world, once a day
    excluded : addresses of accounts that left control and alternative (``exclude_underwater``)
    changed_itself : addresses of accounts that the change itself made liquidatable in the alternative
    ticks, account_ticks : ticks in the window, and (account, tick) pairs that the screen answered for
    """

    outcomes: pa.Table = field(repr=False)
    accounts: pa.Table = field(repr=False)
    counters: Mapping[World, Counters]
    divergence: Mapping[World, tuple[Divergence, ...]] = field(repr=False)
    excluded: tuple[bytes, ...]
    changed_itself: tuple[bytes, ...]
    ticks: int
    account_ticks: int

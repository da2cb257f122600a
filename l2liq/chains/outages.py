"""When a sequencer stood still: found from block times, known from the past, or assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from l2liq.chains.moments import MomentText
from l2liq.errors import InputError
from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.market import Clock


@dataclass(frozen=True, slots=True)
class Outage:
    """No block is made in [``from_s``, ``to_s``) [s since 1970]."""

    from_s: int
    to_s: int

    @property
    def duration_s(self) -> int:
        return self.to_s - self.from_s

    def restart_key(self, clock: Clock) -> int:
        """Key of the restart: behind every recorded block from before it, before every one from after it."""
        block = clock.last_block_at(self.to_s - 1)
        return key_of(block, END_OF_BLOCK) if block >= 0 else 0


def apart(outages: Sequence[Outage]) -> tuple[Outage, ...]:
    """Outages in order of time. Raises InputError where one ends before it begins, or two overlap."""
    ordered = sorted(outages, key=lambda outage: (outage.from_s, outage.to_s))
    for outage in ordered:
        if outage.to_s <= outage.from_s:
            raise InputError("an outage ends before it begins. Let `to` lie after `from`.")
    for one, following in pairwise(ordered):
        if following.from_s < one.to_s:
            raise InputError("two outages overlap. Write them as one, or let the first end before the second begins.")
    return tuple(ordered)


SLOWDOWN = 4.0
"""Blocks that take this many times as long as usual are no longer the usual work of a sequencer."""


def standstills(
    number: npt.NDArray[np.int64], timestamp_s: npt.NDArray[np.int64], at_least_s: int, slowdown: float = SLOWDOWN
) -> tuple[Outage, ...]:
    """Outages that block times show: stretches in which blocks take much longer than they usually do.

    A sequencer seldom falls silent all at once: in the outage of Arbitrum One of 2023-12-15 a block came every few
    seconds instead of four in one. So it is the pace that tells.

    Parameters
    ----------
    number, timestamp_s : npt.NDArray[np.int64]
        Some blocks of a chain and their times, shape (n,), numbers increasing; any blocks will do.
    at_least_s : int
        Shorter stretches do not count [s].
    slowdown : float
        From which multiple of the median time of a block on it is slow.

    Returns
    -------
    tuple[Outage, ...]
        Each from the last sample at the usual pace to the first one at it again, in order. A burst of blocks within
        one second does not end an outage: that is how a queue is let in.
    """
    if len(number) < 2:
        return ()
    per_block = np.diff(timestamp_s) / np.diff(number)
    slow = np.r_[False, per_block >= slowdown * np.median(per_block), False]
    edges = np.flatnonzero(slow[1:] != slow[:-1])
    found: list[Outage] = []
    for first, last in edges.reshape(-1, 2).tolist():
        begin_s, end_s = int(timestamp_s[first]), int(timestamp_s[last])
        if found and found[-1].to_s == begin_s:
            begin_s = found.pop().from_s
        found.append(Outage(begin_s, end_s))
    return tuple(outage for outage in found if outage.duration_s >= at_least_s)


class _Known(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    chain: str
    begin: MomentText
    end: MomentText
    source: str


@dataclass(frozen=True, slots=True)
class KnownOutage:
    """An outage of the past: on which chain, when, and how that is known."""

    name: str
    chain: str
    outage: Outage
    source: str


@cache
def known_outages() -> dict[str, KnownOutage]:
    """Outages of the past by name."""
    text = (resources.files("l2liq.chains") / "outages.yaml").read_text(encoding="utf-8")
    found = {}
    for name, given in YAML(typ="safe", pure=True).load(text).items():
        known = _Known.model_validate(given)
        found[name] = KnownOutage(name, known.chain, Outage(known.begin, known.end), known.source)
    return found

"""How a scenario says that the sequencer does not work as it did."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from l2liq.chains.outages import Outage, known_outages
from l2liq.scenario import quantities as q
from l2liq.scenario.typed import Strict, WaitS, typed


def _parse_time(value: object) -> int:
    when = q.parse_when(value, "")
    if when.timestamp_s is None:
        raise ValueError(f"{value!r} is no time. Write a date (2024-08-01) or a time (2024-08-01T12:00), in UTC.")
    return when.timestamp_s


TimeS = Annotated[
    int,
    *typed(_parse_time, q.written_time, {"type": "string", "examples": ["2024-08-01T12:00"]}),
]
"""A time in UTC [s since 1970]."""


class Span(Strict):
    """The times [from, to)."""

    start: TimeS = Field(alias="from")
    stop: TimeS = Field(alias="to")

    @model_validator(mode="after")
    def _goes_forward(self) -> Self:
        if self.stop <= self.start:
            raise ValueError("`to` must lie after `from`.")
        return self


class OutageSpec(Strict):
    """No block is made from a time on, until another time or as long as in an outage of the past."""

    start: TimeS = Field(alias="from")
    stop: TimeS | None = Field(default=None, alias="to")
    like: str | None = Field(default=None, description="As long as a known outage: arbitrum-2023-12-15 …")

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if (self.stop is None) == (self.like is None):
            raise ValueError("an outage has an end: write either `to` or `like`.")
        if self.like is not None and self.like not in known_outages():
            raise ValueError(f"{self.like} is no known outage. Known: {', '.join(known_outages())}.")
        if self.stop is not None and self.stop <= self.start:
            raise ValueError("`to` must lie after `from`.")
        return self

    def built(self) -> Outage:
        """The outage."""
        if self.stop is not None:
            return Outage(self.start, self.stop)
        return Outage(self.start, self.start + known_outages()[self.like or ""].outage.duration_s)


class CensorshipSpec(Span):
    """Transactions of some accounts are not let in."""

    accounts: list[str] = Field(min_length=1, max_length=10_000, description="Addresses.")


class SequencerSpec(Strict):
    """What the sequencer of the alternative does."""

    outages: list[OutageSpec] = Field(default=[], max_length=100)
    users: Literal["queue", "lost"] = Field(
        default="queue", description="What becomes of transactions that users sent while it was down."
    )
    users_after: WaitS = Field(default=0, description="How long after the restart queued ones are executed.")
    oracle_after: WaitS = Field(default=0, description="How long after the restart the first new price comes.")
    censored: list[CensorshipSpec] = Field(default=[], max_length=100)
    forced_inclusion: Annotated[
        int | Literal["chain"] | None,
        *typed(
            lambda v: v if v in (None, "chain") else q.parse_duration_s(v),
            lambda v: v if v in (None, "chain") else q.written_duration(v * 1_000),
            {"type": ["string", "null"], "examples": ["12h", "chain"]},
        ),
    ] = Field(
        default=None,
        description="Users who are not let in go through L1, and are executed so long after; `chain` = as the registry "
        "has it; null = they wait.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.outages and not self.censored:
            raise ValueError("neither `outages` nor `censored` is given. Name one, or take `sequencer` out.")
        return self

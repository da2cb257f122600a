"""How a scenario says that settlement on L1 fails."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from l2liq.scenario.sequencer import Span, TimeS
from l2liq.scenario.typed import DurationS, Strict


class ChallengeSpec(Strict):
    """A state root is challenged, without success."""

    at: TimeS
    lasts: DurationS = Field(description="Until roots settle again.")


class ReversalSpec(Span):
    """At `to` everything since `from` is undone: its blocks were confirmed softly, and do not become part of L1."""

    users: Literal["lost", "queue"] = Field(
        default="lost", description="Transactions of users are lost, or executed again at `to`."
    )


class SettlementSpec(Strict):
    """What fails between the alternative's rollup and L1."""

    batch_poster_stopped: list[Span] = Field(default=[], max_length=100, description="Nothing is published on L1.")
    prover_stopped: list[Span] = Field(default=[], max_length=100, description="No state is settled on L1.")
    challenged: list[ChallengeSpec] = Field(default=[], max_length=100)
    reverted: list[ReversalSpec] = Field(default=[], max_length=100)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.batch_poster_stopped or self.prover_stopped or self.challenged or self.reverted):
            raise ValueError(
                "nothing fails. Name batch_poster_stopped, prover_stopped, challenged or reverted, or take it out."
            )
        return self

    @model_validator(mode="after")
    def _apart(self) -> Self:
        for name in ("batch_poster_stopped", "prover_stopped", "reverted"):
            spans = sorted(getattr(self, name), key=lambda span: span.start)
            if any(one.stop > two.start for one, two in pairwise(spans)):
                raise ValueError(f"two spans of {name} overlap. Write them as one.")
        return self

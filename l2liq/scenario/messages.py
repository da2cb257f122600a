"""How a scenario says that margin came as messages from another layer, and how long those take."""

from __future__ import annotations

from statistics import median_low
from typing import Annotated, Self

from pydantic import Field, model_validator

from l2liq.scenario import quantities as q
from l2liq.scenario.typed import Share, Strict, WaitS, typed

Spread = Annotated[
    float, *typed(q.parse_spread, lambda v: v, {"type": "number", "minimum": 0, "maximum": q.MAX_SPREAD})
]


class MessagesSpec(Strict):
    """A share of the collateral added and debt repaid in stress came from another layer, with a delay."""

    share: Share = Field(description="Of such transactions.")
    below_health: Annotated[
        float,
        *typed(q.parse_health, lambda v: v, {"type": "number", "exclusiveMinimum": 1, "maximum": 10}),
    ] = Field(default=1.25, description="An account is in stress below this health just before the transaction.")
    recorded_delay: WaitS = Field(default=0, description="Median time that a message took in history.")
    recorded_spread: Spread = Field(default=0.0, description="Standard deviation of its natural logarithm.")
    recorded_delays: list[WaitS] = Field(
        default=[], max_length=10_000, description="Instead of both: times that messages took, as they were observed."
    )
    delay: WaitS | None = Field(default=None, description="Median time that it takes.")
    spread: Spread = Field(default=0.0, description="Standard deviation of its natural logarithm.")
    delays: list[WaitS] = Field(
        default=[], max_length=10_000, description="Instead of both: times that messages take, as they were observed."
    )
    other_delays: list[WaitS] = Field(
        default=[], max_length=12, description="Median delays that the report compares beside it."
    )

    @model_validator(mode="after")
    def _one_distribution_each(self) -> Self:
        if (self.delay is None) == (not self.delays):
            raise ValueError("write either `delay`, a median, or `delays`, a list of observed ones.")
        if self.recorded_delays and (self.recorded_delay or self.recorded_spread):
            raise ValueError("`recorded_delay` and `recorded_delays` are two answers to one question. Keep one.")
        if self.delays and self.spread:
            raise ValueError("`spread` belongs to a median. Take it out.")
        return self

    @property
    def median_s(self) -> int:
        """Median time that a message takes [s]; the lower of two in the middle."""
        return median_low(self.delays) if self.delays else self.delay or 0

    @property
    def recorded_median_s(self) -> int:
        """Median time that a message took in history [s]."""
        return median_low(self.recorded_delays) if self.recorded_delays else self.recorded_delay

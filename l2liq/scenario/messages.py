"""How a scenario says that margin came as messages from another layer, and how long those take."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

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
    delay: WaitS = Field(description="Median time that it takes.")
    spread: Spread = Field(default=0.0, description="Standard deviation of its natural logarithm.")
    other_delays: list[WaitS] = Field(
        default=[], max_length=12, description="Median delays that the report compares beside it."
    )

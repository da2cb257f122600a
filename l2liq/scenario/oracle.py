"""The oracle of a scenario: what the market sees of the world's prices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

from pydantic import Field, model_validator

from l2liq.oracles.models import (
    ArithmeticMean,
    Capped,
    Delayed,
    GeometricMean,
    Median,
    OracleModel,
    Published,
    Rated,
)
from l2liq.oracles.path import Path
from l2liq.scenario.rates import Rates
from l2liq.scenario.typed import DurationS, Share, Strict

_NEEDS = {
    "delay": ("delay",),
    "published": ("heartbeat", "deviation"),
    "twap": ("window",),
    "cap": ("growth",),
    "ratio": ("base", "rate"),
    "median": ("of",),
}
_MAY_HAVE = {"twap": ("mean", "every"), "cap": ("every",), "ratio": ("growth", "every")}
EVERY_S = 60

Named = Callable[[str], tuple[str, Path]]
"""What an asset is called, and its recorded price, by what the scenario calls it."""


class OracleSpec(Strict):
    """One oracle."""

    model: Literal["recorded", "delay", "published", "twap", "cap", "ratio", "median"]
    delay: DurationS | None = Field(default=None, description="With `delay`: how much later than recorded.")
    heartbeat: DurationS | None = Field(default=None, description="With `published`: longest time between prices.")
    deviation: Share | None = Field(default=None, description="With `published`: move that is published at once.")
    window: DurationS | None = Field(default=None, description="With `twap`: what the mean is over.")
    mean: Literal["arithmetic", "geometric"] | None = Field(
        default=None, description="With `twap`: arithmetic, or geometric as a Uniswap v3 pool tells it (default)."
    )
    growth: Share | None = Field(
        default=None, description="Yearly growth that the price (`cap`) or the rate (`ratio`) may not exceed."
    )
    every: DurationS | None = Field(
        default=None, description="With `twap`, `cap`, `ratio`: how often it is read (60s)."
    )
    base: str | None = Field(default=None, description="With `ratio`: the asset whose price is multiplied.")
    rate: Rates = Field(
        default=None,
        description="With `ratio`: how much of the base one unit is worth; `recorded` = as the two prices imply.",
    )
    of: list[OracleSpec] | None = Field(default=None, min_length=2, max_length=15, description="With `median`.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        needs, may = _NEEDS.get(self.model, ()), _MAY_HAVE.get(self.model, ())
        for name in ("delay", "heartbeat", "deviation", "window", "mean", "growth", "every", "base", "rate", "of"):
            given = getattr(self, name) is not None
            if name in needs and not given:
                raise ValueError(f"the oracle {self.model} needs `{name}`.")
            if given and name not in (*needs, *may):
                raise ValueError(f"the oracle {self.model} has no `{name}`. Take it out.")
        return self

    def built(self, named: Named) -> OracleModel:
        """The model that this asks for, with what it needs of other assets."""
        every = self.every or EVERY_S
        if self.model == "published":
            return Published(self.heartbeat or 0, self.deviation or 0)
        if self.model == "twap":
            kind = ArithmeticMean if self.mean == "arithmetic" else GeometricMean
            return kind(self.window or 0, every)
        if self.model == "cap":
            return Capped(self.growth or 0, every)
        if self.model == "median":
            return Median(tuple(one.built(named) for one in self.of or ()))
        if self.model == "ratio":
            name, path = named(self.base or "")
            rates = Path(*map(tuple, zip(*self.rate, strict=True))) if self.rate else None
            return Rated(path, name, rates, self.growth, every)
        return Delayed(self.delay or 0)


class ScenarioOracle(OracleSpec):
    """What the market sees of the world's prices; liquidators sell at the world's."""

    assets: list[str] = Field(default=[], description="Symbols or addresses; none = all.")

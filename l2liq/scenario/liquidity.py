"""The liquidity of a scenario: what liquidators get when they sell what they seized."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from l2liq.scenario import quantities as q
from l2liq.scenario.typed import Dollars, Share, Strict, typed

HALF_LIFE_S = 600
EXPONENT = 1.0
SPACINGS = {1: 1, 5: 10, 30: 60, 100: 200}
"""Fee of a Uniswap v3 pool [bps] to the tick spacing that its factory gives it."""

_HalfLife = Annotated[
    int | None,
    *typed(
        lambda value: None if value is None or value == "never" else q.parse_duration_s(value),
        lambda s: "never" if s is None else q.written_duration(s * 1_000),
        {"type": "string", "examples": ["10m", "never"]},
    ),
]
_FIELDS = ("depth", "fee", "move", "exponent", "logs", "sha256", "pool", "token0", "token1", "tick_spacing")
_NEEDS = {
    "constant_product": ("depth",),
    "depth": ("depth", "move"),
    "uniswap_v3": ("logs", "token0", "token1", "fee"),
}
_MAY_HAVE = {
    "constant_product": ("fee",),
    "depth": ("fee", "exponent"),
    "uniswap_v3": ("pool", "sha256", "tick_spacing"),
}


def _exponent(value: Any) -> float | None:
    if value is None:
        return None
    number, unit = (value, "") if isinstance(value, float) else q.split_quantity(value)
    if unit or not 0.1 <= number <= 3:
        raise ValueError(f"{value} is no exponent. Write a plain number between 0.1 and 3, such as 0.5.")
    return float(number)


Model = Literal["deep", "same", "constant_product", "depth", "uniswap_v3"]


class OutletSpec(Strict):
    """Where an asset is sold."""

    model: Model = Field(
        description="`deep`: at the world's price, however much. `uniswap_v3`: a pool as its logs have it."
    )
    depth: Dollars | None = Field(
        default=None,
        description="With `constant_product`: value of each side of the pool. With `depth`: the sale that moves the "
        "price by `move`.",
    )
    fee: Share | None = Field(default=None, description="Share of what is sold; none = 0%.")
    move: Share | None = Field(default=None, description="With `depth`: how far a sale of that size moves the price.")
    exponent: Annotated[
        float | None, *typed(_exponent, lambda v: v, {"type": ["number", "null"], "minimum": 0.1, "maximum": 3})
    ] = Field(default=None, description="With `depth`: power by which other sizes move it; none = 1.")
    half_life: _HalfLife = Field(
        default=HALF_LIFE_S, description="Time in which half of what sales moved the price comes back, or `never`."
    )
    logs: str | None = Field(
        default=None,
        description="With `uniswap_v3`: a file of the pool's logs from its creation on, in any form that `l2liq "
        "ingest` reads; a path is meant from the scenario's folder.",
    )
    sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="Of that file; filled in when the scenario is read."
    )
    pool: str | None = Field(
        default=None, pattern=r"^0x[0-9a-fA-F]{40}$", description="Which pool, where the file has logs of several."
    )
    token0: str | None = Field(default=None, description="The market's asset that is the pool's token0.")
    token1: str | None = Field(default=None, description="The market's asset that is the pool's token1.")
    tick_spacing: int | None = Field(
        default=None, ge=1, le=16_384, description="Of the pool's ticks; none = what pools with that fee have."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        needs, may = _NEEDS.get(self.model, ()), _MAY_HAVE.get(self.model, ())
        for name in _FIELDS:
            given = getattr(self, name) is not None
            if name in needs and not given:
                raise ValueError(f"the liquidity {self.model} needs `{name}`.")
            if given and name not in (*needs, *may):
                raise ValueError(f"the liquidity {self.model} has no `{name}`. Take it out.")
        if self.depth == 0:
            raise ValueError("a `depth` of $0 sells nothing. Write how much there is, such as $2000000.")
        if self.fee == q.BPS or self.move in (0, q.BPS):
            name = "fee" if self.fee == q.BPS else "move"
            raise ValueError(f"`{name}` must be more than 0% and less than 100%.")
        if self.model == "uniswap_v3" and self.tick_spacing is None and self.fee not in SPACINGS:
            raise ValueError("pools with that fee have no usual tick spacing. Give `tick_spacing`.")
        return self


class LiquidityOfWorld(OutletSpec):
    """How the liquidators of one world sell: all assets alike, or some of them otherwise."""

    model: Model = Field(default="deep", description="For every asset that is not under `assets`.")
    assets: dict[str, OutletSpec] = Field(default_factory=dict, description="By symbol or address.")

    @model_validator(mode="after")
    def _a_pool_is_of_two_assets(self) -> Self:
        if self.model == "uniswap_v3":
            raise ValueError("a pool trades two assets and not all. Write it under `assets`.")
        return self


def _control(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value


class ScenarioLiquidity(LiquidityOfWorld):
    """How the alternative's liquidators sell from `effective_from` on, and the control world's."""

    control: Annotated[LiquidityOfWorld, BeforeValidator(_control)] = Field(
        default=LiquidityOfWorld(),
        description="How the control world's liquidators sell: `deep` (at the world's price), `same` as the "
        "alternative's, or another liquidity.",
    )
    feedback: Share | None = Field(
        default=None,
        description="Share of what sales moved a price that the alternative's market sees; none = its oracles do not "
        "follow.",
    )
    rounds: int = Field(
        default=12, ge=1, le=50, description="With `feedback`: replays at most, until liquidations no longer change."
    )

    @model_validator(mode="after")
    def _only_control_is_the_same(self) -> Self:
        if self.model == "same" or any(
            one.model == "same" for one in (*self.assets.values(), *self.control.assets.values())
        ):
            raise ValueError("only the whole of `control` can be `same`. Say how it is sold.")
        if self.control.model == "same" and self.control.assets:
            raise ValueError("a `control` that is the `same` has no `assets`. Take them out.")
        return self

    @model_validator(mode="after")
    def _something_is_sold(self) -> Self:
        outlets: tuple[OutletSpec, ...] = (self, *self.assets.values())
        if self.feedback is not None and all(one.model == "deep" for one in outlets):
            raise ValueError("`feedback` follows what sales move, and nothing here moves. Give a `model`.")
        return self

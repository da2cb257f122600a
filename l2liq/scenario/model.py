"""The scenario file as a typed model, composed with a protocol's levers; also the source of its JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic import create_model as compose

from l2liq.protocols.levers import Lever, Levers, Scale
from l2liq.scenario import quantities as q


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, strict=True)


def _typed(parse: Callable[[Any], Any], write: Callable[[Any], Any], schema: Mapping[str, Any]) -> Any:
    """A value that people write one way and the engine holds another; ``parse`` also takes what it returned before."""
    return (PlainValidator(parse), PlainSerializer(write), WithJsonSchema(dict(schema)))


def _when(edge: str) -> Any:
    schema = {"type": ["string", "integer"], "description": f"Date, time (UTC), block number, or `{edge}`."}
    return _typed(lambda v: q.parse_when(v, edge), lambda v: q.written_when(v, edge), schema)


_DURATION_SCHEMA = {"type": "string", "pattern": r"^\d+(\.\d+)? ?(ms|s|m|h|d)$", "examples": ["60s", "7d"]}

FromStart = Annotated[q.When, *_when("start")]
ToEnd = Annotated[q.When, *_when("end")]
DurationS = Annotated[int, *_typed(q.parse_duration_s, lambda s: q.written_duration(s * 1_000), _DURATION_SCHEMA)]
WholeDays = Annotated[
    int,
    *_typed(
        q.parse_days,
        lambda days: f"{days}d",
        {"type": "string", "pattern": r"^\d+ ?d$", "examples": ["1d", "7d"]},
    ),
]
NeverOrDays = Annotated[
    int | None,
    *_typed(q.parse_never_or_days, q.written_never_or_days, {"type": "string", "examples": ["never", "7d"]}),
]


class Window(_Strict):
    """The blocks [from, to) that are replayed."""

    start: FromStart = Field(default=q.When(), alias="from")
    stop: ToEnd = Field(default=q.When(), alias="to", description="First moment or block that is no longer part of it.")


def _window(value: Any) -> Any:
    return {} if value == "all" else value


class Ramp(_Strict):
    """The change arrives in equal steps: the first at `effective_from`, one more after each `every`."""

    steps: int = Field(ge=2, le=1_000)
    every: DurationS


class Liquidator(_Strict):
    """Who liquidates, and when."""

    model: Literal["immediate", "latency", "passes"] = "immediate"
    delay: Annotated[q.Delay | None, *_typed(q.parse_delay, q.written_delay, q.DELAY_SCHEMA)] = Field(
        default=None,
        description="Median time from liquidatable to liquidated: `30s`, `3 blocks`, or `fitted` from the log.",
    )
    spread: Annotated[
        float, *_typed(q.parse_spread, lambda v: v, {"type": "number", "minimum": 0, "maximum": q.MAX_SPREAD})
    ] = Field(
        default=0.0, description="Standard deviation of the delay's natural logarithm; 0 = always the same delay."
    )

    every: DurationS | None = Field(default=None, description="With `passes`: time from one pass to the next.")
    spacing: DurationS | None = Field(
        default=None, description="With `passes`: time from one liquidation to the next one within a pass."
    )

    @model_validator(mode="after")
    def _every_belongs_to_passes(self) -> Self:
        if (self.model == "passes") != (self.every is not None):
            wanted = "needs" if self.model == "passes" else "has no"
            raise ValueError(f"the model {self.model} {wanted} `every`. Write {{model: passes, every: 10m}}.")
        if self.spacing is not None and self.model != "passes":
            raise ValueError("`spacing` belongs to the model passes. Take it out.")
        return self

    @model_validator(mode="after")
    def _delay_belongs_to_latency(self) -> Self:
        if (self.model == "latency") != (self.delay is not None):
            wanted = "needs" if self.model == "latency" else "has no"
            raise ValueError(
                f"the model {self.model} {wanted} `delay`. Write {{model: latency, delay: 30s}} or immediate."
            )
        if self.spread and (self.delay is None or self.delay == q.Delay()):
            raise ValueError("`spread` belongs to a delay that is given. Take it out.")
        return self


def _liquidator(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value


class Uncertainty(_Strict):
    """The interval of effects: days are drawn in blocks, with replacement."""

    resamples: int = Field(default=2_000, ge=0, le=100_000, description="0 = no interval.")
    block: WholeDays = Field(default=1, description="Length of a block of days that stays together.")


_Wei = Annotated[int, Field(ge=0, le=q.MOST_WEI)]
_RecordedWei = Annotated[int | None, *_typed(q.parse_recorded_wei, q.written_recorded_wei, q.RECORDED_WEI_SCHEMA)]


class Fees(_Strict):
    """What the transaction of every liquidation costs; liquidators pay it, and act whether it pays or not."""

    gas: int = Field(ge=1, le=10**9, description="Gas that its execution uses.")
    transaction_bytes: int = Field(ge=1, le=1 << 20, description="Size of the signed, encoded transaction.")
    zero_bytes: int = Field(default=0, ge=0, description="Zero bytes among them.")
    compressed_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Size after the chain's own compression (FastLZ, Brotli, zstd); null = nothing in it repeats, the "
        "most that L1 data can cost.",
    )
    pubdata_bytes: int = Field(default=0, ge=0, description="State changes that a zkSync batch publishes.")
    base_fee_wei: _RecordedWei = Field(
        default=None, description="Per gas; `recorded` = as the header of the block has it."
    )
    priority_fee_wei: _Wei = Field(default=0, description="Per gas.")
    l1_base_fee_wei: _Wei | None = Field(
        default=None, description="Per gas on L1, as the rollup knows it; on Arbitrum per unit of calldata."
    )
    blob_base_fee_wei: _Wei | None = Field(default=None, description="Per blob gas on L1, as the rollup knows it.")
    pubdata_price_wei: _Wei | None = Field(default=None, description="Per byte of pubdata (zkSync).")
    scalars: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        description="What the operator sets in the fee scheme, where the registry has it otherwise.",
    )
    gas_token: str | None = Field(
        default=None,
        description="Asset of the market that gas is worth as much as, by symbol or address; WETH if null.",
    )
    gas_token_usd: Annotated[
        float | None,
        *_typed(q.parse_dollars, lambda v: v, {"type": ["number", "null"], "exclusiveMinimum": 0}),
    ] = Field(default=None, description="Or a fixed price of the gas token.")

    @model_validator(mode="after")
    def _parts_of_a_whole(self) -> Self:
        if self.zero_bytes > self.transaction_bytes:
            raise ValueError(f"{self.zero_bytes} zero bytes of {self.transaction_bytes} cannot be. Lower zero_bytes.")
        if self.gas_token is not None and self.gas_token_usd is not None:
            raise ValueError("`gas_token` and `gas_token_usd` are two prices of one token. Keep one of them.")
        return self


class ScenarioBase(_Strict):
    """Everything of a scenario but the change itself."""

    name: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=10_000)
    market: str | None = Field(default=None, description="A name from `l2liq market list`, or a market YAML file.")
    window: Annotated[Window, BeforeValidator(_window)] = Field(
        default=Window(), description="`all`, or `from` and `to`."
    )
    effective_from: FromStart = Field(default=q.When(), description="When the change takes effect.")
    ramp: Ramp | None = None
    at_start: Literal["as_is", "exclude_underwater", "grandfather"] = Field(
        default="as_is",
        description="Whom the change meets: all; all but those it makes liquidatable; each after its next action.",
    )
    liquidator: Annotated[Liquidator, BeforeValidator(_liquidator)] = Liquidator()
    infeasible: Literal["skip", "clip", "freeze"] = Field(
        default="skip", description="What becomes of user actions that the changed world no longer allows."
    )
    unfunded: Literal["report", "reject"] = Field(
        default="report", description="Inflows that history paid for with an outflow the changed world skipped."
    )
    policy_range: bool = Field(
        True, description="Replay the alternative under all three policies for infeasible actions."
    )
    fees: Fees | None = Field(
        default=None, description="What a liquidation's transaction costs on the rollup; null = nothing is said of it."
    )
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    heartbeat: DurationS = Field(
        60, description="Longest time between two looks at an account, against interest drift."
    )
    interest: Literal["recorded", "reexecuted"] = Field(
        default="recorded",
        description="Indices and rates as recorded (fast), or every transaction executed again (exact).",
    )
    distance: Literal["sampled", "whole", "off"] = Field(
        default="sampled",
        description="With recorded interest: measure on how much re-execution differs; sampled = on the busiest "
        "stretch of the window, and once for a sweep.",
    )
    reanchor: NeverOrDays = Field(
        default=None, description="Return to the actual state every so many days, or `never`."
    )
    uncertainty: Uncertainty = Uncertainty()
    allow_not_deployable: bool = Field(
        default=False, description="Run parameters that the protocol itself would refuse."
    )

    @model_validator(mode="after")
    def _reexecution_goes_on(self) -> Self:
        if self.interest == "reexecuted" and self.at_start != "as_is":
            raise ValueError(f"`at_start: {self.at_start}` needs `interest: recorded`. Change one of them.")
        if self.interest == "reexecuted" and self.reanchor is not None:
            raise ValueError("`reanchor` needs `interest: recorded`. Change one of them.")
        return self

    def effective(self) -> dict[str, Any]:
        """The whole scenario with every default, as plain data; loading it gives the same scenario."""
        found = self.model_dump(mode="json", by_alias=True)
        if self.fees is None:
            del found["fees"]
        found["change"] = self.model_dump(mode="json", by_alias=True, exclude_none=True).get("change", {})
        return found


_LEVER_SCHEMA: Mapping[Scale, tuple[str, str, list[Any]]] = {
    Scale.SHARE: (r"^\d+(\.\d+)? ?(%|bps)$", r"^[+-]?\d+(\.\d+)? ?(pp|bps)$", ["80%", {"shift": "-2pp"}]),
    Scale.PREMIUM: (r"^\d+(\.\d+)? ?(%|bps)$", r"^[+-]?\d+(\.\d+)? ?(pp|bps)$", ["5%", {"shift": "+50bps"}]),
    Scale.HEALTH: (r"^\d+(\.\d+)?$", r"^[+-]?\d+(\.\d+)?$", ["0.95", {"shift": "-0.01"}]),
    Scale.RATE: (r"^\d+(\.\d+)? ?(%|bps)$", r"^[+-]?\d+(\.\d+)? ?(pp|bps)$", ["4%", {"shift": "+50bps"}]),
    Scale.COUNT: (r"^\d+$", r"^[+-]?\d+$", [5000, {"shift": "-100"}]),
    Scale.DURATION: (r"^\d+(\.\d+)? ?(s|m|h|d)$", r"^[+-]?\d+(\.\d+)? ?(s|m|h|d)$", ["1h", {"shift": "-30m"}]),
}
_PLAIN_NUMBERS = frozenset({Scale.HEALTH, Scale.COUNT})


def _lever_schema(lever: Lever) -> dict[str, Any]:
    value_pattern, shift_pattern, examples = _LEVER_SCHEMA[lever.scale]
    kinds = ["string", "number"] if lever.scale in _PLAIN_NUMBERS else ["string"]
    value, shift = {"type": kinds, "pattern": value_pattern}, {"type": kinds, "pattern": shift_pattern}
    one = {"type": "object", "additionalProperties": False}
    return {
        "description": lever.meaning,
        "examples": examples,
        "anyOf": [
            value,
            {**one, "required": ["set"], "properties": {"set": value}},
            {**one, "required": ["shift"], "properties": {"shift": shift}},
        ],
    }


def _lever_field(lever: Lever) -> Any:
    def parse(value: Any) -> q.Adjustment:
        found = q.parse_adjustment(value, lever.scale)
        if found.set is not None and not lever.lower <= found.set <= lever.upper:
            bounds = [q.written_value(bound, lever.scale) for bound in (lever.lower, lever.upper)]
            raise ValueError(f"{value} is impossible. It can be {bounds[0]} to {bounds[1]}.")
        return found

    kind = Annotated[q.Adjustment | None, *_typed(parse, _written, _lever_schema(lever))]
    return (kind, Field(default=None, title=lever.title))


def _written(adjustment: q.Adjustment | None) -> dict[str, str] | None:
    return None if adjustment is None else adjustment.written()


def change_fields(change: BaseModel, levers: Levers) -> list[tuple[Lever, str, q.Adjustment]]:
    """What a parsed ``change`` asks for: lever, the target as written (empty for the market), adjustment."""
    found: list[tuple[Lever, str, q.Adjustment]] = []
    for lever in levers.all:
        holders: Mapping[str, BaseModel] = {"": change} if lever.group == "" else getattr(change, lever.group)
        for name, holder in holders.items():
            adjustment = getattr(holder, lever.name)
            if adjustment is not None:
                found.append((lever, name, adjustment))
    return found


def _fields_of(levers: Sequence[Lever], group: str) -> dict[str, Any]:
    return {lever.name: _lever_field(lever) for lever in levers if lever.group == group}


def scenario_model(levers: Levers) -> type[ScenarioBase]:
    """The model of scenarios for one protocol; its field ``change`` holds what :func:`change_fields` reads."""
    groups: dict[str, Any] = {}
    for group, singular in levers.groups.items():
        one = compose(singular.capitalize(), __base__=_Strict, **_fields_of(levers.all, group))
        groups[group] = (
            dict[str, one],  # type: ignore[valid-type]
            Field(default_factory=dict, description=f"Changes by {singular}."),
        )
    change = compose("Change", __base__=_Strict, **groups, **_fields_of(levers.all, ""))
    return compose(
        "Scenario",
        __base__=ScenarioBase,
        change=(change, Field(default_factory=change, description="What the alternative world does differently.")),
    )

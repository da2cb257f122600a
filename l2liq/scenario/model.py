"""The scenario file as a typed model, composed with a protocol's levers; also the source of its JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    model_validator,
)
from pydantic import create_model as compose

from l2liq.protocols.levers import Lever, Levers, Scale
from l2liq.scenario import quantities as q
from l2liq.scenario.competing import QUIET, Competing, Profit
from l2liq.scenario.fees import Fees
from l2liq.scenario.liquidity import ScenarioLiquidity
from l2liq.scenario.messages import MessagesSpec
from l2liq.scenario.oracle import ScenarioOracle
from l2liq.scenario.sequencer import SequencerSpec
from l2liq.scenario.settlement import SettlementSpec
from l2liq.scenario.typed import DurationS, Strict, typed


def _when(edge: str) -> Any:
    schema = {"type": ["string", "integer"], "description": f"Date, time (UTC), block number, or `{edge}`."}
    return typed(lambda v: q.parse_when(v, edge), lambda v: q.written_when(v, edge), schema)


FromStart = Annotated[q.When, *_when("start")]
ToEnd = Annotated[q.When, *_when("end")]
WholeDays = Annotated[
    int,
    *typed(
        q.parse_days,
        lambda days: f"{days}d",
        {"type": "string", "pattern": r"^\d+ ?d$", "examples": ["1d", "7d"]},
    ),
]
NeverOrDays = Annotated[
    int | None,
    *typed(q.parse_never_or_days, q.written_never_or_days, {"type": "string", "examples": ["never", "7d"]}),
]


class Window(Strict):
    """The blocks [from, to) that are replayed."""

    start: FromStart = Field(default=q.When(), alias="from")
    stop: ToEnd = Field(default=q.When(), alias="to", description="First moment or block that is no longer part of it.")


def _window(value: Any) -> Any:
    return {} if value == "all" else value


class Ramp(Strict):
    """The change arrives in equal steps: the first at `effective_from`, one more after each `every`."""

    steps: int = Field(ge=2, le=1_000)
    every: DurationS


class Liquidator(Competing):
    """Who liquidates, and when."""

    model: Literal["immediate", "latency", "passes", "competition"] = "immediate"
    delay: Annotated[q.Delay | None, *typed(q.parse_delay, q.written_delay, q.DELAY_SCHEMA)] = Field(
        default=None,
        description="Median time from liquidatable to liquidated: `30s`, `3 blocks`, or `fitted` from the log.",
    )
    spread: Annotated[
        float, *typed(q.parse_spread, lambda v: v, {"type": "number", "minimum": 0, "maximum": q.MAX_SPREAD})
    ] = Field(
        default=0.0, description="Standard deviation of the delay's natural logarithm; 0 = always the same delay."
    )

    every: DurationS | None = Field(default=None, description="With `passes`: time from one pass to the next.")
    spacing: DurationS | None = Field(
        default=None, description="With `passes`: time from one liquidation to the next one within a pass."
    )

    profit: Profit | None = Field(default=None, description="Liquidate only where enough is left; none = always.")

    @model_validator(mode="after")
    def _every_belongs_to_passes(self) -> Self:
        if (self.model == "passes") != (self.every is not None):
            wanted = "needs" if self.model == "passes" else "has no"
            raise ValueError(f"the model {self.model} {wanted} `every`. Write {{model: passes, every: 10m}}.")
        if self.spacing is not None and self.model != "passes":
            raise ValueError("`spacing` belongs to the model passes. Take it out.")
        return self

    @model_validator(mode="after")
    def _fits_competition(self) -> Self:
        self.check_competition(self.model, fitted=self.delay == q.Delay())
        return self

    @model_validator(mode="after")
    def _delay_belongs_to_latency(self) -> Self:
        if self.model == "competition" and self.delay in (None, q.Delay()):
            return self
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


class Uncertainty(Strict):
    """The interval of effects: days are drawn in blocks, with replacement."""

    resamples: int = Field(default=2_000, ge=0, le=100_000, description="0 = no interval.")
    block: WholeDays = Field(default=1, description="Length of a block of days that stays together.")


_SURROUNDINGS = ("sequencer", "settlement", "messages")


class ScenarioBase(Strict):
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
    oracle: ScenarioOracle | None = Field(
        default=None, description="What the alternative's market sees of the world's prices; none = as recorded."
    )
    sequencer: SequencerSpec | None = Field(
        default=None, description="What the alternative's sequencer does; none = as it did."
    )
    settlement: SettlementSpec | None = Field(
        default=None, description="What fails between the alternative's rollup and L1; none = nothing."
    )
    messages: MessagesSpec | None = Field(
        default=None, description="Margin that came from other layers, with other delays; none = as it came."
    )
    liquidity: ScenarioLiquidity | None = Field(
        default=None, description="What selling collateral yields; none = the world's price, however much is sold."
    )
    interest: Literal["recorded", "reexecuted"] = Field(
        default="recorded",
        description="Indices and rates as recorded (fast), or every transaction executed again (exact).",
    )
    calldata: Literal["logs", "decoded"] = Field(
        "logs",
        description="What re-executed transactions asked for: as logs show it, or decoded from their inputs wherever "
        "the lake holds them (`l2liq ingest --calldata`) and they tell all.",
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
        if self.interest == "recorded" and self.calldata != "logs":
            raise ValueError("`calldata: decoded` needs `interest: reexecuted`. Change one of them.")
        return self

    @model_validator(mode="after")
    def _oracle_meets_all(self) -> Self:
        if self.oracle is not None and self.at_start != "as_is":
            raise ValueError(
                f"`oracle` changes what everyone sees, and `at_start: {self.at_start}` spares some. Keep one."
            )
        return self

    @model_validator(mode="after")
    def _a_rollup_meets_all(self) -> Self:
        for name in _SURROUNDINGS:
            if getattr(self, name) is None:
                continue
            if self.at_start != "as_is":
                raise ValueError(f"`{name}` meets everyone, and `at_start: {self.at_start}` spares some. Keep one.")
            if self.reanchor is not None:
                raise ValueError(f"`{name}` goes on where `reanchor` returns to what was. Keep one.")
        return self

    @model_validator(mode="after")
    def _one_price_of_a_sale(self) -> Self:
        profit = self.liquidator.profit
        if self.liquidity is not None and profit is not None and profit.slippage:
            raise ValueError(
                "`liquidity` and the liquidator's `slippage` are two prices of one sale. Keep one of them."
            )
        if self.liquidity is not None and self.liquidity.feedback is not None and self.at_start != "as_is":
            raise ValueError(
                f"`feedback` changes what everyone sees, and `at_start: {self.at_start}` spares some. Keep one."
            )
        return self

    @model_validator(mode="after")
    def _one_price_of_a_transaction(self) -> Self:
        own = (one.profit for one in (self.liquidator.contestants or {}).values())
        profits = [self.liquidator.profit, *own]
        if self.fees is not None and any(one is not None and one.transaction is not None for one in profits):
            raise ValueError("`fees` and the liquidator's `transaction` are two prices of one thing. Keep one of them.")
        return self

    def effective(self) -> dict[str, Any]:
        """The whole scenario with every default, as plain data; loading it gives the same scenario."""
        found = self.model_dump(mode="json", by_alias=True)
        for name in ("fees", "liquidity", *_SURROUNDINGS):
            if getattr(self, name) is None:
                del found[name]
        said, usual = found["liquidator"], Liquidator().model_dump(mode="json")
        found["liquidator"] = {key: value for key, value in said.items() if key not in QUIET or value != usual[key]}
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

    kind = Annotated[q.Adjustment | None, *typed(parse, _written, _lever_schema(lever))]
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
        one = compose(singular.capitalize(), __base__=Strict, **_fields_of(levers.all, group))
        groups[group] = (
            dict[str, one],  # type: ignore[valid-type]
            Field(default_factory=dict, description=f"Changes by {singular}."),
        )
    change = compose("Change", __base__=Strict, **groups, **_fields_of(levers.all, ""))
    return compose(
        "Scenario",
        __base__=ScenarioBase,
        change=(change, Field(default_factory=change, description="What the alternative world does differently.")),
    )

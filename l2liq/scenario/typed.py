"""What the parts of the scenario model are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, WithJsonSchema

from l2liq.protocols.levers import Scale
from l2liq.scenario import quantities as q


class Strict(BaseModel):
    """A part of a scenario: immutable, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, strict=True)


def typed(parse: Callable[[Any], Any], write: Callable[[Any], Any], schema: Mapping[str, Any]) -> Any:
    """A value that people write one way and the engine holds another; ``parse`` also takes what it returned before."""
    return (PlainValidator(parse), PlainSerializer(write), WithJsonSchema(dict(schema)))


_DURATION_SCHEMA = {"type": "string", "pattern": r"^\d+(\.\d+)? ?(ms|s|m|h|d)$", "examples": ["60s", "7d"]}

DurationS = Annotated[int, *typed(q.parse_duration_s, lambda s: q.written_duration(s * 1_000), _DURATION_SCHEMA)]


def _wait(value: Any) -> int:
    seconds = q.stored_value(value, Scale.DURATION)
    if seconds < 0:
        raise ValueError(f"{value} lies in the past. Write 0s or a duration such as 10m.")
    return seconds


WaitS = Annotated[int, *typed(_wait, q.written_seconds, _DURATION_SCHEMA | {"examples": ["0s", "10m"]})]
"""A duration that may be nothing [s]."""

_SHARE_SCHEMA = {"type": "string", "pattern": r"^\d+(\.\d+)? ?(%|bps)$", "examples": ["1%", "50bps"]}

Share = Annotated[int, *typed(q.parse_share_bps, lambda bps: q.written_value(bps, Scale.SHARE), _SHARE_SCHEMA)]
"""Basis points of a whole, at most all of it."""

_DOLLAR_SCHEMA = {"type": "string", "pattern": r"^\$\d+(\.\d+)?$", "examples": ["$10", "$0.25"]}

Dollars = Annotated[float, *typed(q.parse_dollars, lambda usd: f"${usd:.10g}", _DOLLAR_SCHEMA)]

DollarsOrNone = Annotated[
    float | None,
    *typed(
        lambda value: None if value is None else q.parse_dollars(value),
        lambda usd: None if usd is None else f"${usd:.10g}",
        {"anyOf": [_DOLLAR_SCHEMA, {"type": "null"}]},
    ),
]

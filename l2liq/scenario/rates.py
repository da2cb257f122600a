"""Exchange rates in a scenario: how much of one asset another is worth, over time."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any

from l2liq.numeric import WAD
from l2liq.scenario.quantities import parse_when, split_quantity, written_time
from l2liq.scenario.typed import typed

Steps = tuple[tuple[int, int], ...]
"""(time [s], rate [wad]) from when on each holds; empty = the recorded rates."""

RECORDED = "recorded"
_MOST = 10**6


def parse_rates(value: Any) -> Steps:
    """``recorded``, one rate, or a list of ``{at: date, rate: number}`` in order of time."""
    if isinstance(value, tuple):
        return value
    if value == RECORDED:
        return ()
    if not isinstance(value, list):
        return ((0, _rate(value)),)
    steps = []
    for one in value:
        if not isinstance(one, dict) or set(one) != {"at", "rate"}:
            raise ValueError(f"{one!r} is no step of a rate. Write {{at: 2026-03-01, rate: 1.18}}.")
        at_s = parse_when(one["at"], "start").timestamp_s
        if at_s is None:
            raise ValueError(f"{one['at']} is no date of a rate. Write a date or a time.")
        steps.append((at_s, _rate(one["rate"])))
    if not steps or any(later[0] <= earlier[0] for earlier, later in pairwise(steps)):
        raise ValueError("the steps of a rate must be in order of time, each later than the one before.")
    return tuple(steps)


def _rate(value: Any) -> int:
    number, unit = (Decimal(str(value)), "") if isinstance(value, float) else split_quantity(value)
    wad = number * WAD
    if unit or not 0 < number <= _MOST or wad != int(wad):
        raise ValueError(f"{value} is no exchange rate. Write a positive plain number, such as 1.18.")
    return int(wad)


def written_rates(steps: Steps | None) -> Any:
    """Canonical form."""
    if steps is None:
        return None
    if not steps:
        return RECORDED
    if len(steps) == 1 and steps[0][0] == 0:
        return _written(steps[0][1])
    return [{"at": written_time(at_s), "rate": _written(wad)} for at_s, wad in steps]


def _written(wad: int) -> str:
    text = f"{Decimal(wad).scaleb(-18):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


_NUMBER = {"type": ["number", "string"], "pattern": r"^\d+(\.\d+)?$"}
_SCHEMA = {
    "anyOf": [
        {"const": RECORDED},
        _NUMBER,
        {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {"at": {"type": "string", "examples": ["2026-03-01"]}, "rate": _NUMBER},
                "required": ["at", "rate"],
                "additionalProperties": False,
            },
        },
        {"type": "null"},
    ],
    "examples": ["recorded", 1.18],
}

Rates = Annotated[Steps | None, *typed(lambda v: None if v is None else parse_rates(v), written_rates, _SCHEMA)]

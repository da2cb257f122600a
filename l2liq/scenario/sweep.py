"""Sweeps: a ``sweep:`` block mirrors the scenario and gives lists or ranges where the scenario has one value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import product
from typing import Any

from l2liq.scenario.document import Document, Place
from l2liq.scenario.quantities import split_quantity

MAX_POINTS = 10_000
_FIXED = ("name", "description", "market", "sweep")


def points_of(document: Document) -> list[dict[Place, Any]]:
    """Every combination of the swept values: place in the scenario to value; one empty point without a sweep.

    Raises
    ------
    ScenarioError
        A value that is neither list nor range, a key that cannot vary, more than :data:`MAX_POINTS` combinations.
    """
    sweep = document.data.get("sweep")
    if sweep is None:
        return [{}]
    if not isinstance(sweep, dict) or not sweep:
        raise document.error(("sweep",), "is empty. Repeat the keys to vary below it, with a list of values each.")
    axes = list(_axes(document, sweep, ("sweep",)))
    total = 1
    for _, values in axes:
        total *= len(values)
    if total > MAX_POINTS:
        raise document.error(
            ("sweep",), f"{total:,} combinations are more than {MAX_POINTS:,}. Use fewer or coarser values."
        )
    places = [place[1:] for place, _ in axes]
    return [dict(zip(places, values, strict=True)) for values in product(*(values for _, values in axes))]


def _axes(document: Document, node: Mapping[str, Any], place: Place) -> Iterator[tuple[Place, list[Any]]]:
    for key, value in node.items():
        here = (*place, key)
        if len(here) == 2 and key in _FIXED:
            raise document.error(here, "cannot vary in a sweep. Take it out of the sweep.")
        if isinstance(value, dict) and set(value) == {"from", "to", "step"}:
            yield here, _range(document, value, here)
        elif isinstance(value, dict) and value:
            yield from _axes(document, value, here)
        elif isinstance(value, list) and value:
            yield here, value
        else:
            raise document.error(
                here, "has nothing to vary. Write a list [80%, 78%] or {from: 70%, to: 80%, step: 1pp}."
            )


def _range(document: Document, node: Mapping[str, Any], place: Place) -> list[Any]:
    try:
        (first, unit), (last, last_unit), (step, step_unit) = (
            split_quantity(node[key]) for key in ("from", "to", "step")
        )
    except ValueError as error:
        raise document.error(place, str(error)) from None
    if unit != last_unit or step_unit not in (unit, "pp" if unit == "%" else unit):
        raise document.error(place, "`from`, `to` and `step` need the same unit.")
    if step == 0 or (last - first) / step < 0:
        raise document.error(place, f"steps of {node['step']} never lead from {node['from']} to {node['to']}.")
    count = int((last - first) / step) + 1
    if count > MAX_POINTS:
        raise document.error(place, f"{count:,} values are more than {MAX_POINTS:,}. Use a larger step.")
    return [_value(first + step * number, unit) for number in range(count)]


def _value(number: Decimal, unit: str) -> Any:
    if unit:
        return f"{number.normalize():f}{unit}"
    return int(number) if number == int(number) else number


def with_values(data: Mapping[str, Any], point: Mapping[Place, Any]) -> dict[str, Any]:
    """The scenario's data with the values of one point in place; the sweep itself left out."""
    found = {key: value for key, value in data.items() if key != "sweep"}
    for place, value in point.items():
        node: dict[Any, Any] = found
        for key in place[:-1]:
            below = node.get(key)
            node[key] = dict(below) if isinstance(below, dict) else {}
            node = node[key]
        node[place[-1]] = value
    return found


def point_title(point: Mapping[Place, Any]) -> str:
    """What distinguishes a point, for people: ``WETH liquidation threshold shift -2pp``."""
    return ", ".join(
        f"{' '.join(_key(key) for key in place[-3:] if key not in _DULL)} {_short(v)}" for place, v in point.items()
    )


_DULL = ("change", "reserves", "emodes", "set")


def _key(key: Any) -> str:
    """Keys of the language are words joined by underscores; symbols and addresses are not."""
    text = str(key)
    return text.replace("_", " ") if text.islower() and not text.startswith("0x") else text


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{_key(key)} {_short(inner)}" for key, inner in value.items())
    return str(value)

"""What makes two runs the same run: canonical text, hashes, ids (DESIGN §7)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

ID_LENGTH = 16
"""Hex digits of an id: 64 bits."""


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal for equal data, in whatever order it was written."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _id(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:ID_LENGTH]


def run_id(effective: Mapping[str, Any], window: tuple[int, int], roots: Mapping[str, str], version: str) -> str:
    """Id of a run: effective scenario, blocks [start, stop), roots of the data read, version of the code."""
    return _id({"scenario": _content(effective), "window": list(window), "roots": dict(roots), "version": version})


def series_id(effective: Mapping[str, Any]) -> str:
    """Id of a series of runs: the scenario without its window."""
    return _id({key: value for key, value in _content(effective).items() if key != "window"})


def _content(value: Any) -> Any:
    """Plain data without the paths of files whose hash stands beside them: it matters what is in a file, not where."""
    if not isinstance(value, Mapping):
        return value
    return {key: _content(inner) for key, inner in value.items() if not (key == "logs" and value.get("sha256"))}


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Where two effective scenarios differ: dotted place, value in one, value in the other (None = not there)."""
    flat_one, flat_other = dict(_flat(one, "")), dict(_flat(other, ""))
    places = sorted(flat_one.keys() | flat_other.keys())
    return [
        (place, flat_one.get(place), flat_other.get(place))
        for place in places
        if flat_one.get(place) != flat_other.get(place)
    ]


def _flat(value: Mapping[str, Any], above: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, inner in value.items():
        found.extend(_flat(inner, f"{above}{key}.") if isinstance(inner, Mapping) else [(above + key, inner)])
    return found

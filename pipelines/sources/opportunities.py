"""Recorded liquidations and the oracle update before each, as published with "Rolling in the Shadows"."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2liq.errors import InputError
from pipelines.sources.opening import opened


@dataclass(frozen=True, slots=True)
class Opportunity:
    """One recorded liquidation.

    Attributes
    ----------
    timestamp_s : of its block
    protocol : whose rules it follows, ``Aave`` or ``Compound``
    distance : blocks since the oracle update that made it possible; None where none was found in the blocks searched
    short_at_start : whether the account was liquidatable when the block began (health factor below 1, or a shortfall);
        None where nobody could tell
    """

    timestamp_s: int
    protocol: str
    distance: int | None
    short_at_start: bool | None


def opportunities(path: Path) -> list[Opportunity]:
    """All liquidations of a file of lines, compressed or not.

    Raises InputError naming the line that is not what it should be, or where the file has none.
    """
    found: list[Opportunity] = []
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                found.extend(_of_line(f"{path}:{number}", line))
    if not found:
        raise InputError(f"{path}: no liquidations. Give lines of `opportunities`.")
    return found


def _of_line(place: str, line: bytes) -> Iterator[Opportunity]:
    try:
        for entry in json.loads(line)["opportunities"]:
            liquidation, distance = entry["liquidation"], entry["oracle_update"]["distance"]
            if distance is not None and int(distance) < 0:
                raise ValueError(f"a distance of {distance}")
            yield Opportunity(
                timestamp_s=int(liquidation["timestamp"]),
                protocol=str(liquidation["protocol_name"]),
                distance=None if distance is None else int(distance),
                short_at_start=_short(liquidation),
            )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{place}: no liquidation with its oracle update ({str(error)[:80]}). Give lines of `opportunities` as "
            "Rolling in the Shadows published them."
        ) from None


def _short(liquidation: Mapping[str, Any]) -> bool | None:
    factor, shortfall = (liquidation.get(f"{name}_start_of_block") for name in ("health_factor", "shortfall"))
    if factor is not None:
        return float(factor) < 1
    return None if shortfall is None else int(shortfall) > 0

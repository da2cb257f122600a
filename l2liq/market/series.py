"""Series: exact step functions of position, such as a price or an interest index."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

SERIES = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("asset", pa.int16(), nullable=False),
        pa.field("key", pa.int64(), nullable=False),
        pa.field("timestamp_s", pa.int64(), nullable=False),
        pa.field("value_raw", pa.binary(32), nullable=False),
    ]
)
"""Steps of all series of a market, ordered by (kind, asset, key). Asset -1: belongs to none (a sequencer's status)."""

PRICE = "price_base"
"""Kind of the price the market sees [base currency, 8 decimals for Aave on rollups]; a step <= 0 = no price."""

SEQUENCER_ANSWER = "sequencer_answer"
"""Kind of the series of the uptime feed's answers, asset -1: 0 = up."""

SEQUENCER_STARTED = "sequencer_started_s"
"""Kind of the series of the times since which it answers so, asset -1."""

SEQUENCER_UPDATED = "sequencer_updated_s"
"""Kind of the series of the times of its reports, asset -1."""


@dataclass(frozen=True)
class Series:
    """A right-continuous step function with exact values.

    Attributes
    ----------
    key, timestamp_s : int64, shape (n,), non-decreasing; a step holds from its key on
    raw : shape (n, 32) uint8, big-endian two's complement
    """

    kind: str
    asset: int
    key: npt.NDArray[np.int64] = field(repr=False)
    timestamp_s: npt.NDArray[np.int64] = field(repr=False)
    raw: npt.NDArray[np.uint8] = field(repr=False)

    @cached_property
    def values(self) -> list[int]:
        """Exact values of all steps."""
        data = self.raw.tobytes()
        return [int.from_bytes(data[i : i + 32], "big", signed=True) for i in range(0, len(data), 32)]

    def step_at(self, key: int) -> int:
        """Index of the step that holds at ``key`` (steps at ``key`` included); -1 before the first."""
        return int(np.searchsorted(self.key, key, side="right")) - 1

    def at(self, key: int) -> int | None:
        """Value that holds at ``key``; None before the first step."""
        step = self.step_at(key)
        return None if step < 0 else self.values[step]

    @cached_property
    def floats(self) -> npt.NDArray[np.float64]:
        """Values as doubles, each correctly rounded; shape (n,)."""
        return np.array([float(value) for value in self.values], dtype=np.float64)

"""Parts of the main job: pictures that lose no spike, manifests with a current schema."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from l2liq.outcome import OUTCOMES, Kind, World
from pipelines.manifest import manifest_schema
from pipelines.pictures import thinned, worst_hour

ALICE = b"\x01" * 20


def events(*rows: tuple[Kind, bytes, int, int | None]) -> pa.Table:
    made = [
        dict.fromkeys(OUTCOMES.names)
        | {
            "run_id": "",
            "world": World.ACTUAL.value,
            "sequence": n,
            "kind": kind.value,
            "block_number": 1,
            "log_index": 0,
            "timestamp_s": at,
            "account": account,
            "liquidatable_since_s": since,
            "debt_usd": 1.0,
        }
        for n, (kind, account, at, since) in enumerate(rows)
    ]
    return pa.Table.from_pylist(made, OUTCOMES)


def test_worst_hour_is_the_clock_hour_with_most_debt_in_one_world() -> None:
    rows = events(*[(Kind.LIQUIDATION, ALICE, at, None) for at in (3_599, 7_200, 7_300, 10_799, 10_800)])
    assert worst_hour(rows) == 7_200
    assert worst_hour(events((Kind.MARGIN_CALL, ALICE, 5, None))) is None


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=500), st.integers(1, 60))
def test_thinning_keeps_ends_and_extremes(values: list[float], bins: int) -> None:
    series = np.array(values)
    kept = thinned(series, bins)
    assert kept == sorted(set(kept))
    assert (kept[0], kept[-1]) == (0, len(values) - 1)
    assert (series[kept].min(), series[kept].max()) == (series.min(), series.max())
    assert len(kept) <= max(2 * bins + 2, 1)


def test_published_schema_of_manifests_is_current() -> None:
    published: dict[str, Any] = json.loads((files("schemas") / "manifest.schema.json").read_text())
    assert published == manifest_schema()

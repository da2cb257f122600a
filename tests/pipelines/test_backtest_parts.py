"""Parts of the main job: delays fitted with censoring, pictures that lose no spike, manifests with a current schema."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2liq.outcome import OUTCOMES, Kind, World
from pipelines.manifest import manifest_schema
from pipelines.pictures import thinned, worst_hour
from pipelines.plan import fit_delays

ALICE, BOB = b"\x01" * 20, b"\x02" * 20


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


def test_delays_are_fitted_with_positions_nobody_liquidated_as_censored() -> None:
    """Two liquidated after 10 s and 30 s, two open for 20 s and 100 s. By hand: 1/4, then 1/4 + 3/4 * 1/2."""
    outcomes = events(
        (Kind.MARGIN_CALL, ALICE, 100, None),
        (Kind.LIQUIDATION, ALICE, 110, 100),
        (Kind.LIQUIDATION, ALICE, 115, 100),
        (Kind.MARGIN_CALL, ALICE, 200, None),
        (Kind.LIQUIDATION, ALICE, 230, 200),
        (Kind.MARGIN_CALL, BOB, 880, None),
        (Kind.MARGIN_CALL, BOB, 900, None),
    )
    fitted = fit_delays(outcomes, 1_000)
    assert fitted.delays == (10.0, 30.0)
    assert fitted.reached == pytest.approx((0.25, 0.625))


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

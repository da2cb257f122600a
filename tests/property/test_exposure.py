"""What is executed and not yet settled, against counting it second by second."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from l2liq.metrics.exposure import exposure, peak

STAYS = st.tuples(st.integers(0, 40), st.none() | st.integers(0, 30), st.integers(0, 1_000))


@given(st.lists(STAYS, max_size=25))
def test_the_open_value_is_the_sum_of_what_began_and_has_not_ended(stays: list[tuple[int, int | None, int]]) -> None:
    begun = np.array([start for start, _, _ in stays], dtype=np.int64)
    until = np.array([np.nan if length is None else start + length for start, length, _ in stays], dtype=np.float64)
    value = np.array([float(usd) for _, _, usd in stays])
    times, usd = exposure(begun, until, value)
    known = [(start, start + length, usd) for start, length, usd in stays if length is not None]
    counted = [sum(usd for start, stop, usd in known if start <= at < stop) for at in range(75)]
    for at in range(75):
        step = int(np.searchsorted(times, at, side="right")) - 1
        assert (usd[step] if step >= 0 else 0.0) == counted[at]
    assert peak(begun, until, value) == (max(counted) if known else None)


@given(st.lists(STAYS, min_size=1, max_size=25), st.integers(1, 20))
def test_a_slower_clock_never_leaves_less_at_risk(stays: list[tuple[int, int | None, int]], later: int) -> None:
    begun = np.array([start for start, _, _ in stays], dtype=np.int64)
    until = begun + np.array([length or 0 for _, length, _ in stays], dtype=np.float64)
    value = np.array([float(usd) for _, _, usd in stays])
    before, after = peak(begun, until, value), peak(begun, until + later, value)
    assert before is not None
    assert after is not None
    assert before <= after

"""Liquidator models: draws that stay put, delays by inverse distribution, fits with censoring."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from l2liq.errors import InputError
from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.liquidators import (
    Constant,
    Draws,
    Empirical,
    Immediate,
    LatencyBlocks,
    LatencySeconds,
    LogNormal,
    kaplan_meier,
    uniform,
)
from l2liq.market import Clock
from l2liq.protocols.interface import Moment

CLOCK = Clock(np.array([100, 105, 110]), np.array([1_000, 1_010, 1_020]))
CROSSED = Moment(key_of(105, 7), 1_010)
ALICE, BOB = b"a" * 20, b"b" * 20


def test_a_draw_depends_on_its_place_only() -> None:
    draws = Draws(5)
    today = [draws.next(ALICE, "delay", 86_400 * 9 + second) for second in (0, 10, 86_399)]
    assert today == [uniform(5, ALICE, "delay", 9, ordinal) for ordinal in range(3)]

    draws.next(BOB, "delay", 86_400 * 9)
    assert draws.next(ALICE, "delay", 86_400 * 10) == uniform(5, ALICE, "delay", 10, 0)
    places = [(5, ALICE, "delay", 9, 0), (6, ALICE, "delay", 9, 0), (5, BOB, "delay", 9, 0), (5, ALICE, "size", 9, 0)]
    assert len({uniform(*place) for place in places}) == len(places)


def test_draws_are_uniform() -> None:
    sample = np.sort([uniform(1, ALICE, "delay", day, ordinal) for day in range(200) for ordinal in range(50)])
    distance = np.abs(sample - (np.arange(len(sample)) + 0.5) / len(sample)).max()
    assert distance < 1.63 / np.sqrt(len(sample))  # Kolmogorov–Smirnov, 1 %


def test_lognormal_quantiles_invert_its_distribution() -> None:
    delays = LogNormal(median=30.0, sigma=1.2)
    for share in (0.01, 0.5, 0.9, 0.999):
        delay = delays.quantile(share)
        assert NormalDist(np.log(30.0), 1.2).cdf(np.log(delay)) == pytest.approx(share)
    assert delays.quantile(0.0) == 0.0
    assert LogNormal(30.0, 0.0).quantile(0.0) == 30.0


def test_empirical_delays_end_where_observation_ends() -> None:
    delays = Empirical((2.0, 5.0), (0.25, 0.75))
    assert [delays.quantile(draw) for draw in (0.0, 0.2499, 0.25, 0.7499, 0.75, 0.999)] == [2, 2, 5, 5, None, None]


def test_immediate_executes_in_the_same_place() -> None:
    assert Immediate().execution(0.7, CROSSED, CLOCK) == CROSSED


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (LatencySeconds(Constant(0)), CROSSED),
        (LatencySeconds(Constant(10)), Moment(key_of(110, END_OF_BLOCK), 1_020)),
        (LatencySeconds(Constant(9)), Moment(key_of(105, END_OF_BLOCK), 1_019)),
        (LatencySeconds(Empirical((3.0,), (0.5,))), None),
        (LatencyBlocks(Constant(0)), CROSSED),
        (LatencyBlocks(Constant(5)), Moment(key_of(110, END_OF_BLOCK), 1_020)),
        (LatencyBlocks(Constant(2)), Moment(key_of(107, END_OF_BLOCK), 1_010)),
    ],
)
def test_latency_executes_at_the_end_of_the_block_in_force(model: object, expected: Moment | None) -> None:
    assert model.execution(0.6, CROSSED, CLOCK) == expected


def test_kaplan_meier_of_a_worked_example() -> None:
    # At 1: 1 of 6 leaves; at 3: 2 of 4; the open one at 3 still counts as at risk there; at 8: 1 of 1.
    fitted = kaplan_meier([1, 2, 3, 3, 3, 8], [True, False, True, True, False, True])
    assert fitted.delays == (1.0, 3.0, 8.0)
    assert fitted.reached == pytest.approx((1 / 6, 1 - 5 / 6 * 2 / 4, 1.0))


def test_kaplan_meier_without_censoring_is_the_empirical_distribution() -> None:
    sample = [4.0, 1.0, 1.0, 9.0]
    assert kaplan_meier(sample, [True] * 4) == Empirical((1.0, 4.0, 9.0), pytest.approx((0.5, 0.75, 1.0)))


def test_positions_never_liquidated_stay_never_liquidated() -> None:
    fitted = kaplan_meier([5, 100, 100, 100], [True, False, False, False])
    assert fitted.quantile(0.2) == 5.0
    assert fitted.quantile(0.3) is None


def test_fit_without_a_liquidation_says_what_to_do() -> None:
    with pytest.raises(InputError, match="Choose another period"):
        kaplan_meier([5.0], [False])

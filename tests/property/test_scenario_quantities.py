"""Arithmetic of changes, and that a scenario means the same however it is written."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from l2liq.protocols.aave_v3.levers import AaveLevers
from l2liq.protocols.levers import Scale
from l2liq.scenario import quantities as q
from l2liq.scenario.identity import canonical_json
from l2liq.scenario.load import load_scenarios

LEVERS = AaveLevers()
STORED = {
    Scale.SHARE: st.integers(0, 10_000),
    Scale.PREMIUM: st.integers(10_000, 65_535),
    Scale.HEALTH: st.integers(0, 10**18),
    Scale.RATE: st.integers(0, 10**5).map(lambda bps: bps * 10**23),
    Scale.COUNT: st.integers(0, 2**36 - 1),
    Scale.DURATION: st.integers(0, 365 * 86_400),
}
SHIFT = {
    Scale.SHARE: st.integers(-10_000, 10_000),
    Scale.PREMIUM: st.integers(-10_000, 10_000),
    Scale.HEALTH: st.integers(-(10**18), 10**18),
    Scale.RATE: st.integers(-(10**5), 10**5).map(lambda bps: bps * 10**23),
    Scale.COUNT: st.integers(-(2**36), 2**36),
    Scale.DURATION: st.integers(-365 * 86_400, 365 * 86_400),
}
scales = st.sampled_from(Scale)


@given(scales.flatmap(lambda scale: st.tuples(st.just(scale), STORED[scale], SHIFT[scale])))
def test_written_quantities_read_back_exactly(case: tuple[Scale, int, int]) -> None:
    scale, stored, shift = case
    assert q.stored_value(q.written_value(stored, scale), scale) == stored
    assert q.stored_shift(q.written_shift(shift, scale), scale) == shift


@given(st.integers(1, 10**15))
def test_written_durations_read_back_exactly(ms: int) -> None:
    assert q.parse_duration_ms(q.written_duration(ms)) == ms


@given(scales.flatmap(lambda scale: st.tuples(st.just(scale), STORED[scale], STORED[scale], SHIFT[scale])))
def test_whole_change_arrives(case: tuple[Scale, int, int, int]) -> None:
    scale, stored, target, shift = case
    assert q.Adjustment(scale, set=target).applied(stored) == target
    assert q.Adjustment(scale, shift=shift).applied(stored) == stored + shift


@given(STORED[Scale.SHARE], STORED[Scale.SHARE], st.integers(1, 50))
def test_ramp_never_leaves_the_way_from_old_to_new_nor_turns_back(old: int, new: int, steps: int) -> None:
    values = [q.Adjustment(Scale.SHARE, set=new).applied(old, step, steps) for step in range(steps + 1)]
    assert values[0] == old
    assert values[-1] == new
    assert values == sorted(values, reverse=new < old)
    largest = -(-abs(new - old) // steps)
    assert all(abs(after - before) <= largest for before, after in pairwise(values))


def change(scale: Scale) -> st.SearchStrategy[Any]:
    value = STORED[scale].map(lambda stored: q.written_value(stored, scale))
    shift = SHIFT[scale].map(lambda moved: q.written_shift(moved, scale))
    return st.one_of(value, st.builds(lambda v: {"set": v}, value), st.builds(lambda v: {"shift": v}, shift))


collateral = st.fixed_dictionaries(
    {},
    optional={
        "liquidation_threshold": change(Scale.SHARE),
        "ltv": change(Scale.SHARE),
        "liquidation_bonus": change(Scale.PREMIUM),
    },
)
scenarios = st.fixed_dictionaries(
    {"name": st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30)},
    optional={
        "window": st.one_of(st.just("all"), st.fixed_dictionaries({}, optional={"from": st.integers(0, 10**6)})),
        "effective_from": st.one_of(st.just("start"), st.integers(0, 10**6), st.just("2024-08-01T12:00")),
        "change": st.fixed_dictionaries(
            {},
            optional={
                "reserves": st.dictionaries(st.sampled_from(["WETH", "USDC", "0xab"]), collateral, max_size=3),
                "emodes": st.dictionaries(st.sampled_from(["1", "Stablecoins"]), collateral, max_size=2),
                "close_factor_health_threshold": change(Scale.HEALTH),
            },
        ),
        "at_start": st.sampled_from(["as_is", "exclude_underwater", "grandfather"]),
        "liquidator": st.sampled_from(
            [
                "immediate",
                {"model": "latency", "delay": "90s", "spread": 0.5},
                {"model": "latency", "delay": "fitted"},
                {"model": "immediate"},
            ]
        ),
        "heartbeat": st.sampled_from(["60s", "1m", "3600s"]),
        "reanchor": st.sampled_from(["never", "7d", "48h"]),
        "seed": st.integers(0, 2**63 - 1),
    },
)


def effective(data: dict[str, Any]) -> dict[str, Any]:
    """Through YAML, of which JSON is a part."""
    (loaded,) = load_scenarios(json.dumps(data, ensure_ascii=False), "s.yaml", LEVERS)
    return loaded.scenario.effective()


def shuffled(value: Any, draw: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: shuffled(value[key], draw) for key in draw(st.permutations(list(value)))}


@settings(deadline=None)
@given(scenarios, st.data())
def test_canonical_form_is_stable_under_key_order_and_under_itself(data: dict[str, Any], source: st.DataObject) -> None:
    once = effective(data)
    assert canonical_json(effective(shuffled(data, source.draw))) == canonical_json(once)
    assert effective(once) == once

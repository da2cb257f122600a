"""The parameter model of Aave v3: what it writes it reads, and it objects exactly where the configurator would."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from l2liq.protocols.aave_v3.levers import AaveLevers
from l2liq.protocols.aave_v3.parameters import EMode, ReserveParameters
from l2liq.protocols.aave_v3.versions import rule_set
from tests.small_market import FIRST_SET, small_market

LEVERS = AaveLevers()
MARKET = small_market()
bps = st.integers(0, 10_000)
bonuses = st.one_of(st.just(0), st.integers(9_990, 12_000))


@given(st.lists(st.tuples(st.sampled_from(LEVERS.all), st.integers(0, 1), st.data()), max_size=8))
def test_what_is_replaced_is_read_back_and_nothing_else_changes(changes: list) -> None:  # type: ignore[type-arg]
    values = {}
    for lever, number, source in changes:
        key = {"reserves": number, "emodes": 1, "": 0}[lever.group]
        values[lever, key] = source.draw(st.integers(lever.lower, lever.upper))
    changed = LEVERS.replaced(FIRST_SET, values)
    for lever in LEVERS.all:
        for key in {"reserves": (0, 1), "emodes": (1,), "": (0,)}[lever.group]:
            expected = values.get((lever, key), LEVERS.value(FIRST_SET, lever, key))
            assert LEVERS.value(changed, lever, key) == expected
    assert LEVERS.replaced(changed, {at: LEVERS.value(FIRST_SET, *at) or 0 for at in values}) == FIRST_SET


def allowed(ltv: int, threshold: int, bonus: int) -> bool:
    """DOMAIN §1.6: ltv <= LT; if LT != 0 then bonus > 10000 and percentMul(LT, bonus) <= 10000, half up."""
    return ltv <= threshold and (threshold == 0 or (bonus > 10_000 and (threshold * bonus + 5_000) // 10_000 <= 10_000))


@given(bps, bps, bonuses, st.booleans())
def test_objections_are_the_configurators(ltv: int, threshold: int, bonus: int, in_emode: bool) -> None:
    if in_emode:
        found = replace(FIRST_SET, emodes=MappingProxyType({1: EMode(ltv, threshold, bonus)}))
    else:
        reserve = ReserveParameters(ltv_bps=ltv, liquidation_threshold_bps=threshold, liquidation_bonus_bps=bonus)
        found = replace(FIRST_SET, reserves=(reserve, *FIRST_SET.reserves[1:]))
    objections = LEVERS.objections(MARKET, found)
    assert (not objections) == allowed(ltv, threshold, bonus)
    assert all(objection.startswith("e-mode 1:" if in_emode else "WETH:") for objection in objections)


@given(st.integers(0, 12 * 10**27), st.integers(0, 12 * 10**27), st.integers(0, 12 * 10**27))
def test_objections_to_curves_are_the_strategys(base: int, slope1: int, slope2: int) -> None:
    reserve = replace(FIRST_SET.reserves[0], base_rate_ray=base, slope1_ray=slope1, slope2_ray=slope2)
    with_curves = replace(FIRST_SET, rules=rule_set("3.1"), reserves=(reserve, *FIRST_SET.reserves[1:]))
    allowed_by_strategy = slope1 <= slope2 and base + slope1 + slope2 <= 10 * 10**27
    assert (not LEVERS.objections(MARKET, with_curves)) == allowed_by_strategy

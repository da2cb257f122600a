"""Rules of Aave v3 against vectors computed by hand or by the contracts (DOMAIN §1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from l2liq.numeric import RAY, WAD
from l2liq.protocols.aave_v3.interest import (
    binomial_growth,
    borrow_index_at,
    linear_growth,
    liquidity_index_at,
    taylor_growth,
)
from l2liq.protocols.aave_v3.liquidation import (
    Amounts,
    Holding,
    Pair,
    largest_seizure,
    leaves_dust,
    repayable_debt,
    seizure,
)
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.solvency import Totals, account_data, health_factor_wad, threshold_base
from l2liq.protocols.aave_v3.versions import VERSIONS, Compounding, rule_set

FIVE_PERCENT = 5 * 10**25


@pytest.mark.parametrize(
    ("elapsed_s", "binomial", "taylor"),
    [
        (1, 1000000001585489599188229325, 1000000001585489600445117960),
        (86_400, 1000136995684207123907444230, 1000136995684421674802557900),
        (2_592_000, 1004118042106000198784926904, 1004118044969757105730597891),
        (31_536_000, 1051265681539063650421944000, 1051270833333333333333333333),
    ],
)
def test_borrow_growth_equals_the_vectors_of_both_formulas(elapsed_s, binomial, taylor):
    assert binomial_growth(FIVE_PERCENT, elapsed_s) == binomial
    assert taylor_growth(FIVE_PERCENT, elapsed_s) == taylor


def test_supply_growth_is_linear_and_floors():
    assert linear_growth(FIVE_PERCENT, 31_536_000) == RAY + FIVE_PERCENT
    assert linear_growth(1, 31_535_999) == RAY


def test_indices_do_not_move_within_one_timestamp():
    assert liquidity_index_at(RAY + 7, FIVE_PERCENT, 0) == RAY + 7
    for compounding in Compounding:
        assert borrow_index_at(RAY + 7, FIVE_PERCENT, 0, compounding) == RAY + 7


VECTORS = [
    (
        (2301170456, 598028887951264488, 362681103769, 100047156, 10500, 2000),
        Amounts(592333374732681017, 2064681399, 5695513218583471),
        Amounts(592333374732681017, 2064681400, 5695513218583471),
        Amounts(592333374732681016, 2064681400, 5695513218583472),
    ),
    (
        (1632401219, 1098001356258916783, 296035694504, 100041586, 10600, 2000),
        Amounts(578128902856886058, 1632401219, 6619796597597932),
        Amounts(578128902856886058, 1632401219, 6619796597597932),
        Amounts(578128902856886057, 1632401219, 6619796597597932),
    ),
    (
        (774160828, 1598974830979140186, 187721410886, 99988891, 11000, 1000),
        Amounts(449464745057042461, 774160828, 4123529771165527),
        Amounts(449464745057042461, 774160828, 4123529771165527),
        Amounts(449464745057042459, 774160828, 4123529771165528),
    ),
]


@pytest.mark.parametrize(("given", "until_34", "until_36", "since_37"), VECTORS)
def test_seizure_equals_the_vectors_of_every_version(given, until_34, until_36, since_37):
    debt, balance, collateral_price, debt_price, bonus_bps, fee_bps = given
    pair = Pair(collateral_price, 10**18, debt_price, 10**6, bonus_bps, fee_bps)
    for version in VERSIONS:
        expected = until_34 if version < "3.5" else until_36 if version < "3.7" else since_37
        assert seizure(debt, balance, pair, rule_set(version)) == expected, version


def parameters(version: str, **changes: int) -> AaveParameters:
    return replace(AaveParameters(rule_set(version), ()), **changes)


DOLLAR_PAIR = Pair(10**8, 10**18, 10**8, 10**6, 10_500, 0)


def holding(collateral_usd: int, debt_usd: int, total_debt_usd: int, health_wad: int) -> Holding:
    return Holding(collateral_usd * 10**18, debt_usd * 10**6, total_debt_usd * 10**8, health_wad)


JUST_BELOW_ONE = WAD - 1


@pytest.mark.parametrize(
    ("version", "held", "repayable_usd"),
    [
        ("3.0.2", holding(9_000, 6_000, 6_000, JUST_BELOW_ONE), 3_000),
        ("3.0.2", holding(9_000, 6_000, 6_000, 95 * WAD // 100 + 1), 3_000),
        ("3.0.2", holding(9_000, 6_000, 6_000, 95 * WAD // 100), 6_000),
        ("3.0.2", holding(900, 600, 600, JUST_BELOW_ONE), 300),
        ("3.2.1", holding(9_000, 6_000, 12_000, JUST_BELOW_ONE), 3_000),
        ("3.3", holding(9_000, 6_000, 6_000, JUST_BELOW_ONE), 3_000),
        ("3.3", holding(9_000, 6_000, 12_000, JUST_BELOW_ONE), 6_000),
        ("3.3", holding(9_000, 6_000, 6_000, 95 * WAD // 100), 6_000),
        ("3.3", holding(1_999, 6_000, 6_000, JUST_BELOW_ONE), 6_000),
        ("3.3", holding(9_000, 1_999, 1_999, JUST_BELOW_ONE), 1_999),
        ("3.3", holding(2_000, 2_000, 2_000, JUST_BELOW_ONE), 1_000),
    ],
)
def test_close_factor_by_version_and_health(version, held, repayable_usd):
    assert repayable_debt(held, DOLLAR_PAIR, parameters(version)) == repayable_usd * 10**6


def test_close_factor_and_its_thresholds_are_parameters():
    held = holding(9_000, 6_000, 6_000, 97 * WAD // 100)
    assert repayable_debt(held, DOLLAR_PAIR, parameters("3.0.2", default_close_factor_bps=2_500)) == 1_500 * 10**6
    lower = parameters("3.0.2", close_factor_hf_threshold_wad=98 * WAD // 100)
    assert repayable_debt(held, DOLLAR_PAIR, lower) == 6_000 * 10**6
    larger = parameters("3.6", min_base_max_close_factor_threshold_base=6_001 * 10**8)
    assert repayable_debt(held, DOLLAR_PAIR, larger) == 6_000 * 10**6


def test_dust_is_what_leaves_both_sides_and_one_too_small():
    held = holding(9_000, 6_000, 12_000, JUST_BELOW_ONE)
    terms = parameters("3.3")
    assert not leaves_dust(Amounts(5_250 * 10**18, 5_000 * 10**6, 0), held, DOLLAR_PAIR, terms)
    assert leaves_dust(Amounts(5_250 * 10**18, 5_000 * 10**6 + 1, 0), held, DOLLAR_PAIR, terms)
    assert leaves_dust(Amounts(8_000 * 10**18, 5_000 * 10**6, 1), held, DOLLAR_PAIR, terms)
    assert not leaves_dust(Amounts(8_999 * 10**18, 6_000 * 10**6, 0), held, DOLLAR_PAIR, terms)
    assert not leaves_dust(Amounts(9_000 * 10**18, 5_999 * 10**6, 0), held, DOLLAR_PAIR, terms)
    assert not leaves_dust(Amounts(8_999 * 10**18, 5_999 * 10**6, 0), held, DOLLAR_PAIR, parameters("3.2"))


def test_rest_of_a_debt_is_valued_up_since_35():
    odd = replace(DOLLAR_PAIR, debt_price=99_999_999)
    held = Holding(9_000 * 10**18, 1_000 * 10**6 + 10_000_011, 5_000 * 10**8, JUST_BELOW_ONE)
    amounts = Amounts(10**18, 10_000_000, 0)
    left_base = (held.debt - amounts.debt) * odd.debt_price
    assert left_base % 10**6 and left_base // 10**6 == 100_000_000_099
    exact = {"min_leftover_base": 100_000_000_100}
    assert leaves_dust(amounts, held, odd, parameters("3.4", **exact))
    assert not leaves_dust(amounts, held, odd, parameters("3.5", **exact))


def test_largest_repayment_stops_short_of_dust():
    """Half of 4,500 may be repaid, but of 2,500 that leaves 250: the largest that leaves 1,000 is 1,500."""
    held = holding(9_000, 2_500, 4_500, JUST_BELOW_ONE)
    amounts = largest_seizure(held, DOLLAR_PAIR, parameters("3.3"))
    assert amounts == Amounts(1_575 * 10**18, 1_500 * 10**6, 0)


def test_averaged_health_floors_the_threshold_to_whole_bps_and_the_weighted_sum_does_not():
    totals = Totals(3, 2, 2 * 8_000 + 7_999, 0, False)
    assert totals.threshold_bps == 7_999
    assert threshold_base(totals, rule_set("3.4")) == 2
    assert health_factor_wad(totals, rule_set("3.4")) == WAD
    assert health_factor_wad(totals, rule_set("3.5")) == (23_999 * WAD + 1) // 2 // 10_000
    assert health_factor_wad(totals._replace(debt_base=0), rule_set("3.5")) is None


def test_the_six_numbers_of_an_account():
    totals = Totals(10_001 * 10**8, 5_000 * 10**8, 10_001 * 10**8 * 8_250, 10_001 * 10**8 * 8_000, False)
    data = account_data(totals, rule_set("3.0.2"))
    assert data.available_borrows_base == 300_080_000_000
    assert (data.liquidation_threshold_bps, data.ltv_bps) == (8_250, 8_000)
    assert data.health_factor_wad == 1_650_165_000_000_000_000
    assert account_data(Totals(0, 0, 0, 0, False), rule_set("3.6")).health_factor_wad == 2**256 - 1


def test_what_may_still_be_borrowed_is_floored_since_35():
    totals = Totals(1, 0, 8_000, 5_000, False)
    assert account_data(totals, rule_set("3.4")).available_borrows_base == 1
    assert account_data(totals, rule_set("3.5")).available_borrows_base == 0

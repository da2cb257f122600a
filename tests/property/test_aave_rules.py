"""Relations that the rules of every version keep: rounding, bounds and conservation."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from l2liq.numeric import BPS, RAY
from l2liq.protocols.aave_v3.balances import token_math
from l2liq.protocols.aave_v3.liquidation import Pair, seizure
from l2liq.protocols.aave_v3.versions import VERSIONS, Rounding, rule_set

rules = st.sampled_from([rule_set(version) for version in VERSIONS])
directed = st.sampled_from([rule_set(version) for version in VERSIONS if version >= "3.5"])
amounts = st.integers(1, 10**30)
indices = st.integers(RAY, 100 * RAY)


@given(rules, amounts, indices)
def test_taking_a_whole_balance_takes_every_scaled_unit(rule, scaled, index):
    math = token_math(rule)
    assert math.atoken_burn(math.atoken_balance(scaled, index), index) == scaled
    assert math.atoken_transfer(math.atoken_balance(scaled, index), index) == scaled
    assert math.debt_burn(math.debt_balance(scaled, index), index) == scaled


@given(directed, amounts, indices)
def test_directed_rounding_never_favours_the_account(rule, amount, index):
    math = token_math(rule)
    assert math.atoken_balance(math.atoken_mint(amount, index), index) <= amount
    assert math.debt_balance(math.debt_mint(amount, index), index) >= amount
    assert math.atoken_burn(amount, index) * index >= amount * RAY
    assert math.debt_burn(amount, index) * index <= amount * RAY


@given(rules, amounts, indices)
def test_conversions_are_within_one_unit_of_the_exact_quotient(rule, amount, index):
    math = token_math(rule)
    for convert in (math.atoken_mint, math.atoken_burn, math.atoken_transfer, math.debt_mint, math.debt_burn):
        assert abs(convert(amount, index) - Fraction(amount * RAY, index)) < 1
    for balance in (math.atoken_balance, math.debt_balance):
        assert abs(balance(amount, index) - Fraction(amount * index, RAY)) < 1


pairs = st.builds(
    Pair,
    collateral_price=st.integers(1, 10**13),
    collateral_unit=st.sampled_from((10**2, 10**6, 10**8, 10**18)),
    debt_price=st.integers(1, 10**13),
    debt_unit=st.sampled_from((10**2, 10**6, 10**8, 10**18)),
    bonus_bps=st.integers(10_001, 12_500),
    protocol_fee_bps=st.integers(0, 10_000),
)


@given(rules, st.integers(1, 10**24), st.integers(1, 10**24), pairs)
def test_a_seizure_takes_no_more_than_there_is_and_repays_no_more_than_asked(rule, debt, balance, pair):
    taken = seizure(debt, balance, pair, rule)
    assert taken.to_liquidator >= 0 and taken.protocol_fee >= 0
    assert taken.seized <= balance
    assert 0 <= taken.debt <= debt
    if taken.seized < balance:
        assert taken.debt == debt


@given(rules, st.integers(1, 10**24), st.integers(1, 10**24), pairs)
def test_what_is_seized_is_worth_the_repayment_and_the_bonus(rule, debt, balance, pair):
    """Within one unit of collateral for the price conversion, grown by the bonus, and one for the bonus itself; where
    the balance is the limit, within as little of the debt."""
    taken = seizure(debt, balance, pair, rule)
    collateral_per_debt = Fraction(pair.debt_price * pair.collateral_unit, pair.collateral_price * pair.debt_unit)
    bonus = Fraction(pair.bonus_bps, BPS)
    if taken.seized < balance:
        exact = taken.debt * collateral_per_debt * bonus
        assert exact - bonus - 1 < taken.seized <= exact + Fraction(1, 2)
    else:
        exact_debt = min(Fraction(debt), taken.seized / bonus / collateral_per_debt)
        slack = 2 + (bonus + 1) / collateral_per_debt
        assert abs(taken.debt - exact_debt) <= slack


@given(rules, st.integers(1, 10**24), pairs)
def test_the_fee_is_its_share_of_the_bonus(rule, debt, pair):
    taken = seizure(debt, 10**60, pair, rule)
    exact = taken.seized * (1 - Fraction(BPS, pair.bonus_bps)) * Fraction(pair.protocol_fee_bps, BPS)
    assert abs(taken.protocol_fee - exact) <= 2


@settings(max_examples=200)
@given(rules, amounts, st.integers(1, 10**13), st.sampled_from((10**2, 10**6, 10**18)))
def test_debt_is_worth_at_least_its_exact_value_where_it_is_valued_up(rule, amount, price, unit):
    value, exact = token_math(rule).debt_value(amount, price, unit), Fraction(amount * price, unit)
    if rule.debt_value is Rounding.CEIL:
        assert exact <= value < exact + 1 and value >= 1
    else:
        assert exact - 1 < value <= exact

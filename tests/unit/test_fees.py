"""Fee schemes on the values of the protocols' own tests, and what holds of all of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2liq.chains.fees import SCHEMES, FeeRule, Prices, Size, scalars_of
from l2liq.chains.fees.arbitrum import Arbitrum
from l2liq.chains.fees.backlog import ARBOS_51, LEGACY, Constraint, base_fee, exp_bps, lowest_backlog
from l2liq.chains.fees.bedrock import Bedrock
from l2liq.chains.fees.ecotone import Ecotone
from l2liq.chains.fees.fastlz import compressed_length, literals_length
from l2liq.chains.fees.fjord import Fjord
from l2liq.chains.fees.isthmus import Isthmus
from l2liq.chains.fees.jovian import Jovian, da_footprint
from l2liq.chains.fees.scroll import ScrollBernoulli, ScrollCurie, ScrollFeynman, ScrollGalileo
from l2liq.chains.fees.zksync import ZkSync
from l2liq.errors import InputError

GWEI = 10**9


@pytest.mark.parametrize(("data", "length"), [(b"", 0), (b"\x01" * 1000, 21), (bytes(1000), 21), (b"ab", 3)])
def test_fastlz_lengths_are_those_of_op_geths_tests(data: bytes, length: int) -> None:
    assert compressed_length(data) == length


@given(st.binary(max_size=400) | st.lists(st.sampled_from(b"abc"), max_size=400).map(bytes))
def test_data_is_never_longer_than_if_nothing_in_it_repeated(data: bytes) -> None:
    assert compressed_length(data) <= literals_length(len(data))


def test_fjord_is_what_op_geth_and_its_oracle_contract_compute() -> None:
    scheme = Fjord(base_fee_scalar=20, blob_base_fee_scalar=15)
    prices = Prices(0, l1_base_fee=2_000_000, blob_base_fee=3_000_000)
    assert scheme.cost(0, Size(0, compressed=235), prices).l1_wei == 105_484


@pytest.mark.parametrize(
    ("scalars", "l1", "blob", "fee"),
    [
        ((2_269, 1_055_762), 119_811_125, 4_949_171, 957_476_975),
        ((5_227, 1_014_213), 116_761_274, 4_893_964, 1_472_850_077),
    ],
    ids=["Base", "OP Mainnet"],
)
def test_the_smallest_fjord_fee_of_2026_07_24_is_what_the_chains_said(
    scalars: tuple[int, int], l1: int, blob: int, fee: int
) -> None:
    prices = Prices(0, l1_base_fee=l1, blob_base_fee=blob)
    assert Fjord(*scalars).cost(0, Size(0, compressed=0), prices).l1_wei == fee
    assert Fjord(*scalars).cost(0, Size(0, compressed=170), prices).l1_wei == fee
    assert Fjord(*scalars).cost(0, Size(0, compressed=171), prices).l1_wei > fee


def test_ecotone_prices_calldata_gas_as_on_base_that_day() -> None:
    prices = Prices(0, l1_base_fee=119_811_125, blob_base_fee=4_949_171)
    assert Ecotone(2_269, 1_055_762).cost(0, Size(300), prices).l1_wei == 2_872_430_926


def test_regolith_no_longer_counts_a_signature_twice() -> None:
    prices = Prices(0, l1_base_fee=10**9)
    regolith, before = Bedrock(188, 684_000), Bedrock(188, 684_000, extra_bytes=68)
    assert before.l1_gas(Size(100)) - regolith.l1_gas(Size(100)) == 68 * 16
    assert regolith.cost(7, Size(100, 40), prices).l1_wei == (4 * 40 + 16 * 60 + 188) * 10**9 * 684_000 // 10**6


def test_the_operators_fee_is_a_millionth_per_gas_in_isthmus_and_a_hundredfold_in_jovian() -> None:
    prices = Prices(10, 2, 0, 0)
    size = Size(100)
    isthmus = Isthmus(0, 0, operator_fee_scalar=1_500_000, operator_fee_constant=7).cost(21_001, size, prices)
    jovian = Jovian(0, 0, operator_fee_scalar=3, operator_fee_constant=7).cost(21_001, size, prices)
    assert isthmus.l2_wei == 21_001 * 12 + 31_501 + 7
    assert jovian.l2_wei == 21_001 * 12 + 21_001 * 300 + 7
    assert Jovian(0, 0, min_base_fee=100).cost(10, size, prices).l2_wei == 10 * 102
    assert da_footprint(171, 400) == 100 * 400
    assert da_footprint(1_000, 400) == (836_500_000 - 42_585_600) // 10**6 * 400


def test_arbitrum_charges_the_poster_in_gas_and_rounds_it_down() -> None:
    prices = Prices(base_fee=100_000_000, priority_fee=5, l1_base_fee=27_168_673_594)
    cost = Arbitrum().cost(400_000, Size(700, compressed=300), prices)
    poster = 16 * 300 * 27_168_673_594
    assert cost.gas_used == 400_000 + poster // 100_000_000
    assert cost.l1_wei == poster // 100_000_000 * 100_000_000
    assert cost.l2_wei == 400_000 * 100_000_000, "no tip"


@pytest.mark.parametrize(
    ("exponent", "value"), [(0, 10_000), (500, 10_512), (2_000, 12_214), (10_000, 27_083), (20_000, 70_000)]
)
def test_the_exponential_is_nitros(exponent: int, value: int) -> None:
    assert exp_bps(exponent) == value


@given(st.integers(0, 10**11), st.integers(0, 30_000))
def test_the_lowest_backlog_of_an_exponent_is_the_lowest(backlog: int, exponent: int) -> None:
    for constraint in (*LEGACY, *ARBOS_51):
        lowest = lowest_backlog(constraint, exponent)
        assert constraint.exponent(lowest) >= exponent
        assert lowest == 0 or constraint.exponent(lowest - 1) < exponent
        assert (constraint.exponent(backlog) >= exponent) == (backlog >= lowest)


def test_a_backlog_is_paid_off_and_costs_nothing_within_the_tolerance() -> None:
    (legacy,) = LEGACY
    assert base_fee(LEGACY, [70_000_000], 10**8) == 10**8
    assert base_fee(LEGACY, [70_000_000 + 102 * 7_000_000], 10**8) == 10**8 * 27_083 // 10_000
    assert legacy.paid_off(10_000_000, 1) == 3_000_000
    assert legacy.paid_off(10_000_000, 2) == 0


def test_constraints_add_their_exponents() -> None:
    one, other = Constraint(1_000, 10), Constraint(500, 100)
    assert base_fee((one, other), (10_000, 50_000), 100) == 100 * exp_bps(20_000) // 10_000


def test_scroll_is_what_its_nodes_tests_expect() -> None:
    assert ScrollBernoulli(100, 10).cost(0, Size(4, 2), Prices(0, l1_base_fee=15_000_000)).l1_wei == 30
    prices = Prices(0, l1_base_fee=1_500_000_000, blob_base_fee=150_000_000)
    assert ScrollCurie(10, 10).cost(0, Size(4, 2), prices).l1_wei == 21
    feynman = ScrollFeynman(10, 20, 6 * GWEI, 2 * GWEI)
    even = Prices(0, l1_base_fee=GWEI, blob_base_fee=GWEI)
    assert feynman.cost(0, Size(102, compressed=17), even).l1_wei == 3_060
    assert feynman.cost(0, Size(100, compressed=20), even).l1_wei == 6_000
    assert feynman.cost(0, Size(100), even).l1_wei == 6_000


def test_scroll_galileo_charges_the_compressed_size_and_more_the_larger_it_is() -> None:
    even = Prices(0, l1_base_fee=GWEI, blob_base_fee=GWEI)
    scheme = ScrollGalileo(10, 20, penalty_factor=1_000)
    assert scheme.cost(0, Size(900, compressed=500), even).l1_wei == 30 * 500 + 30 * 500 * 500 // 1_000
    assert scheme.cost(0, Size(500, compressed=900), even).l1_wei == scheme.cost(0, Size(500), even).l1_wei
    assert ScrollGalileo(10, 20, 0).cost(0, Size(2), even).l1_wei == 60 + 120


def test_scrolls_fee_fits_into_64_bits() -> None:
    assert ScrollCurie(10**30, 0).cost(0, Size(4), Prices(0, 0, 10**9, 0)).l1_wei == 2**64 - 1


def test_zksync_charges_pubdata_in_gas_rounded_up_and_lifts_the_price_where_a_byte_would_cost_too_much() -> None:
    cost = ZkSync().cost(100_000, Size(300, pubdata=200), Prices(25_000_000, pubdata_price=100_780_475_095))
    assert cost.gas_used == 100_000 + 200 * 4_032
    assert (cost.l2_wei, cost.l1_wei) == (100_000 * 25_000_000, 200 * 4_032 * 25_000_000)
    dear = ZkSync().cost(1, Size(300, pubdata=1), Prices(1, pubdata_price=(1 << 20) * 3 + 1))
    assert dear.l2_wei == 4
    assert dear.l1_wei == 4 * -(-((1 << 20) * 3 + 1) // 4)


ALL = sorted(SCHEMES)


@pytest.mark.parametrize("name", ALL)
@given(gas=st.integers(0, 10**8), size=st.integers(0, 10**5), price=st.integers(1, 10**12))
def test_more_gas_more_bytes_and_higher_prices_never_cost_less(name: str, gas: int, size: int, price: int) -> None:
    scheme = FeeRule(name).made(dict.fromkeys(scalars_of(name), 1_000_000))
    prices = Prices(price, 0, price, price, price)
    higher = Prices(price, 0, price + 1_000, price + 1_000, price)
    steps = [
        scheme.cost(gas, Size(size, pubdata=size), prices).total_wei,
        scheme.cost(gas + 1, Size(size, pubdata=size), prices).total_wei,
        scheme.cost(gas + 1, Size(size + 40, pubdata=size + 40), prices).total_wei,
        scheme.cost(gas + 1, Size(size + 40, pubdata=size + 40), higher).total_wei,
    ]
    slack = price if name == "arbitrum" else 0  # the poster's cost is cut to whole gas
    assert all(one <= other + slack for one, other in pairwise(steps))


@pytest.mark.parametrize("name", ALL)
def test_what_a_scheme_needs_is_a_price_and_what_is_missing_is_named(name: str) -> None:
    assert SCHEMES[name].needs <= set(Prices.__dataclass_fields__)
    names = scalars_of(name)
    with pytest.raises(InputError, match="has no moon"):
        FeeRule(name).made({"moon": 1})
    required = [
        one for one in names if one in ("overhead", "scalar", "base_fee_scalar", "exec_scalar", "commit_scalar")
    ]
    if required:
        with pytest.raises(InputError, match=f"{required[0]}"):
            FeeRule(name).made({})

"""What a scenario says of fees, and what it means on a chain: mistakes, schemes by date, prices of the gas token."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from l2liq.chains.entry import RollupEntry
from l2liq.chains.fees import Cost
from l2liq.chains.rollup import Rollup
from l2liq.errors import InputError, ScenarioError
from l2liq.events.log import BLOCKS
from l2liq.liquidators import AssetPrice, BaseFees, Costs, FixedPrice, Immediate
from l2liq.outcome import World
from l2liq.protocols import protocol
from l2liq.replay import Plan
from l2liq.scenario.compose import Composition, compose
from l2liq.scenario.load import load_scenarios
from pipelines.surroundings import Surroundings, costs_of, spike_of
from tests.small_market import FIRST_BLOCK, START_S, WETH, small_market

LEVERS = protocol("aave-v3").levers
HEAD = "name: fees\n"
OP = {"l1_base_fee_wei": 20_000_000_000, "blob_base_fee_wei": 1}


def composed(fees: dict[str, Any], more: str = "") -> Composition:
    lines = "".join(f"  {name}: {value}\n" for name, value in fees.items())
    (loaded,) = load_scenarios(f"{HEAD}{more}fees:\n{lines}", "s.yaml", LEVERS)
    return compose(loaded, small_market(), LEVERS)


def rollup(*spans: dict[str, Any], genesis: str = "2024-01-01") -> Rollup:
    return RollupEntry.model_validate({"genesis": genesis, "fees": list(spans)}).rollup()


SCALARS = {"base_fee_scalar": 5_227, "blob_base_fee_scalar": 1_014_213}
FJORD = {"from": "2024-01-01", "scheme": "fjord", "scalars": SCALARS}
PLAIN = {"gas": 400_000, "transaction_bytes": 700, "base_fee_wei": 1_000_000}


def headers(*fees: int | None) -> Surroundings:
    number = [FIRST_BLOCK + n for n in range(len(fees))]
    rows = [
        {"number": n, "hash": None, "parent_hash": None, "timestamp_s": 0, "base_fee_wei": fee}
        for n, fee in zip(number, fees, strict=True)
    ]
    return Surroundings(rollup(FJORD), lambda: pa.Table.from_pylist(rows, BLOCKS))


def test_without_fees_nothing_is_charged_and_the_effective_scenario_does_not_know_them() -> None:
    (loaded,) = load_scenarios(HEAD, "s.yaml", LEVERS)
    found = compose(loaded, small_market(), LEVERS)
    assert costs_of(found, small_market(), Surroundings(rollup(FJORD))) is None
    assert "fees" not in found.effective


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("fees: {transaction_bytes: 700}", "gas: is missing"),
        ("fees: {gas: 400000}", "transaction_bytes: is missing"),
        ("fees: {gas: -1, transaction_bytes: 700}", "gas"),
        ("fees: {gas: 1, transaction_bytes: 700, zero_bytes: 701}", "701 zero bytes of 700 cannot be"),
        ("fees: {gas: 1, transaction_bytes: 700, base_fee_wei: -5}", "base_fee_wei: -5 is no amount of wei"),
        (
            "fees: {gas: 1, transaction_bytes: 700, base_fee_wei: soon}",
            "'soon' is no amount of wei. Write a whole",
        ),
        ("fees: {gas: 1, transaction_bytes: 700, l1_base_fee_wei: 1.5}", "l1_base_fee_wei"),
        ("fees: {gas: 1, transaction_bytes: 700, gas_token: WETH, gas_token_usd: 2}", "two prices of one token"),
        ("fees: {gas: 1, transaction_bytes: 700, gas_token_usd: 0}", "0 is no price"),
        ("fees: {gas: 1, transaction_bytes: 700, gas_token_usd: 20%}", "20% is no price"),
        ("fees: {gas: 1, transaction_bytes: 700, tip: 3}", "tip"),
        ("fees: {gas: 1, transaction_bytes: 700, spike: {from: 2024-08-02, to: 2024-08-03}}", "no price changes"),
        (
            "fees: {gas: 1, transaction_bytes: 700, spike: {from: 2024-08-03, to: 2024-08-02, base_fee_wei: 1}}",
            "`to` must lie after `from`",
        ),
    ],
)
def test_each_mistake_names_its_line(lines: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenarios(f"{HEAD}{lines}\n", "s.yaml", LEVERS)
    assert str(caught.value).startswith("s.yaml:2: ")
    assert message in str(caught.value)


def test_a_spike_outside_the_window_is_refused_with_its_line() -> None:
    with pytest.raises(ScenarioError, match=r"^s\.yaml:\d+: from: 2023-01-01T00:00:00Z is outside the window"):
        composed(PLAIN | {"spike": "{from: 2023-01-01, to: 2024-08-03, base_fee_wei: 1}"})


@pytest.mark.parametrize(
    ("fees", "around", "message"),
    [
        (PLAIN, Rollup(), "what transactions cost is not known then"),
        (PLAIN, rollup(FJORD | {"from": "2025-01-01"}, genesis="2025-01-01"), "before the chain's genesis"),
        (PLAIN, rollup(FJORD), "the fee scheme fjord needs blob_base_fee_wei and l1_base_fee_wei. Give them"),
        (PLAIN | OP, rollup({"from": "2024-01-01", "scheme": "fjord"}), "Give scalars: base_fee_scalar, blob_base_fee"),
        (PLAIN | OP | {"scalars": "{moon: 1}"}, rollup(FJORD), "has the scalars moon"),
        (PLAIN | OP | {"gas_token": "DOGE"}, rollup(FJORD), "has no asset 'DOGE' to price gas by"),
        (PLAIN | OP | {"gas_token": "USDC"}, rollup(FJORD), "has more than one asset 'USDC'"),
        (PLAIN | OP | {"base_fee_wei": "recorded"}, rollup(FJORD), "no header at or before block"),
    ],
)
def test_what_the_chain_cannot_answer_is_refused_before_anything_runs(
    fees: dict[str, Any], around: Rollup, message: str
) -> None:
    with pytest.raises(ScenarioError, match="fees: fees: ") as caught:
        costs_of(composed(fees), small_market(), Surroundings(around))
    assert message in str(caught.value)


def test_a_header_without_base_fee_is_no_zero() -> None:
    with pytest.raises(ScenarioError, match=r"header of block 1,001 has no base fee"):
        costs_of(composed(PLAIN | OP | {"base_fee_wei": "recorded"}), small_market(), headers(5, None, 7))


def made(fees: dict[str, Any], around: Surroundings) -> Costs:
    found = costs_of(composed(fees), small_market(), around)
    assert found is not None
    return found


def test_a_liquidation_pays_the_recorded_base_fee_of_its_block_and_l1_data_by_the_scheme() -> None:
    costs = made(PLAIN | OP | {"base_fee_wei": "recorded", "compressed_bytes": 300}, headers(5, 6, 7))
    size = -42_585_600 + 836_500 * 300
    l1 = size * (16 * 5_227 * 20_000_000_000 + 1_014_213) // 10**12
    assert costs.charge(FIRST_BLOCK + 1, START_S) == Cost(400_000, 400_000 * 6, l1)
    assert costs.charge(FIRST_BLOCK + 900, START_S) == Cost(400_000, 400_000 * 7, l1)
    assert costs.token == AssetPrice(0)


def test_bytes_that_are_not_said_to_compress_do_not() -> None:
    most = made(PLAIN | OP, Surroundings(rollup(FJORD))).charge(FIRST_BLOCK, START_S)
    said = made(PLAIN | OP | {"compressed_bytes": 722}, Surroundings(rollup(FJORD))).charge(FIRST_BLOCK, START_S)
    assert most == said, "700 literals and a byte of control for each 32"


def test_the_scheme_changes_with_the_chain_within_a_window() -> None:
    upgrade = "2024-08-03"
    scalars = {**SCALARS, "operator_fee_constant": 77}
    around = rollup(FJORD, {"from": upgrade, "scheme": "isthmus", "scalars": scalars})
    costs = made(PLAIN | OP, Surroundings(around))
    at = RollupEntry(genesis=upgrade).genesis
    before, after = costs.charge(FIRST_BLOCK, at - 1), costs.charge(FIRST_BLOCK, at)
    assert after.l2_wei - before.l2_wei == 77
    assert after.l1_wei == before.l1_wei
    more = made(PLAIN | OP | {"scalars": "{operator_fee_constant: 100}"}, Surroundings(around))
    assert more.charge(FIRST_BLOCK, at).l2_wei - before.l2_wei == 100
    assert more.charge(FIRST_BLOCK, at - 1) == before


def test_gas_is_worth_an_asset_or_a_price() -> None:
    around = Surroundings(rollup(FJORD))
    assert made(PLAIN | OP | {"gas_token": f'"0x{WETH.hex()}"'}, around).token == AssetPrice(0)
    token = made(PLAIN | OP | {"gas_token_usd": 2_400}, around).token
    assert token == FixedPrice(2_400.0)
    assert token.usd(10**15) == 2.4


def test_equal_costs_are_equal_so_that_a_control_world_is_shared() -> None:
    around = headers(5, 6)
    assert made(PLAIN | OP, around) == made(PLAIN | OP, around)
    recorded = PLAIN | OP | {"base_fee_wei": "recorded"}
    assert hash(made(recorded, around)) == hash(made(recorded, around))
    assert made(recorded, around) == made(recorded, around) != made(PLAIN | OP, around)


SPIKE = "spike: {from: 2024-08-02, to: 2024-08-03, blob_base_fee_wei: 7000000000000}"


def test_a_spike_is_the_alternatives_alone_and_ends() -> None:
    around = Surroundings(rollup(FJORD))
    found = composed(PLAIN | OP | {"spike": SPIKE.removeprefix("spike: ")})
    costs, spike = costs_of(found, small_market(), around), spike_of(found)
    assert found.words == ("blob base fee from 2024-08-02T00:00:00Z to 2024-08-03T00:00:00Z: 1e-09 gwei → 7,000 gwei",)
    assert costs == made(PLAIN | OP, around)
    plan = Plan(
        found.window.first, found.window.last, found.timeline, found.timeline, found.steps[0], Immediate(), costs=costs,
        spike=spike,
    )  # fmt: skip
    dear = made(PLAIN | OP | {"blob_base_fee_wei": 7 * 10**12}, around)
    days = [START_S + day * 86_400 for day in (1, 2)]
    for at_s, inside in ((days[0] - 1, False), (days[0], True), (days[1] - 1, True), (days[1], False)):
        expected = dear if inside else costs
        assert plan.costs_in(World.ALTERNATIVE).charge(FIRST_BLOCK, at_s) == expected.charge(FIRST_BLOCK, at_s)
        assert plan.costs_in(World.CONTROL).charge(FIRST_BLOCK, at_s) == costs.charge(FIRST_BLOCK, at_s)
    assert plan.costs_in(World.ACTUAL) is costs


def test_without_fees_nothing_spikes() -> None:
    assert spike_of(composed(PLAIN)) is None


def test_a_price_before_the_first_header_is_not_guessed() -> None:
    fees = BaseFees(np.array([10, 20]), np.array([5, 6]))
    assert [fees.at(block) for block in (10, 19, 20, 99)] == [5, 5, 6, 6]
    with pytest.raises(InputError, match="at or before block 9"):
        fees.at(9)

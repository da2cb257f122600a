"""Fees of real transactions, wei for wei, from the transaction's bytes and what the chain and its operator set then."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from l2liq.chains.fees import Prices, Size
from l2liq.chains.fees.arbitrum import receipt_cost
from l2liq.chains.fees.backlog import LEGACY, base_fee, exp_bps, lowest_backlog
from l2liq.chains.fees.fastlz import compressed_length
from l2liq.chains.fees.fjord import estimated_size
from l2liq.chains.fees.ovm import Ovm, ovm_wei
from l2liq.chains.markets import chains
from tests.rollup_receipts import Receipt, encoded, encoded_unsigned, quantity, receipts

BEDROCK_BLOCK = 105_235_063
FLOOR_WEI = 10**8


def charged(folder: Path) -> list[Receipt]:
    """Optimism receipts that state an L1 fee."""
    return [found for found in receipts(folder, "optimism") if "l1Fee" in found["receipt"]]


def prices(receipt: dict[str, Any]) -> Prices:
    blob = receipt.get("l1BlobBaseFee")
    return Prices(
        base_fee=int(receipt.get("effectiveGasPrice", "0x0"), 16),
        l1_base_fee=quantity(receipt, "l1GasPrice"),
        blob_base_fee=None if blob is None else int(blob, 16),
    )


def scalar(receipt: dict[str, Any]) -> int:
    return int(Decimal(receipt["l1FeeScalar"]) * 10**6)


def test_every_receipt_that_states_no_l1_fee_is_a_deposit_or_was_stored_without_the_field(shared_data: Path) -> None:
    found = [one for one in receipts(shared_data, "optimism") if "l1Fee" not in one["receipt"]]
    assert Counter(one["tx"]["type"] for one in found) == {"0x7e": 2, "0x2": 10, "0x0": 1}


def test_the_l1_fee_of_every_op_stack_receipt_comes_out_of_the_chains_scheme_of_that_day(shared_data: Path) -> None:
    rules = chains()["optimism"].rollup.fees
    schemes: Counter[str] = Counter()
    for found in charged(shared_data):
        receipt = found["receipt"]
        if quantity(receipt, "blockNumber") < BEDROCK_BLOCK:
            continue
        rule = rules.at(quantity(found["block"], "timestamp"))
        assert rule is not None
        raw = encoded(found["tx"])
        size = Size(len(raw), raw.count(0), compressed_length(raw))
        gas = quantity(receipt, "gasUsed")
        cost = rule.made({}).cost(gas, size, prices(receipt))
        assert cost.l1_wei == quantity(receipt, "l1Fee"), (rule.scheme, found["tx"]["hash"])
        assert cost.l2_wei == gas * quantity(receipt, "effectiveGasPrice")
        schemes[rule.scheme] += 1
    assert schemes == {"bedrock": 12, "ecotone": 6, "fjord": 21, "isthmus": 3}


def test_the_l1_gas_of_every_op_stack_receipt_comes_out_of_the_transactions_bytes(shared_data: Path) -> None:
    rules = chains()["optimism"].rollup.fees
    for found in charged(shared_data):
        receipt, raw = found["receipt"], b""
        if quantity(receipt, "blockNumber") < BEDROCK_BLOCK:
            continue
        rule = rules.at(quantity(found["block"], "timestamp"))
        raw = encoded(found["tx"])
        size = Size(len(raw), raw.count(0))
        assert rule is not None
        expected = {
            "bedrock": size.calldata_gas + 188,
            "ecotone": size.calldata_gas,
        }.get(rule.scheme, estimated_size(compressed_length(raw)) * 16 // 10**6)
        assert quantity(receipt, "l1GasUsed") == expected, found["tx"]["hash"]


def test_the_l1_fee_before_bedrock_was_rounded_as_the_node_of_that_time_did(shared_data: Path) -> None:
    count = 0
    for found in charged(shared_data):
        receipt = found["receipt"]
        if quantity(receipt, "blockNumber") >= BEDROCK_BLOCK:
            continue
        raw = encoded_unsigned(found["tx"])
        scheme = Ovm(overhead=2_100, scalar=scalar(receipt))
        size = Size(len(raw), raw.count(0))
        assert scheme.l1_gas(size) == quantity(receipt, "l1GasUsed")
        assert scheme.cost(0, size, prices(receipt)).l1_wei == quantity(receipt, "l1Fee")
        count += 1
    assert count == 8


def test_rounding_down_before_bedrock_would_miss_a_wei() -> None:
    gas, price = 5_560, 119_026_373_346
    assert ovm_wei(gas, price, 1_240_000) == gas * price * 124 // 100 + 1


def test_an_arbitrum_receipt_costs_its_gas_at_the_blocks_base_fee_and_l1_is_a_part_of_it(shared_data: Path) -> None:
    priced = unpriced = 0
    for found in receipts(shared_data, "arbitrum"):
        receipt = found["receipt"]
        gas, l1_gas, price = (quantity(receipt, n) for n in ("gasUsed", "gasUsedForL1", "effectiveGasPrice"))
        cost = receipt_cost(gas, l1_gas, price)
        assert cost.total_wei == gas * price
        assert (cost.l1_wei, cost.l2_wei) == (l1_gas * price, (gas - l1_gas) * price)
        assert cost.l2_wei >= 0
        if found["block"] is None:  # of before Nitro, when the price was a bid
            unpriced += 1
            continue
        assert price == quantity(found["block"], "baseFeePerGas"), "no tip is paid"
        if found["tx"]["type"] in ("0x64", "0x68"):
            assert cost.l1_wei == 0, "what L1 delivers has paid there"
        priced += 1
    assert (priced, unpriced) == (147, 5)


def samples(folder: Path) -> list[dict[str, int]]:
    with gzip.open(folder / "arbitrum-sequencer" / "gas.csv.gz", "rt", newline="") as lines:
        return [{name: int(value) for name, value in row.items()} for row in csv.DictReader(lines)]


def test_every_base_fee_of_five_days_is_one_that_the_backlog_model_can_have(shared_data: Path) -> None:
    possible = {FLOOR_WEI * exp_bps(exponent) // 10_000 for exponent in range(60_000)}
    found = [row["l2GasPrice"] for row in samples(shared_data)]
    assert set(found) <= possible
    above = [price for price in found if price > FLOOR_WEI]
    assert (len(found), len(above), max(above)) == (16_052, 702, 3_564_940_000)
    highest = sum(FLOOR_WEI < price <= max(above) for price in possible)
    assert highest * 10 < (max(above) - FLOOR_WEI) // 10_000 * 2, "fewer than one in five prices could pass by chance"


def test_the_base_fee_follows_from_the_backlog_up_to_the_gas_of_the_blocks_between(shared_data: Path) -> None:
    """The price was set before a block paid off a second and two blocks added their gas to the sampled backlog."""
    (constraint,) = LEGACY
    exponents: dict[int, list[int]] = {}
    for exponent in range(60_000):
        exponents.setdefault(FLOOR_WEI * exp_bps(exponent) // 10_000, []).append(exponent)
    equal = 0
    for row in samples(shared_data):
        price, backlog = row["l2GasPrice"], row["l2GasBacklog"]
        equal += base_fee(LEGACY, [backlog], FLOOR_WEI) == price
        lowest = lowest_backlog(constraint, exponents[price][0])
        highest = lowest_backlog(constraint, exponents[price][-1] + 1) - 1
        assert lowest - constraint.target <= backlog <= highest + 2 * 32_000_000
    assert equal == 15_366

"""The ABI files: every topic as computed elsewhere, every column usable."""

from __future__ import annotations

from pathlib import Path

import pytest

from l2liq.errors import InputError
from l2liq.events.abi import (
    RESERVED_COLUMNS,
    EventAbi,
    all_events,
    contract_event,
    contract_events,
    contracts,
    parse_event,
    snake_case,
)
from l2liq.events.decode import event_schema, split
from tests.logs import log_table

KNOWN_TOPICS = Path(__file__).with_name("known_topics.txt")


def marked(event: EventAbi) -> str:
    return f"{event.name}({','.join(a.type + '°' * a.indexed for a in event.arguments)})"


def test_every_known_topic_has_its_event_with_its_indexed_arguments() -> None:
    known = dict(line.split(" ") for line in KNOWN_TOPICS.read_text().splitlines() if line.startswith("0x"))
    found = {(f"0x{event.topic0.hex()}", marked(event)) for event in all_events()}
    assert len(known) > 120
    assert set(known.items()) - found == set()


@pytest.mark.parametrize(
    ("contract", "name", "topic0"),
    [
        ("aave_v3/price_cap_adapter", "CapParametersUpdated", "47f15f36"),
        ("aave_v3/price_cap_adapter", "PriceCapUpdated", "a89f50d1"),
        ("aave_v3/price_cap_adapter", "DiscountRatePerYearUpdated", "e7aeb8a1"),
        ("aave_v3/price_cap_adapter", "FixedPriceUpdated", "1d7533af"),
        ("chainlink/sequencer_uptime_feed", "RoundUpdated", "29764234"),
        ("chainlink/sequencer_uptime_feed", "UpdateIgnored", "e4a6e163"),
        ("comet/configurator", "SetConfiguration", "11750c01"),
        ("proxy/proxy", "Upgraded", "bc7cd75a"),
    ],
)
def test_events_of_which_the_beginning_of_the_topic_is_known(contract: str, name: str, topic0: str) -> None:
    assert contract_event(contract, name).topic0.hex().startswith(topic0)


def test_columns_of_every_event_are_distinct_and_spare_the_position() -> None:
    for event in all_events():
        names = event_schema(event).names
        assert len(set(names)) == len(names)
        assert RESERVED_COLUMNS.isdisjoint(a.column for a in event.arguments)
        assert all(name.isidentifier() and name == name.lower() for name in names)


def test_all_events_can_be_told_apart_by_topic_and_number_of_topics() -> None:
    assert split(log_table([]), all_events()).unknown.num_rows == 0


def test_all_contracts_are_listed() -> None:
    assert {"aave_v3/pool", "chainlink/aggregator", "comet/comet", "morpho/morpho", "uniswap_v3/pool"} <= set(
        contracts()
    )
    assert sum(len(contract_events(contract)) for contract in contracts()) == len(all_events())


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("onBehalfOf", "on_behalf_of"),
        ("useATokens", "use_a_tokens"),
        ("oldIRBase", "old_ir_base"),
        ("amount0", "amount0"),
        ("sqrtPriceX96", "sqrt_price_x96"),
        ("oldBorrowCF", "old_borrow_cf"),
        ("aTokenDecimals", "a_token_decimals"),
        ("_user", "user"),
    ],
)
def test_snake_case(name: str, column: str) -> None:
    assert snake_case(name) == column


def test_arguments_that_would_take_a_position_column_or_each_others_step_aside() -> None:
    names = ["address", "logIndex", "x", "X", "xRaw", "", "argument5"]
    inputs = [{"name": name, "type": "uint256", "indexed": False} for name in names]
    columns = [a.column for a in parse_event({"type": "event", "name": "E", "inputs": inputs}).arguments]
    assert columns == ["address_", "log_index_", "x", "x_", "x_raw_", "argument5", "argument5_"]


def test_what_is_no_event_is_refused() -> None:
    with pytest.raises(InputError, match="not an event"):
        parse_event({"type": "function", "name": "f", "inputs": []})
    with pytest.raises(InputError, match="not an event"):
        parse_event({"type": "event", "name": "f", "inputs": [], "anonymous": True})
    with pytest.raises(InputError, match="more than three"):
        parse_event({"type": "event", "name": "f", "inputs": [{"name": "", "type": "bool", "indexed": True}] * 4})


def test_what_does_not_exist_is_named() -> None:
    with pytest.raises(InputError, match=r"schemas/aave_v4/pool\.json does not exist"):
        contract_events("aave_v4/pool")
    with pytest.raises(KeyError, match="2 events called NewTransmission"):
        contract_event("chainlink/aggregator", "NewTransmission")

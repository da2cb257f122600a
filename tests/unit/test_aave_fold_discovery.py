"""Which contracts a market needs is found from its logs; what they leave open is asked, and given facts are checked."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2liq.chains.markets import find_market
from l2liq.errors import InputError
from l2liq.events.abi import contract_event
from l2liq.lake import OBSERVATIONS
from l2liq.protocols.aave_v3 import supplement
from l2liq.protocols.aave_v3.discovery import AaveDiscovery
from l2liq.protocols.aave_v3.fold_events import read_batch
from l2liq.protocols.aave_v3.supplement import read_given
from tests.aave_logs import POOL, PROVIDER, SENTINEL, UPTIME_FEED, ZERO, Chain, Coin, address, deployment

SAMPLE = Path(__file__).parents[2] / "pipelines" / "sample"
WETH = Coin("WETH")


def discovered(chain, **given):
    found = AaveDiscovery(deployment("3.6", **given))
    found.see(chain.table())
    return found


def asked(found):
    return {(one.target, one.signature, one.block) for one in found.questions()}


def answers(*rows):
    names = OBSERVATIONS.names
    return pa.Table.from_pylist([dict(zip(names, (*row, "rpc"), strict=True)) for row in rows], OBSERVATIONS)


def test_every_contract_of_a_real_market_is_found_and_every_log_the_fold_reads_is_let_through():
    logs = pq.read_table(SAMPLE / "logs.parquet")
    found = AaveDiscovery(find_market(str(SAMPLE / "market.yaml")).deployment)
    found.see(logs)
    wanted = found.filter().topics
    batch = read_batch(logs)
    places = {value[1] for value in batch.values}
    assert places <= set(wanted)
    pairs = set(zip(logs.column("address").to_pylist(), logs.column("topic0").to_pylist(), strict=True))
    read = {topic for topics in wanted.values() for topic in topics}
    assert {pair for pair in pairs if pair[1] in read} == {
        pair for pair in pairs if pair[1] in wanted.get(pair[0], frozenset())
    }


def test_feeds_are_fetched_by_topic_so_that_their_other_logs_stay_out():
    wanted = discovered(Chain().found(WETH)).filter().topics[WETH.source]
    assert contract_event("chainlink/aggregator", "AnswerUpdated").topic0 in wanted
    assert contract_event("chainlink/aggregator", "NewRound").topic0 not in wanted


def test_seeing_logs_twice_or_in_pieces_changes_nothing():
    chain = Chain().found(WETH, Coin("USDC", 6))
    once, pieces = discovered(chain), AaveDiscovery(deployment("3.6"))
    for start in (0, 3, 0, 7):
        pieces.see(chain.table().slice(start))
    assert (pieces.filter(), asked(pieces)) == (once.filter(), asked(once))


def test_what_logs_cannot_tell_is_asked_where_it_matters_and_answers_lead_on():
    chain = Chain().found(WETH)
    chain.block().log(PROVIDER, "aave_v3/pool_addresses_provider", "PriceOracleSentinelUpdated", ZERO, SENTINEL)
    chain.block().log(POOL, "proxy/proxy", "Upgraded", address("new pool"))
    found = discovered(chain)
    assert asked(found) == {
        (WETH.underlying, supplement.SYMBOL, 1),
        (WETH.source, supplement.AGGREGATOR, 1),
        (WETH.source, supplement.ANSWER, 0),
        (SENTINEL, supplement.GRACE_PERIOD, 2),
        (SENTINEL, supplement.SEQUENCER_ORACLE, 2),
        (POOL, supplement.REVISION, 3),
    }
    assert all(one.why for one in found.questions())
    behind = address("behind")
    found.learn(
        answers(
            (1, WETH.source, supplement.AGGREGATOR, b"", bytes(12) + behind),
            (2, SENTINEL, supplement.SEQUENCER_ORACLE, b"", bytes(12) + UPTIME_FEED),
        )
    )
    assert {behind, UPTIME_FEED} <= found.filter().addresses
    assert (UPTIME_FEED, supplement.AGGREGATOR, 2) in asked(found)


def test_what_is_given_by_hand_is_not_asked():
    chain = Chain().found(WETH)
    given = {"sources": {"0x" + WETH.source.hex(): {"aggregator": "0x" + address("behind").hex(), "answer": 5}}}
    given["tokens"] = {"0x" + WETH.underlying.hex(): {"symbol": "WETH", "decimals": 18}}
    found = discovered(chain, **given)
    assert asked(found) == set()
    assert address("behind") in found.filter().addresses


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"feeds": {}}, "'feeds' is unknown. Known: versions, tokens, sources, sentinels"),
        ({"tokens": {"0x12": {"symbol": "A"}}}, "supplement.tokens.0x12: '0x12' is no address"),
        ({"tokens": {"0x" + "1" * 40: {"ticker": "A"}}}, "give decimals, symbol and nothing else"),
        ({"tokens": {"0x" + "1" * 40: {"decimals": "18"}}}, "'18' is no whole number"),
        ({"tokens": [1]}, "write one line per address"),
    ],
)
def test_a_supplement_with_a_mistake_names_its_place(given, message):
    with pytest.raises(InputError) as caught:
        read_given(given)
    assert message in str(caught.value)

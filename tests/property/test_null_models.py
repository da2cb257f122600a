"""Models that are told to be as recorded leave every result, byte for byte, what it is without them.

A model of the surroundings joins by a line in :data:`AS_RECORDED`: its block as a scenario writes it.
"""

from __future__ import annotations

from functools import cache

import pyarrow as pa
import pytest

from l2liq.market import Market
from l2liq.protocols import protocol
from l2liq.scenario.compose import compose
from l2liq.scenario.load import load_scenarios
from pipelines.plan import rules_of
from pipelines.study import Studies
from tests.property.markets import Shape, grow

LEVERS = protocol("aave-v3").levers
SCENARIO = """
name: as recorded
allow_not_deployable: true
interest: {interest}
window: {{from: 1010}}
heartbeat: 1h
uncertainty: {{resamples: 3}}
change:
  close_factor: 60%
"""

AS_RECORDED = {
    "oracle": "oracle: {model: recorded}",
    "oracle, absent": "oracle: null",
    "bonus auction": "  bonus_auction_start: 100%\n  bonus_auction_full_at: 0.7",
    "fees, absent": "fees: null",
    "profit, absent": "liquidator: {model: immediate, profit: null}",
    "sizing, as much as may be": "liquidator: {model: immediate, sizing: max}",
    "auctions of updates, absent": "liquidator: {model: immediate, oev: null}",
    "competition, absent": "liquidator: {model: immediate, contestants: null, ordering: null, lane: null}",
    "ramp, absent": "ramp: null",
    "no return to history": "reanchor: never",
    "sequencer, absent": "sequencer: null",
    "settlement, absent": "settlement: null",
    "messages, absent": "messages: null",
    "liquidity, absent": "liquidity: null",
    "liquidity, without end": "liquidity: {model: deep, control: same}",
}


@cache
def market() -> Market:
    return grow(8, Shape("3.0.2", 8, 3, 60, 0.15, liquidations=True, parameter_changes=0))


def results(interest: str, block: str = "") -> dict[str, bytes]:
    """Every table of a study, as bytes."""
    (loaded,) = load_scenarios(SCENARIO.format(interest=interest) + block, "s.yaml", LEVERS)
    study = Studies(market(), rules_of(market())).study(compose(loaded, market(), LEVERS), "r")
    return {name: as_bytes(table) for name, table in study.tables.items()}


def as_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


plain = cache(results)


@pytest.mark.parametrize("interest", ["recorded", "reexecuted"])
@pytest.mark.parametrize("model", AS_RECORDED)
def test_as_recorded_is_as_without(model: str, interest: str) -> None:
    assert results(interest, AS_RECORDED[model]) == plain(interest)


@pytest.mark.parametrize("interest", ["recorded", "reexecuted"])
@pytest.mark.parametrize(
    "block",
    [
        "oracle: {model: delay, delay: 6h}",
        "  bonus_auction_start: 0%\n  bonus_auction_full_at: 0.7",
        "liquidator: {model: latency, delay: 1d}",
        "liquidator: {model: immediate, profit: {above: $100}}",
        "liquidator: {model: immediate, sizing: {to_health: 1.2}}",
        "liquidator: {model: latency, delay: 1d, oev: {bid: 80%, recapture: 60%}}",
        "liquidator: {model: competition, contestants: {a: {delay: 1h}, b: {delay: 1h}}}",
        "liquidity: {model: constant_product, depth: $10000}",
    ],
)
def test_the_comparison_sees_a_model_that_does_something(block: str, interest: str) -> None:
    assert results(interest, block)["outcomes"] != plain(interest)["outcomes"]

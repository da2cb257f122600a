"""What a lake holds of transactions' inputs, as re-execution reads it."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from l2liq.errors import ScenarioError
from l2liq.lake import INPUT_DATA, INPUTS, Lake, Span
from l2liq.market import Market
from l2liq.protocols import protocol
from l2liq.protocols.interface import Message
from l2liq.replay import Calldata, Input
from l2liq.scenario.compose import Composition
from l2liq.scenario.window import opening

Inputs = Callable[[Span], pa.Table]
"""Reads the inputs of a market in a span of blocks (schema INPUTS)."""


def nothing_held(span: Span) -> pa.Table:
    """Of a market without a lake."""
    return INPUTS.empty_table()


def inputs_of(lake: Lake, slug: str) -> Inputs:
    """What a lake holds of a market's inputs."""
    return lambda span: lake.read(INPUT_DATA, slug, span)


def calldata_of(composition: Composition, market: Market, inputs: Inputs) -> Calldata | None:
    """The window's calldata where a scenario asks for it.

    Raises ScenarioError where it does and the lake holds none of the window.
    """
    if composition.scenario.calldata == "logs":
        return None
    window = composition.window
    rows = inputs(Span(window.start, window.stop)).to_pylist()
    if not rows:
        raise ScenarioError(
            f"{composition.scenario.name}: calldata: the lake holds none of blocks {window.start:,}–"
            f"{window.stop - 1:,}. Fetch it with `l2liq ingest URL --market {market.slug} --calldata`, or write "
            "`calldata: logs`."
        )
    found = {
        (row["block_number"], row["transaction_index"]): Input(
            opening(market, row["block_number"]), (Message(row["sender"], row["recipient"] or b"", row["input"]),)
        )
        for row in rows
    }
    return Calldata(protocol(market.protocol).decoder(market), found)

"""The section of a report about an auctioned bonus."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from l2liq.outcome import OUTCOMES, World
from l2liq.report.auction import auction
from tests.bundles import bundle

ASKED = {"scenario": {"change": {"bonus_auction_start": {"set": "0%"}}}}


def liquidation(world: World, debt_usd: float, taken_usd: float, health: str) -> dict[str, object]:
    return dict.fromkeys(OUTCOMES.names) | {
        "run_id": "r",
        "world": world.value,
        "sequence": 0,
        "kind": "liquidation",
        "block_number": 1,
        "timestamp_s": 1,
        "account": bytes(20),
        "debt_usd": debt_usd,
        "collateral_usd": taken_usd - 1.0,
        "protocol_fee_usd": 1.0,
        "health_before_wad": int(health.replace(".", "").ljust(19, "0")),
    }


ROWS = [
    liquidation(World.CONTROL, 100.0, 105.0, "0.990"),
    liquidation(World.CONTROL, 300.0, 315.0, "0.900"),
    liquidation(World.ALTERNATIVE, 100.0, 101.0, "0.980"),
    liquidation(World.ALTERNATIVE, 0.5, 50.0, "0.100"),
    liquidation(World.ALTERNATIVE, 100.0, 104.0, "0.800"),
]


def test_the_finding_tells_the_bonus_paid_by_world_without_dust() -> None:
    section = auction(replace(bundle(), outcomes=pa.Table.from_pylist(ROWS, OUTCOMES), manifest=ASKED))
    assert section is not None
    assert section.finding.startswith(
        "Liquidators got 2.5\u202f% on the debt they repaid instead of 5.0\u202f%, at a median health of 0.890 instead "
        "of 0.945."
    )
    assert "bad debt was $131\u202fk instead of $205\u202fk" in section.finding.lower()
    (table,) = section.tables
    assert [row[:5] for row in table.rows] == [
        ("actual", "0", "$0", "$0", "–"),
        ("control", "2", "$400", "$20", "5.0\u202f%"),
        ("alternative", "2", "$200", "$5.00", "2.5\u202f%"),
    ]
    assert section.figure is not None
    points = {trace.name: (list(trace.x), [round(y, 9) for y in trace.y]) for trace in section.figure.data}
    assert points["alternative"] == ([0.98, 0.8], [0.01, 0.04])


@pytest.mark.parametrize("scenario", ["text", {}, {"change": None}, {"change": {"close_factor": {"set": "1%"}}}])
def test_there_is_no_section_where_no_bonus_is_auctioned(scenario: object) -> None:
    assert auction(replace(bundle(), manifest={"scenario": scenario})) is None

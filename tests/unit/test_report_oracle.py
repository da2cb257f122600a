"""The section of a report about what the market saw through another oracle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from l2liq.outcome import OUTCOMES, Kind, World
from l2liq.report.bundle import Gap, Path, RunBundle
from l2liq.report.oracle import oracle
from l2liq.report.render import render
from tests.bundles import START, bundle

SHOWN = Path(0, np.array([START, START + 60]), np.array([100.0, 80.0]), np.array([100.0, 96.0]))


def row(world: World, account: int, kind: Kind = Kind.LIQUIDATION, **columns: Any) -> dict[str, Any]:
    return dict.fromkeys(OUTCOMES.names) | {
        "run_id": "r",
        "world": world.value,
        "sequence": 0,
        "kind": kind.value,
        "block_number": 1,
        "timestamp_s": START,
        "account": bytes([account]) * 20,
        **columns,
    }


def sale(world: World, account: int, seen: float, market: float, debt: float, health: str | None) -> dict[str, Any]:
    wad = None if health is None else int(float(health) * 1e6) * 10**12
    return row(
        world, account, collateral_usd=seen, collateral_market_usd=market, debt_usd=debt, debt_market_usd=debt,
        health_before_market_wad=wad,
    )  # fmt: skip


ROWS = [
    sale(World.CONTROL, 1, 105.0, 105.0, 100.0, None),
    sale(World.CONTROL, 2, 105.0, 105.0, 100.0, None),
    sale(World.ALTERNATIVE, 1, 210.0, 190.0, 200.0, "0.9"),
    sale(World.ALTERNATIVE, 3, 52.5, 60.0, 50.0, "1.0"),
    row(World.ALTERNATIVE, 1, Kind.BLOCKED, cause="unprofitable"),
    row(World.ALTERNATIVE, 1, Kind.BLOCKED, cause="unprofitable"),
    row(World.ALTERNATIVE, 3, Kind.BLOCKED, cause="sentinel"),
]


def seen(**more: Any) -> RunBundle:
    return replace(
        bundle(),
        outcomes=pa.Table.from_pylist(ROWS, OUTCOMES),
        paths=(SHOWN,),
        gaps=(Gap(1, 100, 0.0, 0.0, 0.0, 0), Gap(0, 86_400, 0.005, 0.2, 0.011, 7_260)),
        **more,
    )


def test_every_number_of_the_finding_is_of_the_runs_rows() -> None:
    section = oracle(seen())
    assert section is not None
    assert section.finding.replace("\u202f", " ") == (
        "The market saw WETH up to 20 % above and 1.1 % below the world's price, on average 0.5 % away, and for 2.02 h "
        "more than 1 %. Collateral that it valued at $262 brought liquidators $250 at the world's prices, $12 less: 1 "
        "of 2 liquidations were at a loss, and 1 account waited at first because theirs would not have paid. 1 "
        "liquidation, of $50 of debt, struck whoever was sound at the world's prices just then. Of the accounts that "
        "are liquidated in one world only, 1 are in the alternative and 1 in the control world; bad debt was $131 k "
        "instead of $205 k; nine of ten liquidations came within 5.17 min instead of 5.33 min."
    )
    assert section.tables[0].rows[1] == ("WETH", "0.5\u202f%", "20\u202f%", "1.1\u202f%", "2.02\u202fh")
    assert section.tables[1].rows[2] == ("alternative", "2", "$262", "$250", "1", "1", "$50")
    assert section.figure is not None
    assert [list(trace.y) for trace in section.figure.data] == [[100.0, 80.0], [100.0, 96.0], [0.0, 96 / 80 - 1]]
    assert "What the market saw" in render(seen())


def test_a_mean_says_what_moving_it_takes() -> None:
    twap = {"scenario": {"oracle": {"model": "twap", "window": "30m", "mean": "geometric"}}}
    section = oracle(seen(manifest=twap))
    assert section is not None
    assert "hold the price at 1.35 times its level for 60\u202fs" in section.remarks[0]
    plain = oracle(seen())
    assert plain is not None
    assert len(plain.remarks) == 1


def test_there_is_no_section_and_no_picture_without_another_oracle() -> None:
    assert oracle(bundle()) is None
    section = oracle(replace(seen(), paths=()))
    assert section is not None
    assert section.figure is None

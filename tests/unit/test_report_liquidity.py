"""The section on liquidity: every number of its finding is one of the run's tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from l2liq.outcome import OUTCOMES, Kind, World
from l2liq.report import words
from l2liq.report.bundle import Feedback, RunBundle
from l2liq.report.liquidity import liquidity
from l2liq.report.render import render
from tests.bundles import START, bundle

VARIANTS = {
    "none": {"bad_debt_usd": 1_000.0, "liquidated_accounts": 80.0},
    "double": {"bad_debt_usd": 243_000.0, "liquidated_accounts": 60.0, "slippage_usd": 5.0},
}
MOVING = Feedback(12, START + 3_600, 7_700.0)


def sale(world: World, sequence: int, worth: float, slippage: float, displaced: float) -> dict[str, Any]:
    return dict.fromkeys(OUTCOMES.names) | {
        "run_id": "r",
        "world": world.value,
        "sequence": sequence,
        "kind": Kind.LIQUIDATION.value,
        "block_number": 1,
        "timestamp_s": START + sequence,
        "account": b"\1" * 20,
        "debt_usd": worth * 0.9,
        "collateral_usd": worth,
        "collateral_market_usd": worth,
        "proceeds_usd": worth - slippage,
        "slippage_usd": slippage,
        "displaced_share": displaced,
    }


def held(world: World, sequence: int, account: int, cause: str = "unprofitable") -> dict[str, Any]:
    row = sale(world, sequence, 1.0, 0.0, 0.0) | {"kind": Kind.BLOCKED.value, "cause": cause}
    nothing = ("debt_usd", "collateral_usd", "collateral_market_usd", "proceeds_usd", "slippage_usd", "displaced_share")
    return row | dict.fromkeys(nothing) | {"account": bytes([account]) * 20}


ROWS = [
    sale(World.CONTROL, 0, 5_000_000.0, 0.0, 0.0),
    sale(World.ALTERNATIVE, 0, 1_000_000.0, 20_000.0, 0.031),
    sale(World.ALTERNATIVE, 1, 500_000.0, 25_000.0, 0.052),
    *(held(World.ALTERNATIVE, n, account) for n, account in ((2, 7), (3, 8), (4, 7))),
    held(World.ALTERNATIVE, 5, 9, "sentinel"),
]


def run(rows: list[dict[str, Any]] = ROWS, feedback: Feedback | None = MOVING) -> RunBundle:
    table = pa.Table.from_pylist(rows, OUTCOMES)
    return replace(bundle(), outcomes=table, variants={"liquidity": VARIANTS}, feedback=feedback)


def test_a_finding_says_what_the_tables_say() -> None:
    section = liquidity(run())
    assert section is not None and section.figure is not None
    for said in (
        "2 liquidations sold collateral worth $1.5 M",
        f"slippage took $45{words.NARROW}k of it, 3.0",
        "prices stood up to 5.2",
        "1 liquidation sold $5 M with $0 of slippage",
        "not worth liquidating 2 accounts in the alternative, 0 in control",
        "Bad debt of the alternative is $131 k; it would be $1,000 if sales moved no prices, and $243 k if they",
    ):
        assert said.replace(" M", f"{words.NARROW}M").replace(" k", f"{words.NARROW}k") in section.finding, said
    (points,) = section.figure.data
    assert sorted(points.y) == [0.02, 0.05] and points.name == "alternative"
    worlds, impacts = section.tables
    assert worlds.rows[1][1:] == ("2", words.usd(1.5e6), words.usd(45e3), words.share(0.03), words.share(0.052), "2")
    assert impacts.rows == (
        ("Debt repaid by liquidators", words.ABSENT, words.usd(1e6), words.ABSENT),
        ("Bad debt", words.usd(1e3), words.usd(131e3), words.usd(243e3)),
    )
    assert words.moment(START + 3_600) in section.remarks[0] and words.usd(7_700.0) in section.remarks[0]
    assert 'id="liquidity"' in render(run())


def test_oracles_that_came_to_rest_say_so_and_others_nothing() -> None:
    rested = liquidity(run(feedback=Feedback(1, None, 0.0)))
    silent = liquidity(run(feedback=None))
    assert rested is not None and silent is not None
    assert rested.remarks[0].endswith("agreed with each other after 1 replay.")
    assert len(silent.remarks) == len(rested.remarks) - 1


def test_nothing_sold_is_said_and_a_run_without_liquidity_has_no_section() -> None:
    nothing = liquidity(run(ROWS[:1]))
    assert nothing is not None and nothing.figure is None
    assert nothing.finding.startswith("In the alternative world nothing was liquidated")
    assert liquidity(bundle()) is None
    assert 'id="liquidity"' not in render(bundle())

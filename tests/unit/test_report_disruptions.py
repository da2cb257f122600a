"""What a report says of a rollup that failed: every number of a finding is one of the run's tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from l2liq.outcome import OUTCOMES, Kind, World
from l2liq.report.bundle import RunBundle
from l2liq.report.late_margin import messages
from l2liq.report.undone import reverted
from l2liq.report.unsettled import failing
from l2liq.report.waiting import grace, sequencer, waiting
from tests.bundles import START, bundle

ONE, TWO, THREE = (bytes([number]) * 20 for number in (1, 2, 3))
HOUR = 3_600


def row(world: World, kind: Kind, account: bytes, at_s: int, **columns: Any) -> dict[str, Any]:
    base = {"run_id": "ab" * 20, "world": world.value, "sequence": 0, "kind": kind.value, "block_number": 1}
    return dict.fromkeys(OUTCOMES.names) | base | {"timestamp_s": START + at_s, "account": account} | columns


def liquidated(world: World, account: bytes, at_s: int, since_s: int, **columns: Any) -> dict[str, Any]:
    worth = {"debt_usd": 100.0, "collateral_usd": 105.0, "protocol_fee_usd": 1.0}
    market = {"debt_market_usd": 100.0, "collateral_market_usd": 105.0}
    clocks = {"published_s": START + at_s + 600, "l1_final_s": START + at_s + 900, "settled_s": START + at_s + 9_000}
    found = row(world, Kind.LIQUIDATION, account, at_s, cause="gate", liquidatable_since_s=START + since_s)
    return found | worth | market | clocks | columns


def told(*rows: dict[str, Any], **scenario: Any) -> RunBundle:
    counts = {"alternative": {"moved": 7, "lost": 2, "rejected": 5}}
    return replace(
        bundle(),
        outcomes=pa.Table.from_pylist(list(rows), OUTCOMES),
        manifest={"scenario": scenario, "worlds": counts},
        variants={"messages": {"0s": {"liquidated_accounts": 1.0}, "1d": {"liquidated_accounts": 9.0}}},
    )


def test_who_waited_is_told_by_world_and_only_what_waited_for_the_sequencer() -> None:
    rows = (
        row(World.ALTERNATIVE, Kind.BLOCKED, ONE, 0, cause="sequencer_down"),
        row(World.ALTERNATIVE, Kind.BLOCKED, TWO, 0, cause="sentinel"),
        row(World.ALTERNATIVE, Kind.BLOCKED, THREE, 0, cause="unprofitable"),
        liquidated(World.ALTERNATIVE, ONE, 2 * HOUR, 0),
        liquidated(World.ALTERNATIVE, TWO, 5 * HOUR, HOUR),
        liquidated(World.ALTERNATIVE, THREE, 9 * HOUR, 0),
        row(World.ALTERNATIVE, Kind.DEFICIT, TWO, 5 * HOUR, debt_usd=33.0),
        row(World.ALTERNATIVE, Kind.DEFICIT, THREE, 5 * HOUR, debt_usd=44.0),
    )
    run = told(*rows, sequencer={"outages": [1]})
    found = waiting(run, World.ALTERNATIVE)
    assert (found.accounts, found.late_usd, found.bad_debt_usd) == (2, 200.0, 33.0)
    assert (found.median_s, found.longest_s) == (3 * HOUR, 4 * HOUR)
    section = sequencer(run)
    assert section is not None
    for words in ("2 accounts, of whose debt $200", "median 3 h", "at most 4 h", "$33", "7 come at another", "2 never"):
        assert words in section.finding.replace("\u202f", " "), words
    assert "the control world no account" in section.finding
    assert grace(run) is None
    silent = grace(told(*rows))
    assert silent is not None
    assert "come at another moment" not in silent.finding
    assert sequencer(told(*rows)) is None
    assert grace(told()) is None


def test_what_was_undone_is_told_with_what_became_of_those_it_concerned() -> None:
    undone = {"kind": "reverted", "action": "liquidation"}
    rows = (
        liquidated(World.ALTERNATIVE, ONE, HOUR, 0) | undone,
        liquidated(World.ALTERNATIVE, TWO, HOUR, 0) | undone,
        row(World.ALTERNATIVE, Kind.REVERTED, THREE, HOUR, action="margin_call"),
        liquidated(World.ALTERNATIVE, ONE, 3 * HOUR, 0, collateral_usd=150.0),
        liquidated(World.ALTERNATIVE, THREE, 3 * HOUR, 0),
        row(World.ALTERNATIVE, Kind.DEFICIT, ONE, 3 * HOUR, debt_usd=12.0),
        row(World.CONTROL, Kind.DEFICIT, TWO, 3 * HOUR, debt_usd=5.0),
    )
    span = {"from": "2026-03-02T00:00:00Z", "to": "2026-03-02T02:00:00Z"}
    section = reverted(told(*rows, settlement={"reverted": [span]}))
    assert section is not None
    finding = section.finding.replace("\u202f", " ")
    for words in ("2 liquidations of 2 accounts undone, with $200", "was worth $10 more", "afterwards: 1 account"):
        assert words in finding, words
    assert "losing $151 of collateral where the first time took $212" in finding
    assert "spared within the window: 1. They leave $12 of bad debt, in the control world $5.00" in finding
    assert reverted(told(*rows)) is None


def test_what_waits_for_l1_is_told_by_the_clock_that_stopped() -> None:
    rows = (
        liquidated(World.CONTROL, ONE, 0, 0),
        liquidated(World.ALTERNATIVE, ONE, 0, 0, published_s=START + 6 * HOUR),
        liquidated(World.ALTERNATIVE, TWO, HOUR, 0, published_s=START + 6 * HOUR),
    )
    span = {"from": "2026-03-02T00:00:00Z", "to": "2026-03-02T06:00:00Z"}
    section = failing(told(*rows, settlement={"batch_poster_stopped": [span]}))
    assert section is not None
    finding = section.finding.replace("\u202f", " ")
    assert "at most $212 of seized collateral waits for publication at once, and 6 h at the longest" in finding
    assert "in the control world it is $106 and 10 min" in finding
    later = failing(told(*rows, settlement={"challenged": [{"at": span["from"], "lasts": "1h"}]}))
    assert later is not None
    assert "waits for settlement at once, and 2.5 h at the longest" in later.finding.replace("\u202f", " ")
    assert failing(told(*rows, settlement={"reverted": [span]})) is None


def test_whom_late_margin_cost_is_told_beside_other_delays() -> None:
    rows = (
        liquidated(World.CONTROL, ONE, 0, 0),
        liquidated(World.ALTERNATIVE, TWO, 0, 0),
        liquidated(World.ALTERNATIVE, THREE, 0, 0),
        liquidated(World.CONTROL, THREE, 0, 0),
    )
    section = messages(told(*rows, messages={"delay": "3h", "recorded_delay": "10m"}))
    assert section is not None
    finding = section.finding.replace("\u202f", " ")
    for words in (
        "9 transactions",
        "3h instead of 10m",
        "1 account, losing $106",
        "Spared: 1 account, with $106",
        "5 act",
    ):
        assert words in finding, words
    (table,) = section.tables
    assert [line[0].replace("\u202f", " ") for line in table.rows] == ["0 s", "3 h", "24 h", "as recorded"]
    assert messages(told(*rows)) is None

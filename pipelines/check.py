"""The null test of a market in the lake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from l2liq.chains.markets import Listing
from l2liq.errors import LakeError
from l2liq.lake import Lake
from l2liq.protocols import protocol
from l2liq.protocols.checking import CheckReport, Divergence
from pipelines.market import fold_market, require_prices

Told = Callable[[str, float], None]


def check_market(lake: Lake, listing: Listing, *, told: Told | None = None) -> tuple[CheckReport, tuple[str, ...]]:
    """Rebuild a market and compare it with everything its own logs repeat.

    Every file of the market is hashed anew, so that what a cache knows is not taken on trust.

    Logs that do not begin with the market cannot give balances; then what needs no history is compared.

    Returns
    -------
    report : CheckReport
        What was compared, and every difference.
    notes : tuple of str
        What the market rests on.
    """
    say = told or (lambda what, done: None)
    damaged = lake.verify(listing.deployment.slug)
    if damaged:
        more = f" (and {len(damaged) - 1:,} more files)" if len(damaged) > 1 else ""
        raise LakeError(f"{damaged[0]}{more}")
    found = protocol(listing.deployment.protocol)
    folded = fold_market(lake, listing, told=told, thorough=True)
    if not folded.market.assets:
        report = found.check_bare(listing.deployment, lake.read_logs(listing.deployment.slug))
        return report, (*folded.market.notes, "the logs list no reserve: only indices can be compared")
    require_prices(folded.market)
    total = max(folded.market.liquidations.num_rows, 1)
    report = found.check(folded.snapshot, folded.market, lambda number: say("repeating liquidations", number / total))
    return report, folded.market.notes


def plain(report: CheckReport, notes: tuple[str, ...]) -> dict[str, Any]:
    """The report for programs; numbers that may exceed 64 bits are text."""
    subjects = {name: {"compared": one.compared, "equal": one.equal} for name, one in report.subjects.items()}
    return {
        "liquidations": {"recorded": report.recorded, "reproduced": report.reproduced},
        **subjects,
        "divergences": [_plain(one) for one in report.divergences],
        "notes": list(notes),
    }


def _plain(one: Divergence) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "account": None if one.account is None else f"0x{one.account.hex()}",
        "token": None if one.token is None else f"0x{one.token.hex()}",
        "block": one.block,
        "log_index": one.log_index,
        "field": one.field,
        "expected": one.expected,
        "actual": one.actual,
    }

"""How far a counterfactual carries: what of history it left out, and when it stopped being history (DOMAIN §8.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.metrics.events import Floats
from l2liq.outcome import Kind, World

HALF = 0.5


@dataclass(frozen=True, slots=True)
class History:
    """What users did in the window: number of actions and their value."""

    actions: int
    value_usd: float


def validity(
    outcomes: pa.Table, accounts: pa.Table, history: History, world: World = World.ALTERNATIVE
) -> dict[str, float | None]:
    """Shares of the window's actions and their value that ``world`` could not follow; when half of it had diverged.

    ``unfunded_usd`` is a sum, not a share of actions: the inflow happened, paid for with money the world does not have.
    """
    mine = outcomes.filter(pc.equal(outcomes["world"], world.value))
    found: dict[str, float | None] = {}
    for name, kind in (("skipped", Kind.REJECTED), ("clipped", Kind.CLIPPED), ("unfunded", Kind.UNFUNDED)):
        rows = mine.filter(pc.equal(mine["kind"], kind.value))
        value = float(pc.sum(rows["debt_usd"]).as_py() or 0.0)
        found[f"{name}_action_share"] = _share(rows.num_rows, history.actions)
        found[f"{name}_value_share"] = _share(value, history.value_usd)
    found["diverged_account_share"], found["half_diverged_at_s"] = _divergence(accounts, world)
    return found


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _divergence(accounts: pa.Table, world: World) -> tuple[float, float | None]:
    """Share of accounts that left history; the second at which these first held half of the value.

    An account's value is collateral plus debt at the window's end, in the actual world or this, whichever is larger.
    """
    value: dict[bytes, float] = {}
    since: dict[bytes, int] = {}
    for row in accounts.filter(pc.is_in(accounts["world"], pa.array([World.ACTUAL.value, world.value]))).to_pylist():
        holds = float(row["collateral_base"] or 0) + float(row["debt_base"] or 0)
        value[row["account"]] = max(value.get(row["account"], 0.0), holds)
        if row["world"] == world.value and row["diverged_at_s"] is not None:
            since[row["account"]] = row["diverged_at_s"]
    if not since:
        return 0.0, None
    order = sorted(since, key=lambda account: since[account])
    reached: Floats = np.cumsum([value[account] for account in order])
    total = sum(value.values())
    past = np.flatnonzero(reached >= HALF * total) if total else np.empty(0)
    return len(since) / len(value), float(since[order[int(past[0])]]) if len(past) else None

"""How far a counterfactual carries: what of history it left out, and when it stopped being history (DOMAIN §8.3)."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from l2liq.metrics.compare import Effect
from l2liq.outcome import Kind, World
from l2liq.replay import Counters, Divergence


def validity(counters: Counters, divergence: Sequence[Divergence]) -> dict[str, float | None]:
    """Shares of the window's recorded actions, and of their value, that a world could not follow as recorded.

    ``half_diverged_at_s`` is the first look at which diverged accounts held half of all value; conclusions about later
    times are not supported. None = not within the window.
    """
    half = next((d.timestamp_s for d in divergence if d.diverged_usd > 0 and 2 * d.diverged_usd >= d.total_usd), None)
    last = divergence[-1] if divergence else None
    return {
        "skipped_action_share": _share(counters.rejected, counters.actions),
        "skipped_value_share": _share(counters.rejected_usd, counters.actions_usd),
        "clipped_action_share": _share(counters.clipped, counters.actions),
        "clipped_value_share": _share(counters.clipped_usd, counters.actions_usd),
        "unfunded_action_share": _share(counters.unfunded, counters.actions),
        "unfunded_value_share": _share(counters.unfunded_usd, counters.actions_usd),
        "diverged_value_share": _share(last.diverged_usd, last.total_usd) if last else 0.0,
        "half_diverged_at_s": half,
        "diverged_accounts": float(counters.diverged),
        "ambiguous_transactions": float(counters.ambiguous),
        "exogenous_usd": counters.exogenous_usd,
    }


def mistaken(outcomes: pa.Table) -> dict[str, float | None]:
    """Accounts that only the model liquidates, and that only the chain did: errors that a net count hides."""
    actual, control = (_liquidated(outcomes, world) for world in (World.ACTUAL, World.CONTROL))
    return {"model_false_accounts": float(len(control - actual)), "model_missed_accounts": float(len(actual - control))}


def misplaced(effects: Sequence[Effect]) -> dict[str, float | None]:
    """Dollars that the model puts on other accounts than the chain did: errors that a net sum hides."""
    gross = {effect.metric: effect.gross_error for effect in effects}
    names = {"model_gross_debt_repaid_usd": "debt_repaid_usd", "model_gross_bad_debt_usd": "bad_debt_usd"}
    return {name: gross[metric] for name, metric in names.items()}


def _liquidated(outcomes: pa.Table, world: World) -> set[bytes]:
    chosen = pc.and_(pc.equal(outcomes["world"], world.value), pc.equal(outcomes["kind"], Kind.LIQUIDATION.value))
    return set(outcomes.filter(chosen)["account"].to_pylist())


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0

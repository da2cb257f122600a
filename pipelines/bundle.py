"""A published run as the report's bundle: everything comes from the run's own folder, nothing is computed anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from l2liq.errors import LakeError
from l2liq.lake.runs import Run
from l2liq.market import Asset
from l2liq.metrics.catalogue import METRIC
from l2liq.outcome import Kind, World
from l2liq.report.bundle import (
    Comparison,
    Delays,
    Fate,
    Feedback,
    Gap,
    Happening,
    HealthHistogram,
    ModesApart,
    Path,
    RunBundle,
)
from pipelines.manifest import MANIFEST_VERSION, EffectOfMetric, Manifest

TABLES = ("outcomes", "accounts", "metrics", "paths", "health", "gaps")
"""Tables of a run."""

MAX_FATES = 25
MAX_HAPPENINGS = 60


def manifest_of(run: Run) -> Manifest:
    """The run's manifest, checked. LakeError where another version of l2liq wrote it in another form."""
    if run.manifest.get("manifest_version") != MANIFEST_VERSION:
        raise LakeError(f"{run.path}: this version of l2liq does not read its manifest. Run the scenario again.")
    try:
        return Manifest.model_validate(run.manifest)
    except ValueError as error:
        raise LakeError(
            f"{run.path}: its manifest is damaged. Delete the folder and run the scenario again."
        ) from error


def bundle_of(run: Run) -> RunBundle:
    """What a report of a published run shows."""
    return bundle(manifest_of(run), {name: run.table(name) for name in TABLES})


def bundle(manifest: Manifest, tables: Mapping[str, pa.Table]) -> RunBundle:
    """What a report shows of a run, published or about to be."""
    assets = tuple(Asset(_raw(a.address), a.symbol, a.decimals) for a in manifest.assets)
    return RunBundle(
        run_id=manifest.run_id,
        market=manifest.market,
        title=manifest.title,
        description=manifest.description,
        explorer=manifest.explorer,
        window_s=(manifest.window.from_s, manifest.window.to_s),
        changes=tuple(manifest.changes),
        change_s=manifest.change_s,
        assets=assets,
        comparisons=comparisons(manifest),
        metrics=tables["metrics"],
        policies=manifest.policies,
        variants=manifest.variants,
        outcomes=tables["outcomes"],
        accounts=tables["accounts"],
        paths=_paths(tables["paths"]),
        sequencer_down_s=tuple(manifest.sequencer_down_s),
        health=_health(tables["health"]),
        fates=fates(tables["outcomes"], tables["accounts"], assets),
        changed_itself=tuple(_raw(address) for address in manifest.changed_itself),
        excluded=len(manifest.excluded),
        validity=manifest.validity,
        distance=None if manifest.distance is None else ModesApart(**manifest.distance.model_dump()),
        assumptions=tuple(manifest.assumptions),
        notes=tuple(manifest.notes),
        null_test=None if manifest.null_test is None else manifest.null_test.model_dump(),
        roots={**manifest.roots, **{f"table {name}": root for name, root in manifest.tables.items()}},
        manifest=manifest.model_dump(mode="json", exclude={"effects", "policies", "assets"}),
        gaps=_gaps(tables["gaps"]),
        feedback=None if manifest.feedback is None else Feedback(**manifest.feedback.model_dump()),
        liquidators={_raw(one.address): one.name for one in manifest.liquidators},
        clocks=tuple(Delays(**span.model_dump()) for span in manifest.clocks),
    )


def _raw(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x"))


def comparisons(manifest: Manifest) -> tuple[Comparison, ...]:
    """The effects with what people call them; metrics that exist in no world are left out."""
    return tuple(
        comparison(effect)
        for effect in manifest.effects
        if effect.metric in METRIC and any(v is not None for v in (effect.actual, effect.control, effect.alternative))
    )


def comparison(effect: EffectOfMetric) -> Comparison:
    """One effect with what people call it."""
    metric = METRIC[effect.metric]
    return Comparison(
        effect.metric,
        metric.label,
        metric.meaning,
        metric.unit,
        effect.actual,
        effect.control,
        effect.alternative,
        effect.effect,
        effect.model_error,
        effect.gross_error,
        effect.low,
        effect.high,
        effect.within_error,
        metric.lower_is_better,
    )


def _paths(table: pa.Table) -> tuple[Path, ...]:
    numbers = list(dict.fromkeys(table["asset"].to_pylist()))
    asset = table["asset"].to_numpy()
    times, usd = table["timestamp_s"].to_numpy(), table["usd"].to_numpy()
    seen = table["seen_usd"].to_numpy(zero_copy_only=False)
    found = []
    for number in numbers:
        mine = asset == number
        shown = None if np.isnan(seen[mine]).any() else seen[mine]
        found.append(Path(number, times[mine], usd[mine], shown))
    return tuple(found)


def _gaps(table: pa.Table) -> tuple[Gap, ...]:
    return tuple(Gap(**row) for row in table.drop_columns(["run_id"]).to_pylist())


def _health(table: pa.Table) -> HealthHistogram | None:
    rows = table.to_pylist()
    if not rows:
        return None
    edges = sorted({row["low"] for row in rows} | {row["high"] for row in rows})
    debt: dict[str, dict[float, float]] = defaultdict(dict)
    for row in rows:
        debt[row["world"]][row["low"]] = row["debt_usd"]
    return HealthHistogram(
        rows[0]["at_s"],
        "the hour in which most debt was liquidated",
        tuple(edges),
        {world: tuple(found.get(low, 0.0) for low in edges[:-1]) for world, found in debt.items()},
    )


def fates(outcomes: pa.Table, accounts: pa.Table, assets: Sequence[Asset]) -> tuple[Fate, ...]:
    """The accounts that the change cost or spared most, by collateral lost in liquidations, with their timelines."""
    lost: dict[bytes, dict[str, float]] = defaultdict(dict)
    for row in accounts.select(["world", "account", "collateral_lost_usd"]).to_pylist():
        lost[row["account"]][row["world"]] = row["collateral_lost_usd"]
    difference = {
        account: worlds.get(World.ALTERNATIVE.value, 0.0) - worlds.get(World.CONTROL.value, 0.0)
        for account, worlds in lost.items()
    }
    chosen = sorted((a for a, usd in difference.items() if usd), key=lambda a: (-abs(difference[a]), a))[:MAX_FATES]
    timelines = _timelines(outcomes, set(chosen), assets)
    return tuple(
        Fate(account, difference[account], _summary(lost[account]), tuple(timelines[account])) for account in chosen
    )


def _summary(lost: dict[str, float]) -> str:
    control, alternative = (lost.get(world.value, 0.0) for world in (World.CONTROL, World.ALTERNATIVE))
    if not control:
        return f"loses ${alternative:,.0f} of collateral that it would have kept"
    if not alternative:
        return f"keeps ${control:,.0f} of collateral that it would have lost"
    return f"loses ${alternative:,.0f} of collateral instead of ${control:,.0f}"


def _timelines(outcomes: pa.Table, accounts: set[bytes], assets: Sequence[Asset]) -> dict[bytes, list[Happening]]:
    units = {asset.address: asset for asset in assets}
    found: dict[bytes, list[Happening]] = {account: [] for account in accounts}
    for row in _rows(outcomes, accounts):
        mine = found[row["account"]]
        text = _text(row, units)
        if text and len(mine) < MAX_HAPPENINGS:
            mine.append(Happening(row["timestamp_s"], row["world"], row["kind"], text, row["transaction_hash"]))
    return found


def _rows(outcomes: pa.Table, accounts: set[bytes]) -> Iterable[dict[str, Any]]:
    """Events of some accounts in order of time, the worlds in their own order at equal times."""
    order = {world.value: number for number, world in enumerate(World)}
    numbers = [n for n, account in enumerate(outcomes["account"].to_pylist()) if account in accounts]
    rows = outcomes.take(pa.array(numbers, pa.int64())).to_pylist()
    return sorted(rows, key=lambda row: (row["timestamp_s"], order[row["world"]], row["sequence"]))


def _text(row: dict[str, Any], assets: dict[bytes, Asset]) -> str:
    kind = row["kind"]
    debt = _tokens(row["debt_amount_raw"], row["debt_asset"], assets)
    if kind == Kind.LIQUIDATION.value:
        seized = _tokens(row["collateral_amount_raw"], row["collateral_asset"], assets)
        health = (
            f" at health {float(row['health_before_wad']) / 1e18:.4f}" if row["health_before_wad"] is not None else ""
        )
        return f"liquidated{health}: {debt} repaid, {seized} seized ({row['cause'] or 'cause not known'})"
    if kind == Kind.DEFICIT.value:
        return f"{debt} written off as bad debt"
    if kind == Kind.MARGIN_CALL.value:
        return f"health falls below 1 ({row['cause'] or 'cause not known'})"
    if kind == Kind.BLOCKED.value:
        return f"liquidation held up: {row['cause']}"
    if kind == Kind.FAILED_ATTEMPT.value:
        return "a liquidator comes too late"
    if kind == Kind.REVERTED.value:
        return f"{row['action'].replace('_', ' ')} of {debt}, undone later" if row["debt_asset"] else ""
    verb = {
        Kind.REJECTED.value: "left out",
        Kind.CLIPPED.value: "reduced, not done",
        Kind.UNFUNDED.value: "paid with money this world does not have",
    }.get(kind)
    return f"{row['action']} {verb}: {debt} ({row['cause']})" if verb else ""


def _tokens(raw: bytes | None, asset: bytes | None, assets: dict[bytes, Asset]) -> str:
    if raw is None or asset is None:
        return "an amount"
    known = assets.get(asset)
    if known is None:
        return f"{int.from_bytes(raw, 'big')} base units of 0x{asset.hex()}"
    return f"{int.from_bytes(raw, 'big', signed=True) / known.unit:,.6g} {known.symbol}"

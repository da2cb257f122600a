"""A small made-up run, as the report sees it; ``hostile`` puts markup and script into every foreign text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from l2liq.market import Asset
from l2liq.outcome import ACCOUNTS, METRICS, OUTCOMES, Kind, World
from l2liq.report.bundle import Comparison, Delays, Fate, Happening, HealthHistogram, ModesApart, Path, RunBundle

START = 1_772_409_600
STOP = START + 14 * 86_400
HOSTILE = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>\"'</script>"


def comparison(
    metric: str,
    label: str,
    unit: str,
    values: tuple[float, float, float],
    *,
    lower_is_better: bool | None = True,
    gross_error: float | None = None,
) -> Comparison:
    actual, control, alternative = values
    effect, error = alternative - control, control - actual
    low, high = sorted((effect * 0.6, effect * 1.3))
    return Comparison(
        metric,
        label,
        f"what {label} is",
        unit,
        actual,
        control,
        alternative,
        effect,
        error,
        gross_error,
        low,
        high,
        abs(effect) < abs(error),
        lower_is_better,
    )


def outcomes() -> pa.Table:
    random = np.random.default_rng(1)
    rows = []
    for world, number in ((World.ACTUAL, 60), (World.CONTROL, 58), (World.ALTERNATIVE, 75)):
        for sequence in range(number):
            time = START + int(random.integers(0, 14 * 86_400))
            row = dict.fromkeys(OUTCOMES.names)
            row |= {
                "run_id": "ab" * 20,
                "world": world.value,
                "sequence": sequence,
                "kind": Kind.DEFICIT.value if sequence % 9 == 0 else Kind.LIQUIDATION.value,
                "block_number": 1_000 + sequence,
                "log_index": 1,
                "timestamp_s": time,
                "account": bytes([sequence]) * 20,
                "debt_usd": float(random.lognormal(8, 1.5)),
                "liquidatable_since_s": time - int(random.lognormal(3, 1.5)),
                "collateral_usd": float(random.lognormal(8, 1.5)),
                "published_s": time + 300,
                "l1_final_s": time + 1_068,
                "settled_s": time + 604_800,
                "gas_used": 400_000,
                "l2_fee_wei": 4 * 10**12,
                "l1_fee_wei": 10**12,
                "fee_usd": 0.0125,
            }
            rows.append(row)
    return pa.Table.from_pylist(rows, OUTCOMES)


def bundle(*, hostile: bool = False) -> RunBundle:
    """A run with every section filled."""
    text = HOSTILE if hostile else "plain text"
    symbols = (HOSTILE if hostile else "WETH", "USDC", "WBTC")
    metrics = [
        {"run_id": "r", "world": world.value, "metric": metric, "asset": symbol, "value": 1e5 * (n + 1), "unit": "usd"}
        for symbol in symbols
        for metric in ("collateral_liquidated_usd", "debt_repaid_usd")
        for n, world in enumerate(World)
    ]
    path = 2500 + np.cumsum(np.random.default_rng(2).normal(0, 5, 500))
    timeline = (
        Happening(START + 9, "control", "liquidation", text, None),
        Happening(START + 9, "actual", "liquidation", "repaid 5 USDC", b"\5" * 32),
    )
    return RunBundle(
        run_id="ab" * 20,
        market=text if hostile else "aave-v3/sample",
        title=text,
        description=text,
        explorer="https://explorer.example/tx/{hash}",
        window_s=(START, STOP),
        changes=(f"{symbols[0]} liquidation threshold: 82.5 % → 80.5 %",),
        change_s=START + 3 * 86_400,
        assets=tuple(Asset(bytes([n + 1]) * 20, symbol, 18) for n, symbol in enumerate(symbols)),
        comparisons=(
            comparison("liquidated_accounts", "Liquidated accounts", "count", (60, 58, 75), gross_error=8.0),
            comparison("bad_debt_usd", "Bad debt", "usd", (191e3, 205e3, 131e3), gross_error=52e3),
            comparison("debt_repaid_usd", "Debt repaid by liquidators", "usd", (9e5, 892e3, 1e6), gross_error=41e4),
            comparison("waiting_p90_s", "Time to liquidation, 90 %", "s", (300, 320, 310)),
        ),
        metrics=pa.Table.from_pylist(metrics, METRICS),
        policies={"liquidated_accounts": {"skip": 75.0, "clip": 76.0, "freeze": 80.0}},
        outcomes=outcomes(),
        accounts=ACCOUNTS.empty_table(),
        paths=(Path(0, np.linspace(START, STOP, 500).astype(np.int64), path),),
        sequencer_down_s=((START + 9 * 86_400, START + 9 * 86_400 + 4_200),),
        health=HealthHistogram(
            START + 9 * 86_400,
            text,
            (0.0, 0.95, 1.0, 1.1, 1.5, 1e9),
            {world.value: (1e4, 2e4, 8e4, 9e4, 4e5) for world in World},
        ),
        fates=tuple(Fate(bytes([n]) * 20, 5_000.0 - 900 * n, text, timeline) for n in range(8)),
        changed_itself=(b"\7" * 20, b"\x08" * 20),
        excluded=0,
        validity={
            "model_false_accounts": 3.0,
            "model_missed_accounts": 5.0,
            "skipped_value_share": 0.021,
            "unfunded_usd": 300.0,
            "half_diverged_at_s": None,
        },
        distance=ModesApart(START, START + 86_400, 20_000, 81_000, 3, {"bad_debt_usd": (1_310_000.0, 1_312_500.0)}),
        assumptions=(text,),
        notes=("as found in the file",),
        null_test={"compared": 900, "equal": 900, "recorded": 60, "reproduced": 60},
        roots={"logs": "ab" * 32},
        manifest={"scenario": {"name": text}, "worlds": {"alternative": {"moved": 3, "lost": 1}}},
        clocks=(Delays(START - 9, None, 300, 768, 604_500, text),),
    )

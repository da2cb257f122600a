"""What a synthetic market is made of: its shape, and parameters by dice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from l2liq.protocols.aave_v3.parameters import AaveParameters, EMode, ReserveParameters


@dataclass(frozen=True)
class Shape:
    """How large and how wild a market is."""

    version: str = "3.0.2"
    accounts: int = 6
    assets: int = 3
    blocks: int = 40
    volatility: float = 0.06
    liquidations: bool = True
    parameter_changes: int = 1


def random_parameters(rng: Random, before: AaveParameters, treasury: bytes) -> AaveParameters:
    """The same reserves, configured by dice; two of them form e-mode 1."""
    reserves = []
    for _ in before.reserves:
        threshold = rng.choice((0, 6_500, 7_800, 7_800, 8_250, 8_250))
        reserves.append(
            ReserveParameters(
                ltv_bps=max(0, threshold - rng.choice((300, 500, 500, 500, 10_000))) if threshold else 0,
                liquidation_threshold_bps=threshold,
                liquidation_bonus_bps=rng.choice((10_400, 10_500, 11_000)) if threshold else 0,
                protocol_fee_bps=rng.choice((0, 1_000, 2_000)),
                borrowing=rng.random() < 0.9,
                flash_loans=True,
                debt_ceiling=rng.choice((0, 0, 0, 100_000_00)),
                borrowable_in_isolation=rng.random() < 0.5,
                siloed=rng.random() < 0.1,
            )
        )
    members = frozenset(rng.sample(range(len(reserves)), 2))
    reserves = [replace(reserve, emode_category=1 if index in members else 0) for index, reserve in enumerate(reserves)]
    return replace(
        before,
        reserves=tuple(reserves),
        emodes={1: EMode(9_000, 9_300, 10_100, collateral=members, borrowable=members)},
        treasury=(treasury,) * len(reserves),
    )

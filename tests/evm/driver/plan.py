"""What a simulated market goes through: one frozen value per run, everything random drawn from its seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

DAY_S = 86_400

EVERYTHING: Mapping[str, float] = MappingProxyType(
    {
        "open": 14, "supply": 8, "withdraw": 9, "borrow": 9, "repay": 9, "repay_with_a_tokens": 5, "transfer": 7,
        "switch_collateral": 5, "switch_emode": 4, "mint_to_treasury": 1, "flash": 3, "flash_into_debt": 1,
        "donate": 1, "bundle": 4, "multicall": 2, "manager": 1,
    }
)  # fmt: skip
"""Weights of user actions that exercise every path."""


@dataclass(frozen=True, slots=True)
class Crash:
    """A fall of all prices but the dollar's: ``depth`` is the share of the ETH price lost within ``hours``."""

    day: float
    hours: float
    depth: float


@dataclass(frozen=True, slots=True)
class Outage:
    """No blocks from ``day`` on for ``minutes``."""

    day: float
    minutes: float


@dataclass(frozen=True, slots=True)
class LiquidatorSpec:
    """A liquidator: median delay [s], spread of its log, share of positions it looks at, and its habits."""

    delay_s: float
    spread: float = 0.8
    attention: float = 0.9
    receives_a_tokens: bool = False
    partial_share: float = 0.3
    smallest_debt_usd: float = 0.0


LIQUIDATORS = (
    LiquidatorSpec(3),
    LiquidatorSpec(20, receives_a_tokens=True),
    LiquidatorSpec(120, partial_share=0.7),
    LiquidatorSpec(900, attention=0.6),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes
    ----------
    actions_per_day : float
        User actions a day over all users.
    yearly_volatility : float
        Of ETH; BTC moves with 0.75 of it, correlated 0.8.
    health_spread : tuple[float, float]
        Health factors that new positions aim at: least, and scale of the exponential above it.
    opening_hours, arrival_hours : float
        When actions begin, and until when users arrive to open their first position.
    panic : float
        Factor on liquidators' delays from the crash's beginning until half a day after its end; their attention
        falls by the cube root of it.
    base_fee_wei : int
        Base fee in quiet times; it follows the panic.
    whale_depth : float
        Supply of each passive lender and reserve, in mean user wealths times users.
    together : float
        Share of actions that are put into the same block as the one before.
    governance_changes : int
        Parameter changes spread over the run.
    sloppiness : float
        Share of borrowers who never defend their position.
    second_step : int
        Everything happens at multiples of so many seconds since 1970.
    governance_kinds : frozenset[str] or None
        Names of the changes that governance makes; None for all.
    clear_amounts : bool
        Withdrawals and repayments ask for "all" or for less than there is, and no switch is set to what it is: then the
        logs leave no doubt about what users asked for.
    """

    seed: int
    users: int = 30
    days: float = 4.0
    actions_per_day: float = 250.0
    weights: Mapping[str, float] = field(default_factory=lambda: EVERYTHING)
    yearly_volatility: float = 0.9
    deviation: float = 0.005
    heartbeat_s: int = 3600
    crash: Crash | None = Crash(2.3, 1.6, 0.5)
    outage: Outage | None = Outage(2.34, 70)
    liquidators: tuple[LiquidatorSpec, ...] = LIQUIDATORS
    governance_changes: int = 24
    health_spread: tuple[float, float] = (1.02, 0.25)
    wealth_usd: tuple[float, float] = (20_000.0, 1.8)
    whale_depth: float = 6.0
    together: float = 0.12
    compact_share: float = 0.3
    opening_hours: float = 8.0
    arrival_hours: float = 8.0
    sloppiness: float = 1.0
    panic: float = 1.0
    base_fee_wei: int = 10_000_000
    second_step: int = 1
    governance_kinds: frozenset[str] | None = None
    clear_amounts: bool = False

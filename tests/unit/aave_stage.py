"""A small Aave v3 market for tests of its rules: three assets, three accounts, everything in plain sight."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pytest

from l2liq.market import ACTIONS, LEDGER, LIQUIDATIONS, Asset, Clock, Ledger, Leg, LegKind, Market, ParameterTimeline
from l2liq.market.market import DEFICITS
from l2liq.numeric import RAY
from l2liq.protocols.aave_v3.layout import Layout, Tables
from l2liq.protocols.aave_v3.parameters import AaveParameters, EMode, ReserveParameters, Sentinel
from l2liq.protocols.aave_v3.situation import AaveSituation
from l2liq.protocols.aave_v3.versions import VERSIONS, rule_set
from l2liq.protocols.interface import Action, Moment, Rejection

ETH, USD, BTC = 0, 1, 2
ALICE, BOB, TREASURY = 0, 1, 2
NOW = 1_000_000
NAMES = ("ETH", "USD", "BTC")
ASSETS = tuple(Asset(bytes([n + 1] * 20), name, 6) for n, name in enumerate(NAMES))
LEGS = (
    Leg(LegKind.FLAG, "emode", -1),
    *(Leg(LegKind.COLLATERAL, f"collateral/{name}", n) for n, name in enumerate(NAMES)),
    *(Leg(LegKind.DEBT, f"debt/{name}", n) for n, name in enumerate(NAMES)),
    *(Leg(LegKind.FLAG, f"uses_as_collateral/{name}", n) for n, name in enumerate(NAMES)),
)
EMODE = 0


def held(asset: int) -> int:
    return 1 + asset


def owed(asset: int) -> int:
    return 4 + asset


def used(asset: int) -> int:
    return 7 + asset


LAYOUT = Layout(
    Market(
        "", "", "", 1, 0, 0, ASSETS, LEGS, pa.array([], pa.binary(20)), Ledger(LEDGER.empty_table(), 0), {},
        ParameterTimeline((), (), ()), ACTIONS.empty_table(), LIQUIDATIONS.empty_table(), DEFICITS.empty_table(),
        Clock(np.array([0]), np.array([NOW])),
    )
)  # fmt: skip

LISTED = ReserveParameters(
    ltv_bps=7_500,
    liquidation_threshold_bps=8_000,
    liquidation_bonus_bps=10_500,
    protocol_fee_bps=1_000,
    borrowing=True,
    flash_loans=True,
)


@dataclass
class Stage:
    """A market of three assets with 6 decimals, all worth a dollar and with indices of 1 unless told otherwise."""

    version: str = "3.0.2"
    reserves: list[ReserveParameters | None] = field(default_factory=lambda: [LISTED] * 3)
    emodes: dict[int, EMode] = field(default_factory=dict)
    states: dict[int, dict[int, int]] = field(default_factory=lambda: {ALICE: {}, BOB: {}, TREASURY: {}})
    prices: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(3), 10**8))
    indices: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(3), RAY))
    sentinel: Sentinel | None = None
    report: tuple[int, int] | None = None
    money: int = 10**30

    def price(self, asset: int, key: int) -> int | None:
        return self.prices.get(asset)

    def price_of_source(self, source: bytes, key: int) -> int | None:
        return 2 * 10**8

    def income_index_ray(self, asset: int, moment: Moment) -> int | None:
        return self.indices[asset]

    def debt_index_ray(self, asset: int, moment: Moment) -> int | None:
        return self.indices[asset]

    def sequencer(self, key: int) -> tuple[int, int] | None:
        return self.report

    def account_of(self, address: bytes) -> int | None:
        return TREASURY if address == b"t" * 20 else None

    @property
    def situation(self) -> AaveSituation:
        treasury = (b"t" * 20,) * 3
        parameters = AaveParameters(
            rule_set(self.version), tuple(self.reserves), self.emodes, self.sentinel, treasury=treasury
        )
        return AaveSituation(Moment(7 << 24, NOW), Tables(LAYOUT, parameters), self)

    def change(self, asset: int, **changes: object) -> Stage:
        reserve = self.reserves[asset]
        assert reserve is not None
        self.reserves[asset] = replace(reserve, **changes)  # type: ignore[arg-type]
        return self

    def give(
        self,
        account: int,
        *,
        collateral: dict[int, int] | None = None,
        debt: dict[int, int] | None = None,
        emode: int = 0,
    ) -> Stage:
        for asset, amount in (collateral or {}).items():
            self.states[account] |= {held(asset): amount, used(asset): 1}
        self.states[account] |= {owed(asset): amount for asset, amount in (debt or {}).items()}
        if emode:
            self.states[account][EMODE] = emode
        return self

    def do(
        self,
        kind: str,
        asset: int = -1,
        amount: int = 0,
        *,
        account: int = ALICE,
        other: int = -1,
        whole: bool = False,
        mode: int = 0,
    ) -> dict[int, int] | str:
        """The account's state after the action, or the reason why not."""
        action = Action(0, Moment(7 << 24, NOW), (7, 0), kind, account, other, asset, amount, whole, mode)
        outcome = self.situation.apply(self.states.__getitem__, action, cash=lambda _: self.money)
        if isinstance(outcome, Rejection):
            return outcome.reason
        for (who, leg), quantity in outcome.after.items():
            self.states[who][leg] = quantity
            if not quantity:
                del self.states[who][leg]
        return self.states[account]


MODE = EMode(9_000, 9_300, 10_100, collateral=frozenset({ETH, BTC}), borrowable=frozenset({ETH, BTC}))


def names(constant: str, error: str, version: str) -> str:
    return error if version >= "3.4" else constant


HEALTH = ("HEALTH_FACTOR_LOWER_THAN_LIQUIDATION_THRESHOLD", "HealthFactorLowerThanLiquidationThreshold")
every = pytest.mark.parametrize("version", VERSIONS)

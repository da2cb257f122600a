"""A market of three reserves and one e-mode without accounts: enough to compose scenarios with."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from l2liq.events.log import key_of
from l2liq.market import ACTIONS, DEFICITS, LEDGER, LIQUIDATIONS, Asset, Clock, Ledger, Market, ParameterTimeline
from l2liq.protocols.aave_v3.parameters import AaveParameters, EMode, ReserveParameters, Sentinel
from l2liq.protocols.aave_v3.versions import rule_set

FIRST_BLOCK, LAST_BLOCK = 1_000, 1_999
START_S = 1_722_470_400
"""2024-08-01T00:00:00Z; a block every 10 minutes, so that the market spans almost a week."""
BLOCK_S = 600

WETH, USDC, BRIDGED = (bytes([n]) * 20 for n in (0x11, 0x22, 0x33))

_CURVE = {"optimal_usage_ray": 9 * 10**26, "slope1_ray": 4 * 10**25, "slope2_ray": 6 * 10**26}
_WETH = ReserveParameters(
    ltv_bps=8_000, liquidation_threshold_bps=8_250, liquidation_bonus_bps=10_500, protocol_fee_bps=1_000, **_CURVE
)
_USDC = ReserveParameters(
    ltv_bps=7_700, liquidation_threshold_bps=8_000, liquidation_bonus_bps=10_450, protocol_fee_bps=1_000, **_CURVE
)
FIRST_SET = AaveParameters(
    rule_set("3.0.2"),
    (_WETH, _USDC, None),
    MappingProxyType({1: EMode(9_000, 9_300, 10_100, label="Stablecoins")}),
    sentinel=Sentinel(bytes([0x44]) * 20, 3_600),
)
SECOND_SET = replace(FIRST_SET, reserves=(replace(_WETH, liquidation_threshold_bps=8_300), _USDC, ReserveParameters()))
"""From block 1,500: governance raises WETH's threshold by half a point and lists the third reserve."""

SECOND_KEY = key_of(1_500, 7)


def small_market() -> Market:
    """``aave-v3/small``: symbols WETH, USDC and, again, USDC."""
    number = np.arange(FIRST_BLOCK, LAST_BLOCK + 1, dtype=np.int64)
    return Market(
        name="aave-v3/small",
        slug="aave-v3-small",
        protocol="aave-v3",
        chain_id=31_337,
        first_block=FIRST_BLOCK,
        last_block=LAST_BLOCK,
        assets=(Asset(WETH, "WETH", 18), Asset(USDC, "USDC", 6), Asset(BRIDGED, "USDC", 6)),
        legs=(),
        addresses=pa.array([], pa.binary(20)),
        ledger=Ledger(LEDGER.empty_table(), 0),
        series={},
        parameters=ParameterTimeline(
            (key_of(FIRST_BLOCK - 10, 0), SECOND_KEY),
            (START_S - 10 * BLOCK_S, START_S + 500 * BLOCK_S),
            (FIRST_SET, SECOND_SET),
        ),
        actions=ACTIONS.empty_table(),
        liquidations=LIQUIDATIONS.empty_table(),
        deficits=DEFICITS.empty_table(),
        clock=Clock(number, START_S + (number - FIRST_BLOCK) * BLOCK_S),
    )

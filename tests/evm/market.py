"""The market the harness deploys: four reserves, one e-mode, and everything its deployment has an address for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Version(Enum):
    """Contract versions that are deployed."""

    V302 = "3.0.2"
    V360 = "3.6.0"


@dataclass(frozen=True, slots=True)
class ReserveSpec:
    """What a reserve is listed with; ratios in bps, caps in whole tokens, price in USD."""

    symbol: str
    decimals: int
    price_usd: float
    ltv_bps: int
    liquidation_threshold_bps: int
    bonus_bps: int
    protocol_fee_bps: int
    reserve_factor_bps: int
    supply_cap: int
    borrow_cap: int
    optimal_usage_bps: int
    base_rate_bps: int
    slope1_bps: int
    slope2_bps: int

    @property
    def unit(self) -> int:
        """Base units of one token."""
        return int(10**self.decimals)


@dataclass(frozen=True, slots=True)
class EModeSpec:
    """An e-mode category; ``assets`` are collateral and borrowable in it."""

    number: int
    label: str
    ltv_bps: int
    liquidation_threshold_bps: int
    bonus_bps: int
    assets: tuple[str, ...]


RESERVES = (
    ReserveSpec("WETH", 18, 2400.0, 8000, 8300, 10500, 1000, 1500, 900_000, 700_000, 9000, 0, 270, 8000),
    ReserveSpec("wstETH", 18, 2880.0, 7700, 7900, 10600, 1000, 1500, 500_000, 200_000, 8000, 0, 300, 8500),
    ReserveSpec("USDC", 6, 1.0, 7500, 7800, 10450, 1000, 1000, 900_000_000, 800_000_000, 9200, 0, 550, 4000),
    ReserveSpec("WBTC", 8, 62_000.0, 7300, 7800, 10700, 1000, 2000, 30_000, 20_000, 8000, 0, 400, 30_000),
)
EMODE = EModeSpec(1, "ETH correlated", 9000, 9300, 10200, ("WETH", "wstETH"))
GRACE_PERIOD_S = 3600
FLASH_PREMIUM_BPS = 9
FLASH_PREMIUM_TO_PROTOCOL_BPS = 3000
PRICE_UNIT = 10**8


def price_answer(price_usd: float) -> int:
    """A price as a feed with 8 decimals answers it."""
    return round(price_usd * PRICE_UNIT)


@dataclass(frozen=True, slots=True)
class Reserve:
    """Addresses of a listed reserve; ``number`` is its index in the pool's list."""

    spec: ReserveSpec
    number: int
    underlying: str
    a_token: str
    v_token: str
    feed: str
    aggregator: str

    @property
    def symbol(self) -> str:
        """Symbol of the underlying."""
        return self.spec.symbol


@dataclass(frozen=True, slots=True)
class Deployment:
    """A market in place; all addresses in lower case.

    Attributes
    ----------
    first_block, last_block : int
        Blocks of the first and last transaction of the deployment.
    strategies : dict[str, str]
        Interest-rate strategy per reserve symbol.
    """

    version: Version
    first_block: int
    last_block: int
    admin: str
    provider: str
    pool: str
    configurator: str
    oracle: str
    acl: str
    sentinel: str
    uptime_feed: str
    data_provider: str
    treasury: str
    batcher: str
    flash_receiver: str
    strategies: dict[str, str]
    reserves: tuple[Reserve, ...]

    def reserve(self, symbol: str) -> Reserve:
        """The reserve with this symbol."""
        return next(reserve for reserve in self.reserves if reserve.symbol == symbol)

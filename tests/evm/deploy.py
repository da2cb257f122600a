"""Deploying a whole Aave v3 market of either version behind one function."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.evm import abi, artifacts
from tests.evm.anvil import Node
from tests.evm.market import (
    EMODE,
    FLASH_PREMIUM_BPS,
    FLASH_PREMIUM_TO_PROTOCOL_BPS,
    GRACE_PERIOD_S,
    PRICE_UNIT,
    RESERVES,
    Deployment,
    Reserve,
    ReserveSpec,
    Version,
    price_answer,
)
from tests.evm.solc import Artifact

ADMIN = "0x" + "ad" * 20
TREASURY = "0x" + "7e" * 20
_RAY_PER_BPS = 10**23


def deploy(node: Node, version: Version) -> Deployment:
    """Deploy tokens, feeds, the protocol and its four reserves; every action is open when it returns."""
    workbench = _Workbench(node, artifacts.aave_302() if version is Version.V302 else artifacts.aave_360())
    market = _V302(workbench) if version is Version.V302 else _V360(workbench)
    first_block = node.block_number + 1
    feeds = [_Feed.of(workbench, spec) for spec in RESERVES]
    core = market.core(feeds)
    market.list_reserves(core, feeds)
    for feed in feeds:
        _configure(workbench, core, feed)
    market.emode(core, feeds)
    market.flash_premium(core)
    return _described(workbench, version, core, feeds, first_block)


@dataclass(slots=True)
class _Workbench:
    """Creates contracts and calls them as the admin."""

    node: Node
    artifacts: dict[str, Artifact]
    libraries: dict[str, str] = field(default_factory=dict)

    def create(self, name: str, types: str = "()", *arguments: Any) -> str:
        """Address of a new contract; libraries it links with are created first."""
        artifact = self.artifacts.get(name) or artifacts.own()[name]
        for library in artifact.libraries:
            if library not in self.libraries:
                self.libraries[library] = self.create(library)
        code = artifact.linked(self.libraries) + (abi.encode_values(types, *arguments) if arguments else b"")
        return self.node.create(ADMIN, code)

    def do(self, to: str, signature: str, *arguments: Any) -> None:
        """A transaction of the admin that must succeed."""
        self.node.transact(ADMIN, to, abi.call_data(signature, *arguments))

    def address(self, to: str, signature: str, *arguments: Any) -> str:
        """An address that a contract answers with."""
        return abi.address_of(abi.words(self.node.call(to, abi.call_data(signature, *arguments)))[0])


@dataclass(frozen=True, slots=True)
class _Feed:
    spec: ReserveSpec
    underlying: str
    aggregator: str
    proxy: str

    @classmethod
    def of(cls, workbench: _Workbench, spec: ReserveSpec) -> _Feed:
        underlying = workbench.create("Token", "(string,string,uint8)", spec.symbol, spec.symbol, spec.decimals)
        aggregator = workbench.create("Aggregator")
        workbench.do(aggregator, "publish(int256)", price_answer(spec.price_usd))
        return cls(spec, underlying, aggregator, workbench.create("FeedProxy", "(address)", aggregator))


@dataclass(slots=True)
class _Core:
    provider: str
    pool: str
    configurator: str
    oracle: str
    acl: str
    sentinel: str
    uptime_feed: str
    data_provider: str
    strategies: dict[str, str] = field(default_factory=dict)


class _V302:
    """What is particular to 3.0.2: a rate strategy per asset, stable-debt tokens, e-mode as a property of reserves."""

    pool_code, configurator_code = "L2Pool", "PoolConfigurator"

    def __init__(self, workbench: _Workbench) -> None:
        self.workbench = workbench

    def pool(self, provider: str) -> str:
        return self.workbench.create(self.pool_code, "(address)", provider)

    def core(self, feeds: list[_Feed]) -> _Core:
        """Provider, access control, oracle, pool, configurator, sentinel and data provider."""
        new, do = self.workbench.create, self.workbench.do
        provider = new("PoolAddressesProvider", "(string,address)", "l2liq truth", ADMIN)
        do(provider, "setACLAdmin(address)", ADMIN)
        acl = new("ACLManager", "(address)", provider)
        do(provider, "setACLManager(address)", acl)
        for role in ("addPoolAdmin", "addRiskAdmin", "addEmergencyAdmin"):
            do(acl, f"{role}(address)", ADMIN)
        oracle = new(
            "AaveOracle",
            "(address,address[],address[],address,address,uint256)",
            provider,
            [feed.underlying for feed in feeds],
            [feed.proxy for feed in feeds],
            abi.ZERO_ADDRESS,
            abi.ZERO_ADDRESS,
            PRICE_UNIT,
        )
        do(provider, "setPriceOracle(address)", oracle)
        do(provider, "setPoolImpl(address)", self.pool(provider))
        do(provider, "setPoolConfiguratorImpl(address)", new(self.configurator_code))
        data_provider = new("AaveProtocolDataProvider", "(address)", provider)
        do(provider, "setPoolDataProvider(address)", data_provider)
        uptime_feed = new("UptimeFeed")
        sentinel = new("PriceOracleSentinel", "(address,address,uint256)", provider, uptime_feed, GRACE_PERIOD_S)
        do(provider, "setPriceOracleSentinel(address)", sentinel)
        pool = self.workbench.address(provider, "getPool()")
        configurator = self.workbench.address(provider, "getPoolConfigurator()")
        return _Core(provider, pool, configurator, oracle, acl, sentinel, uptime_feed, data_provider)

    def list_reserves(self, core: _Core, feeds: list[_Feed]) -> None:
        new = self.workbench.create
        codes = [new(name, "(address)", core.pool) for name in ("AToken", "StableDebtToken", "VariableDebtToken")]
        inputs = []
        for feed in feeds:
            core.strategies[feed.spec.symbol] = self.strategy(core, feed.spec)
            symbol = feed.spec.symbol
            inputs.append(
                (
                    *codes, feed.spec.decimals, core.strategies[symbol], feed.underlying, TREASURY, abi.ZERO_ADDRESS,
                    f"Aave {symbol}", f"a{symbol}", f"Aave variable debt {symbol}", f"v{symbol}",
                    f"Aave stable debt {symbol}", f"s{symbol}", b"",
                )
            )  # fmt: skip
        shape = f"(address,address,address,uint8,address,address,address,address{',string' * 6},bytes)"
        self.workbench.do(core.configurator, f"initReserves({shape}[])", inputs)

    def strategy(self, core: _Core, spec: ReserveSpec) -> str:
        slopes = (spec.optimal_usage_bps, spec.base_rate_bps, spec.slope1_bps, spec.slope2_bps)
        stable = (0, 0, 0, 0, 2000)
        rays = [bps * _RAY_PER_BPS for bps in slopes + stable]
        types = f"(address{',uint256' * len(rays)})"
        return self.workbench.create("DefaultReserveInterestRateStrategy", types, core.provider, *rays)

    def emode(self, core: _Core, feeds: list[_Feed]) -> None:
        self.workbench.do(
            core.configurator,
            "setEModeCategory(uint8,uint16,uint16,uint16,address,string)",
            EMODE.number,
            EMODE.ltv_bps,
            EMODE.liquidation_threshold_bps,
            EMODE.bonus_bps,
            abi.ZERO_ADDRESS,
            EMODE.label,
        )
        for feed in feeds:
            if feed.spec.symbol in EMODE.assets:
                self.workbench.do(
                    core.configurator, "setAssetEModeCategory(address,uint8)", feed.underlying, EMODE.number
                )

    def flash_premium(self, core: _Core) -> None:
        do = self.workbench.do
        do(core.configurator, "updateFlashloanPremiumTotal(uint128)", FLASH_PREMIUM_BPS)
        do(core.configurator, "updateFlashloanPremiumToProtocol(uint128)", FLASH_PREMIUM_TO_PROTOCOL_BPS)


class _V360(_V302):
    """What is particular to 3.6.0: one strategy for all, treasury fixed in the token code, e-mode as bitmaps."""

    pool_code, configurator_code = "L2PoolInstance", "PoolConfiguratorInstance"

    def pool(self, provider: str) -> str:
        strategy = self.workbench.create("DefaultReserveInterestRateStrategyV2", "(address)", provider)
        return self.workbench.create(self.pool_code, "(address,address)", provider, strategy)

    def list_reserves(self, core: _Core, feeds: list[_Feed]) -> None:
        new = self.workbench.create
        strategy = self.workbench.address(core.pool, "RESERVE_INTEREST_RATE_STRATEGY()")
        a_code = new("ATokenInstance", "(address,address,address)", core.pool, abi.ZERO_ADDRESS, TREASURY)
        v_code = new("VariableDebtTokenInstance", "(address,address)", core.pool, abi.ZERO_ADDRESS)
        inputs = []
        for feed in feeds:
            spec, symbol = feed.spec, feed.spec.symbol
            core.strategies[symbol] = strategy
            rates = (spec.optimal_usage_bps, spec.base_rate_bps, spec.slope1_bps, spec.slope2_bps)
            names = (f"Aave {symbol}", f"a{symbol}", f"Aave variable debt {symbol}", f"v{symbol}")
            rate_data = abi.encode_values("(uint256,uint256,uint256,uint256)", *rates)
            inputs.append((a_code, v_code, feed.underlying, *names, b"", rate_data))
        shape = "(address,address,address,string,string,string,string,bytes,bytes)"
        self.workbench.do(core.configurator, f"initReserves({shape}[])", inputs)

    def emode(self, core: _Core, feeds: list[_Feed]) -> None:
        do = self.workbench.do
        do(
            core.configurator,
            "setEModeCategory(uint8,uint16,uint16,uint16,string)",
            EMODE.number,
            EMODE.ltv_bps,
            EMODE.liquidation_threshold_bps,
            EMODE.bonus_bps,
            EMODE.label,
        )
        for feed in feeds:
            if feed.spec.symbol in EMODE.assets:
                for setter in ("setAssetCollateralInEMode", "setAssetBorrowableInEMode"):
                    do(core.configurator, f"{setter}(address,uint8,bool)", feed.underlying, EMODE.number, True)

    def flash_premium(self, core: _Core) -> None:
        self.workbench.do(core.configurator, "updateFlashloanPremium(uint128)", FLASH_PREMIUM_BPS)


def _configure(workbench: _Workbench, core: _Core, feed: _Feed) -> None:
    """Collateral, borrowing, caps and fees of a listed reserve."""
    spec, asset = feed.spec, feed.underlying
    do, configurator = workbench.do, core.configurator
    do(
        configurator,
        "configureReserveAsCollateral(address,uint256,uint256,uint256)",
        asset,
        spec.ltv_bps,
        spec.liquidation_threshold_bps,
        spec.bonus_bps,
    )
    do(configurator, "setReserveBorrowing(address,bool)", asset, True)
    do(configurator, "setReserveFlashLoaning(address,bool)", asset, True)
    do(configurator, "setReserveFactor(address,uint256)", asset, spec.reserve_factor_bps)
    do(configurator, "setLiquidationProtocolFee(address,uint256)", asset, spec.protocol_fee_bps)
    do(configurator, "setSupplyCap(address,uint256)", asset, spec.supply_cap)
    do(configurator, "setBorrowCap(address,uint256)", asset, spec.borrow_cap)


def _described(
    workbench: _Workbench, version: Version, core: _Core, feeds: list[_Feed], first_block: int
) -> Deployment:
    reserves = []
    for number, feed in enumerate(feeds):
        tokens = workbench.node.call(
            core.data_provider, abi.call_data("getReserveTokensAddresses(address)", feed.underlying)
        )
        a_token, _, v_token = map(abi.address_of, abi.words(tokens))
        reserves.append(Reserve(feed.spec, number, feed.underlying, a_token, v_token, feed.proxy, feed.aggregator))
    return Deployment(
        version=version,
        first_block=first_block,
        admin=ADMIN,
        provider=core.provider,
        pool=core.pool,
        configurator=core.configurator,
        oracle=core.oracle,
        acl=core.acl,
        sentinel=core.sentinel,
        uptime_feed=core.uptime_feed,
        data_provider=core.data_provider,
        treasury=TREASURY,
        batcher=workbench.create("Batcher"),
        flash_receiver=workbench.create("FlashReceiver"),
        strategies=core.strategies,
        reserves=tuple(reserves),
        last_block=workbench.node.block_number,
    )

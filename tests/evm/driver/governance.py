"""Governance and operators: parameters, prices' sources, pauses and caps that change in the middle of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.evm import abi, artifacts
from tests.evm.driver.feeds import PUBLISHER, Feeds
from tests.evm.driver.stage import Stage, account_name
from tests.evm.market import EMODE, Reserve, Version

_RAY_PER_BPS = 10**23


class Governance:
    """Random changes by the admin; each keeps the market usable."""

    def __init__(self, stage: Stage, feeds: Feeds) -> None:
        self.stage, self.feeds, self.rng, self.market = stage, feeds, stage.rng, stage.market

    def changes(self) -> list[Callable[[], None]]:
        """Every kind of change the version knows."""
        common = [
            self.collateral_parameters, self.protocol_fee, self.reserve_factor, self.caps, self.freeze, self.pause,
            self.emode_category, self.emode_asset, self.aggregator_phase, self.price_source, self.rates,
            self.flash_premium, self.borrowing, self.sentinel_grace,
        ]  # fmt: skip
        if self.market.version is not Version.V302:
            common += [self.cover_deficit, self.ltv_zero]
        wanted = self.stage.plan.governance_kinds
        return [change for change in common if wanted is None or change.__name__ in wanted]

    def schedule(self) -> None:
        """Spread the plan's changes over the run: each kind once before any comes twice."""
        stage, count = self.stage, self.stage.plan.governance_changes
        kinds: list[Callable[[], None]] = []
        while len(kinds) < count:
            round_of_all = self.changes()
            self.rng.shuffle(round_of_all)
            kinds += round_of_all
        for change in kinds[:count]:
            stage.at(self.rng.uniform(stage.start_s + 6 * 3600, stage.end_s - 600), change)

    def collateral_parameters(self) -> None:
        """Move loan-to-value, threshold and bonus a little around what the reserve was listed with."""
        spec = (reserve := self._any()).spec
        threshold = spec.liquidation_threshold_bps + self.rng.randrange(-300, 200)
        ltv = min(threshold, spec.ltv_bps + self.rng.randrange(-400, 150))
        bonus = min(spec.bonus_bps + self.rng.randrange(-200, 300), 10_000 * 10_000 // threshold - 1)
        signature = "configureReserveAsCollateral(address,uint256,uint256,uint256)"
        self._configure(signature, reserve.underlying, ltv, threshold, bonus)

    def protocol_fee(self) -> None:
        """Set the protocol's share of the bonus, at times to nothing."""
        fee = self.rng.choice((0, 500, 1000, 1777, 3000))
        self._configure("setLiquidationProtocolFee(address,uint256)", self._any().underlying, fee)

    def reserve_factor(self) -> None:
        """Set the treasury's share of interest."""
        self._configure("setReserveFactor(address,uint256)", self._any().underlying, self.rng.randrange(0, 5000))

    def caps(self) -> None:
        """Tighten a cap so that it binds for a while, then lift it."""
        reserve = self._any()
        name = self.rng.choice(("setSupplyCap", "setBorrowCap"))
        self._configure(f"{name}(address,uint256)", reserve.underlying, 1)
        self._soon(lambda: self._configure(f"{name}(address,uint256)", reserve.underlying, 0))

    def freeze(self) -> None:
        """Freeze a reserve for some hours."""
        reserve = self._any()
        self._configure("setReserveFreeze(address,bool)", reserve.underlying, True)
        self._soon(lambda: self._configure("setReserveFreeze(address,bool)", reserve.underlying, False))

    def pause(self) -> None:
        """Pause a reserve or everything; where the version has it, liquidations stay closed a while longer."""
        asset, graceful = self._any().underlying, self.market.version is not Version.V302
        name, types, target = "setReservePause", "address,", [asset]
        if self.rng.random() < 0.3:
            name, types, target = "setPoolPause", "", []
        self._configure(f"{name}({types}bool)", *target, True)
        if not graceful:
            self._soon(lambda: self._configure(f"{name}({types}bool)", *target, False), hours=1.0)
            return
        grace = self.rng.randrange(60, 4 * 3600)
        self._soon(lambda: self._configure(f"{name}({types}bool,uint40)", *target, False, grace), hours=1.0)
        if self.rng.random() < 0.3:
            self._soon(lambda: self._configure("disableLiquidationGracePeriod(address)", asset), hours=2.0)

    def emode_category(self) -> None:
        """Change the category's parameters."""
        threshold = EMODE.liquidation_threshold_bps + self.rng.randrange(-100, 150)
        values = (
            EMODE.number,
            threshold - self.rng.randrange(50, 400),
            threshold,
            EMODE.bonus_bps - self.rng.randrange(150),
        )
        if self.market.version is Version.V302:
            signature = "setEModeCategory(uint8,uint16,uint16,uint16,address,string)"
            self._configure(signature, *values, self._emode_price(), EMODE.label)
        else:
            self._configure("setEModeCategory(uint8,uint16,uint16,uint16,string)", *values, EMODE.label)

    def _emode_price(self) -> str:
        """What the category's assets are priced as: themselves, the first of them, or an index of its own."""
        weth = self.market.reserve(EMODE.assets[0])
        kind = self.rng.random()
        if kind < 0.6:
            return abi.ZERO_ADDRESS if kind < 0.3 else weth.underlying
        index = account_name(self.stage.plan.seed, "index", 0)
        proxy = self._create("FeedProxy", abi.encode_values("(address)", self._aggregator(weth.symbol)))
        self._do(self.market.oracle, "setAssetSources(address[],address[])", [index], [proxy])
        return index

    def emode_asset(self) -> None:
        """Take an asset out of the category for a while."""
        asset = self.market.reserve(self.rng.choice(EMODE.assets)).underlying
        if self.market.version is Version.V302:
            self._configure("setAssetEModeCategory(address,uint8)", asset, 0)
            self._soon(lambda: self._configure("setAssetEModeCategory(address,uint8)", asset, EMODE.number))
            return
        name = self.rng.choice(("setAssetCollateralInEMode", "setAssetBorrowableInEMode"))
        self._configure(f"{name}(address,uint8,bool)", asset, EMODE.number, False)
        self._soon(lambda: self._configure(f"{name}(address,uint8,bool)", asset, EMODE.number, True))

    def aggregator_phase(self) -> None:
        """Move a feed to another aggregator behind the same proxy."""
        reserve = self._any()
        aggregator = self._aggregator(reserve.symbol)
        proxy = self._source(reserve)
        self.stage.submit(PUBLISHER, proxy, abi.call_data("confirmAggregator(address)", aggregator))
        self.feeds.use_aggregator(reserve.symbol, aggregator)

    def price_source(self) -> None:
        """Point the oracle to another feed."""
        reserve = self._any()
        aggregator = self._aggregator(reserve.symbol)
        proxy = self._create("FeedProxy", abi.encode_values("(address)", aggregator))
        signature = "setAssetSources(address[],address[])"
        self._do(self.market.oracle, signature, [reserve.underlying], [proxy])
        self.feeds.use_aggregator(reserve.symbol, aggregator)

    def rates(self) -> None:
        """Change the slope of the rates."""
        spec = (reserve := self._any()).spec
        slope = spec.slope1_bps + self.rng.randrange(-150, 400)
        curve = (spec.optimal_usage_bps, spec.base_rate_bps, slope, spec.slope2_bps)
        if self.market.version is not Version.V302:
            data = abi.encode_values("(uint256,uint256,uint256,uint256)", *curve)
            self._configure("setReserveInterestRateData(address,bytes)", reserve.underlying, data)
            return
        rays = [bps * _RAY_PER_BPS for bps in (*curve, 0, 0, 0, 0, 2000)]
        types = f"(address{',uint256' * len(rays)})"
        code = artifacts.aave_302()["DefaultReserveInterestRateStrategy"].linked({})
        strategy = self._created(code + abi.encode_values(types, self.market.provider, *rays))
        self._configure("setReserveInterestRateStrategyAddress(address,address)", reserve.underlying, strategy)

    def flash_premium(self) -> None:
        """Change the price of flash loans."""
        name = "updateFlashloanPremiumTotal" if self.market.version is Version.V302 else "updateFlashloanPremium"
        self._configure(f"{name}(uint128)", self.rng.choice((5, 9, 30)))

    def borrowing(self) -> None:
        """Close borrowing of an asset for a while."""
        asset = self._any().underlying
        self._configure("setReserveBorrowing(address,bool)", asset, False)
        self._soon(lambda: self._configure("setReserveBorrowing(address,bool)", asset, True))

    def sentinel_grace(self) -> None:
        """Change the sentinel's grace period."""
        self._do(self.market.sentinel, "setGracePeriod(uint256)", self.rng.choice((1800, 3600, 5400)))

    def cover_deficit(self) -> None:
        """Burn the umbrella's own supply against the deficit of every reserve that has one."""
        umbrella = account_name(self.stage.plan.seed, "umbrella", 0)
        name = b"UMBRELLA".ljust(32, b"\0")
        self._do(self.market.provider, "setAddress(bytes32,address)", name, umbrella)
        self.stage.equip([umbrella], [self.market.pool])
        for reserve in self.market.reserves:
            data = abi.call_data("getReserveDeficit(address)", reserve.underlying)
            deficit = abi.words(self.stage.node.call(self.market.pool, data))[0]
            if deficit:
                supply = "supply(address,uint256,address,uint16)"
                self.stage.act(umbrella, supply, reserve.underlying, deficit + 10, umbrella, 0)
                covered = max(1, int(deficit * self.rng.choice((0.5, 1.0))))
                self.stage.act(umbrella, "eliminateReserveDeficit(address,uint256)", reserve.underlying, covered)

    def ltv_zero(self) -> None:
        """Take loan-to-value from a reserve, or from it in the e-mode, for a while."""
        reserve = self._any()
        if reserve.symbol in EMODE.assets and self.rng.random() < 0.5:
            signature = "setAssetLtvzeroInEMode(address,uint8,bool)"
            self._configure(signature, reserve.underlying, EMODE.number, True)
            self._soon(lambda: self._configure(signature, reserve.underlying, EMODE.number, False))
        else:
            self._configure("setReserveLtvzero(address,bool)", reserve.underlying, True)
            self._soon(lambda: self._configure("setReserveLtvzero(address,bool)", reserve.underlying, False))

    def _any(self) -> Reserve:
        return self.rng.choice(self.market.reserves)

    def _do(self, to: str, signature: str, *arguments: Any) -> None:
        self.stage.submit(self.market.admin, to, abi.call_data(signature, *arguments))

    def _configure(self, signature: str, *arguments: Any) -> None:
        self._do(self.market.configurator, signature, *arguments)

    def _soon(self, undo: Callable[[], None], hours: float = 4.0) -> None:
        moment = self.stage.now_s + self.rng.uniform(0.1, hours) * 3600
        self.stage.at(min(moment, self.stage.end_s - 60), undo)

    def _source(self, reserve: Reserve) -> str:
        data = abi.call_data("getSourceOfAsset(address)", reserve.underlying)
        return abi.address_of(abi.words(self.stage.node.call(self.market.oracle, data))[0])

    def _aggregator(self, symbol: str) -> str:
        """A new aggregator that already has the present answer."""
        aggregator = self._create("Aggregator", b"")
        answer = self.stage.answers[symbol]
        self.stage.submit(PUBLISHER, aggregator, abi.call_data("publish(int256)", answer))
        return aggregator

    def _create(self, name: str, arguments: bytes) -> str:
        return self._created(artifacts.own()[name].linked({}) + arguments)

    def _created(self, code: bytes) -> str:
        """Address of a contract created in a block of its own."""
        self.stage.seal()
        return self.stage.node.create(self.market.admin, code, self.stage.now_s)

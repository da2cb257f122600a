"""Changes of the configurator, as one transaction each; what the contracts refuse changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.evm import abi
from tests.evm.differential.arena import CURVES_BPS, INDEX_SOURCE, SECOND_MODE, Arena
from tests.evm.differential.state import MarketState
from tests.evm.differential.steps import Step
from tests.evm.market import EMODE, Reserve, Version

_RAY = 10**27


@dataclass(frozen=True, slots=True)
class Change:
    """A call of the admin.

    Attributes
    ----------
    synchronises : the reserve whose indices and rates the change brings up to date, where the version does that
    """

    to: str
    data: bytes
    synchronises: int | None = None


class Governance:
    """Steps to changes."""

    def __init__(self, arena: Arena) -> None:
        self._arena, self._market = arena, arena.market
        self._kinds: dict[str, Callable[[Step, Reserve, MarketState], Change]] = {
            "reserve_factor": self._reserve_factor,
            "rates": self._rates,
            "collateral_terms": self._collateral_terms,
            "protocol_fee": self._protocol_fee,
            "supply_cap": self._supply_cap,
            "borrow_cap": self._borrow_cap,
            "debt_ceiling": self._debt_ceiling,
            "borrowable_in_isolation": self._switch("setBorrowableInIsolation", True),
            "siloed": self._switch("setSiloedBorrowing", False),
            "borrowing": self._switch("setReserveBorrowing", True),
            "flash_loaning": self._switch("setReserveFlashLoaning", True),
            "active": self._switch("setReserveActive", True),
            "freeze": self._switch("setReserveFreeze", False),
            "ltv_zero": self._switch("setReserveLtvzero", False),
            "pause": self._pause,
            "relief": self._relief,
            "end_grace": self._end_grace,
            "emode_category": self._emode_category,
            "emode_asset": self._emode_asset,
            "emode_borrowable": self._of_mode("setAssetBorrowableInEMode", True),
            "emode_ltv_zero": self._of_mode("setAssetLtvzeroInEMode", False),
            "flash_premium": self._flash_premium,
            "sentinel_grace": self._sentinel_grace,
        }

    def change(self, step: Step, state: MarketState) -> Change | None:
        """The change that a step is; None where it is none."""
        kind = self._kinds.get(step.kind)
        return None if kind is None else kind(step, self._arena.reserves[step.asset], state)

    def _configure(self, signature: str, *arguments: Any, synchronises: int | None = None) -> Change:
        return Change(self._market.configurator, abi.call_data(signature, *arguments), synchronises)

    def _switch(self, name: str, usual: bool) -> Callable[[Step, Reserve, MarketState], Change]:
        signature = f"{name}(address,bool)"
        return lambda step, reserve, _: self._configure(signature, reserve.underlying, _mostly(usual, step))

    def _of_mode(self, name: str, usual: bool) -> Callable[[Step, Reserve, MarketState], Change]:
        signature = f"{name}(address,uint8,bool)"
        return lambda step, reserve, _: self._configure(
            signature, reserve.underlying, _mode(step), _mostly(usual, step)
        )

    def _reserve_factor(self, step: Step, reserve: Reserve, _: MarketState) -> Change:
        factor = (0, 1000, 5000, 10_000)[step.number % 4]
        signature = "setReserveFactor(address,uint256)"
        return self._configure(signature, reserve.underlying, factor, synchronises=reserve.number)

    def _rates(self, step: Step, reserve: Reserve, _: MarketState) -> Change:
        choice = step.number % len(CURVES_BPS)
        if self._arena.version is Version.V302:
            signature = "setReserveInterestRateStrategyAddress(address,address)"
            return self._configure(signature, reserve.underlying, self._arena.strategies[choice])
        data = abi.encode_values("(uint256,uint256,uint256,uint256)", *CURVES_BPS[choice])
        signature = "setReserveInterestRateData(address,bytes)"
        return self._configure(signature, reserve.underlying, data, synchronises=reserve.number)

    def _collateral_terms(self, step: Step, reserve: Reserve, _: MarketState) -> Change:
        ltv, threshold, bonus = (
            (7000, 7500, 11_000), (0, 7800, 10_500), (8200, 8500, 10_400), (3000, 5000, 11_500), (0, 0, 0),
            (6000, 9000, 10_001), (7500, 8000, 10_800),
        )[step.number % 7]  # fmt: skip
        signature = "configureReserveAsCollateral(address,uint256,uint256,uint256)"
        return self._configure(signature, reserve.underlying, ltv, threshold, bonus)

    def _protocol_fee(self, step: Step, reserve: Reserve, _: MarketState) -> Change:
        fee = (0, 1777, 10_000)[step.number % 3]
        return self._configure("setLiquidationProtocolFee(address,uint256)", reserve.underlying, fee)

    def _supply_cap(self, step: Step, reserve: Reserve, state: MarketState) -> Change:
        stored = state.reserves[reserve.number]
        held = (stored.scaled_supply + stored.accrued_to_treasury) * stored.liquidity_index_ray // _RAY
        return self._configure("setSupplyCap(address,uint256)", reserve.underlying, _cap(step, reserve, held))

    def _borrow_cap(self, step: Step, reserve: Reserve, state: MarketState) -> Change:
        stored = state.reserves[reserve.number]
        owed = stored.scaled_debt * stored.borrow_index_ray // _RAY
        return self._configure("setBorrowCap(address,uint256)", reserve.underlying, _cap(step, reserve, owed))

    def _debt_ceiling(self, step: Step, reserve: Reserve, state: MarketState) -> Change:
        so_far = state.reserves[reserve.number].isolated_debt
        ceiling = (0, so_far + 1_000_00, 500_000_00, 1)[step.number % 4]
        return self._configure("setDebtCeiling(address,uint256)", reserve.underlying, ceiling)

    def _pause(self, step: Step, reserve: Reserve, _: MarketState) -> Change:
        """One reserve or all of them; what is opened is mostly all."""
        paused = _mostly(False, step)
        name, types, target = "setReservePause", "address,", [reserve.underlying]
        if step.number % (8 if paused else 3) == 0:
            name, types, target = "setPoolPause", "", []
        if self._arena.version is Version.V302 or step.number < 300:
            return self._configure(f"{name}({types}bool)", *target, paused)
        return self._configure(f"{name}({types}bool,uint40)", *target, paused, step.number * 10)

    def _relief(self, step: Step, reserve: Reserve, _: MarketState) -> Change:
        """Open again something that is closed, so that sequences do not get stuck."""
        closed = [change for one in self._arena.reserves for change in self._openings(one)]
        return closed[step.number % len(closed)] if closed else self._protocol_fee(step, reserve, _)

    def _openings(self, reserve: Reserve) -> Iterator[Change]:
        asset, spec = reserve.underlying, reserve.spec
        data = abi.call_data("getConfiguration(address)", asset)
        word = abi.words(self._arena.node.call(self._market.pool, data))[0]
        for bit, is_open, name in (
            (57, 0, "setReserveFreeze"), (58, 1, "setReserveBorrowing"), (60, 0, "setReservePause"),
            (63, 1, "setReserveFlashLoaning"),
        ):  # fmt: skip
            if word >> bit & 1 != is_open:
                yield self._configure(f"{name}(address,bool)", asset, bool(is_open))
        for low, name in ((80, "setBorrowCap"), (116, "setSupplyCap")):
            if word >> low & (2**36 - 1):
                yield self._configure(f"{name}(address,uint256)", asset, 0)
        if not word & (2**16 - 1):
            terms = (spec.ltv_bps, spec.liquidation_threshold_bps, spec.bonus_bps)
            yield self._configure("configureReserveAsCollateral(address,uint256,uint256,uint256)", asset, *terms)

    def _end_grace(self, step: Step, reserve: Reserve, _: MarketState) -> Change:
        return self._configure("disableLiquidationGracePeriod(address)", reserve.underlying)

    def _emode_category(self, step: Step, reserve: Reserve, _: MarketState) -> Change:
        terms = ((9000, 9300, 10_200), (8500, 8900, 10_500), (9300, 9500, 10_100), (5000, 9600, 10_050))
        ltv, threshold, bonus = terms[step.number % 4]
        if self._arena.version is not Version.V302:
            signature = "setEModeCategory(uint8,uint16,uint16,uint16,string)"
            return self._configure(signature, _mode(step), ltv, threshold, bonus, "mode")
        source = (abi.ZERO_ADDRESS, INDEX_SOURCE, reserve.underlying)[step.number // 4 % 3]
        signature = "setEModeCategory(uint8,uint16,uint16,uint16,address,string)"
        return self._configure(signature, _mode(step), ltv, threshold, bonus, source, "mode")

    def _emode_asset(self, step: Step, reserve: Reserve, _: MarketState) -> Change:
        if self._arena.version is Version.V302:
            category = (0, EMODE.number, SECOND_MODE)[step.number % 3]
            return self._configure("setAssetEModeCategory(address,uint8)", reserve.underlying, category)
        signature = "setAssetCollateralInEMode(address,uint8,bool)"
        return self._configure(signature, reserve.underlying, _mode(step), _mostly(True, step))

    def _flash_premium(self, step: Step, reserve: Reserve, _: MarketState) -> Change:
        premium = (0, 5, 9, 3333)[step.number % 4]
        if self._arena.version is not Version.V302:
            return self._configure("updateFlashloanPremium(uint128)", premium)
        name = "updateFlashloanPremiumToProtocol" if step.flag else "updateFlashloanPremiumTotal"
        return self._configure(f"{name}(uint128)", premium)

    def _sentinel_grace(self, step: Step, reserve: Reserve, _: MarketState) -> Change:
        grace_s = (0, 1800, 7200)[step.number % 3]
        return Change(self._market.sentinel, abi.call_data("setGracePeriod(uint256)", grace_s))


def _mostly(usual: bool, step: Step) -> bool:
    """Markets are open most of the time, or nothing else would be tested."""
    return usual if step.flag or step.number % 3 else not usual


def _mode(step: Step) -> int:
    return EMODE.number if step.second % 2 else SECOND_MODE


def _cap(step: Step, reserve: Reserve, used: int) -> int:
    """No cap, or one that is near."""
    return (0, used // reserve.spec.unit + 1, used // reserve.spec.unit + 12, 0, 1)[step.number % 5]

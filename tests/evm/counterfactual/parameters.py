"""The other parameters: four sets, each as a change of l2liq's timeline and as what governance sends."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from l2liq.protocols.aave_v3.parameters import AaveParameters
from tests.evm import abi, artifacts
from tests.evm.anvil import Node
from tests.evm.market import EMODE, Deployment, Version
from tests.evm.paths import HarnessError

_RAY_PER_BPS = 10**23
_CLOSE_FACTOR = re.compile(r"670d2f13f7789f0000((?:[0-9a-f]{2}){1,40}?)611388")
"""0.95e18, and soon after it 5000, as the liquidation library's code pushes them."""

CURVE = ("optimal_usage_ray", "base_rate_ray", "slope1_ray", "slope2_ray")


@dataclass(frozen=True)
class Alternative:
    """Other parameters of some reserves, of the e-mode and of the sentinel; ratios in bps.

    Attributes
    ----------
    collateral : symbol to LTV, threshold, bonus
    protocol_fees, reserve_factors : by symbol
    curves : symbol to optimal usage, base rate, slopes
    emode : LTV, threshold, bonus of the category
    sentinel_grace_s : how long after the sequencer's return the sentinel refuses
    close_factor : share of a debt that a liquidation may repay, and the health factor from which down it may repay all
        [wad]; constants of the contracts, so that these are given other code
    graces_s : symbol to how long from the change on nothing of the reserve is liquidated (not in 3.0.2)
    """

    name: str
    collateral: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    protocol_fees: Mapping[str, int] = field(default_factory=dict)
    reserve_factors: Mapping[str, int] = field(default_factory=dict)
    curves: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)
    emode: tuple[int, int, int] | None = None
    sentinel_grace_s: int | None = None
    close_factor: tuple[int, int] | None = None
    graces_s: Mapping[str, int] = field(default_factory=dict)

    def change(self, market: Deployment, at_s: int) -> Callable[[AaveParameters], AaveParameters]:
        """The change of a parameter set, if made at a time; reserves are numbered as l2liq's assets are."""
        fields: dict[int, dict[str, int]] = {reserve.number: {} for reserve in market.reserves}

        def put(symbol: str, **values: int) -> None:
            fields[market.reserve(symbol).number].update(values)

        for symbol, (ltv, threshold, bonus) in self.collateral.items():
            put(symbol, ltv_bps=ltv, liquidation_threshold_bps=threshold, liquidation_bonus_bps=bonus)
        for symbol, fee in self.protocol_fees.items():
            put(symbol, protocol_fee_bps=fee)
        for symbol, factor in self.reserve_factors.items():
            put(symbol, reserve_factor_bps=factor)
        for symbol, curve in self.curves.items():
            put(symbol, **dict(zip(CURVE, (bps * _RAY_PER_BPS for bps in curve), strict=True)))
        if market.version is not Version.V302:
            for symbol, grace_s in self.graces_s.items():
                put(symbol, grace_until_s=at_s + grace_s)

        def changed(parameters: AaveParameters) -> AaveParameters:
            reserves = tuple(
                None if reserve is None else replace(reserve, **fields[number])  # type: ignore[arg-type]
                for number, reserve in enumerate(parameters.reserves)
            )
            emodes, sentinel = dict(parameters.emodes), parameters.sentinel
            if self.emode is not None:
                ltv, threshold, bonus = self.emode
                emodes[EMODE.number] = replace(
                    emodes[EMODE.number], ltv_bps=ltv, liquidation_threshold_bps=threshold, liquidation_bonus_bps=bonus
                )
            if self.sentinel_grace_s is not None and sentinel is not None:
                sentinel = replace(sentinel, grace_s=self.sentinel_grace_s)
            share_bps, health_wad = self.close_factor or (
                parameters.default_close_factor_bps,
                parameters.close_factor_hf_threshold_wad,
            )
            return replace(
                parameters,
                reserves=reserves,
                emodes=MappingProxyType(emodes),
                sentinel=sentinel,
                default_close_factor_bps=share_bps,
                close_factor_hf_threshold_wad=health_wad,
            )

        return changed

    def send(self, node: Node, market: Deployment) -> list[str]:
        """Have the admin make the change on the contracts, in the block that is being filled."""
        hashes: list[str] = []
        old = market.version is Version.V302

        def do(to: str, signature: str, *arguments: Any) -> None:
            hashes.append(node.send(market.admin, to, abi.call_data(signature, *arguments)))

        configurator = market.configurator
        for symbol, terms in self.collateral.items():
            signature = "configureReserveAsCollateral(address,uint256,uint256,uint256)"
            do(configurator, signature, market.reserve(symbol).underlying, *terms)
        for symbol, fee in self.protocol_fees.items():
            do(configurator, "setLiquidationProtocolFee(address,uint256)", market.reserve(symbol).underlying, fee)
        for symbol, factor in self.reserve_factors.items():
            do(configurator, "setReserveFactor(address,uint256)", market.reserve(symbol).underlying, factor)
        for symbol, curve in self.curves.items():
            asset = market.reserve(symbol).underlying
            if old:
                signature = "setReserveInterestRateStrategyAddress(address,address)"
                do(configurator, signature, asset, _strategy(node, market, curve))
            else:
                data = abi.encode_values("(uint256,uint256,uint256,uint256)", *curve)
                do(configurator, "setReserveInterestRateData(address,bytes)", asset, data)
        if self.emode is not None and old:
            signature = "setEModeCategory(uint8,uint16,uint16,uint16,address,string)"
            do(configurator, signature, EMODE.number, *self.emode, abi.ZERO_ADDRESS, EMODE.label)
        elif self.emode is not None:
            signature = "setEModeCategory(uint8,uint16,uint16,uint16,string)"
            do(configurator, signature, EMODE.number, *self.emode, EMODE.label)
        if self.sentinel_grace_s is not None:
            do(market.sentinel, "setGracePeriod(uint256)", self.sentinel_grace_s)
        if not old:
            for symbol, grace_s in self.graces_s.items():
                signature = "setReservePause(address,bool,uint40)"
                do(configurator, signature, market.reserve(symbol).underlying, False, grace_s)
        if self.close_factor is not None:
            _set_close_factor(node, market, *self.close_factor)
        return hashes


def _set_close_factor(node: Node, market: Deployment, share_bps: int, health_wad: int) -> None:
    """Replace both constants where the library compares the one and then takes the other.

    The same health factor stands elsewhere for other things, so that only the place before the share is meant.
    """
    blocks = range(market.first_block, market.last_block + 1)
    headers = node.rpc.batch([("eth_getBlockByNumber", (hex(number), False)) for number in blocks])
    hashes = [one for header in headers for one in header["transactions"]]
    receipts = node.rpc.batch([("eth_getTransactionReceipt", (one,)) for one in hashes])
    created = [receipt["contractAddress"] for receipt in receipts if receipt["contractAddress"]]
    codes = node.rpc.batch([("eth_getCode", (address, "latest")) for address in created])
    for address, code in zip(created, codes, strict=True):
        patched, count = _CLOSE_FACTOR.subn(rf"67{health_wad:016x}\g<1>61{share_bps:04x}", code)
        if count:
            node.rpc.call("anvil_setCode", address, patched)
            return
    raise HarnessError("no contract of the market has a close factor")


def _strategy(node: Node, market: Deployment, curve_bps: tuple[int, ...]) -> str:
    """A rate strategy of 3.0.2, created in the present second by nobody whose other contracts it would move."""
    rays = [bps * _RAY_PER_BPS for bps in (*curve_bps, 0, 0, 0, 0, 2000)]
    arguments = abi.encode_values(f"(address{',uint256' * len(rays)})", market.provider, *rays)
    code = artifacts.aave_302()["DefaultReserveInterestRateStrategy"].linked({})
    return node.create("0x" + "57" * 20, code + arguments, node.now_s)


ALTERNATIVES = (
    Alternative(
        "tight",
        collateral={"WETH": (7300, 7650, 10700), "WBTC": (6400, 6900, 10900), "wstETH": (7000, 7400, 10300)},
        protocol_fees={"WETH": 2500, "USDC": 0},
        close_factor=(7300, 970_000_000_000_000_000),
    ),
    Alternative(
        "loose",
        collateral={"WETH": (8300, 8600, 10300), "WBTC": (7700, 8200, 10500), "USDC": (8000, 8400, 10400)},
        emode=(9300, 9500, 10150),
        reserve_factors={"USDC": 2500},
    ),
    Alternative(
        "rates",
        reserve_factors={"WETH": 3500, "USDC": 0, "WBTC": 5000},
        curves={"WETH": (6000, 200, 900, 25_000), "USDC": (7000, 0, 1500, 30_000)},
        protocol_fees={"WBTC": 0, "WETH": 3000},
        sentinel_grace_s=4 * 3600,
        close_factor=(3100, 930_000_000_000_000_000),
    ),
    Alternative(
        "patient",
        collateral={"wstETH": (7500, 7800, 11000)},
        emode=(8400, 8800, 10450),
        curves={"wstETH": (4500, 100, 600, 30_000)},
        graces_s={"WETH": 4 * 3600, "wstETH": 3 * 3600},
        sentinel_grace_s=600,
    ),
)  # fmt: skip

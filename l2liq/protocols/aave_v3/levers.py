"""What a scenario may change of an Aave v3 market, and what its configurator would refuse (DOMAIN §1.6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from l2liq.market import Market
from l2liq.protocols.aave_v3.parameters import AaveParameters, EMode, ReserveParameters
from l2liq.protocols.levers import Lever, Scale, Target, Values

BPS = 10_000
WORD_16 = (1 << 16) - 1
"""Largest bonus that fits the reserve's configuration word."""

_COLLATERAL = (
    ("liquidation_threshold", Scale.SHARE, 0, BPS, "Share of a collateral's value up to which debt is safe.", True),
    ("ltv", Scale.SHARE, 0, BPS, "Share of a collateral's value that may be borrowed.", True),
    ("liquidation_bonus", Scale.PREMIUM, BPS, WORD_16, "Premium on the debt repaid; 5% is what the chain calls 10500."),
)
_RESERVE = (
    *_COLLATERAL,
    ("liquidation_protocol_fee", Scale.SHARE, 0, BPS, "Share of the premium that goes to the treasury."),
)
_MARKET = (
    ("close_factor", Scale.SHARE, 1, BPS, "Share of a debt that one liquidation may repay above the health threshold."),
    ("close_factor_health_threshold", Scale.HEALTH, 0, 10**18, "Health factor from which down all may be repaid."),
)
_OF_COLLATERAL = frozenset(name for name, *_ in _COLLATERAL)
_FIELD = {
    "liquidation_threshold": "liquidation_threshold_bps",
    "ltv": "ltv_bps",
    "liquidation_bonus": "liquidation_bonus_bps",
    "liquidation_protocol_fee": "protocol_fee_bps",
    "close_factor": "default_close_factor_bps",
    "close_factor_health_threshold": "close_factor_hf_threshold_wad",
}


class AaveLevers:
    """The parameter model of Aave v3 as a scenario sees it: reserves by address, e-modes by number."""

    all: Sequence[Lever] = (
        *(Lever("reserves", *lever) for lever in _RESERVE),
        *(Lever("emodes", *lever) for lever in _COLLATERAL),
        *(Lever("", *lever) for lever in _MARKET),
    )
    groups: Mapping[str, str] = MappingProxyType({"reserves": "reserve", "emodes": "e-mode"})

    def targets(self, market: Market, group: str) -> Sequence[Target]:
        """Every reserve, or every e-mode category, that the market ever had."""
        if group == "reserves":
            return [
                Target(index, "0x" + asset.address.hex(), (asset.symbol,) if asset.symbol else ())
                for index, asset in enumerate(market.assets)
            ]
        labels: dict[int, dict[str, None]] = {}
        for parameters in market.parameters.sets:
            for number, mode in parameters.emodes.items():
                labels.setdefault(number, {})[mode.label] = None
        return [Target(number, str(number), tuple(filter(None, labels[number])), "e-mode") for number in sorted(labels)]

    def value(self, parameters: AaveParameters, lever: Lever, key: int) -> int | None:
        """Stored value; None for a reserve that is not listed or no collateral, and a category that was not made."""
        holder = _holder(parameters, lever.group, key)
        if holder is None:
            return None
        if lever.name in _OF_COLLATERAL and getattr(holder, _FIELD["liquidation_bonus"]) == 0:
            return None
        stored: int = getattr(holder, _FIELD[lever.name])
        return stored

    def replaced(self, parameters: AaveParameters, values: Values) -> AaveParameters:
        """The parameters with other stored values."""
        reserves, emodes = list(parameters.reserves), dict(parameters.emodes)
        own: dict[str, int] = {}
        for (lever, key), stored in values.items():
            change: dict[str, Any] = {_FIELD[lever.name]: stored}
            if lever.group == "":
                own.update(change)
            elif lever.group == "emodes":
                emodes[key] = replace(emodes[key], **change)
            else:
                reserves[key] = replace(_listed(reserves[key]), **change)
        whole: dict[str, Any] = {"reserves": tuple(reserves), "emodes": MappingProxyType(emodes), **own}
        return replace(parameters, **whole)

    def objections(self, market: Market, parameters: AaveParameters) -> Sequence[str]:
        """Invariants that the configurator holds for reserves and e-modes.

        Source: Aave v3 PoolConfigurator.configureReserveAsCollateral and setEModeCategory (DOMAIN §1.6).
        """
        found = [
            objection
            for asset, reserve in zip(market.assets, parameters.reserves, strict=False)
            if reserve is not None
            for objection in _objections(asset.symbol or "0x" + asset.address.hex(), reserve)
        ]
        for number, mode in parameters.emodes.items():
            found.extend(_objections(f"e-mode {number}", mode))
        return found


def _holder(parameters: AaveParameters, group: str, key: int) -> AaveParameters | ReserveParameters | EMode | None:
    if group == "":
        return parameters
    if group == "emodes":
        return parameters.emodes.get(key)
    return parameters.reserves[key] if key < len(parameters.reserves) else None


def _listed(reserve: ReserveParameters | None) -> ReserveParameters:
    if reserve is None:
        raise ValueError("a reserve that is not listed has no parameters")
    return reserve


def _objections(name: str, holder: ReserveParameters | EMode) -> Iterator[str]:
    threshold, bonus, ltv = holder.liquidation_threshold_bps, holder.liquidation_bonus_bps, holder.ltv_bps
    if ltv > threshold:
        yield f"{name}: LTV {ltv / 100:g}% exceeds the liquidation threshold {threshold / 100:g}%"
    if not threshold:
        return
    if bonus <= BPS:
        yield f"{name}: a collateral needs a liquidation bonus above 0%"
    elif (threshold * bonus + BPS // 2) // BPS > BPS:
        yield (
            f"{name}: threshold {threshold / 100:g}% times 1 + {(bonus - BPS) / 100:g}% bonus is above 100%, so that "
            "a liquidation at health 1 could leave bad debt"
        )

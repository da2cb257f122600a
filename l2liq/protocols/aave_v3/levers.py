"""What a scenario may change of an Aave v3 market, and what its configurator would refuse (DOMAIN §1.6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from l2liq.market import Market
from l2liq.numeric import RAY
from l2liq.protocols.aave_v3.parameters import AaveParameters, EMode, ReserveParameters
from l2liq.protocols.levers import Lever, Scale, Target, Values

BPS = 10_000
WORD_16 = (1 << 16) - 1
"""Largest bonus that fits the reserve's configuration word."""

WORD_36 = (1 << 36) - 1
"""Largest cap that fits it."""

SENTINEL_GRACE = "sentinel_grace_period"

MAX_RATE_RAY = 10 * RAY
"""Highest borrow rate that a curve may reach."""

_COLLATERAL = (
    ("liquidation_threshold", Scale.SHARE, 0, BPS, "Share of a collateral's value up to which debt is safe.", True),
    ("ltv", Scale.SHARE, 0, BPS, "Share of a collateral's value that may be borrowed.", True),
    ("liquidation_bonus", Scale.PREMIUM, BPS, WORD_16, "Premium on the debt repaid; 5% is what the chain calls 10500."),
)
_RESERVE = (
    *_COLLATERAL,
    ("liquidation_protocol_fee", Scale.SHARE, 0, BPS, "Share of the premium that goes to the treasury."),
)
_INTEREST = (
    ("reserve_factor", Scale.SHARE, 0, BPS, "Share of the interest that goes to the treasury.", False, True),
    ("optimal_usage", Scale.RATE, RAY // 100, 99 * RAY // 100, "Usage at which rates bend.", False, True),
    ("base_rate", Scale.RATE, 0, 10 * RAY, "Borrow rate of an unused reserve.", False, True),
    ("slope1", Scale.RATE, 0, 10 * RAY, "Rise of the borrow rate up to the optimal usage.", False, True),
    ("slope2", Scale.RATE, 0, 10 * RAY, "Rise of the borrow rate beyond the optimal usage.", False, True),
    ("supply_cap", Scale.COUNT, 0, WORD_36, "Most that may be supplied, in whole tokens; 0 = no cap.", True, True),
    ("borrow_cap", Scale.COUNT, 0, WORD_36, "Most that may be owed, in whole tokens; 0 = no cap.", True, True),
)
_MARKET = (
    ("close_factor", Scale.SHARE, 1, BPS, "Share of a debt that one liquidation may repay above the health threshold."),
    ("close_factor_health_threshold", Scale.HEALTH, 0, 10**18, "Health factor from which down all may be repaid."),
    (
        "bonus_auction_start",
        Scale.SHARE,
        0,
        BPS,
        "Share of a liquidation bonus that is paid at health 1; 100% is no auction, as the contracts have it.",
    ),
    (
        "bonus_auction_full_at",
        Scale.HEALTH,
        0,
        10**18 - 1,
        "Health factor from which down the whole bonus is paid, where it is auctioned.",
    ),
    (
        "sentinel_grace_period",
        Scale.DURATION,
        0,
        365 * 86_400,
        "How long after the sequencer's return the sentinel forbids borrowing and most liquidations.",
    ),
)
_OF_COLLATERAL = frozenset(name for name, *_ in _COLLATERAL)
_FIELD = {
    "liquidation_threshold": "liquidation_threshold_bps",
    "ltv": "ltv_bps",
    "liquidation_bonus": "liquidation_bonus_bps",
    "liquidation_protocol_fee": "protocol_fee_bps",
    "close_factor": "default_close_factor_bps",
    "close_factor_health_threshold": "close_factor_hf_threshold_wad",
    "bonus_auction_start": "bonus_auction_start_bps",
    "bonus_auction_full_at": "bonus_auction_full_at_wad",
    "reserve_factor": "reserve_factor_bps",
    "optimal_usage": "optimal_usage_ray",
    "base_rate": "base_rate_ray",
    "slope1": "slope1_ray",
    "slope2": "slope2_ray",
    "supply_cap": "supply_cap",
    "borrow_cap": "borrow_cap",
}
_OF_CURVE = frozenset({"optimal_usage", "base_rate", "slope1", "slope2"})


class AaveLevers:
    """The parameter model of Aave v3 as a scenario sees it: reserves by address, e-modes by number."""

    all: Sequence[Lever] = (
        *(Lever("reserves", *lever) for lever in (*_RESERVE, *_INTEREST)),
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
        if lever.name == SENTINEL_GRACE:
            return None if parameters.sentinel is None else parameters.sentinel.grace_s
        holder = _holder(parameters, lever.group, key)
        if holder is None or (lever.name in _OF_CURVE and not getattr(holder, "optimal_usage_ray")):  # noqa: B009
            return None
        if lever.name in _OF_COLLATERAL and getattr(holder, _FIELD["liquidation_bonus"]) == 0:
            return None
        stored: int = getattr(holder, _FIELD[lever.name])
        return stored

    def replaced(self, parameters: AaveParameters, values: Values) -> AaveParameters:
        """The parameters with other stored values."""
        reserves, emodes = list(parameters.reserves), dict(parameters.emodes)
        own: dict[str, Any] = {}
        for (lever, key), stored in values.items():
            if lever.name == SENTINEL_GRACE:
                assert parameters.sentinel is not None, "a market without a sentinel has no value to replace"
                own["sentinel"] = replace(parameters.sentinel, grace_s=stored)
                continue
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
        """Invariants that the configurator holds for reserves and e-modes, and the strategy for its curves.

        Source: Aave v3 PoolConfigurator.configureReserveAsCollateral and setEModeCategory (DOMAIN §1.6),
        DefaultReserveInterestRateStrategyV2._setInterestRateParams (DOMAIN §1.2).
        """
        found = [
            objection
            for asset, reserve in zip(market.assets, parameters.reserves, strict=False)
            if reserve is not None
            for objection in _objections(asset.symbol or "0x" + asset.address.hex(), reserve)
        ]
        for number, mode in parameters.emodes.items():
            found.extend(_objections(f"e-mode {number}", mode))
        for asset, reserve in zip(market.assets, parameters.reserves, strict=False):
            if reserve is not None and parameters.rules.virtual_accounting:
                found.extend(_objections_to_curve(asset.symbol or "0x" + asset.address.hex(), reserve))
        if parameters.bonus_auction_start_bps != BPS:
            found.append(
                "bonus auction start: this market's contracts have no auction, they pay the whole bonus always"
            )
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


def _objections_to_curve(name: str, reserve: ReserveParameters) -> Iterator[str]:
    if reserve.slope1_ray > reserve.slope2_ray:
        yield f"{name}: slope 1 {_percent(reserve.slope1_ray)} exceeds slope 2 {_percent(reserve.slope2_ray)}"
    if reserve.base_rate_ray + reserve.slope1_ray + reserve.slope2_ray > MAX_RATE_RAY:
        yield f"{name}: base rate and slopes together exceed 1000%"


def _percent(ray: int) -> str:
    return f"{ray / 10**25:g}%"

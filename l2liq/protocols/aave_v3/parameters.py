"""The parameters of an Aave v3 market at one position: what governance sets and what the contracts fix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from l2liq.protocols.aave_v3.versions import RuleSet


@dataclass(frozen=True, slots=True)
class ReserveParameters:
    """Configuration of one reserve. The default is a reserve that is listed and not yet configured.

    Attributes
    ----------
    liquidation_bonus_bps : 10_000 + premium; 0 = not collateral
    protocol_fee_bps : share of the bonus part of a liquidation that the treasury gets
    supply_cap, borrow_cap : whole units of the underlying, 0 = none
    debt_ceiling : US dollars with 2 decimals, 0 = not isolated
    pending_ltv_bps : LTV that returns when the reserve is unfrozen (where freezing sets it to 0), None = none
    grace_until_s : no liquidation until and at this time, 0 = none
    emode_category : the reserve's category where a reserve has exactly one, 0 = none
    optimal_usage_ray, base_rate_ray, slope1_ray, slope2_ray : the variable-rate curve; optimal usage 0 = not known
    """

    ltv_bps: int = 0
    liquidation_threshold_bps: int = 0
    liquidation_bonus_bps: int = 0
    protocol_fee_bps: int = 0
    reserve_factor_bps: int = 0
    active: bool = True
    frozen: bool = False
    paused: bool = False
    borrowing: bool = False
    flash_loans: bool = False
    supply_cap: int = 0
    borrow_cap: int = 0
    debt_ceiling: int = 0
    borrowable_in_isolation: bool = False
    siloed: bool = False
    pending_ltv_bps: int | None = None
    grace_until_s: int = 0
    emode_category: int = 0
    optimal_usage_ray: int = 0
    base_rate_ray: int = 0
    slope1_ray: int = 0
    slope2_ray: int = 0


@dataclass(frozen=True, slots=True)
class EMode:
    """An efficiency mode. Sets hold asset indices; where a reserve has one category, ``collateral`` and ``borrowable``
    are the reserves that belong to it.

    Attributes
    ----------
    price_source : contract whose price replaces the reserves' own, None = none
    label : as the chain gives it: untrusted text
    ltv_zero : collateral whose LTV is 0 in this mode
    isolated : mode flag of versions that have it
    """

    ltv_bps: int
    liquidation_threshold_bps: int
    liquidation_bonus_bps: int
    price_source: bytes | None = None
    label: str = ""
    collateral: frozenset[int] = frozenset()
    borrowable: frozenset[int] = frozenset()
    ltv_zero: frozenset[int] = frozenset()
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class Sentinel:
    """The price oracle sentinel: contract, and how long after the sequencer's return it goes on refusing [s]."""

    address: bytes
    grace_s: int


@dataclass(frozen=True)
class AaveParameters:
    """One immutable parameter set.

    Attributes
    ----------
    rules : rules of the Pool
    reserves : aligned with the market's assets; None before an asset is listed and after it is dropped
    emodes : category id to mode
    default_close_factor_bps, close_factor_hf_threshold_wad : DOMAIN §1.6
    min_base_max_close_factor_threshold_base, min_leftover_base : [base currency], from the version that has them
    flash_premium_total_bps, flash_premium_to_protocol_bps : [bps of the amount], [bps of the premium]
    bonus_auction_start_bps, bonus_auction_full_at_wad : share of a bonus that is paid at health 1, and the health from
        which down all of it is; the contracts pay all of it always
    base_currency_unit : one unit of the base currency (US dollar: 10**8)
    treasury : receives protocol fees, per asset; None where unknown
    """

    rules: RuleSet
    reserves: tuple[ReserveParameters | None, ...]
    emodes: Mapping[int, EMode] = field(default_factory=lambda: MappingProxyType({}))
    sentinel: Sentinel | None = None
    default_close_factor_bps: int = 5_000
    close_factor_hf_threshold_wad: int = 950_000_000_000_000_000
    min_base_max_close_factor_threshold_base: int = 2_000 * 10**8
    min_leftover_base: int = 1_000 * 10**8
    flash_premium_total_bps: int = 0
    flash_premium_to_protocol_bps: int = 0
    bonus_auction_start_bps: int = 10_000
    bonus_auction_full_at_wad: int = 950_000_000_000_000_000
    base_currency_unit: int = 10**8
    treasury: tuple[bytes | None, ...] = ()

    def with_assets(self, count: int) -> AaveParameters:
        """The same parameters with ``count`` more assets at the end, none of them listed."""
        return replace(self, reserves=self.reserves + (None,) * count, treasury=self.treasury + (None,) * count)

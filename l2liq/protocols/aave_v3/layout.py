"""A market's legs by what they are, and a parameter set laid out by asset and e-mode: what every judgement looks up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from l2liq.market import Market
from l2liq.protocols.aave_v3.balances import token_math
from l2liq.protocols.aave_v3.parameters import AaveParameters, EMode, ReserveParameters


class Memo(dict[int, int]):
    """Values found once each, at first use."""

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[int], int]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, key: int) -> int:
        value = self[key] = self._find(key)
        return value


class Role(IntEnum):
    """What a leg is."""

    COLLATERAL = 0
    DEBT = 1
    USES_AS_COLLATERAL = 2
    EMODE = 3


_ROLE_OF = {
    "collateral": Role.COLLATERAL,
    "debt": Role.DEBT,
    "uses_as_collateral": Role.USES_AS_COLLATERAL,
    "emode": Role.EMODE,
}


class Layout:
    """Which leg is what.

    Attributes
    ----------
    roles : per leg, its role and asset (-1 for none)
    collateral, debt, uses_as_collateral : leg by asset, -1 where the asset has none
    emode : the leg of the e-mode category, -1 where the market has none
    units : base units of one unit, by asset
    """

    def __init__(self, market: Market) -> None:
        self.roles = tuple((_ROLE_OF[leg.name.partition("/")[0]], leg.asset) for leg in market.legs)
        self.units = tuple(asset.unit for asset in market.assets)
        self.addresses = tuple(asset.address for asset in market.assets)
        by_role = {(role, asset): leg for leg, (role, asset) in enumerate(self.roles)}
        assets = range(len(market.assets))
        self.collateral = tuple(by_role.get((Role.COLLATERAL, asset), -1) for asset in assets)
        self.debt = tuple(by_role.get((Role.DEBT, asset), -1) for asset in assets)
        self.uses_as_collateral = tuple(by_role.get((Role.USES_AS_COLLATERAL, asset), -1) for asset in assets)
        self.emode = by_role.get((Role.EMODE, -1), -1)


@dataclass(frozen=True, slots=True)
class Terms:
    """How one asset counts for accounts of one e-mode category.

    Attributes
    ----------
    counts : as collateral at all
    in_mode : the category's own terms apply
    """

    counts: bool
    in_mode: bool
    threshold_bps: int
    ltv_bps: int
    bonus_bps: int


IGNORED, COLLATERAL, DEBT = range(3)
"""What a non-zero leg asks of a sum over an account: nothing (balances count by their switch), a collateral, a debt."""

Summand = tuple[int, int, int, int, int, int]
"""Kind, asset, leg of the balance, threshold [bps], LTV [bps], base units of one unit."""


class Tables:
    """One parameter set over one layout."""

    def __init__(self, layout: Layout, parameters: AaveParameters) -> None:
        self.layout = layout
        self.parameters = parameters
        self.rules = parameters.rules
        self.math = token_math(parameters.rules)
        self._terms: dict[int, tuple[Terms | None, ...]] = {}
        self._summands: dict[int, tuple[Summand, ...]] = {}

    def terms(self, category: int) -> tuple[Terms | None, ...]:
        """Terms by asset; None where the asset is not listed."""
        found = self._terms.get(category)
        if found is None:
            mode = self.mode(category)
            found = tuple(
                None if reserve is None else self._terms_of(asset, reserve, mode)
                for asset, reserve in enumerate(self.parameters.reserves)
            )
            self._terms[category] = found
        return found

    def summands(self, category: int) -> tuple[Summand, ...]:
        """What each leg adds to the sums over an account, by leg."""
        found = self._summands.get(category)
        if found is None:
            terms = self.terms(category)
            found = tuple(self._summand(leg, role, asset, terms) for leg, (role, asset) in enumerate(self.layout.roles))
            self._summands[category] = found
        return found

    def _summand(self, leg: int, role: Role, asset: int, terms: tuple[Terms | None, ...]) -> Summand:
        term = terms[asset] if asset >= 0 else None
        if term is not None and role == Role.DEBT:
            return DEBT, asset, leg, 0, 0, self.layout.units[asset]
        if term is not None and role == Role.USES_AS_COLLATERAL and term.counts:
            balance = self.layout.collateral[asset]
            return COLLATERAL, asset, balance, term.threshold_bps, term.ltv_bps, self.layout.units[asset]
        return IGNORED, asset, leg, 0, 0, 1

    def mode(self, category: int) -> EMode | None:
        """The e-mode of a category; None for none."""
        return self.parameters.emodes.get(category) if category else None

    def reserve(self, asset: int) -> ReserveParameters | None:
        """Configuration of a reserve; None where it is not listed."""
        return self.parameters.reserves[asset] if asset < len(self.parameters.reserves) else None

    def _terms_of(self, asset: int, reserve: ReserveParameters, mode: EMode | None) -> Terms:
        counts = not (self.rules.zero_threshold_ignored and reserve.liquidation_threshold_bps == 0)
        if mode is None or asset not in mode.collateral:
            barred = self.rules.emode_ltv_zero and mode is not None and mode.isolated
            ltv_bps = 0 if barred else reserve.ltv_bps
            return Terms(counts, False, reserve.liquidation_threshold_bps, ltv_bps, reserve.liquidation_bonus_bps)
        if self.rules.emode_ltv_zero:
            has_no_ltv = asset in mode.ltv_zero
        else:
            has_no_ltv = reserve.ltv_bps == 0
        return Terms(
            counts, True, mode.liquidation_threshold_bps, 0 if has_no_ltv else mode.ltv_bps, mode.liquidation_bonus_bps
        )

"""What can forbid a liquidation though margin is short: the sentinel, pauses, grace periods.

Source: Aave v3 ValidationLogic.validateLiquidationCall, PriceOracleSentinel (DOMAIN §1.5, §1.8).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from l2liq.errors import InputError
from l2liq.events.log import block_of
from l2liq.protocols.aave_v3 import solvency
from l2liq.protocols.aave_v3.layout import Role
from l2liq.protocols.interface import Gate, State

if TYPE_CHECKING:
    from l2liq.protocols.aave_v3.situation import AaveSituation


class Gates:
    """The gates of one moment."""

    def __init__(self, situation: AaveSituation) -> None:
        self._situation = situation
        self._now_s = situation.moment.timestamp_s

    def of(self, state: State) -> Gate | None:
        """The gate that keeps every pair of an account shut; None where at least one is open."""
        roles = self._situation.tables.layout.roles
        sides: dict[int, list[int]] = {Role.USES_AS_COLLATERAL: [], Role.DEBT: []}
        for leg in state:
            role, asset = roles[leg]
            if role in sides:
                sides[role].append(asset)
        for assets in sides.values():
            shut = self._all_shut(assets)
            if shut is not None:
                return shut
        if self.sentinel is None:
            return None
        factor = self._situation.health(state).factor_wad
        return self.sentinel if factor is not None and factor >= solvency.SENTINEL_HEALTH_WAD else None

    @cached_property
    def sentinel(self) -> Gate | None:
        """The sentinel, if it refuses now: the sequencer is down, or back for no longer than the grace period."""
        sentinel = self._situation.tables.parameters.sentinel
        if sentinel is None or not self._situation.rules.sentinel:
            return None
        report = self._situation.record.sequencer(self._situation.moment.key)
        if report is None:
            block = block_of(self._situation.moment.key)
            raise InputError(
                f"block {block}: sentinel 0x{sentinel.address.hex()} asks a sequencer feed of which no report is "
                "known. Ingest the feed's logs, or give its state at the start in the market's YAML."
            )
        answer, since_s = report
        if answer == 0 and self._now_s - since_s > sentinel.grace_s:
            return None
        return Gate("sentinel", since_s + sentinel.grace_s + 1 if answer == 0 else None)

    def reserve(self, asset: int) -> Gate | None:
        """What shuts one reserve, on whichever side it is."""
        reserve = self._situation.tables.reserve(asset)
        if reserve is None or not reserve.active:
            return Gate("inactive", None)
        if reserve.paused:
            return Gate("paused", None)
        if self._situation.rules.grace_period and reserve.grace_until_s >= self._now_s:
            return Gate("grace_period", reserve.grace_until_s + 1)
        return None

    def _all_shut(self, assets: Iterable[int]) -> Gate | None:
        """The gate that opens first, if every one of ``assets`` is shut."""
        gates = [self.reserve(asset) for asset in assets]
        shut = [gate for gate in gates if gate is not None]
        if not shut or len(shut) < len(gates):
            return None
        timed = [gate for gate in shut if gate.until_s is not None]
        return min(timed, key=lambda gate: gate.until_s or 0) if timed else shut[0]

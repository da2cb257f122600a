"""OP stack from Isthmus to Jovian: Fjord's data fee, and a fee for the operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from l2liq.chains.fees.fjord import Fjord
from l2liq.chains.fees.interface import Cost, Prices, Size, execution_wei

SCALE = 10**6


@dataclass(frozen=True, slots=True)
class Isthmus:
    """Fees of Isthmus.

    Attributes
    ----------
    base_fee_scalar, blob_base_fee_scalar : weights of both L1 prices [10^-6]
    operator_fee_scalar : per gas [10^-6 wei]
    operator_fee_constant : per transaction [wei]

    Source: ethereum-optimism/specs, protocol/isthmus/exec-engine.md, "Operator Fee" (DOMAIN §5.3).
    """

    base_fee_scalar: int
    blob_base_fee_scalar: int
    operator_fee_scalar: int = 0
    operator_fee_constant: int = 0
    needs: ClassVar[frozenset[str]] = Fjord.needs

    def operator_wei(self, gas: int) -> int:
        """Fee for the operator [wei]."""
        return gas * self.operator_fee_scalar // SCALE + self.operator_fee_constant

    def cost(self, gas: int, size: Size, prices: Prices) -> Cost:
        data = Fjord(self.base_fee_scalar, self.blob_base_fee_scalar).l1_wei(size, prices)
        return Cost(gas, execution_wei(gas, prices) + self.operator_wei(gas), data)

"""OP stack from Jovian on: an operator's fee that can be higher, a floor under the base fee, a footprint of data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from l2liq.chains.fees.fjord import Fjord, estimated_size
from l2liq.chains.fees.interface import Cost, Prices, Size, execution_wei

OPERATOR_FACTOR = 100


@dataclass(frozen=True, slots=True)
class Jovian:
    """Fees of Jovian.

    Attributes
    ----------
    base_fee_scalar, blob_base_fee_scalar : weights of both L1 prices [10^-6]
    operator_fee_scalar : per gas [100 wei]
    operator_fee_constant : per transaction [wei]
    min_base_fee : no base fee is lower [wei per gas]

    Source: ethereum-optimism/specs, protocol/jovian/exec-engine.md (DOMAIN §5.3).
    """

    base_fee_scalar: int
    blob_base_fee_scalar: int
    operator_fee_scalar: int = 0
    operator_fee_constant: int = 0
    min_base_fee: int = 0
    needs: ClassVar[frozenset[str]] = Fjord.needs

    def operator_wei(self, gas: int) -> int:
        """Fee for the operator [wei]."""
        return gas * self.operator_fee_scalar * OPERATOR_FACTOR + self.operator_fee_constant

    def cost(self, gas: int, size: Size, prices: Prices) -> Cost:
        floored = replace(prices, base_fee=max(prices.base_fee, self.min_base_fee))
        data = Fjord(self.base_fee_scalar, self.blob_base_fee_scalar).l1_wei(size, prices)
        return Cost(gas, execution_wei(gas, floored) + self.operator_wei(gas), data)


def da_footprint(fastlz: int, gas_scalar: int) -> int:
    """What a transaction takes of its block's limit for data [gas], from its FastLZ length [bytes].

    It is not paid for: it limits blocks and moves their base fee as gas does.
    """
    return estimated_size(fastlz) // 10**6 * gas_scalar

"""OP stack from Fjord on: the size after compression is estimated from the FastLZ length by a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from l2liq.chains.fees.ecotone import weighted_price
from l2liq.chains.fees.fastlz import literals_length
from l2liq.chains.fees.interface import Cost, Prices, Size, execution_wei

INTERCEPT = -42_585_600
SLOPE = 836_500
SMALLEST = 100_000_000
DIVISOR = 10**12


@dataclass(frozen=True, slots=True)
class Fjord:
    """Fees of Fjord.

    Attributes
    ----------
    base_fee_scalar, blob_base_fee_scalar : weights of both L1 prices [10^-6]

    Source: ethereum-optimism/specs, protocol/fjord/exec-engine.md; op-geth core/types/rollup_cost.go,
    NewL1CostFuncFjord (DOMAIN §5.3).
    """

    base_fee_scalar: int
    blob_base_fee_scalar: int
    needs: ClassVar[frozenset[str]] = frozenset({"l1_base_fee", "blob_base_fee"})

    def cost(self, gas: int, size: Size, prices: Prices) -> Cost:
        return Cost(gas, execution_wei(gas, prices), self.l1_wei(size, prices))

    def l1_wei(self, size: Size, prices: Prices) -> int:
        """L1 data fee [wei]."""
        weighted = weighted_price(self.base_fee_scalar, self.blob_base_fee_scalar, prices)
        return fjord_wei(estimated_size(fastlz_length(size)), weighted)


def fastlz_length(size: Size) -> int:
    """FastLZ length of a transaction [bytes]; where it is not known, the most it can be: nothing in it repeats."""
    return literals_length(size.whole) if size.compressed is None else size.compressed


def estimated_size(fastlz: int) -> int:
    """Size in a compressed batch, as the protocol estimates it [10^-6 bytes]."""
    return max(SMALLEST, INTERCEPT + SLOPE * fastlz)


def fjord_wei(size: int, weighted: int) -> int:
    """L1 data fee for an estimated size [10^-6 bytes] at a weighted price [10^-6 wei] [wei]."""
    return size * weighted // DIVISOR

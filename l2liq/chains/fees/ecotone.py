"""OP stack from Ecotone to Fjord: calldata gas stands for the compressed size, priced in calldata and in blobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from l2liq.chains.fees.interface import Cost, Prices, Size, execution_wei, known

DIVISOR = 16 * 10**6


@dataclass(frozen=True, slots=True)
class Ecotone:
    """Fees of Ecotone. The very first Ecotone block still charges :class:`~l2liq.chains.fees.bedrock.Bedrock`.

    Attributes
    ----------
    base_fee_scalar, blob_base_fee_scalar : weights of both L1 prices [10^-6]

    Source: ethereum-optimism/specs, protocol/exec-engine.md, "Ecotone L1-Cost fee changes"; op-geth
    core/types/rollup_cost.go, newL1CostFuncEcotone (DOMAIN §5.3).
    """

    base_fee_scalar: int
    blob_base_fee_scalar: int
    needs: ClassVar[frozenset[str]] = frozenset({"l1_base_fee", "blob_base_fee"})

    def cost(self, gas: int, size: Size, prices: Prices) -> Cost:
        weighted = weighted_price(self.base_fee_scalar, self.blob_base_fee_scalar, prices)
        return Cost(gas, execution_wei(gas, prices), ecotone_wei(size.calldata_gas, weighted))


def weighted_price(base_fee_scalar: int, blob_base_fee_scalar: int, prices: Prices) -> int:
    """Price of 16 gas of calldata, or a byte of blob, weighted [10^-6 wei]."""
    return 16 * base_fee_scalar * known(prices.l1_base_fee) + blob_base_fee_scalar * known(prices.blob_base_fee)


def ecotone_wei(calldata_gas: int, weighted: int) -> int:
    """L1 data fee for so much calldata gas [wei]."""
    return calldata_gas * weighted // DIVISOR

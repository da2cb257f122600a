"""OP stack before Ecotone: L1 calldata gas plus an overhead, at the L1 base fee, times a scalar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from l2liq.chains.fees.interface import Cost, Prices, Size, execution_wei, known

SCALE = 10**6
"""Scalars have six decimals."""


@dataclass(frozen=True, slots=True)
class Bedrock:
    """Fees from Bedrock (with Regolith, as OP Mainnet and Base started it) to Ecotone.

    Attributes
    ----------
    overhead : gas added to every transaction [gas]
    scalar : [10^-6]
    extra_bytes : non-zero bytes added to every transaction; 68 before Regolith, for a signature it has already

    Source: ethereum-optimism/specs, protocol/exec-engine.md, "Pre-Ecotone"; op-geth core/types/rollup_cost.go,
    newL1CostFuncBedrockHelper, l1CostHelper (DOMAIN §5.3).
    """

    overhead: int
    scalar: int
    extra_bytes: int = 0
    needs: ClassVar[frozenset[str]] = frozenset({"l1_base_fee"})

    def l1_gas(self, size: Size) -> int:
        """L1 gas that the transaction is charged for, ``l1GasUsed`` of its receipt [gas]."""
        return size.calldata_gas + 16 * self.extra_bytes + self.overhead

    def cost(self, gas: int, size: Size, prices: Prices) -> Cost:
        data = bedrock_wei(self.l1_gas(size), known(prices.l1_base_fee), self.scalar)
        return Cost(gas, execution_wei(gas, prices), data)


def bedrock_wei(l1_gas: int, l1_base_fee: int, scalar: int) -> int:
    """L1 data fee for so much L1 gas, the overhead included [wei]."""
    return l1_gas * l1_base_fee * scalar // SCALE

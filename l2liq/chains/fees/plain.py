"""A chain that charges gas and nothing else: its price covers what L1 costs (Linea, Polygon zkEVM, sidechains)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from l2liq.chains.fees.interface import Cost, Prices, Size, execution_wei


@dataclass(frozen=True, slots=True)
class Plain:
    """Gas times price."""

    needs: ClassVar[frozenset[str]] = frozenset()

    def cost(self, gas: int, size: Size, prices: Prices) -> Cost:
        return Cost(gas, execution_wei(gas, prices), 0)

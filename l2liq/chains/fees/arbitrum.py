"""Arbitrum: the batch poster's cost is charged as extra gas; tips are neither asked for nor paid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from l2liq.chains.fees.interface import Cost, Prices, Size, known

UNIT_PER_BYTE = 16
"""Units of calldata per compressed byte."""


@dataclass(frozen=True, slots=True)
class Arbitrum:
    """Fees of Nitro. ``l1_base_fee`` is ArbOS' price per unit (ArbGasInfo.getL1BaseFeeEstimate).

    Source: OffchainLabs/nitro arbos/l1pricing/l1pricing.go, getPosterUnitsWithoutCache, GetPosterInfo;
    arbos/tx_processor.go, GasChargingHook (DOMAIN §5.3).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"l1_base_fee"})

    def cost(self, gas: int, size: Size, prices: Prices) -> Cost:
        compressed = size.whole if size.compressed is None else size.compressed
        poster = poster_gas(poster_wei(compressed, known(prices.l1_base_fee)), prices.base_fee)
        return receipt_cost(gas + poster, poster, prices.base_fee)


def poster_wei(compressed: int, price_per_unit: int) -> int:
    """What posting so many compressed bytes to L1 costs [wei]."""
    return UNIT_PER_BYTE * compressed * price_per_unit


def poster_gas(poster: int, base_fee: int) -> int:
    """The poster's cost [wei] as gas on L2 [gas]; none where gas is free."""
    return poster // base_fee if base_fee else 0


def receipt_cost(gas_used: int, gas_used_for_l1: int, effective_gas_price: int) -> Cost:
    """Cost of a transaction from its receipt's fields ``gasUsed``, ``gasUsedForL1`` and ``effectiveGasPrice``."""
    l1 = gas_used_for_l1 * effective_gas_price
    return Cost(gas_used, gas_used * effective_gas_price - l1, l1)

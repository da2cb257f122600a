"""zkSync Era: one gas price, and pubdata charged in gas once it is known what the transaction changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from l2liq.chains.fees.interface import Cost, Prices, Size, known

MOST_GAS_PER_PUBDATA = 1 << 20


@dataclass(frozen=True, slots=True)
class ZkSync:
    """Fees since protocol version 20 (pubdata priced apart from L1 gas). The operator takes no priority fee.

    Source: matter-labs/zksync-docs era-vm/transactions/fee-model/how-l2-gas-price-works (DOMAIN §5.3).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"pubdata_price"})

    def cost(self, gas: int, size: Size, prices: Prices) -> Cost:
        price = known(prices.pubdata_price)
        fee = base_fee(prices.base_fee, price)
        pubdata_gas = size.pubdata * gas_per_pubdata(price, fee)
        return Cost(gas + pubdata_gas, gas * fee, pubdata_gas * fee)


def base_fee(fair_gas_price: int, pubdata_price: int) -> int:
    """Base fee [wei per gas]: high enough that a byte of pubdata never costs more gas than the limit."""
    return max(fair_gas_price, -(-pubdata_price // MOST_GAS_PER_PUBDATA))


def gas_per_pubdata(pubdata_price: int, base_fee: int) -> int:
    """Gas that a byte of pubdata costs, rounded up [gas]; none where gas is free."""
    return -(-pubdata_price // base_fee) if base_fee else 0

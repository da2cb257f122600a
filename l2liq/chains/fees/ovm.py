"""OP Mainnet before Bedrock (OVM 2.0): calldata gas and an overhead, times a scalar in binary floating point."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import ClassVar

from l2liq.chains.fees.interface import Cost, Prices, Size, execution_wei, known

SCALE = 10**6
SIGNATURE_BYTES = 68
"""Non-zero bytes that stand for the signature, which is not counted itself."""

BIG_FLOAT_BITS = 64
FLOAT64_BITS = 53


@dataclass(frozen=True, slots=True)
class Ovm:
    """Fees of OVM 2.0. The size is that of the unsigned transaction: six fields, without v, r and s.

    Attributes
    ----------
    overhead : gas added to every transaction [gas]
    scalar : [10^-6]

    Source: l2geth rollup/fees/rollup_fee.go, calculateL1GasUsed, mulByFloat.
    """

    overhead: int
    scalar: int
    needs: ClassVar[frozenset[str]] = frozenset({"l1_base_fee"})

    def l1_gas(self, size: Size) -> int:
        """L1 gas that the transaction is charged for, ``l1GasUsed`` of its receipt [gas]."""
        return size.calldata_gas + 16 * SIGNATURE_BYTES + self.overhead

    def cost(self, gas: int, size: Size, prices: Prices) -> Cost:
        data = ovm_wei(self.l1_gas(size), known(prices.l1_base_fee), self.scalar)
        return Cost(gas, execution_wei(gas, prices), data)


def ovm_wei(l1_gas: int, l1_base_fee: int, scalar: int) -> int:
    """L1 data fee for so much L1 gas [wei]: the node multiplied with 64 bits, cut to a double and rounded up."""
    factor = _rounded(Fraction(scalar, SCALE), BIG_FLOAT_BITS)
    product = _rounded(l1_gas * l1_base_fee * factor, BIG_FLOAT_BITS)
    return ceil(_rounded(product, FLOAT64_BITS))


def _rounded(value: Fraction, bits: int) -> Fraction:
    """The nearest number with so many binary digits, ties to even, as IEEE 754 and Go's big.Float round."""
    if not value:
        return value
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    if value < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** (exponent - bits + 1)
    return round(value / unit) * unit

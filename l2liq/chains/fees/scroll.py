"""Scroll's L1 data fee in its four forms: by calldata gas, by size, by size with a penalty, by compressed size.

Source: scroll-tech/go-ethereum rollup/fees/rollup_fee.go, calculateEncodedL1DataFee, …Curie, …Feynman, …Galileo,
calculatePenalty, CalculateL1DataFee (DOMAIN §5.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from l2liq.chains.fees.interface import Cost, Prices, Size, execution_wei, known

PRECISION = 10**9
LENGTH_PREFIX = 4
"""Non-zero bytes that the commitment to L1 adds to each transaction."""

MOST_WEI = (1 << 64) - 1
"""No data fee is higher: the circuits hold it in 64 bits."""


@dataclass(frozen=True, slots=True)
class ScrollBernoulli:
    """From genesis to Curie. ``overhead`` [gas], ``scalar`` [10^-9]."""

    overhead: int
    scalar: int
    needs: ClassVar[frozenset[str]] = frozenset({"l1_base_fee"})

    def cost(self, gas: int, size: Size, prices: Prices) -> Cost:
        l1_gas = size.calldata_gas + 16 * LENGTH_PREFIX + self.overhead
        fee = l1_gas * known(prices.l1_base_fee) * self.scalar // PRECISION
        return _cost(gas, prices, fee)


@dataclass(frozen=True, slots=True)
class ScrollCurie:
    """From Curie to Feynman. ``commit_scalar`` [10^-9 gas], ``blob_scalar`` [10^-9 blob gas per byte]."""

    commit_scalar: int
    blob_scalar: int
    needs: ClassVar[frozenset[str]] = frozenset({"l1_base_fee", "blob_base_fee"})

    def cost(self, gas: int, size: Size, prices: Prices) -> Cost:
        commit = self.commit_scalar * known(prices.l1_base_fee)
        blob = size.whole * known(prices.blob_base_fee) * self.blob_scalar
        return _cost(gas, prices, (commit + blob) // PRECISION)


@dataclass(frozen=True, slots=True)
class ScrollFeynman:
    """From Feynman to Galileo: what compresses badly pays a penalty.

    The chain takes the ratio of a transaction's calldata alone; ``compressed`` of a :class:`Size` stands for it here.

    Attributes
    ----------
    exec_scalar, blob_scalar : L1 gas and blob gas per byte [10^-9]
    penalty_threshold : size divided by compressed size below which the penalty applies [10^-9]
    penalty_factor : the fee is multiplied by this then [10^-9]
    """

    exec_scalar: int
    blob_scalar: int
    penalty_threshold: int
    penalty_factor: int
    needs: ClassVar[frozenset[str]] = frozenset({"l1_base_fee", "blob_base_fee"})

    def cost(self, gas: int, size: Size, prices: Prices) -> Cost:
        ratio = size.whole * PRECISION // compressed(size) if size.whole else PRECISION
        penalty = PRECISION if ratio >= self.penalty_threshold else self.penalty_factor
        per_byte = _per_byte(self.exec_scalar, self.blob_scalar, prices)
        return _cost(gas, prices, per_byte * size.whole * penalty // PRECISION // PRECISION)


@dataclass(frozen=True, slots=True)
class ScrollGalileo:
    """Since Galileo: the compressed size, and a surcharge that grows with it.

    Attributes
    ----------
    exec_scalar, blob_scalar : L1 gas and blob gas per compressed byte [10^-9]
    penalty_factor : compressed size at which the surcharge doubles the fee [bytes]; 0 counts as 1
    """

    exec_scalar: int
    blob_scalar: int
    penalty_factor: int
    needs: ClassVar[frozenset[str]] = frozenset({"l1_base_fee", "blob_base_fee"})

    def cost(self, gas: int, size: Size, prices: Prices) -> Cost:
        packed = compressed(size)
        plain = _per_byte(self.exec_scalar, self.blob_scalar, prices) * packed
        surcharge = plain * packed // max(self.penalty_factor, 1)
        return _cost(gas, prices, (plain + surcharge) // PRECISION)


def compressed(size: Size) -> int:
    """Size after compression, never more than before [bytes]; the size itself where it is not known."""
    return size.whole if size.compressed is None else min(size.compressed, size.whole)


def _per_byte(exec_scalar: int, blob_scalar: int, prices: Prices) -> int:
    return exec_scalar * known(prices.l1_base_fee) + blob_scalar * known(prices.blob_base_fee)


def _cost(gas: int, prices: Prices, l1_wei: int) -> Cost:
    return Cost(gas, execution_wei(gas, prices), min(l1_wei, MOST_WEI))

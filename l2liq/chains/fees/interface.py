"""What a fee scheme is asked, and what it answers. Everything is integers; every division rounds down."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Size:
    """How large a signed, encoded transaction is, in every measure that a fee can depend on [bytes].

    Attributes
    ----------
    whole : the signed transaction, typed and RLP-encoded
    zeros : zero bytes among them
    compressed : the same after the compression that the chain prices: FastLZ on the OP stack, Brotli on Arbitrum, zstd
        on Scroll; None where it is not known, and each scheme takes what its compressor makes of random bytes
    pubdata : what a zkSync batch publishes of its state changes
    """

    whole: int
    zeros: int = 0
    compressed: int | None = None
    pubdata: int = 0

    @property
    def calldata_gas(self) -> int:
        """Gas that the bytes would cost as calldata on L1, 4 for a zero byte and 16 for another [gas] (EIP-2028)."""
        return 4 * self.zeros + 16 * (self.whole - self.zeros)


@dataclass(frozen=True, slots=True)
class Prices:
    """What gas and bytes cost when a transaction is executed [wei]; None = not known.

    Attributes
    ----------
    base_fee, priority_fee : per gas on the rollup
    l1_base_fee : per gas on L1, as the rollup knows it; on Arbitrum the price per unit of calldata
    blob_base_fee : per blob gas on L1, as the rollup knows it
    pubdata_price : per byte of pubdata (zkSync)
    """

    base_fee: int
    priority_fee: int = 0
    l1_base_fee: int | None = None
    blob_base_fee: int | None = None
    pubdata_price: int | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What one transaction costs.

    Attributes
    ----------
    gas_used : as the receipt has it: with the gas that pays for L1 data, where a chain charges that as gas [gas]
    l2_wei : execution, an operator's fee included [wei]
    l1_wei : L1 data [wei]
    """

    gas_used: int
    l2_wei: int
    l1_wei: int

    @property
    def total_wei(self) -> int:
        return self.l2_wei + self.l1_wei


class FeeScheme(Protocol):
    """The fee rules of a rollup between two upgrades; fields hold what the chain's operator sets."""

    needs: typing.ClassVar[frozenset[str]]
    """Prices besides the base fee without which no cost can be told."""

    def cost(self, gas: int, size: Size, prices: Prices) -> Cost:
        """Cost of an ordinary transaction (none that L1 forced in).

        Parameters
        ----------
        gas : int
            Used by execution alone [gas].
        size : Size
            Of the signed, encoded transaction.
        prices : Prices
            At the time of execution; those in ``needs`` are known.
        """


def known(price: int | None) -> int:
    """A price that the caller has made sure of."""
    assert price is not None, "a scheme's needs are checked before it is asked"
    return price


def execution_wei(gas: int, prices: Prices) -> int:
    """Gas at base and priority fee [wei] (EIP-1559)."""
    return gas * (prices.base_fee + prices.priority_fee)

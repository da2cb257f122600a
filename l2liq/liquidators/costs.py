"""What the transaction of a liquidation costs whoever sends it, by the chain's dated fee scheme."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from l2liq.chains.dated import Dated
from l2liq.chains.fees import Cost, FeeScheme, Prices, Size
from l2liq.errors import InputError

WEI = 10**18


@dataclass(frozen=True, slots=True)
class AssetPrice:
    """The gas token is worth what the market's asset of this number is."""

    asset: int


@dataclass(frozen=True, slots=True)
class FixedPrice:
    """The gas token is worth so many US dollars."""

    dollars: float

    def usd(self, wei: int) -> float:
        """Value of an amount [USD]."""
        return wei * self.dollars / WEI


@dataclass(frozen=True, eq=False)
class BaseFees:
    """Base fees of the blocks whose headers are known: number and wei per gas, int64, shape (n,), increasing number.

    Two are the same only if they are one object, so that a plan that holds one can be compared quickly.
    """

    number: npt.NDArray[np.int64] = field(repr=False)
    wei: npt.NDArray[np.int64] = field(repr=False)

    def at(self, block: int) -> int:
        """Base fee of a block, or of the last known one before it. Raises InputError before the first."""
        found = int(np.searchsorted(self.number, block, side="right")) - 1
        if found < 0:
            raise InputError(f"no header at or before block {block:,} has a base fee. Give base_fee_wei as a number.")
        return int(self.wei[found])


@dataclass(frozen=True, slots=True)
class Spike:
    """Other prices in [``from_s``, ``until_s``) [wei]; None = as otherwise."""

    from_s: int
    until_s: int
    base_fee: int | None = None
    l1_base_fee: int | None = None
    blob_base_fee: int | None = None

    def over(self, prices: Prices, timestamp_s: int) -> Prices:
        """The prices at a time."""
        if not self.from_s <= timestamp_s < self.until_s:
            return prices
        return replace(
            prices,
            base_fee=prices.base_fee if self.base_fee is None else self.base_fee,
            l1_base_fee=prices.l1_base_fee if self.l1_base_fee is None else self.l1_base_fee,
            blob_base_fee=prices.blob_base_fee if self.blob_base_fee is None else self.blob_base_fee,
        )


@dataclass(frozen=True, slots=True)
class Costs:
    """The cost of one liquidation at any time of a window; all of one time are alike.

    Attributes
    ----------
    gas : used by execution [gas]
    size : of the signed transaction
    schemes : the chain's fee schemes, without a gap in the window
    base_fee : of every block [wei per gas], or as headers have it
    prices : all prices but the base fee
    token : what the gas token is worth
    spike : when prices are others, None = never
    """

    gas: int
    size: Size
    schemes: Dated[FeeScheme]
    base_fee: int | BaseFees
    prices: Prices
    token: AssetPrice | FixedPrice
    spike: Spike | None = None

    def charge(self, block: int, timestamp_s: int) -> Cost:
        """What a liquidation executed in a block at a time costs. Raises InputError where no scheme holds then."""
        scheme = self.schemes.at(timestamp_s)
        if scheme is None:
            raise InputError(f"no fee scheme of the chain is known at {timestamp_s}. Choose another window.")
        base_fee = self.base_fee if isinstance(self.base_fee, int) else self.base_fee.at(block)
        prices = replace(self.prices, base_fee=base_fee)
        if self.spike is not None:
            prices = self.spike.over(prices, timestamp_s)
        return scheme.cost(self.gas, self.size, prices)

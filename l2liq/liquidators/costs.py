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
class Costs:
    """The cost of one liquidation at any time of a window; all of them are alike.

    Attributes
    ----------
    gas : used by execution [gas]
    size : of the signed transaction
    schemes : the chain's fee schemes, without a gap in the window
    base_fee : of every block [wei per gas], or as headers have it
    prices : all prices but the base fee
    token : what the gas token is worth
    """

    gas: int
    size: Size
    schemes: Dated[FeeScheme]
    base_fee: int | BaseFees
    prices: Prices
    token: AssetPrice | FixedPrice

    def charge(self, block: int, timestamp_s: int) -> Cost:
        """What a liquidation executed in a block at a time costs. Raises InputError where no scheme holds then."""
        scheme = self.schemes.at(timestamp_s)
        if scheme is None:
            raise InputError(f"no fee scheme of the chain is known at {timestamp_s}. Choose another window.")
        base_fee = self.base_fee if isinstance(self.base_fee, int) else self.base_fee.at(block)
        return scheme.cost(self.gas, self.size, replace(self.prices, base_fee=base_fee))

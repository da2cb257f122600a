"""A recorded Uniswap v3 pool as an outlet."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from l2liq.liquidity.outlet import Sale, Sold
from l2liq.liquidity.pool_history import PoolHistory
from l2liq.liquidity.uniswap_v3 import FEE_UNIT

_SCALE = 1 << 64


@dataclass(frozen=True, slots=True)
class RecordedPool:
    """One side of a pool as its logs have it: price and liquidity just before the sale, moved by our own sales.

    Our displacement lies on top of the recorded path: the pool stands at the recorded price times e to the
    displacement, with the liquidity that was recorded there, and what a sale leaves between the two prices is the new
    displacement. What recorded liquidators sold is part of the recorded path.

    Attributes
    ----------
    history : of the pool
    sells_token0 : the asset is the pool's token0
    bought : asset that is got for it, by number
    fee : millionths of what is sold
    spacing : of the pool's ticks
    half_life_s : see Outlet
    """

    history: PoolHistory = field(repr=False)
    sells_token0: bool
    bought: int
    fee: int
    spacing: int
    half_life_s: int | None

    @property
    def place(self) -> str:
        """The pool."""
        return f"0x{self.history.pool.hex()}"

    @property
    def direction(self) -> int:
        """The pool's price is token0's."""
        return 1 if self.sells_token0 else -1

    def sell(self, sale: Sale, displacement: float) -> Sold | None:
        """The pool's output at the world's price of what is bought; what it has no liquidity for yields nothing."""
        recorded, price = self.history.at(sale.key), sale.price(self.bought)
        if recorded is None or price is None:
            return None
        pool = recorded
        if displacement:
            factor = round(math.exp(self.direction * displacement / 2) * _SCALE)
            pool = recorded.moved_to(recorded.sqrt_price * factor // _SCALE)
        swap = pool.swap(sale.amount, self.fee, self.spacing, zero_for_one=self.sells_token0)
        moved = 2 * math.log(swap.after.sqrt_price / recorded.sqrt_price)
        return Sold(swap.out * price, self.direction * moved)

    def words(self) -> str:
        """The model in a few words."""
        side = "token0" if self.sells_token0 else "token1"
        return f"Uniswap v3 pool {self.place} as recorded ({side}), fee {100 * self.fee / FEE_UNIT:g} %"

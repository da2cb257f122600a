"""What liquidators have lent out, exact to the base unit of the currency in which prices are told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from l2liq.liquidators.competition import Contestant
from l2liq.numeric import mul_div_ceil, mul_div_floor

LEAST_S = 1
"""What is lent out in a block is back in the next one at the earliest."""


class Capital:
    """The purses of one world's contestants."""

    def __init__(self, contestants: Sequence[Contestant]) -> None:
        self._contestants = contestants
        self._out: list[list[tuple[int, int]]] = [[] for _ in contestants]

    def free(self, number: int, now_s: int) -> int | None:
        """What a contestant can pay now [base currency]; None = without end."""
        most = self._contestants[number].capital_base
        if most is None:
            return None
        self._out[number] = [one for one in self._out[number] if one[0] > now_s]
        return most - sum(spent for _, spent in self._out[number])

    def affordable(self, number: int, now_s: int, price: int, unit: int) -> int | None:
        """Most of an asset that it can pay [base units], rounded down; None = without end.

        ``price`` is that of ``unit`` base units [base currency].
        """
        free = self.free(number, now_s)
        return None if free is None else mul_div_floor(free, unit, price)

    def pay(self, number: int, now_s: int, amount: int, price: int, unit: int) -> None:
        """Lend out what an amount costs, rounded up; it is back after the contestant's recycling time."""
        one = self._contestants[number]
        if one.capital_base is not None:
            back_s = now_s + max(one.recycle_s, LEAST_S)
            self._out[number].append((back_s, mul_div_ceil(amount, price, unit)))

    def next_return_s(self, numbers: Iterable[int], now_s: int) -> int | None:
        """When one of some contestants next gets something back [s since 1970]."""
        return min((back for number in numbers for back, _ in self._out[number] if back > now_s), default=None)

    def return_since(self, second: int) -> None:
        """What was lent out after a second is back: it never happened."""
        for one, out in zip(self._contestants, self._out, strict=True):
            out[:] = [lent for lent in out if lent[0] - max(one.recycle_s, LEAST_S) <= second]

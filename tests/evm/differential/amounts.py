"""Amounts that mean something where they are used: shares of what there is, and its edges."""

from __future__ import annotations

from tests.evm import abi
from tests.evm.differential.arena import Arena
from tests.evm.differential.state import MarketState
from tests.evm.differential.steps import Step
from tests.evm.market import Reserve

_RAY = 10**27
_CEILING_UNIT = 100
_MOST_TOKENS = 10**9
_WEALTH_BASE = 40_000 * 10**8


class Amounts:
    """Reads natural maxima from the contracts, at the time of the transaction to be.

    Attributes
    ----------
    state : what the contracts said last
    at_s : time of the transaction
    """

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self.state: MarketState
        self.at_s = 0
        self.answers: list[int] = []

    def supply(self, step: Step) -> int:
        """A share of some wealth under the cap; its edge is the room that the cap leaves."""
        reserve = self._reserve(step)
        room = self._room(step, (116, 152), self._supplied(reserve))
        if step.size == "share":
            room = min(room, _WEALTH_BASE * reserve.spec.unit // self.answers[step.asset])
        return _sized(room, step)

    def withdraw(self, step: Step, who: int) -> int:
        """The balance, or all that the reserve holds."""
        if step.size == "everything":
            return abi.UINT256_MAX
        natural = self._balance(self._reserve(step).a_token, who)
        if step.number % 5 == 1:
            natural = min(natural, self.state.reserves[step.asset].cash)
        return _sized(natural, step)

    def borrow(self, step: Step, who: int) -> int:
        """What collateral, reserve, cap and debt ceiling let through: the least, at times one of them alone."""
        reserve = self._reserve(step)
        data = abi.call_data("getUserAccountData(address)", self._arena.actors[who])
        available = abi.words(self._arena.node.call(self._arena.market.pool, data, time_s=self.at_s))[2]
        limits = [
            available * reserve.spec.unit // self.answers[step.asset],
            self.state.reserves[step.asset].cash,
            self._room(step, (80, 116), self._owed(reserve)),
            *self._ceiling_room(reserve, who),
        ]
        one = step.number % 5 == 1
        return _sized(limits[step.second % len(limits)] if one else min(limits), step)

    def _ceiling_room(self, reserve: Reserve, who: int) -> list[int]:
        """What the debt ceiling of an account's only collateral leaves."""
        used = [one for one in self._arena.reserves if self.state.accounts[who].configuration >> 2 * one.number + 1 & 1]
        ceiling = self._bits(used[0], 212, 252) if len(used) == 1 else 0
        if not ceiling:
            return []
        room = max(0, ceiling - self.state.reserves[used[0].number].isolated_debt)
        return [room * reserve.spec.unit // _CEILING_UNIT + reserve.spec.unit // _CEILING_UNIT - 1]

    def repay(self, step: Step, debtor: int) -> int:
        """The debt."""
        if step.size == "everything":
            return abi.UINT256_MAX
        return _sized(self._balance(self._reserve(step).v_token, debtor), step)

    def transfer(self, step: Step, who: int) -> int:
        """The balance."""
        return _sized(self._balance(self._reserve(step).a_token, who), step)

    def liquidate(self, step: Step) -> int:
        """The debt of whom it is about."""
        if step.size == "everything":
            return abi.UINT256_MAX
        return _sized(self._balance(self._arena.reserves[step.second].v_token, step.other), step)

    def cover(self, step: Step) -> int:
        """The recorded deficit."""
        return _sized(self.state.reserves[step.asset].deficit, step)

    def donate(self, step: Step) -> int:
        """A share of some wealth."""
        return _share(_WEALTH_BASE * self._reserve(step).spec.unit // self.answers[step.asset], step)

    def flash(self, step: Step, reserve: Reserve, who: int) -> int:
        """What the reserve holds; kept as debt also what the collateral carries."""
        if step.flag and step.size == "share" and reserve.number == step.asset:
            return self.borrow(step, who)
        return _sized(self.state.reserves[reserve.number].cash, step)

    def _reserve(self, step: Step) -> Reserve:
        return self._arena.reserves[step.asset]

    def _balance(self, token: str, who: int) -> int:
        data = abi.call_data("balanceOf(address)", self._arena.actors[who])
        return abi.words(self._arena.node.call(token, data, time_s=self.at_s))[0]

    def _supplied(self, reserve: Reserve) -> int:
        stored = self.state.reserves[reserve.number]
        data = abi.call_data("getReserveNormalizedIncome(address)", reserve.underlying)
        index = abi.words(self._arena.node.call(self._arena.market.pool, data, time_s=self.at_s))[0]
        return (stored.scaled_supply + stored.accrued_to_treasury) * index // _RAY

    def _owed(self, reserve: Reserve) -> int:
        return abi.words(self._arena.node.call(reserve.v_token, abi.call_data("totalSupply()"), time_s=self.at_s))[0]

    def _room(self, step: Step, bits: tuple[int, int], used: int) -> int:
        reserve = self._reserve(step)
        cap = self._bits(reserve, *bits)
        most = _MOST_TOKENS * reserve.spec.unit
        return min(most, max(0, cap * reserve.spec.unit - used)) if cap else most

    def _bits(self, reserve: Reserve, low: int, high: int) -> int:
        data = abi.call_data("getConfiguration(address)", reserve.underlying)
        word = abi.words(self._arena.node.call(self._arena.market.pool, data))[0]
        return word >> low & ((1 << high - low) - 1)


def _sized(natural: int, step: Step) -> int:
    """An amount by its size; the maximum of an uint256 only where it means something, elsewhere a little too much."""
    few = (1, 1, 2, 7)[step.number % 4]
    if step.size == "share":
        return _share(natural, step)
    return {
        "all": natural,
        "all_but": max(0, natural - few),
        "more_than_all": natural + few,
        "everything": 2 * natural + few,
        "dust": few,
        "nothing": 0,
    }[step.size]


def _share(natural: int, step: Step) -> int:
    return max(1, natural * step.number // 1000)

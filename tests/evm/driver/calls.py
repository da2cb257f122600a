"""Pool calls as rollup users send them: plain ABI, or the compact calldata of an L2 pool (DOMAIN §1.12)."""

from __future__ import annotations

import random

from tests.evm import abi
from tests.evm.market import Reserve

VARIABLE_RATE = 2
_MAX_128 = 2**128 - 1


def _short(amount: int) -> int:
    """An amount in 128 bits; all ones mean everything."""
    return min(amount, _MAX_128)


class PoolCalls:
    """Encodes calls; a share of those made for oneself comes out compact."""

    def __init__(self, rng: random.Random, compact_share: float) -> None:
        self._rng, self._compact_share = rng, compact_share

    def supply(self, reserve: Reserve, amount: int, account: str, sender: str) -> bytes:
        """Supply on behalf of ``account``."""
        if account == sender and self._compact():
            return abi.call_data("supply(bytes32)", abi.packed((0, reserve.number), (16, _short(amount))))
        return abi.call_data("supply(address,uint256,address,uint16)", reserve.underlying, amount, account, 0)

    def withdraw(self, reserve: Reserve, amount: int, to: str, sender: str) -> bytes:
        """Withdraw to ``to``."""
        if to == sender and self._compact():
            return abi.call_data("withdraw(bytes32)", abi.packed((0, reserve.number), (16, _short(amount))))
        return abi.call_data("withdraw(address,uint256,address)", reserve.underlying, amount, to)

    def borrow(self, reserve: Reserve, amount: int, account: str, sender: str) -> bytes:
        """Borrow at the variable rate, in debt of ``account``."""
        if account == sender and self._compact():
            word = abi.packed((0, reserve.number), (16, _short(amount)), (144, VARIABLE_RATE))
            return abi.call_data("borrow(bytes32)", word)
        signature = "borrow(address,uint256,uint256,uint16,address)"
        return abi.call_data(signature, reserve.underlying, amount, VARIABLE_RATE, 0, account)

    def repay(self, reserve: Reserve, amount: int, account: str, sender: str) -> bytes:
        """Repay debt of ``account``."""
        if account == sender and self._compact():
            word = abi.packed((0, reserve.number), (16, _short(amount)), (144, VARIABLE_RATE))
            return abi.call_data("repay(bytes32)", word)
        signature = "repay(address,uint256,uint256,address)"
        return abi.call_data(signature, reserve.underlying, amount, VARIABLE_RATE, account)

    def repay_with_a_tokens(self, reserve: Reserve, amount: int) -> bytes:
        """Repay one's own debt with one's own supply."""
        if self._compact():
            word = abi.packed((0, reserve.number), (16, _short(amount)), (144, VARIABLE_RATE))
            return abi.call_data("repayWithATokens(bytes32)", word)
        return abi.call_data("repayWithATokens(address,uint256,uint256)", reserve.underlying, amount, VARIABLE_RATE)

    def use_as_collateral(self, reserve: Reserve, use: bool) -> bytes:
        """Switch the collateral bit."""
        if self._compact():
            word = abi.packed((0, reserve.number), (16, int(use)))
            return abi.call_data("setUserUseReserveAsCollateral(bytes32)", word)
        return abi.call_data("setUserUseReserveAsCollateral(address,bool)", reserve.underlying, use)

    def liquidate(self, collateral: Reserve, debt: Reserve, user: str, amount: int, receive_a_token: bool) -> bytes:
        """Liquidate ``user``."""
        if self._compact():
            first = abi.packed((0, collateral.number), (16, debt.number), (32, int(user, 16)))
            second = abi.packed((0, _short(amount)), (128, int(receive_a_token)))
            return abi.call_data("liquidationCall(bytes32,bytes32)", first, second)
        signature = "liquidationCall(address,address,address,uint256,bool)"
        return abi.call_data(signature, collateral.underlying, debt.underlying, user, amount, receive_a_token)

    def _compact(self) -> bool:
        return self._rng.random() < self._compact_share

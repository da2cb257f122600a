"""Intents as calls: what l2liq takes users to have asked for, encoded for the contracts, one transaction each.

Accounts are given the code of an Errand, so that a single transaction can have many of them do things, some in the
middle of a flash loan. Everything is paid for by whom the log names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from l2liq.market import Market
from l2liq.protocols.interface import Action, Call
from tests.evm import abi
from tests.evm.market import Deployment, Reserve
from tests.evm.paths import HarnessError

HELPER = "0x" + "4e" * 20
"""Runs batches, and receives flash loans."""

MORE_THAN_OWED = 2**120
"""Asks for all of somebody else's debt: "all" as the contracts spell it is for one's own."""

_VARIABLE = 2
_ENDS = ("flash_repay", "flash_borrow")

Step = tuple[str, bytes]
"""Whom to call, and with what."""


@dataclass(frozen=True, slots=True)
class Sending:
    """Encodes calls for one deployment."""

    deployment: Deployment
    market: Market

    def transaction(self, calls: Sequence[Call]) -> Step:
        """All calls as one."""
        actions = [_action(call) for call in calls]
        return HELPER, _perform(self._steps(actions, _Loans(actions), 0, len(actions)))

    def _steps(self, actions: Sequence[Action], loans: _Loans, first: int, stop: int) -> list[Step]:
        """Steps of actions in order; what lies between the beginning and the end of a flash loan happens in it."""
        steps: list[Step] = []
        place = first
        while place < stop:
            if place in loans.opened:
                place += 1
            elif actions[place].kind == "flash_take":
                lent, last = loans.open(place)
                inside = self._steps(actions, loans, place, lent[0])
                steps.append(self._flash_loan([actions[end] for end in lent], inside))
                place = last + 1
            elif actions[place].kind in _ENDS:
                raise HarnessError("flash loans end in an order in which calls can't")
            else:
                steps.append(self._step(actions[place]))
                place += 1
        return steps

    def _flash_loan(self, lent: list[Action], inside: list[Step]) -> Step:
        debts = [action for action in lent if action.kind == "flash_borrow"]
        owner = debts[0].account if debts else lent[0].account
        initiator = debts[0].other if debts and debts[0].other >= 0 else lent[0].account
        for debt in debts:
            token = self._reserve(debt).underlying
            data = abi.call_data("transfer(address,uint256)", self._address(initiator), debt.amount)
            inside = [*inside, (token, data)]
        data = abi.call_data(
            "flashLoan(address,address[],uint256[],uint256[],address,bytes,uint16)",
            HELPER,
            [self._reserve(action).underlying for action in lent],
            [action.amount for action in lent],
            [_VARIABLE if action.kind == "flash_borrow" else 0 for action in lent],
            self._address(owner),
            abi.encode_values("(address[],bytes[])", [to for to, _ in inside], [data for _, data in inside]),
            0,
        )
        return self._by(initiator, self.deployment.pool, data)

    def _step(self, action: Action) -> Step:
        pool, account = self.deployment.pool, action.account
        payer = action.other if action.other >= 0 else account
        if action.kind == "emode":
            return self._by(account, pool, abi.call_data("setUserEMode(uint8)", action.mode))
        reserve = self._reserve(action)
        asset, amount = reserve.underlying, action.amount
        if action.kind == "supply":
            signature = "supply(address,uint256,address,uint16)"
            return self._by(payer, pool, abi.call_data(signature, asset, amount, self._address(account), 0))
        if action.kind == "withdraw":
            asked = abi.UINT256_MAX if action.whole else amount
            data = abi.call_data("withdraw(address,uint256,address)", asset, asked, self._address(payer))
            return self._by(account, pool, data)
        if action.kind == "borrow":
            signature = "borrow(address,uint256,uint256,uint16,address)"
            data = abi.call_data(signature, asset, amount, _VARIABLE, 0, self._address(account))
            return self._by(payer, pool, data)
        if action.kind == "repay":
            everything = abi.UINT256_MAX if payer == account else MORE_THAN_OWED
            asked = everything if action.whole else amount
            signature = "repay(address,uint256,uint256,address)"
            return self._by(payer, pool, abi.call_data(signature, asset, asked, _VARIABLE, self._address(account)))
        if action.kind == "repay_with_atokens":
            asked = abi.UINT256_MAX if action.whole else amount
            data = abi.call_data("repayWithATokens(address,uint256,uint256)", asset, asked, _VARIABLE)
            return self._by(account, pool, data)
        if action.kind in ("collateral_on", "collateral_off"):
            use = action.kind == "collateral_on"
            return self._by(account, pool, abi.call_data("setUserUseReserveAsCollateral(address,bool)", asset, use))
        if action.kind == "transfer":
            data = abi.call_data("transfer(address,uint256)", self._address(action.other), amount)
            return self._by(account, reserve.a_token, data)
        if action.kind == "mint_to_treasury":
            return pool, abi.call_data("mintToTreasury(address[])", [asset])
        if action.kind == "donate":
            return asset, abi.call_data("mint(address,uint256)", reserve.a_token, amount)
        if action.kind == "cover_deficit":
            return self._by(account, pool, abi.call_data("eliminateReserveDeficit(address,uint256)", asset, amount))
        raise HarnessError(f"no call is known for the action {action.kind!r}")

    def _by(self, account: int, to: str, data: bytes) -> Step:
        return self._address(account), _perform([(to, data)])

    def _address(self, account: int) -> str:
        return abi.hex_bytes(self.market.address(account))

    def _reserve(self, action: Action) -> Reserve:
        address = abi.hex_bytes(self.market.assets[action.asset].address)
        return next(reserve for reserve in self.deployment.reserves if reserve.underlying == address)


def _perform(steps: Sequence[Step]) -> bytes:
    return abi.call_data("perform(address[],bytes[])", [to for to, _ in steps], [data for _, data in steps])


def _action(call: Call) -> Action:
    assert isinstance(call.what, Action), "liquidations are sent alone"
    return call.what


class _Loans:
    """Beginnings and ends of the flash loans of one transaction.

    Attributes
    ----------
    opened : places of beginnings that are part of a call already
    """

    def __init__(self, actions: Sequence[Action]) -> None:
        self.opened: set[int] = set()
        self._actions = actions
        self._end_of: dict[int, int] = {}
        open_places: list[int] = []
        for place, action in enumerate(actions):
            if action.kind == "flash_take":
                open_places.append(place)
            elif action.kind in _ENDS:
                begin = next(one for one in reversed(open_places) if _same_loan(actions[one], action))
                open_places.remove(begin)
                self._end_of[begin] = place

    def open(self, place: int) -> tuple[list[int], int]:
        """The outermost of the loans that begin side by side from ``place`` on: its ends, and the last of them."""
        begins = [place]
        while begins[-1] + 1 in self._end_of:
            begins.append(begins[-1] + 1)
        begin_of = {self._end_of[begin]: begin for begin in begins if begin not in self.opened}
        last = max(begin_of)
        ends, assets = [last], {self._actions[last].asset}
        while ends[0] - 1 in begin_of and self._actions[ends[0] - 1].asset not in assets:
            ends.insert(0, ends[0] - 1)
            assets.add(self._actions[ends[0]].asset)
        self.opened |= {begin_of[end] for end in ends}
        return ends, last


def _same_loan(take: Action, end: Action) -> bool:
    return (take.asset, take.amount, take.account) == (end.asset, end.amount, end.account)

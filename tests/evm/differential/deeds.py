"""What users do: a step as a transaction to the contracts, and as the calls that l2liq knows it by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from l2liq.protocols.aave_v3.admission import EXEMPT
from l2liq.protocols.interface import Action, Moment, Request
from tests.evm import abi
from tests.evm.differential.amounts import Amounts
from tests.evm.differential.arena import MODES, Arena
from tests.evm.differential.steps import ERRAND, USERS, Step
from tests.evm.differential.twin import What
from tests.evm.market import Reserve

_VARIABLE, _NONE = 2, 0
_EXEMPT_USER = 2
_NOWHEN = Moment(0, 0)


@dataclass(frozen=True, slots=True)
class Deed:
    """A transaction, and what it asks of the Pool."""

    sender: str
    to: str
    data: bytes
    whats: tuple[What, ...]


class Deeds:
    """Steps to deeds; ``numbers``: l2liq's index of each of the arena's accounts."""

    def __init__(self, arena: Arena, numbers: list[int], amounts: Amounts) -> None:
        self._arena, self._numbers, self._amounts = arena, numbers, amounts
        self._kinds: dict[str, Callable[[Step, int], Deed]] = {
            "supply": self._supply,
            "withdraw": self._withdraw,
            "borrow": self._borrow,
            "repay": self._repay,
            "repay_with_atokens": self._repay_with_atokens,
            "transfer": self._transfer,
            "collateral": self._collateral,
            "emode": self._emode,
            "liquidate": self._liquidate,
            "mint_to_treasury": self._mint_to_treasury,
            "cover_deficit": self._cover_deficit,
            "donate": self._donate,
        }

    def deed(self, step: Step) -> Deed | None:
        """The transaction that a step is; None where it is not a user's."""
        if step.kind == "flash":
            return self._flash(step)
        if step.kind == "bundle":
            return self._bundle(step)
        kind = self._kinds.get(step.kind)
        return None if kind is None else kind(step, step.who)

    # One call each

    def _supply(self, step: Step, who: int) -> Deed:
        reserve, amount = self._reserve(step), self._amounts.supply(step)
        signature = "supply(address,uint256,address,uint16)"
        data = abi.call_data(signature, reserve.underlying, amount, self._arena.actors[step.other], 0)
        return self._pool(who, data, self._action("supply", step.other, step, amount, other=who))

    def _withdraw(self, step: Step, who: int) -> Deed:
        reserve, amount = self._reserve(step), self._amounts.withdraw(step, who)
        data = abi.call_data(
            "withdraw(address,uint256,address)", reserve.underlying, amount, self._arena.actors[step.other]
        )
        return self._pool(who, data, self._action("withdraw", who, step, amount, other=step.other))

    def _borrow(self, step: Step, who: int) -> Deed:
        reserve, amount = self._reserve(step), self._amounts.borrow(step, who)
        signature = "borrow(address,uint256,uint256,uint16,address)"
        data = abi.call_data(signature, reserve.underlying, amount, _VARIABLE, 0, self._arena.actors[who])
        return self._pool(who, data, self._action("borrow", who, step, amount, other=who))

    def _repay(self, step: Step, who: int) -> Deed:
        """On behalf of another only with an amount; the maximum means all of one's own."""
        reserve, debtor = self._reserve(step), who if step.size == "everything" else step.other
        amount = self._amounts.repay(step, debtor)
        signature = "repay(address,uint256,uint256,address)"
        data = abi.call_data(signature, reserve.underlying, amount, _VARIABLE, self._arena.actors[debtor])
        return self._pool(who, data, self._action("repay", debtor, step, amount, other=who))

    def _repay_with_atokens(self, step: Step, who: int) -> Deed:
        reserve = self._reserve(step)
        amount = self._amounts.repay(step, who) if step.flag else self._amounts.withdraw(step, who)
        data = abi.call_data("repayWithATokens(address,uint256,uint256)", reserve.underlying, amount, _VARIABLE)
        return self._pool(who, data, self._action("repay_with_atokens", who, step, amount))

    def _transfer(self, step: Step, who: int) -> Deed:
        reserve, amount = self._reserve(step), self._amounts.transfer(step, who)
        data = abi.call_data("transfer(address,uint256)", self._arena.actors[step.other], amount)
        what = Action(
            -1, _NOWHEN, (0, 0), "transfer", self._numbers[who], self._numbers[step.other], step.asset, amount, False, 0
        )
        return Deed(self._arena.actors[who], reserve.a_token, data, (what,))

    def _collateral(self, step: Step, who: int) -> Deed:
        data = abi.call_data(
            "setUserUseReserveAsCollateral(address,bool)", self._reserve(step).underlying, not step.flag
        )
        return self._pool(who, data, self._action("collateral_off" if step.flag else "collateral_on", who, step, 0))

    def _emode(self, step: Step, who: int) -> Deed:
        category = MODES[step.number % len(MODES)]
        what = Action(-1, _NOWHEN, (0, 0), "emode", self._numbers[who], -1, -1, 0, False, category)
        return self._pool(who, abi.call_data("setUserEMode(uint8)", category), what)

    def _liquidate(self, step: Step, who: int) -> Deed:
        collateral, debt = self._reserve(step), self._arena.reserves[step.second]
        amount = self._amounts.liquidate(step)
        signature = "liquidationCall(address,address,address,uint256,bool)"
        borrower = self._arena.actors[step.other]
        data = abi.call_data(signature, collateral.underlying, debt.underlying, borrower, amount, step.flag)
        numbers = self._numbers
        request = Request(numbers[step.other], numbers[who], step.asset, step.second, amount, step.flag)
        return self._pool(who, data, request)

    def _mint_to_treasury(self, step: Step, who: int) -> Deed:
        """One reserve or all of them."""
        some = self._arena.reserves if step.flag else (self._reserve(step),)
        treasury = self._numbers[-1]
        whats = [
            Action(-1, _NOWHEN, (0, 0), "mint_to_treasury", treasury, -1, reserve.number, 0, False, 0)
            for reserve in some
        ]
        data = abi.call_data("mintToTreasury(address[])", [reserve.underlying for reserve in some])
        return self._pool(who, data, *whats)

    def _cover_deficit(self, step: Step, _: int) -> Deed:
        umbrella, amount = USERS - 1, self._amounts.cover(step)
        data = abi.call_data("eliminateReserveDeficit(address,uint256)", self._reserve(step).underlying, amount)
        return self._pool(umbrella, data, self._action("cover_deficit", umbrella, step, amount))

    def _donate(self, step: Step, who: int) -> Deed:
        """Underlying sent to the aToken without supplying it."""
        reserve, amount = self._reserve(step), self._amounts.donate(step)
        data = abi.call_data("transfer(address,uint256)", reserve.a_token, amount)
        return Deed(self._arena.actors[who], reserve.underlying, data, (self._action("donate", who, step, amount),))

    # Several calls in one transaction

    def _bundle(self, step: Step) -> Deed:
        """What the errand does by itself."""
        inner = self._inner(step)
        data = abi.call_data("perform(address[],bytes[])", [deed.to for deed in inner], [deed.data for deed in inner])
        return Deed(self._arena.users[step.who], self._arena.errand, data, _all(inner))

    def _flash(self, step: Step) -> Deed:
        """One asset or two, for the length of the transaction or kept as debt, with errands in between."""
        some = [self._reserve(step)]
        if step.second != step.asset and step.number % 2:
            some.append(self._arena.reserves[step.second])
        amounts = [self._amounts.flash(step, reserve, step.who) for reserve in some]
        kept = [step.flag and place == 0 for place in range(len(some))]
        inner = self._inner(step)
        errands = abi.encode_values("(address[],bytes[])", [deed.to for deed in inner], [deed.data for deed in inner])
        simple = len(some) == 1 and not kept[0] and step.number % 3 == 0
        exempt = step.who == _EXEMPT_USER and not simple
        begin = [self._flashed("flash_take", step.who, one, amount) for one, amount in zip(some, amounts, strict=True)]
        end = [
            self._flashed("flash_borrow" if keep else "flash_repay", step.who, one, amount, EXEMPT if exempt else 0)
            for one, amount, keep in zip(some, amounts, kept, strict=True)
        ]
        if simple:
            signature = "flashLoanSimple(address,address,uint256,bytes,uint16)"
            data = abi.call_data(signature, self._arena.errand, some[0].underlying, amounts[0], errands, 0)
        else:
            signature = "flashLoan(address,address[],uint256[],uint256[],address,bytes,uint16)"
            modes = [_VARIABLE if keep else _NONE for keep in kept]
            assets, user = [reserve.underlying for reserve in some], self._arena.users[step.who]
            data = abi.call_data(signature, self._arena.errand, assets, amounts, modes, user, errands, 0)
        return self._pool(step.who, data, *begin, *_all(inner), *end)

    def _inner(self, step: Step) -> list[Deed]:
        return [self._kinds[inner.kind](inner, ERRAND) for inner in step.inner]

    # Parts

    def _reserve(self, step: Step) -> Reserve:
        return self._arena.reserves[step.asset]

    def _pool(self, who: int, data: bytes, *whats: What) -> Deed:
        return Deed(self._arena.actors[who], self._arena.market.pool, data, whats)

    def _action(self, kind: str, who: int, step: Step, amount: int, other: int | None = None) -> Action:
        second = -1 if other is None else self._numbers[other]
        whole = amount == abi.UINT256_MAX
        return Action(-1, _NOWHEN, (0, 0), kind, self._numbers[who], second, step.asset, amount, whole, 0)

    def _flashed(self, kind: str, who: int, reserve: Reserve, amount: int, mode: int = 0) -> Action:
        return Action(-1, _NOWHEN, (0, 0), kind, self._numbers[who], -1, reserve.number, amount, False, mode)


def _all(deeds: list[Deed]) -> tuple[What, ...]:
    return tuple(what for deed in deeds for what in deed.whats)

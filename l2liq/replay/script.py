"""What users asked for in a window, transaction by transaction, read off history by executing it again (DESIGN §9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from l2liq.protocols.interface import (
    Action,
    Call,
    Historian,
    Liquidated,
    Moment,
    Reading,
    Request,
)
from l2liq.replay.chronicle import Chronicle, Group, Recorded
from l2liq.replay.plan import Progress

READING = "reading history"
_TRANSACTIONS_PER_REPORT = 64


@dataclass(frozen=True, slots=True)
class Transaction:
    """One recorded transaction as its users meant it; liquidations are left out, since the model decides about those.

    Attributes
    ----------
    calls : may be none
    wallet : (account, asset) to what the calls changed in history outside the protocol [base units]
    """

    group: Group
    calls: tuple[Call, ...]
    wallet: Mapping[tuple[int, int], int] = field(repr=False)


@dataclass(frozen=True)
class Script:
    """The transactions of a window.

    Attributes
    ----------
    transactions : in order
    disagreeing : those that the rules do not bring to the recorded rates, indices or amounts
    """

    transactions: tuple[Transaction, ...] = field(repr=False)
    disagreeing: tuple[Group, ...]

    @staticmethod
    def of(
        historian: Historian, chronicle: Chronicle, first: Moment, last: Moment, progress: Progress | None = None
    ) -> Script:
        """Read the transactions in (first, last]; the historian stands at ``first``."""
        codes = chronicle.codes_in(first, last)
        read, disagreeing = [], []
        for number, code in enumerate(codes):
            group = chronicle.group(code)
            if not group.actions and not group.liquidations:
                continue
            reading = _read(historian, group)
            read.append(_without_liquidations(group, reading))
            if not reading.agrees:
                disagreeing.append(group)
            if progress is not None and number % _TRANSACTIONS_PER_REPORT == 0:
                progress(READING, number / len(codes))
        return Script(tuple(read), tuple(disagreeing))


def _read(historian: Historian, group: Group) -> Reading:
    steps: list[Action | Recorded] = sorted((*group.actions, *group.liquidations), key=lambda step: step.moment.key)
    calls: list[Call] = []
    amounts: list[tuple[int, int, int] | None] = []
    for step in steps:
        if isinstance(step, Action):
            calls.append(Call(step.moment, step))
            amounts.append(None)
        else:
            calls.append(Call(step.moment, request_of(step)))
            amounts.append((step.debt, step.collateral, step.protocol_fee))
    return historian.read(calls, amounts)


def request_of(taken: Recorded) -> Request:
    """A recorded liquidation as the call that asks for what it repaid."""
    return Request(
        taken.account, taken.liquidator, taken.collateral_asset, taken.debt_asset, taken.debt, taken.receives_token
    )


def _without_liquidations(group: Group, reading: Reading) -> Transaction:
    calls = tuple(call for call in reading.calls if isinstance(call.what, Action))
    if reading.receipt is None:
        return Transaction(group, calls, {})
    wallet = dict(reading.receipt.wallet)
    for call, done in zip(reading.calls, reading.receipt.done, strict=True):
        if isinstance(call.what, Request) and isinstance(done, Liquidated):
            _move(wallet, call.what.liquidator, call.what.debt_asset, done.debt_repaid)
            if not call.what.receives_token:
                _move(wallet, call.what.liquidator, call.what.collateral_asset, -done.collateral_to_liquidator)
    return Transaction(group, calls, wallet)


def _move(wallet: dict[tuple[int, int], int], account: int, asset: int, amount: int) -> None:
    wallet[account, asset] = wallet.get((account, asset), 0) + amount

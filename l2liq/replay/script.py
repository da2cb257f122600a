"""What users asked for in a window, transaction by transaction, read off history by executing it again (DESIGN §9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from l2liq.protocols.interface import (
    Action,
    Call,
    Historian,
    Liquidated,
    Moment,
    Reading,
    Request,
)
from l2liq.replay.calldata import Calldata
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
    decoded : number of those whose calls come from calldata, not from what logs show
    """

    transactions: tuple[Transaction, ...] = field(repr=False)
    disagreeing: tuple[Group, ...]
    decoded: int = 0

    @staticmethod
    def of(
        historian: Historian,
        chronicle: Chronicle,
        first: Moment,
        last: Moment,
        progress: Progress | None = None,
        calldata: Calldata | None = None,
    ) -> Script:
        """Read the transactions in (first, last]; the historian stands at ``first``.

        Where ``calldata`` tells all that a transaction asked for, it takes the place of what the logs show.
        """
        recorded = {code for code in chronicle.codes_in(first, last) if _concerns(chronicle.group(code))}
        silent = set() if calldata is None else _silent(calldata, chronicle, first, last)
        codes = sorted(recorded | silent)
        read, disagreeing, decoded = [], [], 0
        for number, code in enumerate(codes):
            if code in recorded:
                group = chronicle.group(code)
                reading = _read(historian, group)
                transaction = _without_liquidations(group, reading)
                if not reading.agrees:
                    disagreeing.append(group)
            else:
                assert calldata is not None, "only calldata tells of transactions without logs"
                group = _silent_group(code, calldata.inputs[code].after)
                transaction = Transaction(group, (), {})
            calls = None if calldata is None else _decoded(calldata, group)
            if calls is not None:
                transaction = _as_asked(transaction, calls)
                decoded += 1
            if code in recorded or calls:
                read.append(transaction)
            if progress is not None and number % _TRANSACTIONS_PER_REPORT == 0:
                progress(READING, number / len(codes))
        return Script(tuple(read), tuple(disagreeing), decoded)


def _concerns(group: Group) -> bool:
    return bool(group.actions or group.liquidations)


def _silent(calldata: Calldata, chronicle: Chronicle, first: Moment, last: Moment) -> set[tuple[int, int]]:
    """Transactions of the window that left no log of the market."""
    logged = set(chronicle.codes_in(first, last))
    inputs = calldata.inputs.items()
    return {code for code, given in inputs if code not in logged and first.key < given.after.key <= last.key}


def _silent_group(code: tuple[int, int], after: Moment) -> Group:
    return Group(code, after.key, after, after.key, (), ())


def _decoded(calldata: Calldata, group: Group) -> tuple[Call, ...] | None:
    """What calldata says that a transaction asked for, liquidations aside; None where it does not tell all."""
    given = calldata.inputs.get(group.transaction)
    if given is None:
        return None
    calls: list[Call] = []
    for message in given.messages:
        found = calldata.decoder.calls(message, group.last, group.transaction)
        if found is None:
            return None
        calls += [call for call in found if isinstance(call.what, Action)]
    return tuple(calls)


def _as_asked(transaction: Transaction, calls: tuple[Call, ...]) -> Transaction:
    """The transaction with calls from calldata; what has no log of its own speaks for itself."""
    group = transaction.group
    if not _concerns(group):
        group = replace(group, actions=tuple(call.what for call in calls if isinstance(call.what, Action)))
    return replace(transaction, group=group, calls=tuple(_at_their_logs(calls, group)))


def _at_their_logs(calls: tuple[Call, ...], group: Group) -> Iterator[Call]:
    """Calls at the moments of the logs that they left, in order; those that left none, with what went before."""
    logged = list(group.actions)
    moment = logged[0].moment if logged else group.last
    for call in calls:
        what = call.what
        assert isinstance(what, Action), "liquidations are left out"
        places = (place for place, log in enumerate(logged) if _about_the_same(what, log))
        place = next(places, None)
        if place is not None:
            moment, row = logged[place].moment, logged[place].row
            what = replace(what, row=row)
            del logged[: place + 1]
        yield Call(moment, replace(what, moment=moment))


def _about_the_same(one: Action, other: Action) -> bool:
    return (one.kind, one.account, one.asset) == (other.kind, other.account, other.asset)


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

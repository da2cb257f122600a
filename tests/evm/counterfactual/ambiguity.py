"""Where logs leave open what users asked for (DESIGN §9): each case by its name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from l2liq.protocols.interface import Action, Call
from l2liq.replay import Script
from l2liq.replay.script import Transaction

Place = tuple[int, int]

_SILENT = {"collateral_on": "no-op switch", "collateral_off": "no-op switch", "emode": "no-op switch",
           "mint_to_treasury": "nothing to mint"}  # fmt: skip


def cases(logged: Script, asked: Script) -> dict[Place, tuple[str, ...]]:
    """Transactions whose calldata asks for something else than l2liq reads off the logs; the name of each difference.

    Differences without a name are no cases.
    """
    by_place = {transaction.group.transaction: transaction for transaction in logged.transactions}
    found: dict[Place, tuple[str, ...]] = {}
    for transaction in asked.transactions:
        other = by_place.get(transaction.group.transaction)
        names = tuple(_names(() if other is None else other.calls, transaction.calls))
        if names:
            found[transaction.group.transaction] = names
    return found


def counted(found: dict[Place, tuple[str, ...]]) -> Counter[str]:
    """Cases by name."""
    return Counter(name for names in found.values() for name in names)


def resolved(logged: Script, asked: Script, found: dict[Place, tuple[str, ...]], leaving: str = "") -> Script:
    """The script of the logs with calldata in the cases found; transactions with a case ``leaving`` stay as logged."""
    taken = {place for place, names in found.items() if leaving not in names}
    by_place: dict[Place, Transaction] = {one.group.transaction: one for one in logged.transactions}
    by_place |= {one.group.transaction: one for one in asked.transactions if one.group.transaction in taken}
    return replace(logged, transactions=tuple(by_place[place] for place in sorted(by_place)))


def _names(logged: tuple[Call, ...], asked: tuple[Call, ...]) -> Iterator[str]:
    """Names of the differences between two readings of one transaction."""
    remaining = [call.what for call in logged if isinstance(call.what, Action)]
    for call in asked:
        action = call.what
        assert isinstance(action, Action), "liquidations are not in a script"
        if remaining and _about_the_same(remaining[0], action):
            name = _name(remaining.pop(0), action)
            if name is not None:
                yield name
        elif action.kind in _SILENT:
            yield _SILENT[action.kind]


def _about_the_same(one: Action, other: Action) -> bool:
    return (one.kind, one.account, one.asset) == (other.kind, other.account, other.asset)


def _name(logged: Action, asked: Action) -> str | None:
    """Why the amounts of one action differ; None where they mean the same, or for no reason that is known."""
    if logged.kind == "transfer" and abs(logged.amount - asked.amount) == 1:
        return "transfer told in scaled units"
    if not logged.whole or asked.whole:
        return None
    if logged.kind == "repay_with_atokens":
        return "repay with aTokens"
    if logged.kind == "repay":
        return "overpaid repay" if asked.amount > logged.amount else "exact repay"
    return "exact-balance withdraw" if logged.kind == "withdraw" and asked.amount == logged.amount else None

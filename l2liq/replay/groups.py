"""Execution of one recorded transaction by exact rules, in whatever world: all of it, or nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from l2liq.protocols.interface import Action, Rejection, Situation, State
from l2liq.replay.chronicle import Chronicle, Group

Cash = Callable[[int], int]


@dataclass(slots=True)
class Run:
    """What a transaction did.

    Attributes
    ----------
    states : account to its state afterwards, for every account that it touched
    cash : asset to change of the reserve's cash [base units]
    wallet : (account, asset) to change of what the account holds outside the protocol [base units]
    """

    states: dict[int, dict[int, int]] = field(default_factory=dict)
    cash: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    wallet: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))


@dataclass(frozen=True, slots=True)
class Refusal:
    """The first action of a transaction that the rules do not admit, and why."""

    action: Action
    reason: str


def execute(
    group: Group,
    actions: Sequence[Action],
    chronicle: Chronicle,
    book: Callable[[int], State],
    at: Callable[[Action], Situation],
    cash: Cash,
) -> Run | Refusal:
    """Execute ``actions`` of ``group`` in order.

    Parameters
    ----------
    group : Group
        The recorded transaction; its liquidations are left out, but who was paid in kind keeps that.
    actions : Sequence[Action]
        Its actions, perhaps with other amounts.
    chronicle : Chronicle
        For what others did to the accounts concerned.
    book : Callable[[int], State]
        States just before the transaction.
    at : Callable[[Action], Situation]
        The rules that an action meets.
    cash : Callable[[int], int]
        The reserve's cash just before the transaction [base units].
    """
    run = Run()

    def present(account: int) -> State:
        found = run.states.get(account)
        return book(account) if found is None else found

    credits = [taken for taken in group.liquidations if taken.receives_token and taken.liquidator != taken.account]
    for action in actions:
        while credits and credits[0].moment.key < action.moment.key:
            taken = credits.pop(0)
            drift = chronicle.credit(group, taken)
            run.states[taken.liquidator] = chronicle.drifted(present(taken.liquidator), drift)
        step = at(action).apply(present, action, cash=lambda asset: cash(asset) + run.cash.get(asset, 0))
        if isinstance(step, Rejection):
            return Refusal(action, step.reason)
        merge(run, step.after, present)
        for asset, change in step.cash.items():
            run.cash[asset] += change
        for place, change in step.wallet.items():
            run.wallet[place] += change
    for taken in credits:
        run.states[taken.liquidator] = chronicle.drifted(present(taken.liquidator), chronicle.credit(group, taken))
    return run


def merge(run: Run, after: Mapping[tuple[int, int], int], present: Callable[[int], State]) -> None:
    """Write changed legs into the states of a run; legs at zero are left out of a state."""
    for (account, leg), quantity in after.items():
        state = run.states.get(account)
        if state is None:
            state = run.states[account] = dict(present(account))
        if quantity:
            state[leg] = quantity
        else:
            state.pop(leg, None)

"""Most steps pointed at what is there: a balance to withdraw, a debt to repay, somebody to liquidate.

Without it nearly all steps of a random sequence would be refused for the same few reasons. Every eighth stays as it is.
"""

from __future__ import annotations

from dataclasses import replace

from tests.evm.differential.state import AccountState, MarketState
from tests.evm.differential.steps import ERRAND, PRICE_DOWN, USERS, Step

_WAD = 10**18
_LEFT_ALONE = 8
_OF_SUPPLY = frozenset({"withdraw", "transfer"})
_OF_DEBT = frozenset({"repay", "repay_with_atokens"})


def aimed(step: Step, state: MarketState) -> Step:
    """The step as it is to be taken in this state; where nobody can be liquidated, something gets cheaper instead."""
    pointed = _pointed(step, state)
    healthy = all(account.data[-1] >= _WAD for account in state.accounts)
    if step.kind == "liquidate" and healthy and step.number % 4:
        return replace(pointed, kind="price", second=0, number=PRICE_DOWN[step.number % 2])
    return replace(pointed, inner=tuple(_pointed(replace(one, who=ERRAND), state) for one in step.inner))


def _pointed(step: Step, state: MarketState) -> Step:
    if step.number % _LEFT_ALONE == _LEFT_ALONE - 1:
        return step
    if step.kind in _OF_SUPPLY:
        return _with_asset(step, state.accounts[step.who].scaled_supply)
    if step.kind in _OF_DEBT:
        debtors = [who for who in range(USERS) if any(state.accounts[who].scaled_debt)]
        own = step.kind != "repay" or step.size == "everything"
        debtor = _chosen(step.who if own else step.other, debtors if step.who != ERRAND else [])
        pointed = replace(step, who=debtor) if own else replace(step, other=debtor)
        return _with_asset(pointed, state.accounts[debtor].scaled_debt)
    if step.kind == "collateral":
        return _collateral(step, state.accounts[step.who])
    if step.kind == "borrow" and step.who != ERRAND:
        return _loan(step, state)
    if step.kind == "liquidate":
        return _liquidation(step, state)
    if step.kind == "cover_deficit":
        return _with_asset(step, tuple(reserve.deficit for reserve in state.reserves))
    return step


def _with_asset(step: Step, quantities: tuple[int, ...]) -> Step:
    """One of the reserves in which there is something."""
    return replace(step, asset=_chosen(step.asset, [number for number, amount in enumerate(quantities) if amount]))


def _collateral(step: Step, account: AccountState) -> Step:
    """What is used is switched off, what is held and not used is switched on."""
    places = [
        number for number, held in enumerate(account.scaled_supply) if held and _uses(account, number) == step.flag
    ]
    return replace(step, asset=_chosen(step.asset, places))


def _loan(step: Step, state: MarketState) -> Step:
    """Somebody who may still borrow, the umbrella left out, since debt bars it; at times what it holds itself."""
    who = _chosen(step.who, [who for who in range(USERS - 1) if state.accounts[who].data[2]])
    used = [number for number in range(len(state.reserves)) if _uses(state.accounts[who], number)]
    return replace(step, who=who, asset=_chosen(step.asset, used) if step.number % 3 == 0 else step.asset)


def _liquidation(step: Step, state: MarketState) -> Step:
    """Somebody unhealthy, else a debtor, for a collateral and a debt it has."""
    debtors = [who for who in range(USERS + 1) if state.accounts[who].data[1]]
    unhealthy = [who for who in debtors if state.accounts[who].data[-1] < _WAD]
    other = _chosen(step.other, unhealthy or debtors)
    account = state.accounts[other]
    used = [number for number in range(len(state.reserves)) if _uses(account, number)]
    owed = [number for number, debt in enumerate(account.scaled_debt) if debt]
    both = [number for number in used if number in owed]
    if both and step.number % 3:
        used = owed = both[:1]
    liquidator = (other + 1) % USERS if step.who == other else step.who
    return replace(
        step, who=liquidator, other=other, asset=_chosen(step.asset, used), second=_chosen(step.second, owed)
    )


def _uses(account: AccountState, number: int) -> bool:
    return bool(account.configuration >> 2 * number + 1 & 1)


def _chosen(number: int, among: list[int]) -> int:
    return among[number % len(among)] if among else number

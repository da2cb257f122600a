"""Spans of ticks in which an account's quantities are constant, cut from the ledger without a loop over accounts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from l2liq.events.log import LOG_INDEX_BITS
from l2liq.market import Market
from l2liq.protocols.aave_v3.layout import Layout, Role

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Spans:
    """Segments before they are cut by parameters; entries in the order of their segment.

    Attributes
    ----------
    account, start, stop, category : shape (S,), ordered by account then start; ``category`` is the e-mode
    offset : shape (S + 1,)
    leg, quantity : shape (E,): debts, and collateral that is switched on
    categories : every category that an account ever had
    """

    account: Ints
    start: Ints
    stop: Ints
    category: Ints
    offset: Ints
    leg: Ints
    quantity: npt.NDArray[np.float64]
    categories: tuple[int, ...]


def to_floats(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Non-negative 256-bit big-endian integers as doubles, relative error below 2^-51; shape (n, 32) to (n,)."""
    words = np.ascontiguousarray(raw).view(">u8").astype(np.float64)
    return ((words[:, 0] * 2.0**64 + words[:, 1]) * 2.0**64 + words[:, 2]) * 2.0**64 + words[:, 3]


def spans(market: Market, layout: Layout, tick_key: Ints) -> Spans:
    """Segments of every account with debt over the ticks, changes of one transaction taken together."""
    table = market.ledger.table
    key = table.column("key").to_numpy()
    known = int(np.searchsorted(key, tick_key[-1], side="right"))
    key, account = key[:known], table.column("account").to_numpy()[:known].astype(np.int64)
    leg = market.ledger.leg[:known].astype(np.int64)
    raw = table.column("after_raw").combine_chunks()
    quantity = to_floats(np.frombuffer(raw.buffers()[1], np.uint8).reshape(-1, 32)[raw.offset : raw.offset + known])
    transaction = (key >> LOG_INDEX_BITS << 20) | table.column("transaction_index").to_numpy()[:known]
    order = np.argsort(account, kind="stable")
    key, account, leg = key[order], account[order], leg[order]
    quantity, transaction = quantity[order], transaction[order]

    fresh = np.r_[True, (account[1:] != account[:-1]) | (transaction[1:] != transaction[:-1])][: len(key)]
    group = np.cumsum(fresh) - 1
    states = _States.of(key, account, group, fresh, tick_key)
    begins, row = states.expand(account, leg, group, quantity)
    return _assemble(layout, states, begins, leg[row], quantity[row], _categories(layout, leg, quantity))


@dataclass(frozen=True)
class _States:
    """States of accounts between their transactions; a state's ticks are [start, stop).

    The first tick is the last one at or before the change, so that no moment after it lies between two segments.
    """

    account: Ints
    start: Ints
    stop: Ints

    @classmethod
    def of(cls, key: Ints, account: Ints, group: Ints, fresh: npt.NDArray[np.bool_], tick_key: Ints) -> _States:
        firsts = np.flatnonzero(fresh)
        owner = account[firsts]
        end = key[np.r_[firsts[1:] - 1, len(key) - 1]] if len(key) else key
        start = np.maximum(np.searchsorted(tick_key, end, side="right") - 1, 0)
        replaced = np.searchsorted(tick_key, end, side="left")
        lasts = np.r_[owner[1:] != owner[:-1], True][: len(owner)]
        stop = np.where(lasts, len(tick_key), np.r_[replaced[1:], 0][: len(owner)])
        return cls(owner, start, stop)

    def expand(self, account: Ints, leg: Ints, group: Ints, quantity: npt.NDArray[np.float64]) -> tuple[Ints, Ints]:
        """For every live state and every non-zero leg in it: the state, and the ledger row that set the leg.

        A row holds from its own state to the one before the next row of the same account and leg.
        """
        order = np.lexsort((np.arange(len(leg)), leg, account))
        same = np.r_[(account[order][1:] == account[order][:-1]) & (leg[order][1:] == leg[order][:-1]), False]
        following = np.r_[group[order][1:], 0][: len(order)]
        last_state = np.searchsorted(self.account, account[order], side="right")
        begin, end = group[order], np.where(same[: len(order)], following, last_state)
        live = self.stop > self.start
        ahead = np.r_[0, np.cumsum(live)]
        count = np.where(quantity[order] > 0, ahead[end] - ahead[begin], 0)
        row = np.repeat(order, count)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        state = np.flatnonzero(live)[np.repeat(ahead[begin], count) + within]
        by_state = np.lexsort((leg[row], state))
        return state[by_state], row[by_state]


def _categories(layout: Layout, leg: Ints, quantity: npt.NDArray[np.float64]) -> tuple[int, ...]:
    had = np.unique(quantity[leg == layout.emode]).astype(np.int64)
    return tuple(sorted({0, *had.tolist()}))


def _assemble(
    layout: Layout,
    states: _States,
    state: Ints,
    leg: Ints,
    quantity: npt.NDArray[np.float64],
    categories: tuple[int, ...],
) -> Spans:
    """Keep states with debt, their debts and the collateral that is switched on."""
    role = np.array([int(role) for role, _ in layout.roles])[leg]
    asset = np.array([asset for _, asset in layout.roles])[leg]
    has_debt = np.zeros(len(states.account), bool)
    has_debt[state[role == Role.DEBT]] = True
    category = np.zeros(len(states.account), np.int64)
    mode = role == Role.EMODE
    category[state[mode]] = quantity[mode].astype(np.int64)
    place = state * len(layout.units) + asset
    switched = place[role == Role.USES_AS_COLLATERAL]
    counts = (role == Role.DEBT) | ((role == Role.COLLATERAL) & np.isin(place, switched))
    kept = counts & has_debt[state]
    numbers = np.flatnonzero(has_debt)
    return Spans(
        account=states.account[numbers],
        start=states.start[numbers],
        stop=states.stop[numbers],
        category=category[numbers],
        offset=np.r_[0, np.cumsum(np.bincount(state[kept], minlength=len(states.account))[numbers])],
        leg=leg[kept],
        quantity=quantity[kept],
        categories=categories,
    )

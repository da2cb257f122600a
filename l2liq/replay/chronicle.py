"""Recorded history by account and by transaction: what happened, in the groups in which it happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from l2liq.events.log import LOG_INDEX_BITS, block_of
from l2liq.market import LegKind, Market, quantity
from l2liq.protocols.interface import Action, Moment, State

Transaction = tuple[int, int]
"""(block number, transaction index)."""

Drift = dict[int, tuple[int, int]]
"""Leg to quantity before and after."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded liquidation; amounts in base units of their assets."""

    moment: Moment
    transaction: Transaction
    transaction_hash: bytes
    account: int
    liquidator: int
    collateral_asset: int
    debt_asset: int
    debt: int
    collateral: int
    protocol_fee: int
    receives_token: bool


@dataclass(frozen=True, slots=True)
class Group:
    """One recorded transaction.

    Attributes
    ----------
    before : key just before the first thing that it did
    last : moment of its last action or liquidation; of its last ledger change where it has neither
    end : key of the last thing that it did
    actions, liquidations : in order
    """

    transaction: Transaction
    before: int
    last: Moment
    end: int
    actions: tuple[Action, ...] = field(repr=False)
    liquidations: tuple[Recorded, ...] = field(repr=False)


class Trail:
    """The recorded states of one account; cheap when asked in order of time."""

    def __init__(self, market: Market, account: int) -> None:
        self._ledger = market.ledger
        self._rows = market.ledger.rows_of(account)
        self.keys: npt.NDArray[np.int64] = market.ledger.key[self._rows]
        self._done = 0
        self._state: dict[int, int] = {}

    def state(self, key: int) -> State:
        """Non-zero legs after everything at or before ``key``; a fresh dict."""
        place = int(np.searchsorted(self.keys, key, side="right"))
        if place < self._done:
            self._done, self._state = 0, {}
        for row in self._rows[self._done : place]:
            leg, after = int(self._ledger.leg[row]), self._ledger.after(int(row))
            if after:
                self._state[leg] = after
            else:
                self._state.pop(leg, None)
        self._done = place
        return dict(self._state)

    def next_key(self, key: int) -> int | None:
        """Key of the first change after ``key``."""
        place = int(np.searchsorted(self.keys, key, side="right"))
        return int(self.keys[place]) if place < len(self.keys) else None


class Chronicle:
    """The recorded transactions of a market."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self._trails: dict[int, Trail] = {}
        self._is_flag = [leg.kind is LegKind.FLAG for leg in market.legs]
        self._asset_of_leg = [leg.asset for leg in market.legs]
        self.group = lru_cache(maxsize=1 << 16)(self._group)

    def trail(self, account: int) -> Trail:
        """Recorded states of an account."""
        found = self._trails.get(account)
        if found is None:
            found = self._trails[account] = Trail(self.market, account)
        return found

    def state(self, account: int, key: int) -> State:
        """Recorded state of an account after ``key``; empty for someone outside the market."""
        return self.trail(account).state(key) if account >= 0 else {}

    @cached_property
    def liquidations(self) -> tuple[Recorded, ...]:
        """All recorded liquidations, in order."""
        return tuple(
            Recorded(
                moment=Moment(row["key"], row["timestamp_s"]),
                transaction=(block_of(row["key"]), row["transaction_index"]),
                transaction_hash=row["transaction_hash"],
                account=row["account"],
                liquidator=row["liquidator"],
                collateral_asset=row["collateral_asset"],
                debt_asset=row["debt_asset"],
                debt=quantity(row["debt_raw"]),
                collateral=quantity(row["collateral_raw"]),
                protocol_fee=quantity(row["protocol_fee_raw"]),
                receives_token=row["receives_token"],
            )
            for row in self.market.liquidations.to_pylist()
        )

    def liquidations_in(self, first: Moment, last: Moment) -> list[Recorded]:
        """Recorded liquidations in (first, last]."""
        return [found for found in self.liquidations if first.key < found.moment.key <= last.key]

    def agenda(
        self, account: int, actions: Sequence[Action], first: Moment, last: Moment
    ) -> list[tuple[Moment, Transaction]]:
        """Transactions in (first, last] that concern an account, and when each is over; in order.

        ``actions``: those that touch it. Transactions that changed it without an action are there too.
        """
        trail = self.trail(account)
        start, stop = np.searchsorted(trail.keys, (first.key, last.key), side="right")
        codes = set(self._code_at(trail.keys[start:stop]).tolist())
        codes |= {block << LOG_INDEX_BITS | index for block, index in (action.transaction for action in actions)}
        groups = (self.group(_transaction(code)) for code in sorted(codes))
        return [(group.last, group.transaction) for group in groups]

    def groups_of(self, rows: npt.NDArray[np.int64]) -> Iterator[Group]:
        """Groups of some rows of the actions table, each once, in order."""
        for code in np.unique(self._action_code[rows]).tolist():
            yield self.group(_transaction(code))

    def codes_in(self, first: Moment, last: Moment) -> list[Transaction]:
        """Every transaction in (first, last] that did something to an account."""
        parts = [
            codes[(keys > first.key) & (keys <= last.key)]
            for keys, codes in ((self._ledger_key, self._ledger_code), (self.action_key, self._action_code))
        ]
        return [_transaction(code) for code in np.unique(np.concatenate(parts)).tolist()]

    def accounts_changed(self, group: Group) -> set[int]:
        """Accounts that the ledger shows changed in a group."""
        start, stop = np.searchsorted(self._ledger_key, (group.before, group.end), side="right")
        return set(self._ledger_account[start:stop].tolist())

    def drift(self, account: int, after: int, upto: int) -> Drift:
        """What changed of an account in (after, upto]."""
        trail = self.trail(account)
        was, now = trail.state(after), trail.state(upto)
        return {leg: (was.get(leg, 0), now.get(leg, 0)) for leg in {**was, **now} if was.get(leg, 0) != now.get(leg, 0)}

    def credit(self, group: Group, taken: Recorded) -> Drift:
        """What a real liquidator received in kind, in a liquidation that paid out the protocol's own token."""
        edges = [a.moment.key for a in group.actions if taken.liquidator in (a.account, a.other)]
        edges += [other.moment.key for other in group.liquidations]
        after = max((key for key in edges if key < taken.moment.key), default=group.before)
        drift = self.drift(taken.liquidator, after, taken.moment.key)
        return {leg: step for leg, step in drift.items() if self._asset_of_leg[leg] == taken.collateral_asset}

    def drifted(self, state: State, drift: Drift) -> dict[int, int]:
        """A state after somebody else's change of it: amounts move by what they moved in history, switches are set."""
        moved = dict(state)
        for leg, (was, now) in drift.items():
            after = now if self._is_flag[leg] else max(0, moved.get(leg, 0) + now - was)
            if after:
                moved[leg] = after
            else:
                moved.pop(leg, None)
        return moved

    def just_before(self, taken: Recorded) -> State:
        """Recorded state of an account when its liquidation began."""
        group = self.group(taken.transaction)
        edges = [a.moment.key for a in group.actions if taken.account in (a.account, a.other)]
        edges += [other.moment.key for other in group.liquidations]
        return self.state(taken.account, max((key for key in edges if key < taken.moment.key), default=group.before))

    def time_of(self, key: int) -> int:
        """Timestamp of the ledger change at ``key`` (which must be one)."""
        return int(self._ledger_time[np.searchsorted(self._ledger_key, key)])

    def end_of(self, key: int) -> Moment:
        """The end of the transaction that made the ledger change at ``key``."""
        return self.group(_transaction(int(self._code_at(np.array([key]))[0]))).last

    @cached_property
    def action_key(self) -> npt.NDArray[np.int64]:
        """Keys of all actions, in order."""
        return self.market.actions.column("key").to_numpy()

    @cached_property
    def _ledger_key(self) -> npt.NDArray[np.int64]:
        return self.market.ledger.key

    @cached_property
    def _ledger_time(self) -> npt.NDArray[np.int64]:
        return self.market.ledger.table.column("timestamp_s").to_numpy()

    @cached_property
    def _ledger_account(self) -> npt.NDArray[np.int32]:
        return self.market.ledger.table.column("account").to_numpy()

    @cached_property
    def _ledger_code(self) -> npt.NDArray[np.int64]:
        return _codes(self.market.ledger.table)

    @cached_property
    def _action_code(self) -> npt.NDArray[np.int64]:
        return _codes(self.market.actions)

    @cached_property
    def _liquidation_code(self) -> npt.NDArray[np.int64]:
        return _codes(self.market.liquidations)

    def _code_at(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return self._ledger_code[np.searchsorted(self._ledger_key, keys)]

    def _group(self, transaction: Transaction) -> Group:
        code = transaction[0] << LOG_INDEX_BITS | transaction[1]
        ledger, actions, liquidations = (
            range(*np.searchsorted(codes, (code, code + 1)).tolist())
            for codes in (self._ledger_code, self._action_code, self._liquidation_code)
        )
        done = tuple(self._action(row) for row in actions)
        taken = tuple(self.liquidations[row] for row in liquidations)
        edges = (ledger[0], ledger[-1]) if ledger else ()
        changes = [Moment(int(self._ledger_key[row]), int(self._ledger_time[row])) for row in edges]
        steps = [a.moment for a in done] + [t.moment for t in taken]
        everything = steps + changes
        return Group(
            transaction=transaction,
            before=min(m.key for m in everything) - 1,
            last=max(steps or changes, key=lambda m: m.key),
            end=max(m.key for m in everything),
            actions=done,
            liquidations=taken,
        )

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        return {name: self.market.actions.column(name).to_pylist() for name in self.market.actions.column_names}

    def _action(self, row: int) -> Action:
        get = self._columns
        key = get["key"][row]
        return Action(
            row=row,
            moment=Moment(key, get["timestamp_s"][row]),
            transaction=(block_of(key), get["transaction_index"][row]),
            kind=get["kind"][row],
            account=get["account"][row],
            other=get["other"][row],
            asset=get["asset"][row],
            amount=quantity(get["amount_raw"][row]),
            whole=get["whole"][row],
            mode=get["mode"][row],
        )


def _codes(table: Any) -> npt.NDArray[np.int64]:
    """Transactions as integers that sort as the chain does."""
    key = table.column("key").to_numpy()
    return (key >> LOG_INDEX_BITS) << LOG_INDEX_BITS | table.column("transaction_index").to_numpy().astype(np.int64)


def _transaction(code: int) -> Transaction:
    return block_of(code), code & ((1 << LOG_INDEX_BITS) - 1)

"""The seam between the engine and a protocol. A protocol does no I/O; a new one is a folder beside ``aave_v3``.

Three parts: what to fetch (:class:`Discovery`), how logs become a market (:class:`Protocol`), and how the protocol
judges an account at a moment under given parameters (:class:`Venue`, :class:`Situation`).
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from l2liq.chains.deployment import Deployment
from l2liq.events.filter import Filter
from l2liq.market import Market, ParameterTimeline
from l2liq.protocols.checking import CheckReport, Contradiction
from l2liq.protocols.levers import Levers

State = Mapping[int, int]
"""Non-zero legs of one account: leg index to exact quantity."""

Book = Callable[[int], State]
"""The state of any account, by account index, in one world at the present moment."""


@dataclass(frozen=True, slots=True)
class Question:
    """A fact that logs cannot show, as one contract call.

    Attributes
    ----------
    target : contract, 20 bytes
    signature : e.g. ``getGracePeriod()(uint256)``
    block : height at which the answer is wanted
    why : what the answer is for, in plain words (goes into the error when nobody can answer)
    arguments : ABI-encoded, without the selector
    """

    target: bytes
    signature: str
    block: int
    why: str
    arguments: bytes = b""

    def __deepcopy__(self, memo: object) -> Question:
        """Itself: it cannot change, and whoever learns on copies of what is known would copy thousands."""
        return self


class Discovery(typing.Protocol):
    """Learns from logs which addresses and topics a market needs. Order of logs: the chain's."""

    def see(self, logs: pa.Table) -> None:
        """Take in raw logs (schema LOGS), in order; repeated logs do no harm."""

    def learn(self, observations: pa.Table) -> None:
        """Take in all answers known so far (schema OBSERVATIONS): they may name further contracts."""

    def contradictions(self, logs: pa.Table) -> Sequence[Contradiction]:
        """Logs that cannot be true beside these and those that this method was given before, each once, in order."""

    def statements(self, block: int) -> Sequence[Question]:
        """What contracts state at the end of ``block`` that the logs up to there must add up to."""

    def unexplained(self, logs: pa.Table, stated: Mapping[Question, bytes]) -> Sequence[Contradiction]:
        """Where the logs that :meth:`contradictions` was given, these the last of them, do not add up to statements.

        What is stated counts from here on; a statement without answer is not compared.
        """

    def filter(self) -> Filter:
        """What is needed, as far as is known."""

    def questions(self) -> Sequence[Question]:
        """What has to be asked of the chain once, as far as is known; answers given by hand are left out."""

    def prices(self, block: int) -> Sequence[Question]:
        """Every asset's price at the end of ``block``, to be asked where it is not to come from logs."""


@dataclass(frozen=True, slots=True)
class Moment:
    """After everything at or before ``key``; ``timestamp_s`` is the time of the block."""

    key: int
    timestamp_s: int


@dataclass(frozen=True, slots=True)
class Action:
    """One user action, a row of the market's actions (schema ACTIONS)."""

    row: int
    moment: Moment
    transaction: tuple[int, int]
    kind: str
    account: int
    other: int
    asset: int
    amount: int
    whole: bool
    mode: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """The contract would revert, with this reason (the contract's own constant or error name)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one accepted action does.

    Attributes
    ----------
    after : (account, leg) to the quantity after it, for every leg that changed
    cash : asset to change of the reserve's cash [base units]
    wallet : (account, asset) to change of the account's holding outside the protocol [base units]
    """

    after: Mapping[tuple[int, int], int]
    cash: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    wallet: Mapping[tuple[int, int], int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Health:
    """Solvency of one account at one moment, exact.

    Attributes
    ----------
    factor_wad : health factor; None without debt
    collateral_base, debt_base : totals [base currency]
    threshold_base : debt at which the account becomes liquidatable [base currency], for people
    liquidatable : by margin alone, gates aside
    """

    factor_wad: int | None
    collateral_base: int
    debt_base: int
    threshold_base: int
    liquidatable: bool


@dataclass(frozen=True, slots=True)
class Backing:
    """What the collateral of one account stands for at one moment, exact; gates, caps and cash aside.

    Attributes
    ----------
    borrowable_base : debt that it would admit at borrowing [base currency]
    repayable_base : debt that liquidators would repay for all of it, at oracle prices less their bonus [base currency]
    collateral_base : asset to what of it counts as collateral, at oracle prices [base currency]
    """

    borrowable_base: int
    repayable_base: int
    collateral_base: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}), compare=False)


@dataclass(frozen=True, slots=True)
class Gate:
    """What forbids a liquidation though margin is short.

    Attributes
    ----------
    reason : e.g. ``sentinel``, ``paused``, ``grace_period``, ``dust``
    until_s : first time at which it may be open again; None = only another event can tell
    """

    reason: str
    until_s: int | None


@dataclass(frozen=True, slots=True)
class Request:
    """A liquidator's call. ``amount`` of debt [base units], None = as much as the rules allow."""

    account: int
    liquidator: int
    collateral_asset: int
    debt_asset: int
    amount: int | None
    receives_token: bool = False


@dataclass(frozen=True, slots=True)
class Liquidated:
    """An accepted liquidation. Amounts in base units of their assets, prices in base currency."""

    step: Step
    debt_repaid: int
    collateral_to_liquidator: int
    protocol_fee: int
    deficits: Mapping[int, int]
    collateral_price: int
    debt_price: int
    health_before: Health
    health_after: Health


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a transaction, executed at ``moment``: a user's action or a liquidator's request."""

    moment: Moment
    what: Action | Request


Done = Liquidated | None
"""What an accepted call tells: a liquidation its amounts, an action nothing."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an executed transaction did.

    Attributes
    ----------
    done : by call
    wallet : (account, asset) to change of what the account holds outside the protocol [base units]
    """

    done: tuple[Done, ...]
    wallet: Mapping[tuple[int, int], int]


class Situation(typing.Protocol):
    """One moment of one world: prices, indices and parameters are fixed; accounts are handed in."""

    moment: Moment

    def health(self, state: State) -> Health:
        """Exact health. Raises InputError naming asset and block where a price is missing."""

    def backing(self, state: State) -> Backing:
        """What the collateral stands for. Raises InputError like :meth:`health`."""

    def apply(self, book: Book, action: Action, *, cash: Callable[[int], int]) -> Step | Rejection:
        """Execute one user action by the contract's rules; ``cash(asset)``: the reserve's cash in this world."""

    def largest(self, book: Book, action: Action, *, cash: Callable[[int], int]) -> int:
        """Largest amount [base units] at which ``action`` would be accepted; 0 = none."""

    def gate(self, state: State) -> Gate | None:
        """What forbids liquidating this account now, None = nothing (margin is not looked at)."""

    def requests(self, account: int, state: State, liquidator: int) -> Sequence[Request]:
        """Every pair that a liquidator could name, best first.

        By value seized less value repaid at oracle prices, ties by asset address.
        """

    def liquidate(self, book: Book, request: Request, *, cash: Callable[[int], int]) -> Liquidated | Rejection:
        """Execute one liquidation by the contract's rules."""

    def at_prices(self, prices: Mapping[int, int]) -> Situation:
        """The same moment with other prices, asset to price [base currency]; those left out stay as they are."""


@dataclass(frozen=True)
class ScreenTable:
    """What the screen scans: ticks, values per column, and account segments in which quantities are constant.

    Attributes
    ----------
    key, timestamp_s : int64, shape (T,): the ticks. A tick of a transaction has the key of the market's last log in it
    values : float64, shape (V, T): value of one base unit (or scaled unit) of a column's quantity [base currency]
    column_leg : int32, shape (V,): the leg of each column
    account, start, stop, regime : int32, shape (S,): segments, ticks [start, stop), ordered by account then start; the
        first tick of a segment is the last one at or before the account's own change, so nothing is missed in between
    offset : int64, shape (S + 1,): a segment's entries are [offset[s], offset[s + 1])
    column : int32, quantity : float64, shape (E,): quantities >= 0 in the leg's own unit
    regimes : what a regime number stands for: (parameter set number, the protocol's own class: e-mode)
    """

    key: npt.NDArray[np.int64]
    timestamp_s: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    column_leg: npt.NDArray[np.int32]
    account: npt.NDArray[np.int32]
    start: npt.NDArray[np.int32]
    stop: npt.NDArray[np.int32]
    regime: npt.NDArray[np.int32]
    offset: npt.NDArray[np.int64]
    column: npt.NDArray[np.int32]
    quantity: npt.NDArray[np.float64]
    regimes: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ScreenWeights:
    """Signed weights per regime and column for one parameter timeline; margin = sum of weight * quantity * value.

    ``weight`` float64 (R, V), collateral positive, debt negative. An account is a candidate where margin <
    ``guard_share`` * (its counted collateral's value) + ``guard_base`` + sum of ``guard_entry`` (V,) over the columns
    of its counted entries, or where anything counted is missing, NaN or not positive. What counts has a weight.
    """

    weight: npt.NDArray[np.float64]
    guard_share: float
    guard_base: float
    guard_entry: npt.NDArray[np.float64]


class Venue(typing.Protocol):
    """A market under one parameter timeline."""

    market: Market
    timeline: ParameterTimeline[Any]
    guarded_kinds: frozenset[str]
    """Kinds of actions whose admission can depend on parameters (they worsen the account, or a cap may stop them)."""
    relief_kinds: frozenset[str]
    """Kinds of actions that can only help the account: collateral comes, or debt goes."""
    passing_kinds: frozenset[str]
    """Kinds of actions that leave every account as it was: loans repaid within the transaction, governance."""

    def at(self, moment: Moment, *, prices: Mapping[int, int] | None = None) -> Situation:
        """The situation at a moment; ``prices`` (asset to price) replaces what the market saw."""

    def actions_of(self, account: int, start: int, stop: int) -> Sequence[Action]:
        """Actions with start < key <= stop that touch the account: its own and transfers it receives; in order."""

    def recorded_cash(self, asset: int, key: int) -> int:
        """The reserve's cash as history had it after ``key`` [base units]."""

    def screen_table(self, first: Moment, last: Moment, *, heartbeat_s: int) -> ScreenTable:
        """Ticks in [first, last], the first of them ``first`` itself, and segments of every account with debt there.

        Regimes are those of ``timeline``: every set in force in the span with every class that an account ever had.
        """

    def screen_weights(self, table: ScreenTable, timeline: ParameterTimeline[Any]) -> ScreenWeights:
        """Weights of another timeline over the same table (its change points must be among the table's ticks)."""

    def screen_entries(
        self, table: ScreenTable, state: State
    ) -> tuple[int, npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Class, columns and quantities that a segment of ``table`` would have for an account in this state.

        For accounts that left their history. A regime (set, class) missing from the table makes every tick a candidate.
        """

    def ticks_of_change(self, first: Moment, last: Moment) -> Sequence[Moment]:
        """Moments at which a gate may open without a log: expiry of grace periods and the like."""


class Machine(typing.Protocol):
    """A whole market as a state machine: indices and rates respond to every call. Its time goes forward only."""

    def at(self, moment: Moment) -> Situation:
        """The situation at a moment, under the machine's own indices."""

    def state(self, account: int) -> State:
        """Non-zero legs of an account."""

    def cash(self, asset: int) -> int:
        """Underlying that a reserve can pay out [base units]."""

    def owing(self) -> Sequence[int]:
        """Accounts with debt."""

    def candidates(self, moment: Moment) -> Sequence[int]:
        """Accounts that may be liquidatable by margin; none that is liquidatable is missing."""

    def execute(self, calls: Sequence[Call]) -> Receipt | Rejection:
        """Execute the calls of one transaction in order: all of them, or none."""

    def fork(self) -> Machine:
        """A machine in the same state that goes on by itself."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a recorded transaction asked for.

    Attributes
    ----------
    calls : as executed, recorded liquidations among them
    receipt : what they did; None where the rules refuse them, and nothing was done
    reason : why they were refused
    agrees : they gave the recorded rates, indices and amounts
    """

    calls: tuple[Call, ...]
    receipt: Receipt | None
    reason: str | None
    agrees: bool


class Historian(typing.Protocol):
    """Follows history on a machine of its own and reads what users asked for."""

    def read(self, calls: Sequence[Call], amounts: Sequence[tuple[int, int, int] | None]) -> Reading:
        """Find out what a transaction asked for, and execute it.

        Parameters
        ----------
        calls : Sequence[Call]
            Actions and liquidations as the logs show them, in order.
        amounts : Sequence[tuple[int, int, int] | None]
            For each call that is a liquidation: debt repaid, collateral to the liquidator, protocol fee, as recorded.
        """


@dataclass(frozen=True, slots=True)
class Message:
    """One call that a transaction made, perhaps the transaction itself: by whom, to whom (20 bytes each), calldata."""

    sender: bytes
    to: bytes
    data: bytes


class Decoder(typing.Protocol):
    """Reads what users asked for from calldata."""

    def calls(self, message: Message, moment: Moment, transaction: tuple[int, int]) -> Sequence[Call] | None:
        """What a message asks for, at ``moment``; None where the message does not tell all that happens in it."""


class Protocol(typing.Protocol):
    """One protocol. Registered in :mod:`l2liq.protocols`."""

    name: str
    event_families: Sequence[str]
    """Folders of ``schemas/`` with the ABIs of the contracts that a market's logs come from."""
    levers: Levers
    """What a scenario may change."""

    def discovery(self, deployment: Deployment) -> Discovery:
        """A fresh discovery that knows nothing but the deployment."""

    def fold(
        self,
        deployment: Deployment,
        logs: Iterable[pa.Table],
        blocks: pa.Table,
        observations: pa.Table,
        snapshot: Any | None = None,
    ) -> Any:
        """Logs (order of the chain) to a snapshot from which :meth:`market` builds the Market; streaming."""

    def stored(self, snapshot: Any) -> tuple[Mapping[str, pa.Table], Mapping[str, Any]]:
        """A snapshot as tables and a document that JSON can hold."""

    def restored(
        self,
        deployment: Deployment,
        table: Callable[[str], pa.Table],
        document: Mapping[str, Any],
        observations: pa.Table,
    ) -> Any | None:
        """The snapshot that :meth:`stored` gave; None where it is of a form that can't be read any more."""

    def market(self, snapshot: Any) -> Market:
        """The Market of a snapshot."""

    def check(self, snapshot: Any, market: Market, progress: Callable[[int], None] | None = None) -> CheckReport:
        """The null test of a snapshot and its market; ``progress`` is told the number of liquidations repeated."""

    def check_bare(self, deployment: Deployment, logs: Iterable[pa.Table]) -> CheckReport:
        """What of the null test is possible on logs that do not begin with the market."""

    def venue(self, market: Market, timeline: ParameterTimeline[Any]) -> Venue:
        """The market's rules under a parameter timeline."""

    def machine(self, market: Market, timeline: ParameterTimeline[Any], key: int) -> Machine:
        """The market as recorded after everything at or before ``key``, going on under ``timeline``."""

    def historian(self, market: Market, key: int) -> Historian:
        """Follows history after ``key``."""

    def decoder(self, market: Market) -> Decoder:
        """Reads calldata of the market's users."""

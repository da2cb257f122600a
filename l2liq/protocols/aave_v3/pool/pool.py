"""The whole market as a state machine: every call is executed by the contract's rules, indices and rates respond."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from l2liq.errors import InputError
from l2liq.events.log import block_of
from l2liq.market import ParameterTimeline
from l2liq.protocols.aave_v3 import admission, seizing
from l2liq.protocols.aave_v3.layout import Layout, Tables
from l2liq.protocols.aave_v3.parameters import AaveParameters, ReserveParameters
from l2liq.protocols.aave_v3.pool.execution import PoolExecution
from l2liq.protocols.aave_v3.pool.margins import Margins
from l2liq.protocols.aave_v3.pool.reserve import PoolReserve
from l2liq.protocols.aave_v3.reasons import ARITHMETIC, Refused
from l2liq.protocols.aave_v3.situation import AaveSituation
from l2liq.protocols.aave_v3.versions import RuleSet
from l2liq.protocols.interface import Action, Call, Done, Liquidated, Moment, Receipt, Rejection, State

Witness = Callable[[PoolExecution, Call, Done], bool]
"""Says whether what a call did is what it should have done."""

DISPUTED = Rejection("disputed")
"""What an execution ends in with whose outcome a witness disagrees."""


class Surroundings(Protocol):
    """What the market sees of the world: prices and the sequencer; None where nothing is known."""

    def price(self, asset: int, key: int) -> int | None: ...

    def price_of_source(self, source: bytes, key: int) -> int | None: ...

    def sequencer(self, key: int) -> tuple[int, int] | None: ...

    def account_of(self, address: bytes) -> int | None: ...


class Pool:
    """One market. Time goes forward only.

    Attributes
    ----------
    accounts : account to its non-zero legs
    reserves : by asset
    idle_borrowings : account to the assets whose borrowing bit outlived the debt; none where the pool begins, since
        logs do not show them
    timeline : parameters in force
    """

    def __init__(
        self,
        layout: Layout,
        timeline: ParameterTimeline[AaveParameters],
        surroundings: Surroundings,
        accounts: dict[int, dict[int, int]],
        reserves: list[PoolReserve],
        next_account: int,
    ) -> None:
        self.layout = layout
        self.timeline = timeline
        self.accounts = accounts
        self.reserves = reserves
        self._surroundings, self._next_account = surroundings, next_account
        self._record = _Record(self, surroundings, next_account)
        self.idle_borrowings: dict[int, frozenset[int]] = {}
        self._regime = -1
        self._tables: Tables
        self._situation: AaveSituation | None = None
        self._margins = Margins(self)

    # What it is

    def state(self, account: int) -> State:
        """Non-zero legs of an account."""
        return self.accounts.get(account) or {}

    def cash(self, asset: int) -> int:
        """Underlying that counts as available [base units]."""
        return self.reserves[asset].cash

    def at(self, moment: Moment) -> AaveSituation:
        """Prices, rules and indices at a moment, which must not lie before the last one that was executed."""
        found = self._situation
        if found is None or found.moment.key != moment.key or found.moment.timestamp_s != moment.timestamp_s:
            found = self._situation = AaveSituation(moment, self._tables_at(moment.key), self._record)
        return found

    def owing(self) -> Sequence[int]:
        """Accounts with debt."""
        return self._margins.owing()

    def candidates(self, moment: Moment) -> Sequence[int]:
        """Accounts that may be liquidatable by margin; none that is liquidatable is missing."""
        return self._margins.short(self.at(moment))

    @property
    def rules(self) -> RuleSet:
        """Those of the moment that was asked for last."""
        return self._tables.rules

    @property
    def has_ceilings(self) -> bool:
        """Whether any reserve may be isolated."""
        return any(reserve is not None and reserve.debt_ceiling for reserve in self._tables.parameters.reserves)

    def fork(self) -> Pool:
        """A pool in the same state that goes on by itself."""
        made = Pool(
            self.layout,
            self.timeline,
            self._surroundings,
            {account: dict(state) for account, state in self.accounts.items()},
            [reserve.copy() for reserve in self.reserves],
            self._next_account,
        )
        made.idle_borrowings = dict(self.idle_borrowings)
        made._record.follow(self._record)
        if self._regime >= 0:
            made._regime, made._tables = self._regime, self._tables
        return made

    # What happens to it

    def write(self, account: int, state: dict[int, int]) -> None:
        """An account has another state."""
        self.accounts[account] = state
        self._margins.changed(account)

    def execute(self, calls: Sequence[Call], witness: Witness | None = None) -> Receipt | Rejection:
        """Execute the calls of one transaction in order: all of them, or none.

        Parameters
        ----------
        calls : Sequence[Call]
            Each with its moment; the first refusal refuses them all.
        witness : Witness | None
            Looks on after each call; nothing happens where it disagrees.

        Raises
        ------
        InputError
            A missing price or rate curve; something that re-execution does not know.
        """
        execution = PoolExecution(self, self.at(calls[0].moment))
        done: list[Done] = []
        try:
            for call in calls:
                execution.go_on(self.at(call.moment))
                done.append(self._call(execution, call))
                execution.finish_call()
                if witness is not None and not witness(execution, call, done[-1]):
                    self._situation = None
                    return DISPUTED
        except Refused as refused:
            self._situation = None
            return refused.rejection
        except ArithmeticError:
            self._situation = None
            return Rejection(ARITHMETIC)
        execution.commit()
        return Receipt(tuple(done), execution.wallet)

    def _call(self, execution: PoolExecution, call: Call) -> Liquidated | None:
        if not isinstance(call.what, Action) or call.what.kind != admission.FLASH_TAKE:
            execution.lend()
        if isinstance(call.what, Action):
            admission.execute(execution, call.what)
            return None
        return seizing.execute(execution, call.what)

    def _tables_at(self, key: int) -> Tables:
        regime = self.timeline.regime_at(key)
        if regime < 0:
            raise InputError(f"block {block_of(key):,}: the market has no parameters yet. Start later.")
        if self._regime < 0:
            self._regime, self._tables = regime, Tables(self.layout, self.timeline.sets[regime])
        while self._regime < regime:
            self._enter(self._regime + 1)
        return self._tables

    def _enter(self, regime: int) -> None:
        """Other parameters come into force, and with them what the configurator does to the reserves."""
        before, now_s = self._tables.parameters, self.timeline.timestamps_s[regime]
        self._regime, self._tables = regime, Tables(self.layout, self.timeline.sets[regime])
        parameters = self._tables.parameters
        for asset, terms in enumerate(parameters.reserves):
            former = before.reserves[asset] if asset < len(before.reserves) else None
            if terms is None or former is None:
                continue
            reserve = self.reserves[asset]
            if parameters.rules.factor_change_accrues and _rate_terms(terms) != _rate_terms(former):
                reserve.accrue(now_s, parameters.rules, reserve.reserve_factor_bps)
                reserve.update_rates(reserve.cash, terms, parameters.rules)
            if not terms.debt_ceiling:
                reserve.isolated_debt = 0
        self._margins.reset()


def _rate_terms(terms: ReserveParameters) -> tuple[int, ...]:
    """What rates depend on beside the reserve's use."""
    return (
        terms.reserve_factor_bps, terms.optimal_usage_ray, terms.base_rate_ray, terms.slope1_ray, terms.slope2_ray,
    )  # fmt: skip


class _Record:
    """What an :class:`AaveSituation` asks, answered by the pool for indices and by its surroundings for the rest."""

    def __init__(self, pool: Pool, surroundings: Surroundings, next_account: int) -> None:
        self._pool = pool
        self._surroundings = surroundings
        self._next_account = next_account
        self._new: dict[bytes, int] = {}
        self.price = surroundings.price
        self.price_of_source = surroundings.price_of_source
        self.sequencer = surroundings.sequencer

    def income_index_ray(self, asset: int, moment: Moment) -> int:
        return self._pool.reserves[asset].income_ray(moment.timestamp_s)

    def debt_index_ray(self, asset: int, moment: Moment) -> int:
        compounding = self._pool.rules.compounding
        return self._pool.reserves[asset].debt_index_ray(moment.timestamp_s, compounding)

    def follow(self, other: _Record) -> None:
        """Know the accounts that another one gave."""
        self._new = dict(other._new)

    def account_of(self, address: bytes) -> int:
        """Account index of an address; one that history never saw gets a new one."""
        found = self._surroundings.account_of(address)
        if found is None:
            found = self._new.setdefault(address, self._next_account + len(self._new))
        return found

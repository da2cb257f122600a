"""Metrics of one world (DESIGN §12, DOMAIN §7.3 to §7.5).

Three sorts: *flows* are sums of contributions that each happened at a time, and can be resampled by day; *waits* are
quantiles of times; *ends* describe the accounts at the window's end. What the scenario's change itself liquidated
counts in the totals and is measured apart as well; waits and the concentration of liquidators leave it out: it begins
at one moment, which says nothing of how liquidators keep up with the market.

Flows and most ends are sums over accounts. Their parts say what a difference of two totals hides: mistakes that cancel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.metrics.events import Events, Flags, Floats, Integers, Liquidations
from l2liq.metrics.exposure import peak
from l2liq.numeric import WAD
from l2liq.outcome import World

Parts = Mapping[bytes, float]
"""Address to what the account adds to a sum."""

LIQUIDATION_COST_USD = 1
"""More than a liquidation costs on a rollup, where gas is cents (DOMAIN §7.1)."""

WAIT_QUANTILES = {"waiting_median_s": 0.5, "waiting_p90_s": 0.9, "waiting_p99_s": 0.99}


@dataclass(frozen=True)
class Flow:
    """Contributions to a sum: when, how much and whose (a number that stands for an address), shape (n,) each."""

    timestamp_s: Integers = field(repr=False)
    value: Floats = field(repr=False)
    account: Integers = field(repr=False)

    @property
    def total(self) -> float:
        return float(self.value.sum())


@dataclass(frozen=True)
class Measures:
    """Everything measured of one world.

    Attributes
    ----------
    flows : metric to contributions
    waits : times from liquidatable to first liquidation [s], with the time of that liquidation
    ends : metric to value
    parts : metric to account to what the account adds to it, for metrics that are sums over accounts
    """

    flows: Mapping[str, Flow]
    waits: Flow
    ends: Mapping[str, float | None]
    parts: Mapping[str, Parts] = field(repr=False)

    def values(self) -> dict[str, float | None]:
        """All metrics by name; None where nothing happened that could be measured."""
        found: dict[str, float | None] = {name: flow.total for name, flow in self.flows.items()}
        for name, share in WAIT_QUANTILES.items():
            found[name] = quantile(self.waits.value, share)
        found.update(self.ends)
        realised, still_open = found["bad_debt_realised_usd"], found["bad_debt_open_usd"]
        found["bad_debt_usd"] = (realised or 0.0) + (still_open or 0.0)
        return found


def quantile(values: Floats, share: float) -> float | None:
    """Smallest value that at least ``share`` of the values do not exceed; None without values."""
    if not len(values):
        return None
    return float(np.sort(values)[max(int(np.ceil(share * len(values))) - 1, 0)])


def measure(events: Events, accounts: pa.Table, world: World, base_unit: int) -> Measures:
    """Measure one world.

    ``accounts`` holds ACCOUNTS of all worlds; ``base_unit`` is one US dollar in base currency.
    """
    flows = _flows(events, world)
    standing = standings(accounts, world)
    at_end = _at_end(standing, base_unit)
    if world is not World.ACTUAL:
        held_up = {events.addresses[number] for number in events.blocked_account}
        still = (one.account for one in standing if one.short and one.account in held_up)
        at_end["left_open_blocked_accounts"] = dict.fromkeys(still, 1.0)
    if "slippage_usd" in flows or any(one.sellable_usd is not None for one in standing):
        at_end["bad_debt_market_adjusted_usd"] = market_adjusted(standing, base_unit)
    parts: dict[str, Parts] = {name: _by_account(flow, events.addresses) for name, flow in flows.items()} | at_end
    parts["bad_debt_usd"] = _added(parts["bad_debt_realised_usd"], parts["bad_debt_open_usd"])
    ends: dict[str, float | None] = {name: math.fsum(part.values()) for name, part in at_end.items()}
    ends["collateral_use"] = collateral_use(standing)
    ends["liquidator_concentration"] = concentration(events.liquidations)
    ends["at_risk_before_settlement_peak_usd"] = at_risk_peak(events.liquidations)
    return Measures(flows, _waits(events.liquidations), ends, parts)


def _flows(events: Events, world: World) -> dict[str, Flow]:
    done = events.liquidations
    everything, change = np.ones(len(done.timestamp_s), dtype=np.bool_), done.by_change
    loss = done.collateral_usd + done.fee_usd - done.debt_usd
    excess = over_liquidated(done)
    premium = np.divide(loss, done.debt_usd, out=np.zeros_like(loss), where=done.debt_usd > 0)
    one = np.ones(len(done.timestamp_s))
    gained = done.collateral_market_usd - done.debt_market_usd

    def flow(value: Floats, chosen: Flags) -> Flow:
        return Flow(done.timestamp_s[chosen], value[chosen], done.account[chosen])

    flows = {
        "liquidated_accounts": flow(one, _first_of_each(done.account, everything)),
        "liquidations": flow(one, everything),
        "debt_repaid_usd": flow(done.debt_usd, everything),
        "collateral_seized_usd": flow(done.collateral_usd + done.fee_usd, everything),
        "user_loss_usd": flow(loss, everything),
        "over_liquidated_usd": flow(excess, everything),
        "over_liquidation_cost_usd": flow(excess * premium, everything),
        "protocol_fees_usd": flow(done.fee_usd, everything),
        "liquidator_profit_usd": flow(done.collateral_usd - done.debt_usd, everything),
        "oracle_gap_usd": flow(_known(gained - (done.collateral_usd - done.debt_usd)), everything),
        "losing_liquidations": flow((gained < 0).astype(np.float64), everything),
        "liquidators_left_usd": _joined(flow(_known(done.left_usd), everything), _less(_failed(events))),
        "toxic_liquidations": flow(one, toxic(done)),
        "toxic_debt_repaid_usd": flow(done.debt_usd, toxic(done)),
        "liquidated_by_change": flow(one, _first_of_each(done.account, change)),
        "debt_repaid_by_change_usd": flow(done.debt_usd, change),
        "user_loss_by_change_usd": flow(loss, change),
        "bad_debt_realised_usd": Flow(events.deficit_s, events.deficit_usd, events.deficit_account),
    }
    if not np.isnan(done.cost_usd).all():
        profit = done.collateral_usd - done.debt_usd
        flows["liquidation_costs_usd"] = flow(done.cost_usd, everything)
        flows["liquidator_profit_after_costs_usd"] = flow(profit - done.cost_usd, everything)
    if not np.isnan(done.slippage_usd).all():
        flows["slippage_usd"] = flow(_known(done.slippage_usd), everything)
        left = done.proceeds_usd - done.debt_market_usd - _known(done.cost_usd)
        flows["liquidator_profit_after_sale_usd"] = flow(_known(left), everything)
    for name, paid in (("bids_usd", done.bid_usd), ("oev_revenue_usd", done.recaptured_usd)):
        if not np.isnan(paid).all():
            flows[name] = flow(_known(paid), everything)
    if world is not World.ACTUAL:  # transactions that reverted leave no log
        flows["failed_attempts"] = Flow(events.failed_s, np.ones(len(events.failed_s)), events.failed_account)
        if "liquidation_costs_usd" in flows:
            flows["failed_attempts_cost_usd"] = _failed(events)
    if world is not World.ACTUAL:  # what a gate held up leaves no log
        account = events.blocked_account
        first = _first_of_each(account, np.ones(len(account), dtype=np.bool_))
        flows["blocked_accounts"] = Flow(events.blocked_s[first], np.ones(int(first.sum())), account[first])
    return flows


def _failed(events: Events) -> Flow:
    """What transactions cost that came too late."""
    return Flow(events.failed_s, _known(events.failed_cost_usd), events.failed_account)


def _less(flow: Flow) -> Flow:
    return Flow(flow.timestamp_s, -flow.value, flow.account)


def _joined(one: Flow, other: Flow) -> Flow:
    return Flow(
        np.concatenate([one.timestamp_s, other.timestamp_s]),
        np.concatenate([one.value, other.value]),
        np.concatenate([one.account, other.account]),
    )


def toxic(done: Liquidations) -> Flags:
    """Liquidations after which the account stands worse than before, as H < LT (1 + b); dust aside (DOMAIN §7.3)."""
    with np.errstate(invalid="ignore"):
        return (done.health_after < done.health_before) & (done.debt_usd >= LIQUIDATION_COST_USD)


def _known(values: Floats) -> Floats:
    """Values, 0 where they are not known."""
    return np.where(np.isnan(values), 0.0, values)


def _by_account(flow: Flow, addresses: Sequence[bytes]) -> Parts:
    sums = np.bincount(flow.account, weights=flow.value)
    return {addresses[number]: float(sums[number]) for number in np.unique(flow.account)}


def _added(one: Parts, other: Parts) -> Parts:
    return {account: one.get(account, 0.0) + other.get(account, 0.0) for account in one.keys() | other.keys()}


def _first_of_each(account: Integers, chosen: Flags) -> Flags:
    """Which of the chosen rows are the first of their account."""
    rows = np.flatnonzero(chosen)
    _, first = np.unique(account[rows], return_index=True)
    found = np.zeros(len(account), dtype=np.bool_)
    found[rows[first]] = True
    return found


def _waits(done: Liquidations) -> Flow:
    """One wait per spell: the first liquidation of an account since it became liquidatable."""
    known = ~np.isnan(done.since_s) & ~done.by_change
    rows = np.flatnonzero(known)
    spells = np.stack([done.account[rows].astype(np.float64), done.since_s[rows]], axis=1)
    _, first = np.unique(spells, axis=0, return_index=True)
    rows = rows[np.sort(first)]
    return Flow(done.timestamp_s[rows], done.timestamp_s[rows] - done.since_s[rows], done.account[rows])


def over_liquidated(done: Liquidations) -> Floats:
    """Debt repaid beyond d*, the repayment that restores health 1 [usd], shape (n,).

    d* = (D - B) / (1 - t), B = health * D, t = LT * (1 + bonus) of the seized collateral. t follows from the health
    after the liquidation, B' = B - t * d; where no debt is left and so no health, from the account's average threshold.
    Where t >= 1 no repayment restores health and nothing is too much.

    Source: DOMAIN §7.3.
    """
    debt, repaid = done.account_debt_usd, done.debt_usd
    borne = done.health_before * debt
    after = done.health_after * (debt - repaid)
    with np.errstate(invalid="ignore", divide="ignore"):
        average = borne / done.account_collateral_usd
        seized_share = (done.collateral_usd + done.fee_usd) / repaid
        t = np.where(np.isnan(done.health_after), average * seized_share, (borne - after) / repaid)
        needed = np.where(t < 1, (debt - borne) / (1 - t), np.inf)
        excess = repaid - np.clip(needed, 0, None)
    return np.where(np.isnan(excess), 0.0, np.clip(excess, 0, None))


def concentration(done: Liquidations) -> float | None:
    """Herfindahl index of liquidators by debt repaid, 1 = one liquidator; None without liquidations."""
    known = (done.liquidator >= 0) & ~done.by_change
    total = float(done.debt_usd[known].sum())
    if total <= 0:
        return None
    by_liquidator = np.bincount(done.liquidator[known], weights=done.debt_usd[known]) / total
    return float((by_liquidator**2).sum())


def at_risk_peak(done: Liquidations) -> float | None:
    """Most collateral at once that was seized and not yet settled on L1 [usd]; None where the chain has no clocks."""
    return peak(done.timestamp_s, done.settled_s, done.collateral_usd + done.fee_usd)


@dataclass(frozen=True, slots=True)
class Standing:
    """One account at the window's end, exact [base currency, wad]; ``health_wad`` is None where it has no debt.

    ``sellable_usd``: what selling all its collateral would yield, None where it is not liquidatable or not known.
    """

    account: bytes
    collateral: int
    debt: int
    health_wad: int | None
    borrowable: int
    repayable: int
    sellable_usd: float | None = None

    @property
    def short(self) -> bool:
        """Liquidatable: health below 1."""
        return self.health_wad is not None and self.health_wad < WAD

    @property
    def latent_bad_debt(self) -> int:
        """Debt above collateral, max(0, D - C) (DOMAIN §7.4, 2)."""
        return max(0, self.debt - self.collateral)

    @property
    def liquidation_adjusted_bad_debt(self) -> int:
        """Debt above what liquidators repay for all the collateral, max(0, D - C / (1 + b)) (DOMAIN §7.4, 3)."""
        return max(0, self.debt - self.repayable)

    @property
    def undercollateralised(self) -> bool:
        """Type I of Qin et al. 2021: nobody gains from closing it, as C < D (DOMAIN §7.4, 4)."""
        return self.collateral < self.debt

    def unprofitable(self, cost: int) -> bool:
        """Type II of Qin et al. 2021: C - D, all there is to gain, is below ``cost`` (DOMAIN §7.4, 4)."""
        return 0 < self.debt <= self.collateral < self.debt + cost


def standings(accounts: pa.Table, world: World) -> list[Standing]:
    """The accounts of one world, from ACCOUNTS."""
    mine = accounts.filter(pc.equal(accounts["world"], world.value))
    names = ("collateral_base", "debt_base", "health_wad", "borrowable_base", "repayable_base")
    columns = [[None if value is None else int(value) for value in mine[name].to_pylist()] for name in names]
    return [
        Standing(account, collateral or 0, debt or 0, health, borrowable or 0, repayable or 0, sellable)
        for account, collateral, debt, health, borrowable, repayable, sellable in zip(
            mine["account"].to_pylist(), *columns, mine["sellable_usd"].to_pylist(), strict=True
        )
    ]


def _at_end(standing: Sequence[Standing], base_unit: int) -> dict[str, Parts]:
    """Metrics of the window's end, by account: those that add something. Integers choose, dollars are told."""
    indebted = [one for one in standing if one.debt]
    short = [one for one in indebted if one.short]
    cost = LIQUIDATION_COST_USD * base_unit

    def usd(chosen: Iterable[Standing], value: Callable[[Standing], int]) -> Parts:
        return {one.account: value(one) / base_unit for one in chosen if value(one)}

    return {
        "left_open_accounts": {one.account: 1.0 for one in short},
        "left_open_debt_usd": usd(short, lambda one: one.debt),
        "bad_debt_open_usd": usd(indebted, lambda one: one.latent_bad_debt),
        "bad_debt_liquidation_adjusted_usd": usd(indebted, lambda one: one.liquidation_adjusted_bad_debt),
        "undercollateralised_debt_usd": usd((one for one in indebted if one.undercollateralised), lambda one: one.debt),
        "unprofitable_debt_usd": usd((one for one in indebted if one.unprofitable(cost)), lambda one: one.debt),
        "debt_capacity_usd": usd(indebted, lambda one: (one.health_wad or 0) * one.debt // WAD),
        "borrowing_power_usd": usd(indebted, lambda one: one.borrowable),
    }


def market_adjusted(standing: Iterable[Standing], base_unit: int) -> Parts:
    """Debt of liquidatable accounts above what selling their collateral would yield [usd] (DOMAIN §7.4, 5)."""
    known = ((one, one.sellable_usd) for one in standing if one.short)
    short = {one.account: one.debt / base_unit - usd for one, usd in known if usd is not None}
    return {account: missing for account, missing in short.items() if missing > 0}


def collateral_use(standing: Iterable[Standing]) -> float | None:
    """Debt per collateral of all accounts with debt; None where they have no collateral."""
    indebted = [one for one in standing if one.debt]
    total = sum(one.collateral for one in indebted)
    return sum(one.debt for one in indebted) / total if total else None

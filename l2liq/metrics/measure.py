"""Metrics of one world (DESIGN §12, DOMAIN §7.3 to §7.5).

Three sorts: *flows* are sums of contributions that each happened at a time, and can be resampled by day; *waits* are
quantiles of times; *ends* describe the accounts at the window's end. What the scenario's change itself liquidated at
its start is measured apart and is part of no other liquidation metric.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.metrics.events import Events, Flags, Floats, Integers, Liquidations
from l2liq.outcome import World

WAIT_QUANTILES = {"waiting_median_s": 0.5, "waiting_p90_s": 0.9, "waiting_p99_s": 0.99}


@dataclass(frozen=True)
class Flow:
    """Contributions to a sum: when and how much, shape (n,) each."""

    timestamp_s: Integers = field(repr=False)
    value: Floats = field(repr=False)

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
    """

    flows: Mapping[str, Flow]
    waits: Flow
    ends: Mapping[str, float | None]

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
    done = events.liquidations
    everything, change = np.ones(len(done.timestamp_s), dtype=np.bool_), done.by_change
    loss = done.collateral_usd + done.fee_usd - done.debt_usd
    excess = over_liquidated(done)
    premium = np.divide(loss, done.debt_usd, out=np.zeros_like(loss), where=done.debt_usd > 0)
    first_blocked = _first_of_each(events.blocked_account, np.ones(len(events.blocked_account), dtype=np.bool_))
    one = np.ones(len(done.timestamp_s))

    def flow(value: Floats, chosen: Flags) -> Flow:
        return Flow(done.timestamp_s[chosen], value[chosen])

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
        "liquidated_by_change": flow(one, _first_of_each(done.account, change)),
        "debt_repaid_by_change_usd": flow(done.debt_usd, change),
        "user_loss_by_change_usd": flow(loss, change),
        "bad_debt_realised_usd": Flow(events.deficit_s, events.deficit_usd),
    }
    if world is not World.ACTUAL:  # what a gate held up leaves no log
        flows["blocked_accounts"] = Flow(events.blocked_s[first_blocked], np.ones(int(first_blocked.sum())))
    ends = {**_ends(accounts, world, base_unit), "liquidator_concentration": concentration(done)}
    return Measures(flows, _waits(done), ends)


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
    return Flow(done.timestamp_s[rows], done.timestamp_s[rows] - done.since_s[rows])


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
    average = borne / done.account_collateral_usd
    with np.errstate(invalid="ignore", divide="ignore"):
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


def _ends(accounts: pa.Table, world: World, base_unit: int) -> dict[str, float | None]:
    mine = accounts.filter(pc.equal(accounts["world"], world.value))

    def usd(column: str) -> Floats:
        return np.nan_to_num(mine[column].cast(pa.float64()).to_numpy(zero_copy_only=False)) / base_unit

    collateral, debt = usd("collateral_base"), usd("debt_base")
    health = mine["health_wad"].cast(pa.float64()).to_numpy(zero_copy_only=False) / 1e18
    indebted = debt > 0
    short = indebted & (health < 1)
    total = float(collateral[indebted].sum())
    return {
        "left_open_accounts": float(short.sum()),
        "left_open_debt_usd": float(debt[short].sum()),
        "bad_debt_open_usd": float(usd("bad_debt_base").sum()),
        "debt_capacity_usd": float((health[indebted] * debt[indebted]).sum()),
        "collateral_use": float(debt[indebted].sum()) / total if total else None,
    }

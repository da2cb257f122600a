"""Every metric by name: what people read, its unit, and which way is better. Order: the report's."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of one world.

    Attributes
    ----------
    name : as in METRICS
    label, meaning : for people
    unit : ``count``, ``usd``, ``s``, ``share``, ``index``
    lower_is_better : None where neither is
    """

    name: str
    label: str
    unit: str
    lower_is_better: bool | None
    meaning: str


_WAIT = "From health below 1 to the first liquidation since; what the change itself struck is left out."

_ALL = (
    Metric("liquidated_accounts", "Liquidated accounts", "count", True, "Accounts liquidated at least once."),
    Metric("bad_debt_usd", "Bad debt", "usd", True, "Realised in the window plus open at its end."),
    Metric("liquidations", "Liquidations", "count", True, "Liquidation calls."),
    Metric("debt_repaid_usd", "Debt repaid by liquidators", "usd", None, "At oracle prices."),
    Metric("collateral_seized_usd", "Collateral seized", "usd", True, "Protocol fee included, at oracle prices."),
    Metric("user_loss_usd", "Users' loss (bonus paid)", "usd", True, "Collateral seized minus debt repaid."),
    Metric(
        "over_liquidated_usd", "Over-liquidation", "usd", True, "Debt repaid beyond what would have restored health 1."
    ),
    Metric("over_liquidation_cost_usd", "Cost of over-liquidation", "usd", True, "Bonus paid on that part."),
    Metric(
        "toxic_liquidations",
        "Liquidations that made things worse",
        "count",
        True,
        "Health is lower after them than before, as it was below threshold times (1 + bonus); those of less than $1 "
        "and those that closed the account are left out.",
    ),
    Metric("toxic_debt_repaid_usd", "Debt repaid by those", "usd", True, "Each of them leaves less for the next."),
    Metric("protocol_fees_usd", "Protocol's liquidation fees", "usd", False, "The treasury's share of the bonus."),
    Metric("liquidator_profit_usd", "Liquidators' gross profit", "usd", None, "Before gas and slippage."),
    Metric(
        "liquidation_costs_usd",
        "Transaction costs of liquidators",
        "usd",
        True,
        "L2 execution and L1 data of every liquidation, by the scenario's fees.",
    ),
    Metric(
        "liquidator_profit_after_costs_usd",
        "Liquidators' profit after transaction costs",
        "usd",
        None,
        "The gross profit less transaction costs; before slippage.",
    ),
    Metric(
        "slippage_usd",
        "Slippage of liquidators' sales",
        "usd",
        True,
        "What the collateral is worth at the world's price, less what selling it yields; fees of the sale included.",
    ),
    Metric(
        "liquidator_profit_after_sale_usd",
        "Liquidators' profit after the sale",
        "usd",
        None,
        "What selling the collateral yields, less the debt at the world's prices and transaction costs where they are "
        "known.",
    ),
    Metric(
        "liquidators_left_usd",
        "What liquidators were left",
        "usd",
        None,
        "At the world's prices or by their sales, after transactions, failed ones included, bids, and what else the "
        "scenario's model of a liquidator counts.",
    ),
    Metric(
        "failed_attempts", "Failed attempts", "count", True, "Transactions of liquidators that found the position gone."
    ),
    Metric("failed_attempts_cost_usd", "Cost of failed attempts", "usd", True, "Their fees."),
    Metric("bids_usd", "Bids of liquidators", "usd", None, "Paid to come first, in blocks or in auctions."),
    Metric(
        "oev_revenue_usd",
        "Protocol's revenue from auctions",
        "usd",
        False,
        "Its part of the bids for the place behind an oracle's update.",
    ),
    Metric(
        "oracle_gap_usd",
        "Liquidators' gain from the oracle's gap",
        "usd",
        None,
        "What they make at the world's prices beyond what the market's prices give them; below 0 they pay for the gap.",
    ),
    Metric(
        "losing_liquidations",
        "Liquidations at a loss",
        "count",
        True,
        "Where the collateral is worth less than the debt at the world's prices.",
    ),
    Metric(
        "liquidator_concentration", "Concentration of liquidators", "index", True, "Herfindahl index of debt repaid."
    ),
    Metric("waiting_median_s", "Time to liquidation, median", "s", True, _WAIT),
    Metric("waiting_p90_s", "Time to liquidation, 90 %", "s", True, _WAIT),
    Metric("waiting_p99_s", "Time to liquidation, 99 %", "s", True, _WAIT),
    Metric("blocked_accounts", "Accounts held up by a gate", "count", True, "Sentinel, pause, grace, dust or no cash."),
    Metric("left_open_accounts", "Liquidatable accounts left open", "count", True, "Health below 1 at the end."),
    Metric("left_open_debt_usd", "Debt left open", "usd", True, "Debt of accounts with health below 1 at the end."),
    Metric(
        "left_open_blocked_accounts",
        "Left open, held up by a gate",
        "count",
        True,
        "Sentinel, pause, grace, dust or no cash in the window, and health below 1 at its end.",
    ),
    Metric("bad_debt_realised_usd", "Bad debt realised by the protocol", "usd", True, "Deficits written off."),
    Metric(
        "bad_debt_open_usd",
        "Bad debt open at the end",
        "usd",
        True,
        "Debt above collateral (latent), account by account.",
    ),
    Metric(
        "bad_debt_liquidation_adjusted_usd",
        "Bad debt open, liquidation-adjusted",
        "usd",
        True,
        "Debt above what liquidators would repay for all of the collateral, D − C / (1 + bonus), account by account.",
    ),
    Metric(
        "bad_debt_market_adjusted_usd",
        "Bad debt open, market-adjusted",
        "usd",
        True,
        "Debt of liquidatable accounts above what selling all their collateral at the end would yield, each alone.",
    ),
    Metric(
        "undercollateralised_debt_usd",
        "Debt of under-collateralised accounts",
        "usd",
        True,
        "All debt of accounts whose collateral is worth less than it (bad debt of type I, Qin et al. 2021).",
    ),
    Metric(
        "unprofitable_debt_usd",
        "Debt too small to liquidate",
        "usd",
        True,
        "Debt of accounts whose collateral exceeds it by less than $1, more than a liquidation costs on a rollup "
        "(bad debt of type II, Qin et al. 2021).",
    ),
    Metric(
        "debt_capacity_usd",
        "Debt that collateral carries",
        "usd",
        False,
        "Collateral times threshold of indebted accounts at the end.",
    ),
    Metric(
        "borrowing_power_usd",
        "Borrowing power",
        "usd",
        False,
        "Collateral times LTV of indebted accounts at the end, what is borrowed already included.",
    ),
    Metric(
        "collateral_use", "Debt per collateral", "share", None, "Capital efficiency of indebted accounts at the end."
    ),
    Metric(
        "at_risk_before_settlement_peak_usd",
        "At risk before settlement, peak",
        "usd",
        True,
        "Most collateral at once whose liquidation was executed on the rollup and not yet settled on L1.",
    ),
    Metric(
        "liquidated_by_change", "Accounts liquidated by the change itself", "count", True, "Part of the totals above."
    ),
    Metric("debt_repaid_by_change_usd", "Debt repaid by the change itself", "usd", None, "Part of the totals above."),
    Metric("user_loss_by_change_usd", "Users' loss by the change itself", "usd", True, "Part of the totals above."),
)

METRIC = MappingProxyType({metric.name: metric for metric in _ALL})
"""Metrics by name, in the report's order."""

"""What a run takes for granted, in sentences that a report prints."""

from __future__ import annotations

from dataclasses import asdict

from l2liq.liquidators import Competition, choosy, endless
from l2liq.liquidity import Liquidity
from l2liq.market import Market
from l2liq.replay import AtStart, Infeasible, Interest, Plan
from l2liq.report.headline import data_fails
from l2liq.scenario.compose import Composition
from l2liq.scenario.liquidity import ScenarioLiquidity

_INFEASIBLE = {
    Infeasible.SKIP: "A recorded transaction that the changed world no longer allows is left out as a whole.",
    Infeasible.CLIP: "A recorded action that the changed world no longer allows is cut to the largest amount it does.",
    Infeasible.FREEZE: "An account acts no more after its first recorded action that the changed world does not allow.",
}
_AT_START = {
    AtStart.AS_IS: "The new rules hold for everyone from the moment they take effect.",
    AtStart.EXCLUDE_UNDERWATER: "Accounts that the change itself would make liquidatable are left out of both worlds.",
    AtStart.GRANDFATHER: "An account keeps the old rules until its next own action.",
}


_INTEREST = {
    Interest.RECORDED: (
        "Prices and interest indices are the recorded ones; liquidations move neither.",
        "Supply, borrow and isolation caps are not tested anew: totals of the market follow history.",
    ),
    Interest.REEXECUTED: (
        "Prices are the recorded ones. Every recorded transaction is executed again, so that rates, indices, caps and "
        "the treasury respond to whatever happens differently.",
        "Model liquidators hold no position in the market, and what real ones received from it in kind is not there.",
    ),
}


def assumptions(composition: Composition, plan: Plan, market: Market) -> list[str]:
    """The choices behind a run: users, liquidators, prices, interest, timing (DOMAIN §8.2)."""
    found = [
        plan.liquidator.words(),
        *_entry(plan),
        *_costs(composition, plan),
        *_sales(composition, plan, market),
        _INFEASIBLE[plan.infeasible],
        "Users do what they did, and nothing they never tried: what looser rules would have invited is not in the log, "
        "so effects of loosening come out too small.",
        *_interest(composition, plan),
        f"Accounts are looked at whenever a price or an index steps, and at least every {plan.heartbeat_s} s"
        f"{_dust(plan)}.",
    ]
    if not composition.changes_nothing:
        found.insert(3, _AT_START[plan.at_start])
    if composition.scenario.oracle is not None:
        found.append(
            "The alternative's market sees prices through another oracle, made from the recorded ones; collateral is "
            "worth the recorded price to whoever sells it."
        )
    found += _failing(composition)
    if len(composition.steps) > 1:
        found.append(f"The change arrives in {len(composition.steps)} steps within the window.")
    if plan.reject_unfunded:
        found.append("A transaction that spends what a left-out one would have brought is left out as well.")
    else:
        found.append("What users spend although a left-out transaction would have brought it counts as unfunded.")
    if plan.reanchor_s is not None:
        found.append(f"All worlds return to the recorded state every {plan.reanchor_s // 86_400} days.")
    return found


def _interest(composition: Composition, plan: Plan) -> tuple[str, ...]:
    said, liquidity = _INTEREST[plan.interest], composition.scenario.liquidity
    if liquidity is None or not liquidity.feedback:
        return said
    if plan.interest is Interest.RECORDED:
        return ("Interest indices are the recorded ones; liquidations do not move them.", *said[1:])
    return (said[0].removeprefix("Prices are the recorded ones. "), *said[1:])


def _entry(plan: Plan) -> list[str]:
    if not Competition.of(plan.liquidator).addresses:
        return []
    return ["Nobody joins the liquidators or leaves them because liquidations pay more or less than before."]


def _costs(composition: Composition, plan: Plan) -> list[str]:
    fees = composition.scenario.fees
    money = "have money without end" if endless(plan.liquidator) else "have no more money than is said of them"
    chooses = choosy(plan.liquidator)
    smooth = "" if plan.liquidity is not None else "sell without slippage, "
    if plan.costs is None or fees is None:
        free = "" if chooses else f"pay no gas, {smooth}and "
        return [f"Liquidators {free}{money}."]
    packed = "none of which compresses" if fees.compressed_bytes is None else f"{fees.compressed_bytes:,} compressed"
    return [
        f"Liquidators {money}." if chooses else f"Liquidators {smooth}{money}, and act whether it pays or not.",
        f"Every liquidation, recorded ones included, costs what a transaction of {fees.gas:,} gas and "
        f"{fees.transaction_bytes:,} bytes ({packed}) costs at that time; what was really paid is not in the logs.",
    ]


def _sales(composition: Composition, plan: Plan, market: Market) -> list[str]:
    asked = composition.scenario.liquidity
    if plan.liquidity is None or asked is None:
        return []
    control, alternative = (_outlets(one, market) for one in (plan.liquidity.control, plan.liquidity.alternative))
    where = control if control == alternative else f"in the control world {control}; in the alternative {alternative}"
    return [
        f"Liquidators sell what they seize at once: {where}. All of a world share what their sales do to a price; "
        "nobody else answers a lower price but by its recovery.",
        *_followed(asked),
    ]


def _followed(asked: ScenarioLiquidity) -> list[str]:
    if not asked.feedback:
        return []
    return [
        f"The alternative's oracles show {asked.feedback / 100:g} % of what its liquidators' sales move, from the next "
        "known block on; liquidators' own sales start from the recorded prices."
    ]


def _outlets(liquidity: Liquidity, market: Market) -> str:
    by_words: dict[str, list[str]] = {}
    for asset, outlet in liquidity.outlets:
        back = "for good" if outlet.half_life_s is None else f"for a half-life of {outlet.half_life_s} s"
        by_words.setdefault(f"{outlet.words()}, displaced {back}", []).append(market.assets[asset].symbol)
    found = [f"{', '.join(symbols)} by {words}" for words, symbols in by_words.items()]
    return "; ".join(found) if found else "at the world's price, however much"


def _failing(composition: Composition) -> list[str]:
    """What is taken for granted of a rollup that does not work as it did."""
    scenario, found = composition.scenario, []
    if scenario.sequencer is not None:
        found.append(
            "While the alternative's sequencer is down no block is made: what is recorded of that time comes at the "
            "restart, prices first, then users in their order, then liquidators; the uptime feed tells of it then."
        )
    if scenario.settlement is not None and scenario.settlement.reverted:
        found.append(
            "Blocks that are reverted take with them what users and liquidators did; prices of the world, and what is "
            "recorded later, are as they were."
        )
    if scenario.messages is not None:
        found.append(
            "Which margin came from another layer is not in the log: it is drawn, and an account does nothing else "
            "because of a message that is late."
        )
    return found


def _dust(plan: Plan) -> str:
    if plan.interest is Interest.REEXECUTED:
        return ""
    return f"; dust, whose health is mostly rounding, when its value has moved by {plan.dust_share:.0%}"


def notes(composition: Composition, market: Market) -> list[str]:
    """What is particular about this run's data and parameters."""
    idle = [f"{one}: this part of the scenario changes nothing." for one in composition.idle]
    refused = [f"Not deployable: {objection}." for objection in composition.not_deployable]
    tested = market.null_test
    failed = [] if tested is None or tested.exact else [data_fails(asdict(tested))]
    rests = [f"{note[:1].upper()}{note[1:]}." for note in market.notes]
    return [*failed, *rests, *idle, *refused]

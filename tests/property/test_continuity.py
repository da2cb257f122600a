"""A small change of a parameter or a delay changes little: few accounts have another story, the others nearly the same.

Stories are compared account by account: the same events about the same assets in the same order, at times and with
amounts that are as near as the step is small. An account may have another story where the step carries it over a limit,
so a few may; were draws not those of an account and its day, nearly all would. Each metric that is a sum then moves by
no more than what the few lost or repaid, and by a little of the rest. Markets and steps are fixed, so nothing here
depends on luck. A model joins by a line in :data:`WALKS`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest

from l2liq.chains.dated import Dated, Span
from l2liq.chains.fees import Prices, Size
from l2liq.chains.fees.plain import Plain
from l2liq.liquidators import Costs, Empirical, FixedPrice, LatencySeconds, LogNormal, Passes, Profitable
from l2liq.market import PRICE, Market, ParameterTimeline
from l2liq.metrics.events import events_of
from l2liq.metrics.measure import measure
from l2liq.numeric import WAD
from l2liq.oracles.models import ArithmeticMean, Capped, Delayed, GeometricMean, OracleModel, Published
from l2liq.oracles.seen import seen_market
from l2liq.outcome import World
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.replay import Ground, Interest, Plan, Result, reexecute, replay
from pipelines.plan import rules_of
from tests.property.markets import Shape, grow
from tests.property.test_replay_brute_force import at_block

SHARE = 2e-3
"""How much an amount may differ in the others."""

SUMS = ("debt_repaid_usd", "collateral_seized_usd", "user_loss_usd", "protocol_fees_usd", "bad_debt_realised_usd")
BASE_UNIT = 10**8


@cache
def market() -> Market:
    return grow(5, Shape("3.3", 40, 3, 350, 0.04, liquidations=False, parameter_changes=0))


HURRIED = LatencySeconds(LogNormal(600, 1.0))


def choosy(**more: Any) -> Profitable:
    terms = {"slippage_bps": 50, "flash_fee_bps": 5, "transaction_usd": 0.2, "least_usd": 5.0}
    return Profitable(HURRIED, **{**terms, **more})


def costs(gas: int) -> Costs:
    schemes = Dated((Span(0, None, Plain()),))
    return Costs(gas, Size(700), schemes, 10**9, Prices(0), FixedPrice(2_000.0))


@dataclass(frozen=True)
class Setting:
    """One world: what is changed against the recorded rules."""

    parameters: Callable[[AaveParameters], AaveParameters] = lambda before: before
    liquidator: Any = HURRIED
    oracle: OracleModel | None = None
    costs: Costs | None = None
    start: float = 0.1

    def run(self, interest: Interest) -> Result:
        """The alternative world on the market."""
        first = at_block(market(), self.start)
        timeline = market().parameters.changed(first.key, first.timestamp_s, self.parameters)
        plan = Plan(
            first, at_block(market(), 1.0), market().parameters, timeline, first, self.liquidator,
            heartbeat_s=43_200, dust_share=0.0, costs=self.costs, interest=interest,
        )  # fmt: skip
        if interest is Interest.REEXECUTED:
            return reexecute(rules_of(market()), market(), plan, (World.ALTERNATIVE,))
        world = Ground.of(venue(market()), market(), plan)
        if self.oracle is None:
            return replay(venue(market()), market(), plan, (World.ALTERNATIVE,), ground=world)
        assets = [asset for kind, asset in market().series if kind == PRICE]
        seen = seen_market(market(), dict.fromkeys(assets, self.oracle), (first.key, first.timestamp_s))
        ground = Ground.of(venue(seen), seen, plan, world.actual)
        return replay(venue(seen), seen, plan, (World.ALTERNATIVE,), ground=ground)


def venue(of: Market) -> Callable[[ParameterTimeline[AaveParameters]], AaveVenue]:
    return lambda timeline: AaveVenue(of, timeline)


def bonus(more_bps: int) -> Callable[[AaveParameters], AaveParameters]:
    def change(before: AaveParameters) -> AaveParameters:
        reserves = tuple(
            replace(one, liquidation_bonus_bps=one.liquidation_bonus_bps + more_bps)
            if one is not None and one.liquidation_bonus_bps
            else one
            for one in before.reserves
        )
        return replace(before, reserves=reserves)

    return change


def threshold(less_bps: int) -> Callable[[AaveParameters], AaveParameters]:
    """LTVs stay: many users of these markets borrow to the last unit that theirs allows."""

    def change(before: AaveParameters) -> AaveParameters:
        reserves = tuple(
            replace(one, liquidation_threshold_bps=one.liquidation_threshold_bps - less_bps)
            if one is not None and one.liquidation_threshold_bps
            else one
            for one in before.reserves
        )
        return replace(before, reserves=reserves)

    return change


def given(**fields: Any) -> Callable[[AaveParameters], AaveParameters]:
    return lambda before: replace(before, **fields)


@dataclass(frozen=True)
class Walk:
    """Settings in small steps, and how late an event may come and how many accounts may change from one to the next."""

    at: Callable[[int], Setting]
    late_s: int = 0
    few: int = 2


WALKS: Mapping[str, Walk] = {
    "threshold": Walk(lambda n: Setting(threshold(16 * n)), few=5),
    "bonus": Walk(lambda n: Setting(bonus(n))),
    "close factor": Walk(lambda n: Setting(given(default_close_factor_bps=5_000 + n))),
    "close factor's health": Walk(lambda n: Setting(given(close_factor_hf_threshold_wad=(92 - n) * 10**16))),
    "auction's start": Walk(lambda n: Setting(given(bonus_auction_start_bps=2_000 + 20 * n))),
    "auction's depth": Walk(
        lambda n: Setting(given(bonus_auction_start_bps=1_000, bonus_auction_full_at_wad=WAD // 2 + n * 10**15))
    ),
    "median delay": Walk(lambda n: Setting(liquidator=LatencySeconds(LogNormal(600 + n / 5, 1.0))), late_s=10),
    "spread of delays": Walk(lambda n: Setting(liquidator=LatencySeconds(LogNormal(600, 1 + n / 5_000))), late_s=10),
    "share never liquidated": Walk(
        lambda n: Setting(liquidator=LatencySeconds(Empirical((60.0, 900.0), (0.5, 0.8 + n / 50))))
    ),
    "cadence of passes": Walk(lambda n: Setting(liquidator=Passes(3_600, offset_s=n)), late_s=1),
    "least profit": Walk(lambda n: Setting(liquidator=choosy(least_usd=120.0 + 10 * n), start=0.5)),
    "slippage": Walk(lambda n: Setting(liquidator=choosy(slippage_bps=250 + 10 * n), start=0.5)),
    "fees": Walk(
        lambda n: Setting(liquidator=choosy(transaction_usd=None), costs=costs(700_000 + 1_000 * n), start=0.5)
    ),
    "oracle's delay": Walk(lambda n: Setting(oracle=Delayed(3_608 + 10 * n))),
    "arithmetic window": Walk(lambda n: Setting(oracle=ArithmeticMean(100_000 + 300 * n, 600))),
    "geometric window": Walk(lambda n: Setting(oracle=GeometricMean(100_000 + 300 * n, 600))),
    "feed's deviation": Walk(lambda n: Setting(oracle=Published(86_400, 100 + 3 * n)), few=5),
    "cap's growth": Walk(lambda n: Setting(oracle=Capped(20_000 + 50 * n, 3_600))),
}

Story = list[tuple[int, tuple[object, ...], tuple[float, ...]]]


def stories(result: Result) -> dict[bytes, Story]:
    """Account to its events: when, what, and the amounts of it."""
    found: dict[bytes, Story] = defaultdict(list)
    for row in result.outcomes.to_pylist():
        what = (row["kind"], row["collateral_asset"], row["debt_asset"], row["cause"], row["action"])
        amounts = tuple(float(row[name] or 0) for name in ("collateral_usd", "debt_usd"))
        found[row["account"]].append((row["timestamp_s"], what, amounts))
    return found


def alike(one: Story, other: Story, late_s: int) -> bool:
    return len(one) == len(other) and all(
        what == same
        and abs(at_s - then_s) <= late_s
        and all(abs(a - b) <= SHARE * max(a, b) + 1e-6 for a, b in zip(amounts, others, strict=True))
        for (at_s, what, amounts), (then_s, same, others) in zip(one, other, strict=True)
    )


def sums(result: Result) -> dict[str, float]:
    events = events_of(result.outcomes, World.ALTERNATIVE, BASE_UNIT)
    values = measure(events, result.accounts, World.ALTERNATIVE, BASE_UNIT).values()
    return {name: values[name] or 0.0 for name in SUMS}


def weight(story: Story) -> float:
    return sum(sum(amounts) for _, _, amounts in story)


REEXECUTED = (
    "threshold", "bonus", "close factor", "auction's start", "median delay", "spread of delays", "cadence of passes",
)  # fmt: skip
"""Walks that the market executed again takes too: there one account's liquidation moves everybody's interest."""


@pytest.mark.parametrize(
    ("name", "interest"), [*((n, Interest.RECORDED) for n in WALKS), *((n, Interest.REEXECUTED) for n in REEXECUTED)]
)
def test_a_small_step_leaves_all_but_a_few_accounts_nearly_as_they_were(name: str, interest: Interest) -> None:
    walk = WALKS[name]
    before, after = (walk.at(n).run(interest) for n in (0, 1))
    assert len({row["account"] for row in before.outcomes.to_pylist() if row["kind"] == "liquidation"}) >= 5
    assert not before.outcomes.equals(after.outcomes), "the step acts"
    one, other = stories(before), stories(after)
    moved = {a for a in {*one, *other} if not alike(one.get(a, []), other.get(a, []), walk.late_s)}
    assert len(moved) <= walk.few
    left, right = sums(before), sums(after)
    apart = sum(weight(one.get(a, [])) + weight(other.get(a, [])) for a in moved)
    whole = sum(map(weight, one.values()))
    for metric in SUMS:
        assert abs(left[metric] - right[metric]) <= apart + SHARE * whole

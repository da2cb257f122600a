"""l2liq's Pool against the protocol's own contracts, step by step: the same state, the same refusals.

``SEEDS=n`` runs more examples and walks (``make truth SEEDS=n``).
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from l2liq.protocols.aave_v3.reasons import Reason
from tests.evm.anvil import running_node
from tests.evm.differential.arena import CURVES_BPS, Arena, furnished
from tests.evm.differential.duel import Duel, Seen
from tests.evm.differential.steps import PRICE_MOVES_BPS, WAITS_S, Step, steps, walk
from tests.evm.market import Version
from tests.evm.reading import Reading, read_market

SEEDS = int(os.environ.get("SEEDS", "1"))
NO_TIME, HOUR = WAITS_S.index(0), WAITS_S.index(3600)
EXAMPLES, WALK_STEPS, REASONS_MET = 300, 1500, 18
_RAY_PER_BPS = 10**23
_CURVE = ("optimal_usage_ray", "base_rate_ray", "slope1_ray", "slope2_ray")


@dataclass(frozen=True, slots=True)
class Start:
    """Where examples begin."""

    arena: Arena
    reading: Reading


@pytest.fixture(scope="module", params=list(Version), ids=lambda version: version.value)
def start(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    with running_node() as node:
        arena = furnished(node, request.param)
        folder = tmp_path_factory.mktemp("differential")
        yield Start(arena, read_market(node, arena.market, folder, _supplement(arena)))


def _supplement(arena: Arena) -> str:
    """The strategies that governance may choose, which nobody can ask before it does."""
    if not arena.strategies:
        return ""
    lines = ["supplement:", "  strategies:"]
    for address, curve in zip(arena.strategies, CURVES_BPS, strict=True):
        values = (f"{name}: {bps * _RAY_PER_BPS}" for name, bps in zip(_CURVE, curve, strict=True))
        lines.append(f'    "{address}": {{{", ".join(values)}}}')
    return "\n".join([*lines, ""])


def test_few_steps_leave_both_sides_equal(start: Start) -> None:
    @settings(
        max_examples=EXAMPLES * SEEDS,
        deadline=None,
        derandomize=SEEDS == 1,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        phases=[Phase.generate, Phase.shrink],
    )
    @given(st.lists(steps(start.arena.version), min_size=1, max_size=40))
    def examples(sequence: list) -> None:
        with start.arena.as_it_was():
            duel = Duel(start.arena, start.reading)
            for step in sequence:
                duel.play(step)

    examples()


@pytest.mark.parametrize(
    ("limit", "action", "reason"),
    [
        (Step("supply_cap", asset=0, number=2), Step("supply", asset=0), Reason.SUPPLY_CAP_EXCEEDED),
        (Step("supply_cap", asset=1, number=2), Step("supply", asset=1), Reason.SUPPLY_CAP_EXCEEDED),
        (Step("borrow_cap", asset=0, number=2), Step("borrow", who=1, asset=0), Reason.BORROW_CAP_EXCEEDED),
        (Step("borrow_cap", asset=1, number=2), Step("borrow", who=1, asset=1), Reason.BORROW_CAP_EXCEEDED),
        (Step("debt_ceiling", asset=3, number=1), Step("borrow", who=2, asset=2), Reason.DEBT_CEILING_EXCEEDED),
    ],
    ids=lambda value: value.name if isinstance(value, Reason) else "",
)
def test_the_last_base_units_under_a_limit_are_let_through_and_the_next_are_not(
    start: Start, limit: Step, action: Step, reason: Reason
) -> None:
    with start.arena.as_it_was():
        duel = Duel(start.arena, start.reading)
        duel.play(Step("supply", asset=action.asset, number=400))
        sizes = (("more_than_all", 19), ("all_but", 43), ("all", 4), ("more_than_all", 4))
        for step in (limit, *(replace(action, size=size, number=number) for size, number in sizes)):
            duel.play(replace(step, wait=NO_TIME))
        assert duel.seen.accepted[action.kind]
        assert duel.seen.refusals.keys() & {reason.name, reason.value}


def test_a_grace_period_includes_its_last_second_where_there_are_any(start: Start) -> None:
    refused = set() if start.arena.version is Version.V302 else {Reason.LIQUIDATION_GRACE_SENTINEL_CHECK_FAILED.value}
    with start.arena.as_it_was():
        duel = Duel(start.arena, start.reading)
        crash = Step("price", asset=0, number=PRICE_MOVES_BPS.index(5_000))
        reopened = Step("pause", flag=True, number=WAITS_S[HOUR] // 10)
        liquidation = Step("liquidate", who=1, other=0, size="everything")
        for step in (crash, reopened, replace(liquidation, wait=HOUR)):
            duel.play(step)
        assert set(duel.seen.refusals) == refused
        duel.play(liquidation)
        assert duel.seen.accepted["liquidate"]


def test_long_walks_leave_both_sides_equal_and_meet_everything(start: Start) -> None:
    seen = Seen()
    for seed in range(SEEDS):
        with start.arena.as_it_was():
            duel = Duel(start.arena, start.reading, seen)
            for step in walk(start.arena.version, random.Random(seed), WALK_STEPS):
                duel.play(step)
            assert duel.fold_all() == []
    never = {kind for kind in seen.steps if not seen.accepted[kind]} - {"price", "sequencer"}
    assert not never, "every kind of step is accepted at least once"
    assert len(seen.refusals) >= REASONS_MET, "and refused for many reasons"
    of_version = "borrowing bit without debt" if start.arena.version is Version.V302 else "deficit"
    assert seen.rare[of_version]
    assert seen.rare["isolated debt"]

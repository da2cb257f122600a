"""What would have happened under other parameters, by l2liq and by the contracts: the same integers.

The contracts' run executes the user transactions that succeeded in the baseline, at their times and in their order,
under other parameters; whatever reverts there is skipped. Liquidations come from passes on a schedule that both sides
share. ``SEEDS=n`` runs n lives per version instead of the one that every run has (``make truth SEEDS=n``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest

from l2liq.replay import Script
from tests.evm.anvil import running_node
from tests.evm.counterfactual import ambiguity, runs
from tests.evm.counterfactual.baseline import Baseline, lived
from tests.evm.counterfactual.originals import OriginalMachine
from tests.evm.counterfactual.parameters import ALTERNATIVES, Alternative
from tests.evm.counterfactual.runs import Answer, Question
from tests.evm.driver.plan import EVERYTHING, Crash, LiquidatorSpec, Outage, Plan
from tests.evm.market import Version

SEEDS = range(1, 1 + int(os.environ.get("SEEDS", "1")))

_GOVERNANCE = frozenset(
    {
        "caps", "pause", "emode_asset", "aggregator_phase", "price_source", "borrowing", "flash_premium",
        "cover_deficit",
    }
)  # fmt: skip
"""What governance does in the baseline; the rest would fight with the other parameters."""


def plan_of(seed: int, version: Version, *, clear: bool) -> Plan:
    """A market's life; neighbouring seeds differ in more than their dice.

    In 3.0.2 nobody sends tokens to an aToken without supplying them: they count there, and no log of the market tells
    of them.
    """
    weights = {**EVERYTHING, "errand": 5.0, "donate": 0.0 if version is Version.V302 else 1.0}
    plan = Plan(
        seed,
        users=12 + seed % 3 * 2,
        days=1.3,
        actions_per_day=240,
        weights=MappingProxyType(weights),
        crash=Crash(0.7, 0.6, 0.5),
        outage=Outage(0.71, 50),
        liquidators=(LiquidatorSpec(3), LiquidatorSpec(200, receives_a_tokens=True, partial_share=0.7)),
        governance_changes=8,
        governance_kinds=_GOVERNANCE,
        health_spread=(1.01, 0.12),
        second_step=2,
        clear_amounts=clear,
    )
    lives = (
        plan,
        replace(plan, crash=Crash(0.65, 0.2, 0.6), outage=Outage(1.0, 30), compact_share=0.8),
        replace(plan, crash=Crash(0.6, 4, 0.35), together=0.4, health_spread=(1.0, 0.08), wealth_usd=(2_500.0, 2.2)),
    )
    return lives[seed % len(lives)]


@dataclass
class Life:
    """One baseline, and what was asked about it already."""

    baseline: Baseline
    _questions: dict[str, Question] = field(default_factory=dict)
    _originals: dict[str, Answer] = field(default_factory=dict)

    def question(self, alternative: Alternative) -> Question:
        """What if these had been the parameters?"""
        if alternative.name not in self._questions:
            self._questions[alternative.name] = runs.question(self.baseline, alternative)
        return self._questions[alternative.name]

    def originals(self, alternative: Alternative, asked: Script) -> Answer:
        """The contracts' answer with the transactions as they were sent."""
        if alternative.name not in self._originals:
            answer = runs.by_contracts(self.question(alternative), asked, OriginalMachine)
            self._originals[alternative.name] = answer
        return self._originals[alternative.name]


def _lives(*, clear: bool) -> list[object]:
    return [
        pytest.param(
            (version, seed, clear),
            id=f"{version.value}-{seed}",
            marks=pytest.mark.xdist_group(f"{version.value}-{seed}-{clear}"),
        )
        for version in Version
        for seed in SEEDS
    ]


@pytest.fixture(scope="module")
def life(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """A market that has lived, on a node of its own."""
    version, seed, clear = request.param
    folder: Path = tmp_path_factory.mktemp("life")
    with running_node() as node:
        yield Life(lived(node, version, plan_of(seed, version, clear=clear), folder))


with_any_amounts = pytest.mark.parametrize("life", _lives(clear=False), indirect=True)
with_clear_amounts = pytest.mark.parametrize("life", _lives(clear=True), indirect=True)
under_alternatives = pytest.mark.parametrize("alternative", ALTERNATIVES, ids=lambda one: one.name)


@with_any_amounts
@under_alternatives
def test_intents_read_off_logs_and_sent_as_calls_do_to_the_contracts_what_they_do_to_l2liq(
    life: Life, alternative: Alternative, record_property: Callable[[str, object], None]
) -> None:
    asked = life.question(alternative)
    script = runs.script_of(asked)
    assert script.disagreeing == ()
    l2liq = runs.by_l2liq(asked, script)
    contracts = runs.by_contracts(asked, script)
    record_property("compared", {"transactions": contracts.sent, **runs.counted(l2liq)})
    assert runs.differences(contracts, l2liq) == []


@with_any_amounts
@under_alternatives
def test_calldata_decoded_does_to_l2liq_what_the_original_calls_do_to_the_contracts(
    life: Life, alternative: Alternative
) -> None:
    asked = life.question(alternative)
    script = runs.script_of(asked, runs.calldata_of(life.baseline))
    assert script.decoded > len(script.transactions) // 2
    assert runs.differences(life.originals(alternative, script), runs.by_l2liq(asked, script)) == []


@with_any_amounts
@under_alternatives
def test_what_logs_alone_get_wrong_of_the_original_calls_are_named_ambiguities(
    life: Life, alternative: Alternative, record_property: Callable[[str, object], None]
) -> None:
    asked = life.question(alternative)
    logged, decoded = runs.script_of(asked), runs.script_of(asked, runs.calldata_of(life.baseline))
    found = ambiguity.cases(logged, decoded)
    contracts = life.originals(alternative, decoded)
    assert runs.differences(contracts, runs.by_l2liq(asked, ambiguity.resolved(logged, decoded, found))) == []
    record_property("cases", dict(ambiguity.counted(found)))
    for place, names in sorted(found.items()):
        print(f"transaction {place}: {', '.join(names)}")


@with_clear_amounts
@under_alternatives
def test_with_amounts_of_all_or_less_than_there_is_logs_alone_give_what_the_original_calls_do(
    life: Life, alternative: Alternative
) -> None:
    asked = life.question(alternative)
    contracts = life.originals(alternative, runs.script_of(asked, runs.calldata_of(life.baseline)))
    assert runs.differences(contracts, runs.by_l2liq(asked, runs.script_of(asked))) == []


@with_any_amounts
def test_the_other_parameters_matter_and_so_do_liquidations_and_rejections(life: Life) -> None:
    answers = [
        runs.by_l2liq(asked, runs.script_of(asked))
        for asked in map(partial(Life.question, life), (Alternative("as it was"), *ALTERNATIVES))
    ]
    ends = [answer.state for answer in answers]
    assert all(one != other for number, one in enumerate(ends) for other in ends[:number])
    for kind in ("liquidation", "rejected", "margin_call"):
        assert sum(runs.counted(answer)[kind] for answer in answers) > 0, kind

"""How long messages between layers take: a median with a spread, or what somebody observed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from l2liq.chains.rollup import Rollup
from l2liq.protocols.aave_v3.levers import AaveLevers
from l2liq.scenario.compose import Composition, compose
from l2liq.scenario.load import load_scenarios
from pipelines.disruption import at_other_delays, disruption_of
from tests.small_market import small_market


def meant(messages: str) -> Composition:
    (loaded,) = load_scenarios(f"name: x\nmessages: {messages}", "s.yaml", AaveLevers())
    return compose(loaded, small_market(), AaveLevers())


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_observed_delays_come_in_the_shares_in_which_they_were_observed(seconds: list[int]) -> None:
    found = disruption_of(meant("{share: 100%, delays: [" + ", ".join(f"{one}s" for one in seconds) + "]}"), Rollup())
    assert found is not None
    assert found.messages is not None
    draws = [(place + 0.5) / len(seconds) for place in range(len(seconds))]
    assert [found.messages.delay_s.quantile(draw) for draw in draws] == sorted(map(float, seconds))


def test_the_median_is_told_and_other_delays_are_beside_it() -> None:
    composition = meant("{share: 100%, delays: [9h, 1h, 2h, 3h], recorded_delays: [5m, 7m], other_delays: [0s, 1d]}")
    assert composition.words == (
        "margin from other layers: after 5m → after 2h (100 % of what came below health 1.25)",
    )
    disruption = disruption_of(composition, Rollup())
    others = dict(at_other_delays(composition, disruption))
    assert list(others) == ["0s", "1d"]
    assert [one.messages and one.messages.delay_s.quantile(0.3) for one in others.values()] == [0, 86_400]

# ruff: noqa: E501
"""Each mistake in a scenario gives one message with its line and the fix; each correct one means what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest

from l2liq.errors import ScenarioError
from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.protocols.aave_v3.levers import AaveLevers
from l2liq.protocols.interface import Moment
from l2liq.scenario.compose import Composition, compose
from l2liq.scenario.identity import differences, run_id, series_id
from l2liq.scenario.load import load_scenarios
from l2liq.scenario.schema import scenario_schema
from tests.small_market import BLOCK_S, BRIDGED, SECOND_KEY, START_S, USDC, WETH, small_market

LEVERS = AaveLevers()


def mistake(text: str) -> str:
    """The one message of a scenario that is wrong in itself or for the small market."""
    with pytest.raises(ScenarioError) as caught:
        for loaded in load_scenarios(text, "s.yaml", LEVERS):
            compose(loaded, small_market(), LEVERS)
    return str(caught.value)


def meant(text: str) -> Composition:
    (loaded,) = load_scenarios(text, "s.yaml", LEVERS)
    return compose(loaded, small_market(), LEVERS)


def stored(found: Composition, asset: int, field: str, key: int | None = None) -> Any:
    parameters = found.timeline.at(found.window.last.key if key is None else key)
    return getattr(parameters.reserves[asset], field)


IN = datetime.fromtimestamp(START_S + 600, UTC).strftime("%Y-%m-%dT%H:%M:%S")
DOWN = "name: x\nsequencer:\n  outages:\n    - %s"
WETH_LT = "name: x\nchange:\n  reserves:\n    WETH:\n      liquidation_threshold: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WETH_LT + "85", "s.yaml:5: liquidation_threshold: 85 has no unit. Write 85% or 8500bps."),
        (WETH_LT + "0.85", "s.yaml:5: liquidation_threshold: 0.85 has no unit. Write 0.85% or 85bps."),
        (WETH_LT + "-2pp", "s.yaml:5: liquidation_threshold: -2pp is a change. Write `{shift: -2pp}`."),
        (WETH_LT + "{shift: -2}", "s.yaml:5: liquidation_threshold: -2 has no unit. Write -2pp or -200bps."),
        (
            WETH_LT + "{shift: -2%}",
            "s.yaml:5: liquidation_threshold: -2% could mean points or a share of the value. "
            "Write -2pp for percentage points.",
        ),
        (WETH_LT + "{set: 80%, shift: 1pp}", "s.yaml:5: liquidation_threshold: a change is either `set: …` or `shift: …`."),
        (WETH_LT + "80.125%", "s.yaml:5: liquidation_threshold: 80.125% is finer than a basis point."),
        (WETH_LT + "180%", "s.yaml:5: liquidation_threshold: 180% is impossible. It can be 0% to 100%."),
        (WETH_LT + "eighty", "s.yaml:5: liquidation_threshold: 'eighty' is no quantity."),
        (WETH_LT + "[80%]", "s.yaml:5: liquidation_threshold: ['80%'] is no quantity."),
        (WETH_LT + "", "s.yaml:5: liquidation_threshold: None is no quantity."),
        (WETH_LT + "{shift: -90pp}", "s.yaml:5: liquidation_threshold: 82.5% would become -7.5%. It can be 0% to 100%."),
        (
            WETH_LT + "99%",
            "s.yaml:5: liquidation_threshold: not deployable: WETH: threshold 99% times 1 + 5% bonus is above 100%",
        ),
        (WETH_LT + "79%", "s.yaml:5: liquidation_threshold: not deployable: WETH: LTV 80% exceeds"),
        ("name: x\nchange:\n  close_factor_health_threshold: 95%", "s.yaml:3: close_factor_health_threshold: a health factor is a plain number. Write 0.95."),
        (
            "name: x\nchange:\n  reserves: {WETH: {ltv: 1%}}\n  emodes:\n    1: {liquidation_bonus: 8%}",
            "s.yaml:5: liquidation_bonus: not deployable: e-mode 1: threshold 93% times 1 + 8% bonus is above 100%",
        ),
        (
            "name: x\nchange:\n  close_factor: 40%\n  bonus_auction_start: 20%",
            "s.yaml:4: bonus_auction_start: not deployable: bonus auction start: this market's contracts have no auction",
        ),
        (
            "name: x\nchange:\n  bonus_auction_full_at: 1",
            "s.yaml:3: bonus_auction_full_at: 1 is impossible. It can be 0 to 0.999999999999999999.",
        ),
        ("name: x\nchange:\n  close_factor: 0%", "s.yaml:3: close_factor: 0% is impossible. It can be 0.01% to 100%."),
        ("name: x\nchange:\n  reserves:\n    WTH: {ltv: 1%}", "s.yaml:4: WTH: aave-v3/small has no such reserve. Did you mean WETH? Known: WETH, USDC (0x"),
        (
            "name: x\nchange:\n  reserves:\n    USDC: {ltv: 1%}",
            f"s.yaml:4: USDC: stands for 2 reserves of aave-v3/small. Write 0x{USDC.hex()} or 0x{BRIDGED.hex()} instead.",
        ),
        (
            f"name: x\nchange:\n  reserves:\n    WETH: {{ltv: 1%}}\n    '0x{WETH.hex()}': {{ltv: 2%}}",
            f"s.yaml:5: 0x{WETH.hex()}: is the same reserve as WETH. Keep one.",
        ),
        ("name: x\nchange:\n  emodes:\n    7: {ltv: 1%}", "s.yaml:4: 7: aave-v3/small has no such e-mode. Known: Stablecoins."),
        (
            f"name: x\nwindow: {{to: 1400}}\nchange:\n  reserves:\n    '0x{BRIDGED.hex()}': {{liquidation_threshold: 1%}}",
            "s.yaml:5: liquidation_threshold: USDC has no liquidation threshold between the change and the window's end",
        ),
        ("name: x\nseeed: 1", "s.yaml:2: seeed: unknown key. Did you mean seed? Known here: name,"),
        (WETH_LT + "80%\n      lvt: 1%", "s.yaml:6: lvt: unknown key. Did you mean ltv? Known here: liquidation_threshold,"),
        ("seed: 1", "s.yaml:1: name: is missing."),
        ("name: 5", "s.yaml:1: name: 5 is no text."),
        ("name: x\nseed: one", "s.yaml:2: seed: 'one' is no whole number."),
        ("name: x\nat_start: asis", "s.yaml:2: at_start: 'asis' is not one of as_is, exclude_underwater, grandfather. Did you mean as_is?"),
        ("name: x\nliquidator: slow", "s.yaml:2: model: 'slow' is not one of immediate, latency, passes, competition."),
        ("name: x\nliquidator: passes", "s.yaml:2: liquidator: the model passes needs `every`. Write {model: passes, every: 10m}."),
        ("name: x\nliquidator: {every: 10m}", "s.yaml:2: liquidator: the model immediate has no `every`."),
        ("name: x\nliquidator: {model: latency, delay: 30s, spacing: 1s}", "s.yaml:2: liquidator: `spacing` belongs to the model passes."),
        ("name: x\ninterest: exact", "s.yaml:2: interest: 'exact' is not one of recorded, reexecuted."),
        ("name: x\ninterest: reexecuted\nat_start: grandfather", "s.yaml:1: `at_start: grandfather` needs `interest: recorded`."),
        ("name: x\ninterest: reexecuted\nreanchor: 7d", "s.yaml:1: `reanchor` needs `interest: recorded`."),
        ("name: x\nchange: {reserves: {WETH: {reserve_factor: 20%}}}", "s.yaml:2: reserve_factor: reserve factor acts through rates or totals of the market, which recorded interest holds as they were. Write `interest: reexecuted`."),
        ("name: x\ninterest: reexecuted\nchange: {reserves: {WETH: {supply_cap: 10%}}}", "s.yaml:3: supply_cap: 10% is no count. Write a whole number without a unit."),
        ("name: x\ninterest: reexecuted\nchange: {reserves: {WETH: {optimal_usage: 100%}}}", "s.yaml:3: optimal_usage: 100% is impossible. It can be 1% to 99%."),
        ("name: x\noracle: {model: twap}", "s.yaml:2: oracle: the oracle twap needs `window`."),
        ("name: x\noracle: {model: delay, delay: 5m, window: 1h}", "s.yaml:2: oracle: the oracle delay has no `window`. Take it out."),
        ("name: x\noracle: {model: ratio, base: WETH}", "s.yaml:2: oracle: the oracle ratio needs `rate`."),
        ("name: x\noracle: {model: cap, growth: 5%, base: WETH}", "s.yaml:2: oracle: the oracle cap has no `base`. Take it out."),
        ("name: x\noracle: {model: ratio, base: WETH, rate: -1}", "s.yaml:2: rate: -1 is no exchange rate. Write a positive plain number, such as 1.18."),
        ("name: x\noracle: {model: ratio, base: WETH, rate: 118%}", "s.yaml:2: rate: 118% is no exchange rate."),
        ("name: x\noracle: {model: ratio, base: WETH, rate: [{at: 5, rate: 1}]}", "s.yaml:2: rate: 5 is no date of a rate."),
        ("name: x\noracle: {model: ratio, base: WETH, rate: [{from: 2024-08-01, rate: 1}]}", "s.yaml:2: rate: "),
        (
            "name: x\noracle: {model: ratio, base: WETH, rate: [{at: 2024-08-02, rate: 1}, {at: 2024-08-01, rate: 2}]}",
            "s.yaml:2: rate: the steps of a rate must be in order of time",
        ),
        ("name: x\noracle: {model: ratio, base: DOGE, rate: 1.1, assets: [WETH]}", "s.yaml:2: base: DOGE is no asset of aave-v3/small."),
        (
            "name: x\noracle: {model: ratio, base: WETH, rate: 1.1, assets: [WETH]}",
            "s.yaml:2: base: WETH would be priced by itself. Name the assets that are priced by it under `assets`.",
        ),
        (
            f"name: x\noracle: {{model: ratio, base: WETH, rate: 1.1, assets: ['0x{USDC.hex()}']}}",
            "s.yaml:2: base: WETH has no recorded price when the oracle begins.",
        ),
        ("name: x\noracle: {model: delay, delay: 5m, assets: [DOGE]}", "s.yaml:2: assets: DOGE is no asset of aave-v3/small. Known: WETH, USDC, USDC."),
        ("name: x\noracle: {model: delay, delay: 5m, assets: [USDC]}", "s.yaml:2: assets: USDC stands for 2 assets of aave-v3/small."),
        ("name: x\nat_start: grandfather\noracle: {model: delay, delay: 5m}", "s.yaml:1: `oracle` changes what everyone sees, and `at_start: grandfather` spares some."),
        ("name: x\nliquidator: {profit: {above: 5}}", "s.yaml:2: above: 5 is no amount of dollars. Write it as $10 or $0.25."),
        ("name: x\nliquidator: {profit: {slippage: 101%}}", "s.yaml:2: slippage: 101% is impossible. It can be 0% to 100%."),
        ("name: x\nchange: {sentinel_grace_period: 60}", "s.yaml:2: sentinel_grace_period: 60 is no duration."),
        ("name: x\nliquidator: latency", "s.yaml:2: liquidator: the model latency needs `delay`. Write {model: latency, delay: 30s} or immediate."),
        ("name: x\nliquidator: {delay: 3 blocks}", "s.yaml:2: liquidator: the model immediate has no `delay`."),
        ("name: x\nliquidator: {model: latency, delay: 30}", "s.yaml:2: delay: 30 has no unit. Write 30s or 30 blocks, or `fitted`."),
        ("name: x\nliquidator: {model: latency, delay: fitted, spread: 1}", "s.yaml:2: liquidator: `spread` belongs to a delay"),
        ("name: x\nheartbeat: 60", "s.yaml:2: heartbeat: 60 has no unit. Write 60s, 60m, 60h or 60d."),
        ("name: x\nramp: {steps: 1, every: 7d}", "s.yaml:2: steps: 1 is too small. It must be at least 2."),
        ("name: x\nwindow: 2024-08-01", "s.yaml:2: window: '2024-08-01' stands where keys belong."),
        ("name: x\nwindow:\n  from: 2023-01-01", "s.yaml:3: from: 2023-01-01T00:00:00Z is outside what the lake has of aave-v3/small: blocks 1,000 to 1,999, 2024-08-01T00:00:00Z to 2024-08-07T22:30:00Z. Fetch more with `l2liq ingest"),
        ("name: x\nwindow: {to: 2001}", "s.yaml:2: to: 2001 is outside what the lake has"),
        ("name: x\nwindow: {from: 1200, to: 1200}", "s.yaml:2: to: the window is empty."),
        ("name: x\neffective_from: 2024-13-01", "s.yaml:2: effective_from: '2024-13-01' is no moment."),
        ("name: x\nwindow: {to: 1400}\neffective_from: 1400", "s.yaml:3: effective_from: the change would come after the window's end. No known block of the window"),
        ("name: x\neffective_from: 2024-09-01", "s.yaml:2: effective_from: the change would come after the window's end."),
        ("name: x\nsweep: {seed: 4}", "s.yaml:2: seed: has nothing to vary."),
        ("name: x\nsweep: {name: [a, b]}", "s.yaml:2: name: cannot vary in a sweep."),
        ("name: x\nsweep: {seed: {from: 1, to: 5, step: -1}}", "s.yaml:2: seed: steps of -1 never lead from 1 to 5."),
        ("name: x\nsweep: {seed: {from: 0, to: 99999, step: 1}}", "s.yaml:2: seed: 100,000 values are more than 10,000."),
        ("name: x\nsweep:\n  heartbeat: [60s, 5]", "s.yaml:3: heartbeat: 5 has no unit."),
        ("name: x\nname: y", "s.yaml:2: name stands here a second time, first on line 1."),
        ("name: &a x\ndescription: *a", "s.yaml:1: anchors (&) and aliases (*) are not read."),
        ("name: x\n1.5: y", "s.yaml:2: the key '1.5' is no name."),
        ("name: x\n? [a]\n: y", "s.yaml:2: a key must be a word or a number."),
        ("name: !!python/object/apply:os.system [ls]", "s.yaml:1: the tag"),
        ("name: !!int x", "s.yaml:1: 'x' is no number that can be read."),
        ("name: x\nseed: .nan", "s.yaml:2: '.nan' is no number that can be read."),
        ("name: [x", "s.yaml:1: this is not YAML"),
        ("- x", "s.yaml: a scenario is a list of `key: value` lines"),
        ("", "s.yaml: a scenario is a list of `key: value` lines"),
        ("name: x\n---\nname: y", "s.yaml:2: a second document begins here."),
        ("name: " + "[" * 9_999, "s.yaml:1: the file nests deeper"),
        ("name: x\nseed: [" + "1," * 60_000 + "]", "s.yaml:2: the file nests deeper or holds more values"),
        (DOWN % "{from: 2024-08-01}", "s.yaml:4: outages: an outage has an end: write either `to` or `like`."),
        (DOWN % "{from: 2024-08-01, like: the-big-one}", "s.yaml:4: outages: the-big-one is no known outage. Known: arbitrum-"),
        (DOWN % "{from: 2024-08-01T01:00, to: 2024-08-01}", "s.yaml:4: outages: `to` must lie after `from`."),
        (DOWN % "{from: 1500, to: 2024-08-02}", "s.yaml:4: from: 1500 is no time. Write a date"),
        (DOWN % "{from: -5, to: 2024-08-01}", "s.yaml:4: from: -5 is no block number."),
        (DOWN % "{from: 1969-01-01, to: 2024-08-01}", "s.yaml:4: from: 1969-01-01 is no time of a chain."),
        (DOWN % "{from: 2014-08-01, to: 2014-08-02}", "s.yaml:4: from: 2014-08-01T00:00:00Z is outside the window ("),
        (DOWN % f"{{from: {IN}, to: 2030-01-01}}\n    - {{from: {IN}, to: 2031-01-01}}", "s.yaml:3: outages: two outages overlap."),
        ("name: x\nsequencer: {}", "s.yaml:2: sequencer: neither `outages` nor `censored` is given."),
        ("name: x\nsequencer: {users_after: -3s}", "s.yaml:2: users_after: -3s lies in the past. Write 0s"),
        ("name: x\nsettlement: {}", "s.yaml:2: settlement: nothing fails. Name batch_poster_stopped"),
        (f"name: x\nsettlement: {{reverted: [{{from: {IN}, to: 2030-01-01}}]}}", "s.yaml:2: to: 2030-01-01T00:00:00Z is outside the window"),
        (f"name: x\nsettlement: {{prover_stopped: [{{from: {IN}, to: 2030-01-01}}, {{from: {IN}, to: 2030-01-01}}]}}", "s.yaml:2: settlement: two spans of prover_stopped overlap."),
        ("name: x\nmessages: {share: 50%}", "s.yaml:2: messages: write either `delay`, a median, or `delays`"),
        ("name: x\nmessages: {share: 50%, delay: 1h, delays: [1h]}", "s.yaml:2: messages: write either `delay`, a median, or `delays`"),
        ("name: x\nmessages: {share: 50%, delays: [1h], spread: 1}", "s.yaml:2: messages: `spread` belongs to a median."),
        ("name: x\nmessages: {share: 50%, delay: 1h, recorded_delay: 1m, recorded_delays: [1m]}", "s.yaml:2: messages: `recorded_delay` and `recorded_delays` are two"),
        ("name: x\nmessages: {share: 150%, delay: 1h}", "s.yaml:2: share: "),
        ("name: x\nmessages: {share: 50%, delay: 1h, below_health: 0.9}", "s.yaml:2: below_health: 0.9 is no health factor"),
        ("name: x\nreanchor: 7d\nmessages: {share: 50%, delay: 1h}", "s.yaml:1: `messages` goes on where `reanchor` returns"),
        ("name: x\nat_start: grandfather\nmessages: {share: 50%, delay: 1h}", "s.yaml:1: `messages` meets everyone"),
        ("name: " + "x" * 2_000_000, "s.yaml: the file has more than 1,048,576 bytes"),
    ],
)  # fmt: skip
def test_each_mistake_names_line_and_fix(text: str, message: str) -> None:
    said = mistake(text)
    assert said.startswith(message)
    assert "\n" not in said


def test_all_mistakes_of_a_file_are_told_at_once_in_its_order() -> None:
    said = mistake(WETH_LT + "85\n      ltv: 5\nseed: x\nat_start: y\n").splitlines()
    assert [line.split(":")[1] for line in said] == ["5", "6", "7", "8"]


def test_hostile_symbol_does_not_reach_the_terminal_unescaped() -> None:
    assert "\x1b" not in mistake('name: x\nchange:\n  reserves:\n    "\\e[31mRED": {ltv: 1%}')


def test_set_and_shift_reach_every_later_parameter_set() -> None:
    text = "name: x\nchange:\n  reserves:\n    weth:\n      liquidation_threshold: {shift: -2pp}\n      ltv: 7000bps\n      liquidation_bonus: 6%\n"
    found = meant(text)
    assert stored(found, 0, "liquidation_threshold_bps", SECOND_KEY - 1) == 8_050
    assert stored(found, 0, "liquidation_threshold_bps") == 8_100
    assert stored(found, 0, "ltv_bps") == 7_000
    assert stored(found, 0, "liquidation_bonus_bps") == 10_600
    assert found.timeline.sets[0].reserves[1] == small_market().parameters.sets[0].reserves[1]
    assert found.words[0] == "WETH liquidation threshold: 82.5% → 80.5% (-2pp)"
    assert found.effective["change"]["reserves"] == {
        f"0x{WETH.hex()}": {
            "liquidation_threshold": {"shift": "-2pp"},
            "ltv": {"set": "70%"},
            "liquidation_bonus": {"set": "6%"},
        }
    }


def test_an_auction_that_no_contract_has_may_be_asked_for_and_is_told() -> None:
    found = meant(
        "name: x\nallow_not_deployable: true\nchange:\n  bonus_auction_start: 20%\n  bonus_auction_full_at: 0.9\n"
    )
    parameters = found.timeline.at(found.window.last.key)
    assert parameters.bonus_auction_start_bps == 2_000
    assert parameters.bonus_auction_full_at_wad == 9 * 10**17
    assert found.not_deployable == (
        "bonus auction start: this market's contracts have no auction, they pay the whole bonus always",
    )


def test_market_and_emode_levers_are_stored_in_the_protocols_units() -> None:
    found = meant(
        "name: x\nchange:\n  close_factor: 100%\n  close_factor_health_threshold: 0.9\n"
        "  emodes:\n    Stablecoins: {liquidation_threshold: 92%}\n"
    )
    parameters = found.timeline.at(found.window.last.key)
    assert parameters.default_close_factor_bps == 10_000
    assert parameters.close_factor_hf_threshold_wad == 9 * 10**17
    assert parameters.emodes[1].liquidation_threshold_bps == 9_200


def test_window_and_change_fall_on_block_borders() -> None:
    found = meant(
        "name: x\nwindow: {from: 2024-08-02, to: 2024-08-04}\neffective_from: 2024-08-03T12:00\n" + WETH_LT[8:] + "81%"
    )
    day = 86_400 // BLOCK_S
    assert (found.window.start, found.window.stop) == (1_000 + day, 1_000 + 3 * day)
    assert found.window.first.key == key_of(1_000 + day - 1, END_OF_BLOCK)
    (step,) = found.steps
    assert step.key == key_of(1_000 + 5 * day // 2, 0)
    assert step.timestamp_s == START_S + 5 * 86_400 // 2
    assert stored(found, 0, "liquidation_threshold_bps", step.key - 1) == 8_250
    assert stored(found, 0, "liquidation_threshold_bps", step.key) == 8_100


@pytest.mark.parametrize(
    "given", ["2024-08-03T12:00:01", "2024-08-03T12:09", str(1_000 + 1 + 5 * 86_400 // BLOCK_S // 2)]
)
def test_change_waits_for_the_first_known_block_and_has_its_time(given: str) -> None:
    """Between blocks, and at a block of which no header is known, nothing sees the new rules."""
    at = 1_001 + 5 * 86_400 // BLOCK_S // 2
    market = small_market()
    clock = market.clock
    known = clock.number != at
    sparse = replace(market, clock=replace(clock, number=clock.number[known], timestamp_s=clock.timestamp_s[known]))
    (loaded,) = load_scenarios(f"name: x\neffective_from: {given}\n" + WETH_LT[8:] + "81%", "s.yaml", LEVERS)
    for place, block in ((market, at), (sparse, at + 1)):
        found = compose(loaded, place, LEVERS)
        (step,) = found.steps
        assert step == Moment(key_of(block, 0), START_S + (block - 1_000) * BLOCK_S)
        assert stored(found, 0, "liquidation_threshold_bps", key_of(block - 1, END_OF_BLOCK)) == 8_250


def test_steps_of_a_ramp_come_with_the_first_known_block_of_their_time() -> None:
    found = meant("name: x\neffective_from: 2024-08-02T00:01\nramp: {steps: 3, every: 1d}\n" + WETH_LT[8:] + "81%")
    day = 86_400 // BLOCK_S
    assert found.steps == tuple(
        Moment(key_of(1_001 + number * day, 0), START_S + number * 86_400 + BLOCK_S) for number in (1, 2, 3)
    )


def test_change_from_before_the_window_arrives_with_it() -> None:
    found = meant("name: x\nwindow: {from: 1200}\neffective_from: 1100\n" + WETH_LT[8:] + "81%")
    assert found.steps == (found.window.first,)


def test_ramp_arrives_in_equal_steps_rounded_towards_the_old_value() -> None:
    found = meant("name: x\nramp: {steps: 3, every: 1d}\n" + WETH_LT[8:] + "{shift: -100bps}")
    assert [stored(found, 0, "liquidation_threshold_bps", step.key) for step in found.steps] == [8_217, 8_184, 8_150]
    assert stored(found, 0, "liquidation_threshold_bps") == 8_200


def test_change_over_a_markets_whole_history_meets_each_reserve_when_it_is_listed() -> None:
    market = small_market()
    listed = replace(market, parameters=replace(market.parameters, keys=(key_of(1_300, 1), SECOND_KEY)))
    (loaded,) = load_scenarios(WETH_LT + "{shift: -1pp}", "s.yaml", LEVERS)
    found = compose(loaded, listed, LEVERS)
    assert [s.reserves[0].liquidation_threshold_bps for s in found.timeline.sets] == [8_150, 8_200]


def test_not_deployable_is_allowed_on_request_and_told() -> None:
    found = meant("name: x\nallow_not_deployable: true\n" + WETH_LT[8:] + "99%")
    assert len(found.not_deployable) == 1
    assert stored(found, 0, "liquidation_threshold_bps") == 9_900


def test_switched_off_stays_off_under_a_shift() -> None:
    """A reserve that is listed and no collateral has neither threshold nor bonus to shift."""
    text = f"name: x\nchange:\n  reserves:\n    '0x{BRIDGED.hex()}': {{liquidation_protocol_fee: {{shift: 5pp}}}}"
    assert stored(meant(text), 2, "protocol_fee_bps") == 500


def test_sweep_is_every_combination_and_shares_nothing_with_the_file() -> None:
    text = (
        "name: grid\nsweep:\n  change:\n    reserves:\n      WETH:\n"
        "        liquidation_threshold: {shift: {from: -2pp, to: -1pp, step: 0.5pp}}\n"
        "  liquidator: [immediate, {model: latency, delay: 30s}]\n"
    )
    loaded = load_scenarios(text, "s.yaml", LEVERS)
    found = [compose(one, small_market(), LEVERS) for one in loaded]
    thresholds = [stored(one, 0, "liquidation_threshold_bps") for one in found]
    assert thresholds == [8_100, 8_100, 8_150, 8_150, 8_200, 8_200]
    assert [one.effective["liquidator"]["model"] for one in found] == ["immediate", "latency"] * 3
    assert all("sweep" not in one.effective for one in found)
    assert len({run_id(one.effective, (0, 1), {}, "v") for one in found}) == 6


def test_identity_ignores_spelling_and_series_ignores_the_window() -> None:
    one = meant("name: x\nwindow: {from: 1100}\nchange: {reserves: {WETH: {ltv: 70%}}}")
    same = meant(
        f"change:\n  reserves:\n    '0x{WETH.hex().upper()}': {{ltv: {{set: 7000bps}}}}\nwindow: {{to: end, from: 1100}}\nname: x"
    )
    later = meant("name: x\nwindow: {from: 1200}\nchange: {reserves: {WETH: {ltv: 70%}}}")
    other = meant("name: x\nwindow: {from: 1100}\nchange: {reserves: {WETH: {ltv: 69%}}}")
    ids = [run_id(c.effective, (c.window.start, c.window.stop), {"logs": "00"}, "v") for c in (one, same, later, other)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    series = [series_id(c.effective) for c in (one, same, later, other)]
    assert series[0] == series[1] == series[2] != series[3]
    assert differences(one.effective, other.effective) == [(f"change.reserves.0x{WETH.hex()}.ltv.set", "70%", "69%")]


def test_published_schema_is_current() -> None:
    published = json.loads((files("schemas") / "scenario.schema.json").read_text())
    assert published == scenario_schema("aave-v3", LEVERS)

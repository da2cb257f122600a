# ruff: noqa: E501
"""The block `liquidity` of a scenario: each mistake gives one message with its line and the fix."""

from __future__ import annotations

import json

import pytest

from l2liq.scenario.liquidity import HALF_LIFE_S
from l2liq.scenario.load import load_scenarios
from tests.unit.test_scenario import LEVERS, meant, mistake

POOL = "liquidity: {assets: {WETH: {model: uniswap_v3, logs: pool.json, token0: WETH, token1: '0x2222222222222222222222222222222222222222', fee: 5bps}}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("liquidity: {model: constant_product}", "s.yaml:2: liquidity: the liquidity constant_product needs `depth`."),
        (
            "liquidity: {model: constant_product, depth: -$5}",
            "s.yaml:2: depth: -$5 is no amount of dollars. Write it as $10 or $0.25.",
        ),
        (
            "liquidity: {model: constant_product, depth: $0}",
            "s.yaml:2: liquidity: a `depth` of $0 sells nothing. Write how much there is, such as $2000000.",
        ),
        ("liquidity: {model: constant_product, depth: 2000000}", "s.yaml:2: depth: 2000000 is no amount of dollars."),
        (
            "liquidity: {model: constant_product, depth: $5, exponent: 0.5}",
            "s.yaml:2: liquidity: the liquidity constant_product has no `exponent`. Take it out.",
        ),
        (
            "liquidity: {model: constant_product, depth: $5, fee: 100%}",
            "s.yaml:2: liquidity: `fee` must be more than 0% and less than 100%.",
        ),
        ("liquidity: {model: depth, depth: $5}", "s.yaml:2: liquidity: the liquidity depth needs `move`."),
        (
            "liquidity: {model: depth, depth: $5, move: 0%}",
            "s.yaml:2: liquidity: `move` must be more than 0% and less than 100%.",
        ),
        (
            "liquidity: {model: depth, depth: $5, move: 2%, exponent: 9}",
            "s.yaml:2: exponent: 9 is no exponent. Write a plain number between 0.1 and 3, such as 0.5.",
        ),
        (
            "liquidity: {model: depth, depth: $5, move: 2%, half_life: 0s}",
            "s.yaml:2: half_life: 0s is no duration. It must be positive",
        ),
        (
            "liquidity: {model: deeep}",
            "s.yaml:2: model: 'deeep' is not one of deep, same, constant_product, depth, uniswap_v3. Did you mean deep?",
        ),
        (
            "liquidity: {model: uniswap_v3, logs: p.json, token0: WETH, token1: USDC, fee: 5bps}",
            "s.yaml:2: liquidity: a pool trades two assets and not all. Write it under `assets`.",
        ),
        (
            "liquidity: {assets: {DOGE: {model: deep}}}",
            "s.yaml:2: DOGE: DOGE is no asset of aave-v3/small. Known: WETH, USDC, USDC.",
        ),
        ("liquidity: {assets: {USDC: {model: deep}}}", "s.yaml:2: USDC: USDC stands for 2 assets of aave-v3/small."),
        (
            "liquidity: {assets: {WETH: {model: uniswap_v3, logs: p.json, token0: WETH, fee: 5bps}}}",
            "s.yaml:2: WETH: the liquidity uniswap_v3 needs `token1`.",
        ),
        (
            POOL.replace("5bps", "7bps"),
            "s.yaml:2: WETH: pools with that fee have no usual tick spacing. Give `tick_spacing`.",
        ),
        (
            POOL.replace("token0: WETH", "token0: '0x3333333333333333333333333333333333333333'"),
            "s.yaml:2: WETH: a pool of 0x3333333333333333333333333333333333333333 and 0x2222222222222222222222222222222222222222 does not sell WETH.",
        ),
        (
            "liquidity: {model: constant_product, depth: $5, control: shallow}",
            "s.yaml:2: model: 'shallow' is not one of deep, same, constant_product, depth, uniswap_v3.",
        ),
        (
            "liquidity: {model: constant_product, depth: $5, control: {model: depth}}",
            "s.yaml:2: control: the liquidity depth needs `depth`.",
        ),
        (
            "liquidity: {model: constant_product, depth: $5, control: {modle: depth}}",
            "s.yaml:2: modle: unknown key. Did you mean model?",
        ),
        ("liquidity: {model: same}", "s.yaml:2: liquidity: only the whole of `control` can be `same`."),
        (
            "liquidity: {control: {model: same, assets: {WETH: {model: deep}}}}",
            "s.yaml:2: liquidity: a `control` that is the `same` has no `assets`.",
        ),
        (
            "liquidity: {feedback: 30%}",
            "s.yaml:2: liquidity: `feedback` follows what sales move, and nothing here moves. Give a `model`.",
        ),
        (
            "liquidity: {model: constant_product, depth: $5, feedback: 130%}",
            "s.yaml:2: feedback: 130% is impossible. It can be 0% to 100%.",
        ),
        (
            "liquidity: {model: constant_product, depth: $5, feedback: 30%, rounds: 0}",
            "s.yaml:2: rounds: 0 is too small. It must be at least 1.",
        ),
        (
            "at_start: grandfather\nliquidity: {model: constant_product, depth: $5, feedback: 30%}",
            "s.yaml:1: `feedback` changes what everyone sees, and `at_start: grandfather` spares some. Keep one.",
        ),
        (
            "liquidity: {model: constant_product, depth: $5}\nliquidator: {profit: {slippage: 1%}}",
            "s.yaml:1: `liquidity` and the liquidator's `slippage` are two prices of one sale. Keep one of them.",
        ),
    ],
)
def test_a_mistake_names_its_place_and_the_remedy(text: str, message: str) -> None:
    assert mistake(f"name: x\n{text}").startswith(message)


def test_without_the_block_a_scenario_is_what_it_was() -> None:
    found = meant("name: x")
    assert "liquidity" not in found.effective
    assert found.outlets == ({}, {})


def test_defaults_and_words() -> None:
    found = meant(
        "name: x\nliquidity: {assets: {WETH: {model: depth, depth: $5000000, move: 2%, exponent: 0.5, half_life: never}}}"
    )
    assert found.words == (
        "liquidity of WETH: as deep as can be → depth curve, 2 % at $5,000,000, exponent 0.5, never comes back",
    )
    control, alternative = found.outlets
    assert not control and list(alternative) == [0]
    assert found.effective["liquidity"]["half_life"] == f"{HALF_LIFE_S // 60}m"
    assert found.effective["liquidity"]["assets"]["WETH"]["half_life"] == "never"


@pytest.mark.parametrize(
    "control", ["same", "deep", "{model: constant_product, depth: $9}", "{assets: {WETH: {model: deep}}}"]
)
def test_an_effective_scenario_means_what_it_was_made_from(control: str) -> None:
    found = meant(
        f"name: x\nliquidity: {{assets: {{WETH: {{model: constant_product, depth: $5}}}}, control: {control}}}"
    )
    again = meant(json.dumps(dict(found.effective)))
    assert again.effective == found.effective
    assert again.outlets == found.outlets
    assert bool(found.words) == (control != "same")


def test_a_sweep_varies_the_depth() -> None:
    text = "name: x\nliquidity: {model: constant_product}\nsweep: {liquidity: {depth: [$1000, $2000]}}"
    assert [
        one.scenario.liquidity.depth for one in load_scenarios(text, "s.yaml", LEVERS) if one.scenario.liquidity
    ] == [1_000.0, 2_000.0]

"""Impact: whom a change or a price move makes liquidatable, against a market in which it has happened."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from l2liq.errors import InputError
from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.market import PRICE, Market, Series
from l2liq.protocols import protocol
from l2liq.protocols.interface import Moment
from l2liq.scenario.compose import compose
from l2liq.scenario.load import load_scenarios
from pipelines.impact import impact, indebted, moment_for, parse_move
from tests.property.markets import Shape, grow

AAVE = protocol("aave-v3")
WAD = 10**18


def with_last_price(market: Market, asset: int, price: int) -> Market:
    """The market with one more price step at its very end."""
    series = market.series[PRICE, asset]
    key = key_of(market.last_block, END_OF_BLOCK)
    raw = np.frombuffer(price.to_bytes(32, "big"), np.uint8).reshape(1, 32)
    longer = Series(
        PRICE,
        asset,
        np.append(series.key, key),
        np.append(series.timestamp_s, market.clock.time_of(market.last_block)),
        np.concatenate([series.raw, raw]),
    )
    return replace(market, series={**market.series, (PRICE, asset): longer})


def factors(market: Market, key: int) -> dict[bytes, int | None]:
    at = Moment(key, market.clock.time_of(market.last_block))
    now = AAVE.venue(market, market.parameters).at(at)
    return {market.address(a): now.health(state).factor_wad for a, state in indebted(market, key).items()}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("version", ["3.0.2", "3.6"])
def test_price_move_strikes_whom_the_moved_price_makes_liquidatable(seed: int, version: str) -> None:
    market = grow(seed, Shape(version=version, accounts=12, liquidations=False))
    nothing = f"name: nothing\nmarket: {market.name}\n"
    (loaded,) = load_scenarios(nothing, "s.yaml", AAVE.levers)
    composition = compose(loaded, market, AAVE.levers)
    at = moment_for(composition, market, None)
    before = factors(market, at.key)
    for asset in range(len(market.assets)):
        for move in (Fraction(-1, 3), Fraction(1, 7)):
            (case,) = impact(AAVE, market, composition, at, [(asset, move)]).cases
            price = market.series[PRICE, asset].at(at.key)
            assert price is not None
            moved = with_last_price(market, asset, int(price * (1 + move)))
            after = factors(moved, at.key)
            safe = {account for account, factor in before.items() if factor is None or factor >= WAD}
            expected = {a for a in safe if (factor := after[a]) is not None and factor < WAD}
            assert {one.account for one in case.struck} == expected


@pytest.mark.parametrize("seed", range(12))
def test_change_strikes_whom_the_changed_parameters_make_liquidatable(seed: int) -> None:
    market = grow(seed, Shape(accounts=12, liquidations=False))
    reserves = market.parameters.sets[-1].reserves
    collateral = [
        asset for asset, reserve in zip(market.assets, reserves, strict=True) if reserve.liquidation_bonus_bps
    ]
    lines = [f"    '0x{asset.address.hex()}': {{liquidation_threshold: 40%}}\n" for asset in collateral]
    text = "name: x\nallow_not_deployable: true\nchange:\n  reserves:\n" + "".join(lines)
    (loaded,) = load_scenarios(text, "s.yaml", AAVE.levers)
    composition = compose(loaded, market, AAVE.levers)
    at = moment_for(composition, market, None)
    found = impact(AAVE, market, composition, at, [])
    changed = replace(market, parameters=composition.timeline)
    before, after = factors(market, at.key), factors(changed, at.key)
    (case,) = found.cases
    assert {one.account for one in case.struck} == {
        a for a, f in before.items() if f is not None and f >= WAD and (after[a] or 0) < WAD
    }
    assert found.accounts == len(before)
    assert found.already == sum(f is not None and f < WAD for f in before.values())
    assert [one.debt_usd for one in case.struck] == sorted((one.debt_usd for one in case.struck), reverse=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("WETH", "--price WETH: write the asset and the move, as in WETH=-10%."),
        ("NONE=-10%", "--price NONE=-10%: NONE is no asset of"),
        ("{first}=-10", "-10 is no move. Write percent above -100%"),
        ("{first}=-100%", "-100% is no move."),
        ("{first}=much", "much is no move."),
    ],
)
def test_price_moves_that_are_none_are_refused(text: str, message: str) -> None:
    market = grow(1, Shape())
    with pytest.raises(InputError) as caught:
        parse_move(text.format(first=f"0x{market.assets[0].address.hex()}"), market)
    assert message in str(caught.value)


def test_block_outside_the_data_is_refused() -> None:
    market = grow(1, Shape())
    (loaded,) = load_scenarios("name: x", "s.yaml", AAVE.levers)
    with pytest.raises(InputError, match="the lake has blocks"):
        moment_for(compose(loaded, market, AAVE.levers), market, market.last_block + 1)

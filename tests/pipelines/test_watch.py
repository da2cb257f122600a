"""Who is close to liquidation: against the exact health of every account, and against the impact of the same move."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from l2liq.chains.markets import find_market
from l2liq.errors import InputError
from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.lake import Lake
from l2liq.market import PRICE
from l2liq.protocols import protocol
from l2liq.protocols.interface import Moment
from pipelines.impact import WAD, impact_of_file
from pipelines.market import load_market
from pipelines.watch import watch_market
from tests.e2e.cli import MARKET, ingesting, l2liq

pytestmark = pytest.mark.slow

LISTING = find_market(str(MARKET))
WITHIN, FALL = Fraction(1, 20), Fraction(1, 10)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    path = tmp_path_factory.mktemp("watch") / "lake"
    assert l2liq(*ingesting(), lake=path).code == 0
    return Lake.open(path)


def test_close_are_exactly_those_whose_health_is_little_above_one(lake: Lake) -> None:
    market = load_market(lake, LISTING)
    at = Moment(key_of(market.last_block, END_OF_BLOCK), market.clock.time_of(market.last_block))
    situation = protocol(market.protocol).venue(market, market.parameters).at(at)
    expected, liquidatable = {}, 0
    for account in range(market.ledger.account_count):
        health = situation.health(market.ledger.state(account, at.key))
        liquidatable += health.liquidatable
        if health.factor_wad is not None and WAD <= health.factor_wad <= WAD + WAD // 20:
            expected[market.address(account)] = health.factor_wad / WAD
    found = watch_market(lake, LISTING, WITHIN, FALL)
    assert {one.account: one.health for one in found.close} == expected
    assert (found.liquidatable, found.block, found.final) == (liquidatable, market.last_block, True)
    assert [one.health for one in found.close] == sorted(expected.values())
    assert expected
    assert liquidatable


def test_price_move_strikes_whom_the_impact_of_the_same_move_strikes(lake: Lake, tmp_path: Path) -> None:
    """The impact looks at every account again; the watch only at those that hold the asset."""
    nothing = tmp_path / "nothing.yaml"
    nothing.write_text(f"name: nothing\nmarket: {MARKET}\n")
    symbols = ("WETH", "wstETH", "USDC", "WBTC")
    moves = [f"{symbol}=-10%" for symbol in symbols]
    _, impact = impact_of_file(lake, nothing, None, None, moves, told=str, warned=str)
    found = watch_market(lake, LISTING, WITHIN, FALL)
    assert {case.what: case for case in found.cases} == {case.what: case for case in impact.cases}
    assert any(case.struck for case in found.cases)


def test_prices_that_move_together_are_judged_together(lake: Lake) -> None:
    """ETH debt on staked ETH is hedged: together the two strike others than each alone."""
    market = load_market(lake, LISTING)
    at = Moment(key_of(market.last_block, END_OF_BLOCK), market.clock.time_of(market.last_block))
    venue = protocol(market.protocol).venue(market, market.parameters)
    eth = [number for number, asset in enumerate(market.assets) if asset.symbol in ("WETH", "wstETH")]
    fallen = venue.at(at, prices={number: market.series[PRICE, number].at(at.key) * 9 // 10 for number in eth})
    now = venue.at(at)
    states = {account: market.ledger.state(account, at.key) for account in range(market.ledger.account_count)}
    struck = {
        market.address(account)
        for account, state in states.items()
        if fallen.health(state).liquidatable and not now.health(state).liquidatable
    }
    found = watch_market(lake, LISTING, WITHIN, FALL, ["WETH=-10%, wstETH=-10%"])
    cases = {case.what: {one.account for one in case.struck} for case in found.cases}
    assert cases["WETH price -10.0%, wstETH price -10.0%"] == struck
    assert struck != cases["WETH price -10.0%"] | cases["wstETH price -10.0%"]


def test_command_prints_for_people_and_programs(lake: Lake) -> None:
    said = l2liq("watch", "--market", MARKET, "--within", "5%", lake=lake.path)
    assert said.code == 0
    assert "within 5.0" in said.out
    plain = json.loads(l2liq("watch", "--market", MARKET, "--json", lake=lake.path).out)
    assert len(plain["close"][0]["account"]) == 42
    assert plain["market"] == "aave-v3/sample"


@pytest.mark.parametrize("option", [("--within", "close"), ("--fall", "120%"), ("--price", "DOGE=-10%")])
def test_move_that_cannot_be_meant_is_refused(lake: Lake, option: tuple[str, str]) -> None:
    assert option[0] in l2liq("watch", "--market", MARKET, *option, lake=lake.path).refusal()


def test_share_beyond_reason_is_refused(lake: Lake) -> None:
    with pytest.raises(InputError):
        watch_market(lake, LISTING, Fraction(0), FALL)

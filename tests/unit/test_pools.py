# ruff: noqa: E501
"""A pool's history from a file: what is missing or foreign in it is named, and what a sale to it yields."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from l2liq.chains.chain import unknown_chain
from l2liq.errors import ScenarioError
from l2liq.events.abi import contract_event
from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.liquidity import Sale
from l2liq.liquidity.pool_outlet import RecordedPool
from l2liq.numeric.ticks import sqrt_price_at_tick
from l2liq.scenario.compose import compose
from l2liq.scenario.identity import run_id
from l2liq.scenario.load import Loaded, load_scenarios
from pipelines.liquidity import markets_of
from pipelines.pools import Pools, with_files
from tests.small_market import FIRST_BLOCK, LAST_BLOCK, small_market
from tests.unit.test_scenario import LEVERS

POOL, OTHER, OWNER = ("0x" + byte * 20 for byte in ("aa", "bb", "cc"))
CHAIN = unknown_chain(31_337)
LIQUIDITY = 10**24
TICK = -200_000
Entry = dict[str, Any]


def log(block: int, name: str, *values: object, pool: str = POOL) -> Entry:
    event = contract_event("uniswap_v3/pool", name)
    by_place = dict(zip((a.name for a in event.arguments), values, strict=True))
    topics = [event.topic0, *(encode([a.type], [by_place[a.name]]) for a in event.indexed)]
    return {
        "blockNumber": hex(block),
        "transactionIndex": "0x0",
        "transactionHash": "0x" + "01" * 32,
        "logIndex": "0x0",
        "address": pool,
        "topics": [f"0x{topic.hex()}" for topic in topics],
        "data": "0x" + encode([a.type for a in event.data], [by_place[a.name] for a in event.data]).hex(),
    }


def initialize(block: int = 10, **others: str) -> Entry:
    return log(block, "Initialize", sqrt_price_at_tick(TICK), TICK, **others)


def mint(block: int = 11, amount: int = LIQUIDITY, lower: int = -887_270, upper: int = 887_270) -> Entry:
    return log(block, "Mint", OWNER, OWNER, lower, upper, amount, 1, 1)


def swap(block: int = 1_500, tick: int = TICK + 100, liquidity: int = LIQUIDITY) -> Entry:
    return log(block, "Swap", OWNER, OWNER, 1, -1, sqrt_price_at_tick(tick), liquidity, tick)


WHOLE = (initialize(), mint(), swap())


def scenario(file: str = "pool.json", more: str = "") -> str:
    return (
        "name: x\nliquidity:\n  assets:\n    WETH:\n"
        f"      {{model: uniswap_v3, logs: {file}, token0: WETH, token1: '0x{'22' * 20}', fee: 5bps{more}}}"
    )


def loaded(folder: Path, text: str) -> Loaded:
    (found,) = load_scenarios(text, "s.yaml", LEVERS)
    return with_files(found, folder)


def outlet(folder: Path, text: str) -> RecordedPool:
    found = loaded(folder, text)
    markets = markets_of(compose(found, small_market(), LEVERS), small_market(), Pools(CHAIN))
    assert markets is not None and not markets.control.outlets
    recorded = markets.alternative.outlet(0)
    assert isinstance(recorded, RecordedPool)
    return recorded


def write(folder: Path, *entries: Entry) -> Path:
    path = folder / "pool.json"
    path.write_text(json.dumps(list(entries)))
    return path


BURN_ALL = log(12, "Burn", OWNER, -887_270, 887_270, LIQUIDITY + 1, 1, 1)
MALFORMED = {**swap(), "data": "0x00"}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ((), "there is no log of a Uniswap v3 pool in it. Give all its Initialize, Mint, Burn and Swap logs"),
        ((mint(), swap()), f"{POOL}: its first log is no Initialize. Give all"),
        ((*WHOLE, initialize(20, pool=OTHER)), f"there are logs of 2 pools in it ({POOL}, {OTHER}). Say which one"),
        ((initialize(), swap()), "block 1,500, log 0: the swap tells a liquidity of 1,000,000,000,000,000,000,000,000, and"),
        ((initialize(), initialize(11)), "block 11, log 0: it is initialised a second time"),
        ((initialize(), mint(), BURN_ALL), "block 12, log 0: more is burnt at tick -887270 than was minted. Logs are missing."),
        ((initialize(), mint(lower=-887_271)), "block 11, log 0: the range -887271 to 887270 does not fit a tick spacing of 10."),
        ((initialize(), mint(lower=10, upper=10)), "block 11, log 0: 10 to 10 is no range of ticks."),
        ((initialize(), MALFORMED), "the log 0 of block 1,500 is no Swap of a pool (data: shorter than the 160 bytes of Swap)."),
        ((log(10, "Initialize", sqrt_price_at_tick(5), 7),), "block 10, log 0: tick 7 and price"),
        ((initialize(LAST_BLOCK + 1), mint(LAST_BLOCK + 2)), "the pool begins after the window does."),
        ((initialize(), mint()), "the logs end before the window begins."),
    ],
)  # fmt: skip
def test_a_file_that_is_no_whole_history_is_refused(tmp_path: Path, entries: tuple[Entry, ...], message: str) -> None:
    path = write(tmp_path, *entries)
    with pytest.raises(ScenarioError) as caught:
        outlet(tmp_path, scenario())
    assert message in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "s.yaml:5: logs: {path}: no such file."),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "{path}: the JSON ends too early or is damaged."),
        (lambda path: path.write_text("[1]"), "{path}: log 1: not a log but int."),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    path = write(tmp_path, *WHOLE)
    damage(path)
    with pytest.raises(ScenarioError) as caught:
        outlet(tmp_path, scenario())
    assert str(caught.value).startswith(message.format(path=path))


def test_the_logs_of_one_pool_among_several_are_taken(tmp_path: Path) -> None:
    write(tmp_path, *WHOLE, initialize(20, pool=OTHER))
    assert outlet(tmp_path, scenario(more=f", pool: '{POOL}'")).history.pool == bytes.fromhex(POOL[2:])
    with pytest.raises(ScenarioError, match="none of 0xcc"):
        outlet(tmp_path, scenario(more=f", pool: '{OWNER}'"))


def test_the_content_of_a_file_makes_the_run_and_not_its_place(tmp_path: Path) -> None:
    def identity(folder: Path, text: str = scenario()) -> str:
        return run_id(loaded(folder, text).scenario.effective(), (0, 1), {}, "v")

    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        write(folder, *WHOLE)
    known = identity(one)
    assert known == identity(other)
    sha256 = loaded(one, scenario()).scenario.effective()["liquidity"]["assets"]["WETH"]["sha256"]
    write(other, *WHOLE, swap(1_600))
    assert identity(other) != known
    with pytest.raises(ScenarioError, match=r"s.yaml:5: sha256: .*pool.json has changed"):
        loaded(other, scenario(more=f", sha256: {sha256}"))
    assert identity(one, scenario(more=f", sha256: {sha256}")) == known


def usd(asset: int) -> float | None:
    """WETH 2,000 dollars, the token with six decimals one."""
    return (2e-15, 1e-6, None)[asset]


def test_a_sale_is_the_pools_output_at_the_state_just_before_it(tmp_path: Path) -> None:
    write(tmp_path, *WHOLE)
    pool = outlet(tmp_path, scenario())
    assert pool.bought == 1
    sold = []
    for block in (FIRST_BLOCK, 1_499, 1_500):
        sale = Sale(10**18, 2_000.0, key_of(block, END_OF_BLOCK), usd)
        found, state = pool.sell(sale, 0.0), pool.history.at(sale.key)
        assert found is not None and state is not None
        assert found.proceeds_usd == state.swap(10**18, 500, 10, zero_for_one=True).out * 1e-6
        sold.append(found.proceeds_usd)
    assert sold[0] == sold[1] < sold[2]
    assert pool.sell(Sale(1, 1.0, key_of(9, 0), usd), 0.0) is None
    assert replace(pool, bought=2).sell(Sale(1, 1.0, key_of(1_500, 0), usd), 0.0) is None


def test_our_own_sales_displace_the_recorded_price_for_both_tokens(tmp_path: Path) -> None:
    write(tmp_path, *WHOLE)
    zero = outlet(tmp_path, scenario())
    one = replace(zero, sells_token0=False, bought=0)
    key = key_of(1_500, 0)
    eth, dollars = Sale(10**21, 2e6, key, usd), Sale(2 * 10**12, 2e6, key, usd)
    first, back = zero.sell(eth, 0.0), one.sell(dollars, 0.0)
    assert first is not None and back is not None
    assert first.displacement < 0 and back.displacement < 0
    for again, pool, sale in ((first, zero, eth), (back, one, dollars)):
        later = pool.sell(sale, again.displacement)
        both = pool.sell(replace(sale, amount=2 * sale.amount), 0.0)
        assert later is not None and both is not None
        assert later.proceeds_usd < again.proceeds_usd
        assert later.proceeds_usd + again.proceeds_usd == pytest.approx(both.proceeds_usd, rel=1e-9)
        assert later.displacement == pytest.approx(both.displacement, rel=1e-9)
    helped = zero.sell(eth, one.direction * zero.direction * back.displacement)
    assert helped is not None and helped.proceeds_usd > first.proceeds_usd

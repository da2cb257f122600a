"""The fold: exact for every history of token events, and the same however the logs arrive."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2liq.chains.markets import find_market
from l2liq.events.log import BLOCKS
from l2liq.lake import OBSERVATIONS
from l2liq.protocols.aave_v3.fold import Snapshot, fold_logs
from l2liq.protocols.aave_v3.fold_state import collateral_leg, debt_leg
from l2liq.protocols.aave_v3.snapshot import from_tables, to_tables
from l2liq.protocols.aave_v3.versions import VERSIONS, Rounding, rule_set
from tests.aave_logs import POOL, RAY, Chain, Coin, Token, address, deployment

SAMPLE = Path(__file__).parents[2] / "pipelines" / "sample"
NO_BLOCKS, NO_OBSERVATIONS = BLOCKS.empty_table(), OBSERVATIONS.empty_table()
USERS = [address(name) for name in ("alice", "bob", "carol")]
COIN = Coin("WETH")

AMOUNTS = st.one_of(st.integers(1, 50), st.integers(1, 10**24))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["mint", "burn", "burn_all", "transfer", "borrow", "repay", "repay_all"]),
        st.integers(0, 2),
        st.integers(0, 2),
        AMOUNTS,
        st.integers(0, 3 * 10**7),
    ),
    max_size=30,
)


@given(st.sampled_from(VERSIONS), STEPS, st.integers(0, 2 * RAY), st.integers(0, 2 * RAY))
@settings(deadline=None)
def test_scaled_balances_are_rebuilt_exactly_from_any_history_in_every_version(version, steps, rate, debt_rate):
    chain, tokens = _history(version, steps, rate, debt_rate)
    snapshot = fold_logs(deployment(version), [chain.table()], NO_BLOCKS, NO_OBSERVATIONS)
    last = _last_quantities(snapshot)
    for leg, token in zip((collateral_leg(0), debt_leg(0)), tokens, strict=True):
        expected = {owner: scaled for owner, scaled in token.scaled.items() if scaled}
        assert {owner: value for (owner, number), value in last.items() if number == leg and value} == expected
        reserve = snapshot.state.reserves[COIN.underlying]
        book = reserve.debt if token.is_debt else reserve.collateral
        assert book.total == sum(expected.values())
    differing = [row for row in snapshot.tables["divergences"].to_pylist() if row["kind"] == "balance"]
    assert not differing


def _history(version, steps, rate, debt_rate):
    """A chain of token events, and the tokens as their contracts keep them."""
    rules = rule_set(version)
    directed = rules.atoken_balance is Rounding.FLOOR
    chain = Chain().found(COIN)
    atoken = Token(chain, COIN.atoken, False, directed, rules.transfer_value_scaled)
    debt = Token(chain, COIN.debt, True, directed)
    index = debt_index = RAY
    owed = False
    for kind, first, second, amount, seconds in steps:
        chain.block(seconds)
        index = _grown(index, rate * seconds)
        debt_index = _grown(debt_index, debt_rate * seconds) if owed else debt_index
        updated = (COIN.underlying, rate, 0, debt_rate, index, debt_index)
        chain.pool("ReserveDataUpdated", *updated)
        _apply(kind, atoken, debt, USERS[first], USERS[second], amount, index, debt_index)
        owed = any(debt.scaled.values())
    return chain, (atoken, debt)


def _grown(index, rate_seconds):
    return index + int(Fraction(index * rate_seconds, RAY * 31_536_000))


def _apply(kind, atoken, debt, user, other, amount, index, debt_index):
    """One action, if the contract would accept it."""
    held, owed = atoken.of(user, index), debt.of(user, debt_index)
    if kind == "mint" and atoken._to_scaled(amount, index, up=False):
        atoken.mint(user, amount, index)
    elif kind in ("burn", "burn_all") and held:
        taken = held if kind == "burn_all" else min(amount, held)
        if atoken._to_scaled(taken, index, up=True):
            atoken.burn(user, taken, index)
    elif kind == "transfer" and held:
        atoken.transfer(user, other, min(amount, held), index)
    elif kind == "borrow" and debt._to_scaled(amount, debt_index, up=True):
        debt.mint(user, amount, debt_index)
    elif kind in ("repay", "repay_all") and owed:
        paid = owed if kind == "repay_all" else min(amount, owed)
        if debt._to_scaled(paid, debt_index, up=False):
            debt.burn(user, paid, debt_index)


def _last_quantities(snapshot: Snapshot):
    owners = list(snapshot.state.accounts)
    rows = snapshot.tables["ledger"].to_pylist()
    return {(owners[row["account"]], row["leg"]): int.from_bytes(row["after_raw"], "big") for row in rows}


@pytest.fixture(scope="module")
def sample() -> pa.Table:
    """The bundled sample: logs of real contracts."""
    return pq.read_table(SAMPLE / "logs.parquet").slice(0, 6000)


@pytest.fixture(scope="module")
def sample_deployment():
    return find_market(str(SAMPLE / "market.yaml")).deployment


@pytest.fixture(scope="module")
def at_once(sample, sample_deployment):
    return _comparable(fold_logs(sample_deployment, [sample], NO_BLOCKS, NO_OBSERVATIONS))


@given(cuts=st.lists(st.integers(0, 6000), max_size=5))
@settings(max_examples=25, deadline=None)
def test_folding_from_snapshot_to_snapshot_gives_the_same_bytes_as_folding_at_once(
    tmp_path_factory, sample, sample_deployment, at_once, cuts
):
    folder = tmp_path_factory.mktemp("snapshots")
    snapshot = None
    for number, part in enumerate(_parts_of_whole_blocks(sample, cuts)):
        snapshot = fold_logs(sample_deployment, [part], NO_BLOCKS, NO_OBSERVATIONS, snapshot)
        snapshot = _through_files(snapshot, sample_deployment, folder / str(number))
    assert _comparable(snapshot) == at_once


@given(cuts=st.lists(st.integers(0, 6000), max_size=8))
@settings(max_examples=25, deadline=None)
def test_it_does_not_matter_how_logs_are_cut_into_tables(sample, sample_deployment, at_once, cuts):
    edges = sorted({0, *cuts, sample.num_rows})
    tables = [sample.slice(start, stop - start) for start, stop in pairwise(edges)]
    assert _comparable(fold_logs(sample_deployment, tables, NO_BLOCKS, NO_OBSERVATIONS)) == at_once


def _parts_of_whole_blocks(logs, cuts):
    blocks = logs.column("block_number").to_pylist()
    edges = {0, len(blocks)} | {
        next((i for i in range(c, len(blocks)) if i and blocks[i] != blocks[i - 1]), 0) for c in cuts
    }
    ordered = sorted(edges)
    return [logs.slice(start, stop - start) for start, stop in pairwise(ordered)]


def _through_files(snapshot, market, folder):
    """As the lake's cache does it: Parquet and JSON, nothing else."""
    folder.mkdir()
    tables, document = to_tables(snapshot)
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    document = json.loads(json.dumps(document))
    return from_tables(market, lambda name: pq.read_table(folder / f"{name}.parquet"), document, NO_OBSERVATIONS)


def _comparable(snapshot):
    tables, document = to_tables(snapshot)
    return {name: table.combine_chunks().to_pydict() for name, table in tables.items()}, document


def test_the_history_of_a_test_is_not_empty():
    chain, (atoken, _) = _history("3.6", [("mint", 0, 0, 10**18, 60), ("transfer", 0, 1, 10**17, 60)], RAY // 20, 0)
    assert len(atoken.scaled) == 2
    assert chain.rows[-1]["address"] == COIN.atoken != POOL

"""The fold, trap by trap: what each event means, what it is a consequence of, what must be refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from l2liq.chains.markets import chains, find_market
from l2liq.errors import DecodeError, DuplicateLogError, InputError, OrderError
from l2liq.events.abi import contract_event
from l2liq.events.log import BLOCKS, LOGS
from l2liq.lake import OBSERVATIONS
from l2liq.market import PRICE
from l2liq.protocols.aave_v3.fold import fold_logs
from l2liq.protocols.aave_v3.fold_market import build_market
from l2liq.protocols.aave_v3.fold_pool import StableDebtError
from l2liq.protocols.aave_v3.nulltest import check, check_indices
from l2liq.protocols.aave_v3.versions import rule_set
from pipelines.sources.logfiles import LogFile
from tests.aave_logs import (
    CONFIGURATOR,
    ORACLE,
    POOL,
    PROVIDER,
    RAY,
    SENTINEL,
    START_S,
    TREASURY,
    UPTIME_FEED,
    ZERO,
    Chain,
    Coin,
    Token,
    address,
    deployment,
)

NO_BLOCKS, NO_OBSERVATIONS = BLOCKS.empty_table(), OBSERVATIONS.empty_table()
ALICE, BOB, CAROL = (address(name) for name in ("alice", "bob", "carol"))
WETH, USDC = Coin("WETH"), Coin("USDC", 6)
ENABLED, DISABLED = "ReserveUsedAsCollateralEnabled", "ReserveUsedAsCollateralDisabled"


def fold(chain, version="3.6", observations=NO_OBSERVATIONS, **supplement):
    return fold_logs(deployment(version, **supplement), [chain.table()], NO_BLOCKS, observations)


def market(chain, version="3.6", **supplement):
    return build_market(fold(chain, version, **supplement))


def kinds(found):
    return found.actions.column("kind").to_pylist()


def updated(chain, coin, index=RAY, debt_index=RAY, rate=0, debt_rate=0):
    return chain.pool("ReserveDataUpdated", coin.underlying, rate, 0, debt_rate, index, debt_index)


def supply(chain, token, coin, owner, amount, *, first=False):
    updated(chain.next_transaction(), coin)
    token.mint(owner, amount, RAY)
    if first:
        chain.pool(ENABLED, coin.underlying, owner)
    return chain.pool("Supply", coin.underlying, owner, owner, amount, 0)


# --- real data ------------------------------------------------------------------------------------------------------


def polygon_logs(folder: Path) -> pa.Table:
    """Every Pool log of one reserve on one day."""
    path = folder / "aave-v3-polygon-logs" / "usdc-2024-01-06.raw.csv.gz"
    pool = find_market("aave-v3/polygon").deployment.addresses["pool"]
    return pa.concat_tables(LogFile(path, None, chains()["polygon"], pool).tables()).cast(LOGS)


def test_the_variable_borrow_index_of_a_day_on_polygon_is_reproduced_in_all_1138_steps(shared_data):
    logs = polygon_logs(shared_data)
    topic = contract_event("aave_v3/pool", "ReserveDataUpdated").topic0
    updates = logs.filter(pc.equal(logs.column("topic0"), pa.scalar(topic, pa.binary(32))))
    assert pc.count_distinct(updates.column("timestamp_s")).as_py() - 1 == 1138, "steps in time"
    report = check_indices([logs], rule_set("3.0.2"))
    assert report.exact
    assert report.subjects["indices"].compared >= updates.num_rows - 1 >= 1138
    other = check_indices([logs], rule_set("3.4"))
    wrong = [one for one in other.divergences if one.field == "variable_borrow_index"]
    assert len(wrong) > 500, "the formula of another version is told apart"


# --- what is an action, and what a consequence ------------------------------------------------------------------------


def test_collateral_switched_on_by_a_first_supply_is_no_action_and_by_hand_it_is():
    chain = Chain().found(WETH)
    token = Token(chain, WETH.atoken, directed=True)
    supply(chain.block(), token, WETH, ALICE, 10**18, first=True)
    supply(chain.block(), token, WETH, BOB, 10**18)
    chain.next_transaction().pool(ENABLED, WETH.underlying, BOB)
    supply(chain, token, WETH, BOB, 10**18)
    found = market(chain)
    assert kinds(found) == ["supply", "supply", "collateral_on", "supply"]
    flags = {account: found.ledger.state(found.account_of[account], 1 << 60).get(3) for account in (ALICE, BOB)}
    assert flags == {ALICE: 1, BOB: 1}


@pytest.mark.parametrize("version", ["3.0.2", "3.4"])
def test_switches_of_a_transfer_before_its_event_are_no_actions(version):
    chain = Chain().found(WETH)
    token = Token(chain, WETH.atoken)
    supply(chain.block(), token, WETH, ALICE, 10**18, first=True)
    chain.block().pool(DISABLED, WETH.underlying, ALICE).pool(ENABLED, WETH.underlying, BOB)
    token.transfer(ALICE, BOB, 10**18, RAY)
    found = market(chain, version)
    assert kinds(found) == ["supply", "transfer"]
    moved = found.actions.slice(1).to_pylist()[0]
    assert (moved["account"], moved["other"]) == (found.account_of[ALICE], found.account_of[BOB])
    assert int.from_bytes(moved["amount_raw"], "big") == 10**18


def test_the_switch_of_a_transfer_after_its_event_is_no_action():
    chain = Chain().found(WETH)
    token = Token(chain, WETH.atoken, directed=True)
    supply(chain.block(), token, WETH, ALICE, 10**18, first=True)
    token.transfer(ALICE, BOB, 10**18, RAY)
    chain.pool(DISABLED, WETH.underlying, ALICE)
    assert kinds(market(chain)) == ["supply", "transfer"]


@pytest.mark.parametrize("order", ["before the burn", "after the burn"])
def test_collateral_switched_off_by_withdrawing_all_is_no_action_and_the_withdrawal_meant_all(order):
    chain = Chain().found(WETH)
    token = Token(chain, WETH.atoken, directed=True)
    supply(chain.block(), token, WETH, ALICE, 10**18, first=True)
    updated(chain.block(), WETH)
    if order == "before the burn":
        chain.pool(DISABLED, WETH.underlying, ALICE)
    token.burn(ALICE, 10**18, RAY)
    if order == "after the burn":
        chain.pool(DISABLED, WETH.underlying, ALICE)
    chain.pool("Withdraw", WETH.underlying, ALICE, ALICE, 10**18)
    found = market(chain)
    assert kinds(found) == ["supply", "withdraw"]
    assert found.actions.column("whole").to_pylist() == [False, True]


def test_collateral_switched_off_by_hand_before_a_withdrawal_is_an_action():
    chain = Chain().found(WETH)
    token = Token(chain, WETH.atoken, directed=True)
    supply(chain.block(), token, WETH, ALICE, 10**18, first=True)
    chain.block().pool(DISABLED, WETH.underlying, ALICE)
    updated(chain, WETH)
    token.burn(ALICE, 10**17, RAY)
    chain.pool("Withdraw", WETH.underlying, ALICE, BOB, 10**17)
    found = market(chain)
    assert kinds(found) == ["supply", "collateral_off", "withdraw"]
    assert found.actions.column("whole").to_pylist()[-1] is False
    assert found.actions.column("other").to_pylist()[-1] == found.account_of[BOB]


def borrowed(chain, version="3.6"):
    """Alice supplies WETH and owes USDC."""
    directed = rule_set(version).atoken_balance == "floor"
    atoken, debt = Token(chain, WETH.atoken, directed=directed), Token(chain, USDC.debt, True, directed)
    supply(chain.block(), atoken, WETH, ALICE, 10**18, first=True)
    debt.mint(ALICE, 500 * 10**6, RAY)
    updated(chain, USDC)
    chain.pool("Borrow", USDC.underlying, ALICE, ALICE, 500 * 10**6, 2, 0, 0)
    return atoken, debt


def test_a_flash_loan_kept_as_debt_is_a_flash_borrow_and_cash_leaves_once():
    chain = Chain().found(USDC)
    debt = Token(chain, USDC.debt, True, True)
    debt.mint(ALICE, 10**6, RAY)
    updated(chain, USDC)
    chain.pool("Borrow", USDC.underlying, BOB, ALICE, 10**6, 2, 0, 0)
    chain.pool("FlashLoan", CAROL, BOB, USDC.underlying, 10**6, 2, 0, 0)
    updated(chain.next_transaction(), USDC)
    chain.pool("FlashLoan", CAROL, BOB, USDC.underlying, 10**9, 0, 900, 0)
    found = market(chain)
    assert kinds(found) == ["flash_borrow", "flash_repay"]
    assert found.series["cash", 0].values == [0, -(10**6), 900 - 10**6]


@pytest.mark.parametrize("left", ["debt", "nothing"])
def test_a_repayment_meant_all_where_no_debt_is_left(left):
    chain = Chain().found(WETH, USDC)
    _, debt = borrowed(chain)
    amount = 500 * 10**6 - (1 if left == "debt" else 0)
    debt.burn(ALICE, amount, RAY)
    updated(chain, USDC)
    chain.pool("Repay", USDC.underlying, ALICE, BOB, amount, False)
    repaid = market(chain).actions.to_pylist()[-1]
    assert (repaid["kind"], repaid["whole"]) == ("repay", left == "nothing")


def liquidated(chain, atoken, debt, *, receives, fee=10**15):
    """Carol repays 100 USDC of Alice's for WETH; returns the chain at its last log."""
    chain.block()
    debt.burn(ALICE, 100 * 10**6, RAY)
    updated(chain, USDC)
    if receives:
        atoken.transfer(ALICE, CAROL, 10**17, RAY)
    else:
        updated(chain, WETH)
        atoken.burn(ALICE, 10**17, RAY)
    atoken.transfer(ALICE, TREASURY, fee, RAY)
    values = (WETH.underlying, USDC.underlying, ALICE, 100 * 10**6, 10**17, CAROL, receives)
    return chain.pool("LiquidationCall", *values)


@pytest.mark.parametrize("receives", [False, True])
def test_a_liquidation_is_one_row_without_actions_and_begins_with_the_burning_of_its_debt(receives):
    chain = Chain().found(WETH, USDC)
    atoken, debt = borrowed(chain)
    before = len(chain.rows)
    liquidated(chain, atoken, debt, receives=receives)
    found = market(chain)
    assert kinds(found) == ["supply", "borrow"]
    (row,) = found.liquidations.to_pylist()
    assert int.from_bytes(row["protocol_fee_raw"], "big") == 10**15
    assert row["start_key"] == chain.rows[before]["block_number"] << 24 | chain.rows[before]["log_index"]
    assert row["receives_token"] is receives
    assert found.series["cash", 1].values[-1] == -(500 - 100) * 10**6
    assert found.series["cash", 0].values[-1] == 10**18 - (0 if receives else 10**17)


@pytest.mark.parametrize("version", ["3.4", "3.5"])
def test_a_liquidation_paid_in_atokens_accrues_the_collateral_silently_from_35_on(version):
    chain = Chain().found(WETH, USDC)
    atoken, debt = borrowed(chain, version)
    rate = RAY // 20
    updated(chain.block(), WETH, rate=rate)
    chain.block(3600)
    index = RAY + rate * 3602 // 31_536_000
    debt.burn(ALICE, 10**8, RAY)
    updated(chain, USDC)
    atoken.transfer(ALICE, CAROL, 10**17, index)
    chain.pool("LiquidationCall", WETH.underlying, USDC.underlying, ALICE, 10**8, 10**17, CAROL, True)
    found = market(chain, version)
    steps = found.series["liquidity_index_ray", 0]
    silent = version == "3.5"
    assert (steps.values[-1] > RAY, int(steps.timestamp_s[-1]) == chain.now_s) == (silent, silent)


# --- versions and parameters ------------------------------------------------------------------------------------------


def test_until_300_a_balance_transfer_carries_underlying_and_accrues_nothing():
    chain = Chain().found(WETH)
    token = Token(chain, WETH.atoken, transfers_scaled=False)
    index = 2 * RAY
    updated(chain.block(), WETH, index=index)
    token.mint(ALICE, 10**18, index)
    token.transfer(ALICE, BOB, 4 * 10**17, index)
    found = market(chain, "3.0.0")
    end = chain.number << 24 | 0xFFFFFF
    held = [found.ledger.state(found.account_of[who], end).get(1) for who in (ALICE, BOB)]
    assert held == [3 * 10**17, 2 * 10**17]


def test_an_upgrade_of_the_pool_changes_the_rules_and_an_unknown_one_is_refused():
    chain = Chain().found(WETH)
    implementation = address("new pool")
    chain.block().log(POOL, "proxy/proxy", "Upgraded", implementation)
    given = {"0x" + implementation.hex(): "3.3"}
    assert [s.rules.version for s in market(chain, "3.2", versions=given).parameters.sets][-2:] == ["3.2", "3.3"]
    with pytest.raises(InputError, match=f"0x{implementation.hex()}.*supplement.versions"):
        market(chain, "3.2")


def test_an_upgrade_of_an_atoken_under_300_needs_its_version_because_transfers_depend_on_it():
    chain = Chain().found(WETH)
    implementation = address("new token")
    chain.block().log(WETH.atoken, "proxy/proxy", "Upgraded", implementation)
    with pytest.raises(InputError, match="BalanceTransfer is scaled"):
        market(chain, "3.0.0")
    snapshot = fold(chain, "3.0.0", versions={"0x" + implementation.hex(): "3.0.2"})
    assert snapshot.state.books[WETH.atoken].rules.transfer_value_scaled
    assert not snapshot.state.rules.transfer_value_scaled


def test_freezing_sets_ltv_to_zero_and_keeps_the_former_one_pending():
    chain = Chain().found(WETH)
    chain.block().configurator("PendingLtvChanged", WETH.underlying, 7500)
    chain.configurator("CollateralConfigurationChanged", WETH.underlying, 0, 8000, 10_500)
    chain.configurator("ReserveFrozen", WETH.underlying, True)
    chain.block().configurator("PendingLtvChanged", WETH.underlying, 0).configurator(
        "ReserveFrozen", WETH.underlying, False
    )
    sets = [s.reserves[0] for s in market(chain).parameters.sets[-2:]]
    assert [(r.ltv_bps, r.pending_ltv_bps, r.frozen) for r in sets] == [(0, 7500, True), (7500, None, False)]


def test_changes_of_one_transaction_are_one_parameter_set_and_others_are_not():
    chain = Chain().found(WETH)
    first = len(market(chain).parameters.sets)
    chain.block().configurator("ReserveFrozen", WETH.underlying, True).configurator(
        "ReservePaused", WETH.underlying, True
    )
    chain.next_transaction().configurator("ReservePaused", WETH.underlying, False)
    timeline = market(chain).parameters
    assert len(timeline.sets) == first + 2
    assert [key & 0xFFFFFF for key in timeline.keys[-2:]] == [1, 2]


def test_emodes_are_bitmaps_from_32_and_single_categories_before():
    chain = Chain().found(WETH, USDC)
    chain.block().configurator("EModeCategoryAdded", 1, 9000, 9300, 10_100, address("mode price"), "ETH")
    chain.configurator("EModeAssetCategoryChanged", WETH.underlying, 0, 1)
    mode = market(chain, "3.0.2").parameters.sets[-1].emodes[1]
    assert (mode.price_source, mode.collateral, mode.borrowable) == (address("mode price"), {0}, {0})
    chain.configurator("AssetCollateralInEModeChanged", USDC.underlying, 1, True)
    chain.configurator("AssetLtvzeroInEModeChanged", WETH.underlying, 1, True)
    mode = market(chain, "3.6").parameters.sets[-1].emodes[1]
    assert (mode.collateral, mode.borrowable, mode.ltv_zero) == ({0, 1}, {0}, {0})


def test_the_price_of_an_emode_source_is_a_series_of_its_own():
    chain = Chain().found(WETH)
    pseudo = Coin("mode price")
    chain.block().log(ORACLE, "aave_v3/oracle", "AssetSourceUpdated", pseudo.underlying, pseudo.source)
    chain.answer(pseudo, 777)
    found = market(chain, "3.0.2")
    assert found.series[f"{PRICE}/0x{pseudo.underlying.hex()}", -1].values == [777]


def test_stable_debt_is_refused_by_account_and_block():
    chain = Chain().found(WETH)
    values = (WETH.underlying, ALICE, ALICE, 5, 1, 0, 0)
    chain.block().pool("Borrow", *values)
    with pytest.raises(StableDebtError, match=f"block 2: account 0x{ALICE.hex()}"):
        fold(chain, "3.0.2")


# --- prices and the sequencer -----------------------------------------------------------------------------------------


def test_prices_follow_source_and_aggregator_through_every_change():
    chain = Chain().found(WETH)
    other, second = address("other source"), address("second aggregator")
    chain.block().log(WETH.source, "chainlink/proxy", "AggregatorConfirmed", ZERO, second)
    chain.answer(WETH, 5)
    chain.block().log(second, "chainlink/aggregator", "AnswerUpdated", 7, 1, chain.now_s)
    chain.block().log(ORACLE, "aave_v3/oracle", "AssetSourceUpdated", WETH.underlying, other)
    chain.block().log(other, "chainlink/aggregator", "AnswerUpdated", 9, 1, chain.now_s)
    chain.block().log(other, "chainlink/aggregator", "AnswerUpdated", -3, 2, chain.now_s)
    series = market(chain).series[PRICE, 0]
    assert series.values == [10**8, 0, 7, 0, 9, 0]


def test_what_a_source_answered_before_it_was_used_is_taken_from_the_supplement():
    chain = Chain().block()
    source = {"0x" + WETH.source.hex(): {"aggregator": "0x" + address("behind").hex(), "answer": 42}}
    chain.found(WETH)
    chain.rows = [row for row in chain.rows if row["address"] != WETH.source]
    chain.block().log(address("behind"), "chainlink/aggregator", "AnswerUpdated", 43, 1, chain.now_s)
    assert market(chain, sources=source).series[PRICE, 0].values == [42, 43]


def test_the_sequencers_status_has_its_start_and_the_time_of_its_last_report():
    chain = Chain().found(WETH)
    feed = "chainlink/sequencer_uptime_feed"
    chain.block().log(UPTIME_FEED, "chainlink/aggregator", "AnswerUpdated", 0, 1, START_S - 50)
    chain.block().log(PROVIDER, "aave_v3/pool_addresses_provider", "PriceOracleSentinelUpdated", ZERO, SENTINEL)
    chain.block().log(UPTIME_FEED, feed, "RoundUpdated", 0, chain.now_s)
    chain.block().log(SENTINEL, "aave_v3/price_oracle_sentinel", "GracePeriodUpdated", 60)
    given = {"0x" + SENTINEL.hex(): {"grace_period_s": 3600, "sequencer_oracle": "0x" + UPTIME_FEED.hex()}}
    found = market(chain, sentinels=given)
    first, last = START_S + 4, START_S + 8
    assert found.series["sequencer_started_s", -1].values == [START_S - 50, START_S - 50]
    assert found.series["sequencer_updated_s", -1].values == [first, last]
    assert [s.sentinel.grace_s for s in found.parameters.sets if s.sentinel] == [3600, 60]
    with pytest.raises(InputError, match="grace_period_s and sequencer_oracle"):
        market(chain)


# --- what must be refused ---------------------------------------------------------------------------------------------


def test_repeated_and_disordered_logs_are_refused():
    table = Chain().found(WETH).block().answer(WETH, 5).table()
    with pytest.raises(DuplicateLogError, match="block 2: log 0"):
        fold_logs(
            deployment("3.6"), [pa.concat_tables([table, table.slice(table.num_rows - 1)])], NO_BLOCKS, NO_OBSERVATIONS
        )
    snapshot = fold_logs(deployment("3.6"), [table], NO_BLOCKS, NO_OBSERVATIONS)
    with pytest.raises(OrderError, match="must be in order"):
        fold_logs(deployment("3.6"), [table], NO_BLOCKS, NO_OBSERVATIONS, snapshot)
    with pytest.raises(OrderError, match="not in order of blocks"):
        fold_logs(deployment("3.6"), [table.take(list(range(table.num_rows))[::-1])], NO_BLOCKS, NO_OBSERVATIONS)


def test_a_mutilated_log_of_the_market_is_refused_and_one_of_a_stranger_is_not():
    chain = Chain().found(WETH)
    chain.block().configurator("ReserveFrozen", WETH.underlying, True)
    stranger = {**chain.rows[-1], "address": address("stranger"), "data": b""}
    fold_logs(deployment("3.6"), [pa.Table.from_pylist([*chain.rows[:-1], stranger], LOGS)], NO_BLOCKS, NO_OBSERVATIONS)
    own = {**chain.rows[-1], "data": b""}
    with pytest.raises(DecodeError, match=f"block 2, log 0 of 0x{CONFIGURATOR.hex()}"):
        fold_logs(deployment("3.6"), [pa.Table.from_pylist([*chain.rows[:-1], own], LOGS)], NO_BLOCKS, NO_OBSERVATIONS)


@pytest.mark.parametrize("field", ["value", "increase", "index"])
def test_the_null_test_names_account_token_block_and_field_of_a_changed_number(field):
    chain = Chain().found(WETH)
    token = Token(chain, WETH.atoken, directed=True)
    supply(chain.block(), token, WETH, ALICE, 10**18)
    values = {"value": 10**18, "increase": 0, "index": RAY}
    values[field] += 1
    chain.block().log(WETH.atoken, "aave_v3/scaled_token", "Mint", ALICE, ALICE, *values.values())
    report = check(fold(chain))
    assert report.exact is (field == "value"), "a value alone is what the user chose"
    if field != "value":
        wrong = {"increase": "balance_increase", "index": "index"}[field]
        one = next(d for d in report.divergences if d.field == wrong)
        assert (one.kind, one.account, one.token, one.block) == ("balance", ALICE, WETH.atoken, 3)


def test_the_null_test_tells_an_index_that_does_not_follow():
    chain = Chain().found(WETH)
    updated(chain.block(), WETH, index=RAY + 1)
    (one,) = check(fold(chain)).divergences
    assert (one.kind, one.field, one.expected, one.actual) == ("index", "liquidity_index", str(RAY), str(RAY + 1))


def test_the_null_test_refuses_a_liquidation_of_a_healthy_account():
    chain = Chain().found(WETH, USDC)
    atoken, debt = borrowed(chain)
    chain.answer(WETH, 2000 * 10**8)
    liquidated(chain, atoken, debt, receives=False)
    report = check(fold(chain))
    assert (report.recorded, report.reproduced) == (1, 0)
    (one,) = report.divergences
    assert (one.field, one.account, one.token) == ("eligibility", ALICE, USDC.underlying)

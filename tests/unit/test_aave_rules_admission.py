"""What the contracts admit and refuse of users, version by version (facts read from each tag's sources)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from l2liq.errors import InputError
from l2liq.numeric import RAY
from l2liq.protocols.aave_v3.parameters import Sentinel
from l2liq.protocols.interface import Action, Moment, Step
from tests.unit.aave_stage import (
    ALICE,
    BOB,
    BTC,
    EMODE,
    ETH,
    HEALTH,
    MODE,
    NOW,
    TREASURY,
    USD,
    Stage,
    every,
    held,
    names,
    owed,
    used,
)


@every
@pytest.mark.parametrize(
    ("changes", "kind", "constant", "error"),
    [
        ({"active": False}, "supply", "RESERVE_INACTIVE", "ReserveInactive"),
        ({"paused": True}, "supply", "RESERVE_PAUSED", "ReservePaused"),
        ({"frozen": True}, "supply", "RESERVE_FROZEN", "ReserveFrozen"),
        ({"active": False}, "withdraw", "RESERVE_INACTIVE", "ReserveInactive"),
        ({"paused": True}, "withdraw", "RESERVE_PAUSED", "ReservePaused"),
        ({"frozen": True}, "withdraw", "", ""),
        ({"paused": True}, "transfer", "RESERVE_PAUSED", "ReservePaused"),
        ({"active": False}, "transfer", "", ""),
        ({"frozen": True}, "borrow", "RESERVE_FROZEN", "ReserveFrozen"),
        ({"paused": True, "frozen": True}, "borrow", "RESERVE_PAUSED", "ReservePaused"),
        ({"borrowing": False}, "borrow", "BORROWING_NOT_ENABLED", "BorrowingNotEnabled"),
        ({"flash_loans": False}, "borrow", "", ""),
        ({"flash_loans": False}, "flash_borrow", "FLASHLOAN_DISABLED", "FlashloanDisabled"),
        ({"frozen": True}, "repay", "", ""),
        ({"paused": True}, "repay", "RESERVE_PAUSED", "ReservePaused"),
        ({"paused": True}, "collateral_off", "RESERVE_PAUSED", "ReservePaused"),
    ],
)
def test_switches_of_a_reserve(version, changes, kind, constant, error):
    stage = Stage(version).give(ALICE, collateral={ETH: 1_000, USD: 9_000}, debt={ETH: 10}).change(ETH, **changes)
    outcome = stage.do(kind, ETH, 100, other=BOB if kind == "transfer" else -1)
    assert outcome == names(constant, error, version) if constant else not isinstance(outcome, str)


@every
def test_amounts_of_nothing_and_of_more_than_there_is(version):
    stage = Stage(version).give(ALICE, collateral={ETH: 1_000}, debt={USD: 10})
    nothing = names("INVALID_AMOUNT", "InvalidAmount", version)
    too_much = names("NOT_ENOUGH_AVAILABLE_USER_BALANCE", "NotEnoughAvailableUserBalance", version)
    for kind in ("supply", "withdraw", "borrow"):
        assert stage.do(kind, ETH, 0) == nothing
    assert stage.do("repay", USD, 0) == nothing
    assert stage.do("withdraw", ETH, 1_001) == too_much
    assert stage.do("repay", BTC, 1) == names("NO_DEBT_OF_SELECTED_TYPE", "NoDebtOfSelectedType", version)
    assert owed(USD) not in stage.do("repay", USD, 1_000)


@every
def test_an_amount_below_one_scaled_unit_mints_nothing(version):
    stage = Stage(version, indices=dict.fromkeys(range(3), 3 * RAY)).give(ALICE, collateral={ETH: 1_000})
    assert stage.do("supply", ETH, 1) == names("INVALID_MINT_AMOUNT", "InvalidAmount", version).replace(
        "InvalidAmount", "InvalidMintAmount" if version == "3.4" else "InvalidAmount"
    )
    if version >= "3.5":
        assert stage.do("withdraw", ETH, 1)[held(ETH)] == 999
        assert stage.do("borrow", USD, 1)[owed(USD)] == 1
    else:
        assert stage.do("withdraw", ETH, 1) == names("INVALID_BURN_AMOUNT", "InvalidBurnAmount", version)
        assert stage.do("borrow", USD, 1) == names("INVALID_MINT_AMOUNT", "InvalidMintAmount", version)


@every
def test_the_first_supply_is_switched_on_as_collateral_and_a_later_one_is_not(version):
    stage = Stage(version)
    assert stage.do("supply", ETH, 50) == {held(ETH): 50, used(ETH): 1}
    stage.do("collateral_off", ETH)
    assert stage.do("supply", ETH, 50) == {held(ETH): 100}


@every
def test_supply_of_collateral_with_ltv_zero_stays_off_since_302(version):
    state = Stage(version).change(ETH, ltv_bps=0).do("supply", ETH, 50)
    assert (used(ETH) in state) == (version < "3.0.2")


@every
def test_isolated_collateral_is_switched_on_by_hand_only_since_302_and_alone(version):
    stage = Stage(version).change(ETH, debt_ceiling=10**8)
    isolation = version < "3.7"
    assert (used(ETH) in stage.do("supply", ETH, 50)) == (version < "3.0.2" or not isolation)
    if not isolation:
        return
    stage.do("collateral_on", ETH)
    assert used(USD) not in stage.do("supply", USD, 50)
    in_isolation = names("USER_IN_ISOLATION_MODE_OR_LTV_ZERO", "UserInIsolationModeOrLtvZero", version)
    assert stage.do("collateral_on", USD) == in_isolation
    refused = names("ASSET_NOT_BORROWABLE_IN_ISOLATION", "AssetNotBorrowableInIsolation", version)
    assert stage.do("borrow", USD, 1) == refused
    assert stage.change(USD, borrowable_in_isolation=True).do("borrow", USD, 1)[owed(USD)] == 1


@every
def test_a_siloed_asset_is_borrowed_alone_until_36(version):
    stage = Stage(version).give(ALICE, collateral={ETH: 1_000}, debt={USD: 1}).change(BTC, siloed=True)
    violation = names("SILOED_BORROWING_VIOLATION", "SiloedBorrowingViolation", version)
    outcome = stage.do("borrow", BTC, 1)
    assert outcome == violation if version < "3.7" else outcome[owed(BTC)] == 1
    alone = Stage(version).give(ALICE, collateral={ETH: 1_000}, debt={BTC: 1}).change(BTC, siloed=True)
    assert alone.do("borrow", BTC, 1)[owed(BTC)] == 2
    if version < "3.7":
        assert alone.do("borrow", USD, 1) == violation


@every
def test_borrowing_stops_at_the_ltv(version):
    stage = Stage(version).give(ALICE, collateral={ETH: 10_000})
    uncovered = names("COLLATERAL_CANNOT_COVER_NEW_BORROW", "CollateralCannotCoverNewBorrow", version)
    assert stage.do("borrow", USD, 7_501) == uncovered
    assert stage.do("borrow", USD, 7_500)[owed(USD)] == 7_500
    assert stage.do("borrow", USD, 1) == uncovered


@every
def test_borrowing_without_collateral_or_with_ltv_zero(version):
    empty = (
        "LtvValidationFailed"
        if version >= "3.5"
        else names("COLLATERAL_BALANCE_IS_ZERO", "CollateralBalanceIsZero", version)
    )
    assert Stage(version).do("borrow", USD, 1) == empty
    stage = Stage(version).give(ALICE, collateral={ETH: 100}).change(ETH, ltv_bps=0)
    assert stage.do("borrow", USD, 1) == names("LTV_VALIDATION_FAILED", "LtvValidationFailed", version)


@every
def test_withdrawing_stops_at_health_one(version):
    stage = Stage(version).give(ALICE, collateral={ETH: 10_000}, debt={USD: 7_000})
    assert stage.do("withdraw", ETH, 1_251) == names(*HEALTH, version)
    assert stage.do("withdraw", ETH, 1_250)[held(ETH)] == 8_750
    assert stage.do("transfer", ETH, 1, other=BOB) == names(*HEALTH, version)
    assert stage.do("collateral_off", ETH) == names(*HEALTH, version)


@every
def test_collateral_with_ltv_zero_goes_first(version):
    stage = Stage(version).give(ALICE, collateral={ETH: 10_000, BTC: 10_000}, debt={USD: 100}).change(BTC, ltv_bps=0)
    refused = names("LTV_VALIDATION_FAILED", "LtvValidationFailed", version)
    for kind in ("withdraw", "transfer", "collateral_off"):
        assert stage.do(kind, ETH, 10, other=BOB if kind == "transfer" else -1) == refused
    assert held(BTC) not in stage.do("withdraw", BTC, whole=True)
    assert stage.do("withdraw", ETH, 10)[held(ETH)] == 9_990


@every
def test_whole_means_everything_and_switches_the_collateral_off(version):
    stage = Stage(version, indices=dict.fromkeys(range(3), RAY * 3 // 2 + 1)).give(ALICE, collateral={ETH: 10_001})
    assert stage.do("withdraw", ETH, 3, whole=True) == {}
    stage.give(ALICE, collateral={ETH: 10_001}, debt={USD: 77})
    assert owed(USD) not in stage.do("repay", USD, 1, whole=True)


@every
def test_repaying_with_all_atokens_switches_collateral_off_since_31(version):
    stage = Stage(version).give(ALICE, collateral={USD: 100, ETH: 10_000}, debt={USD: 500})
    state = stage.do("repay_with_atokens", USD, whole=True)
    assert state[owed(USD)] == 400 and held(USD) not in state
    assert (used(USD) in state) == (version < "3.1")


@every
def test_repaying_with_atokens_must_leave_a_sound_position_since_35(version):
    stage = Stage(version).give(ALICE, collateral={USD: 1_000}, debt={USD: 990})
    outcome = stage.do("repay_with_atokens", USD, 500)
    assert outcome == HEALTH[1] if version >= "3.5" else outcome[owed(USD)] == 490


@every
def test_receiving_atokens_switches_them_on_until_35(version):
    stage = Stage(version).give(ALICE, collateral={ETH: 100})
    stage.do("transfer", ETH, 40, other=BOB)
    assert stage.states == {
        ALICE: {held(ETH): 60, used(ETH): 1},
        BOB: {held(ETH): 40} | ({used(ETH): 1} if version < "3.6" else {}),
        TREASURY: {},
    }


@every
def test_switching_off_what_one_does_not_have_is_refused_until_33(version):
    outcome = Stage(version).do("collateral_off", ETH)
    assert outcome == "UNDERLYING_BALANCE_ZERO" if version < "3.4" else outcome == {}
    assert Stage(version).do("collateral_on", ETH) == names("UNDERLYING_BALANCE_ZERO", "UnderlyingBalanceZero", version)


@every
def test_a_mode_lifts_ltv_and_threshold_of_its_collateral(version):
    stage = Stage(version, emodes={1: MODE}).give(ALICE, collateral={ETH: 10_000, USD: 10_000}, emode=1)
    data = stage.situation.account_data(stage.states[ALICE])
    assert (data.ltv_bps, data.liquidation_threshold_bps) == (8_250, 8_650)


@every
def test_in_a_mode_only_its_assets_are_borrowed(version):
    stage = Stage(version, emodes={1: MODE}).give(ALICE, collateral={ETH: 10_000}, emode=1)
    refused = (
        "INCONSISTENT_EMODE_CATEGORY"
        if version < "3.2"
        else names("NOT_BORROWABLE_IN_EMODE", "NotBorrowableInEMode", version)
    )
    assert stage.do("borrow", USD, 1) == refused
    stage.change(BTC, borrowing=False)
    outcome = stage.do("borrow", BTC, 1)
    assert (
        outcome[owed(BTC)] == 1
        if version >= "3.6"
        else outcome == names("BORROWING_NOT_ENABLED", "BorrowingNotEnabled", version)
    )


@every
def test_entering_a_mode(version):
    stage = Stage(version, emodes={1: MODE}).give(ALICE, collateral={ETH: 10_000}, debt={USD: 10})
    refused = (
        "INCONSISTENT_EMODE_CATEGORY"
        if version < "3.2"
        else names("NOT_BORROWABLE_IN_EMODE", "NotBorrowableInEMode", version)
    )
    assert stage.do("emode", mode=1) == ("InvalidDebtInEmode" if version >= "3.6" else refused)
    assert stage.do("emode", mode=2) == names("INCONSISTENT_EMODE_CATEGORY", "InconsistentEModeCategory", version)
    stage = Stage(version, emodes={1: MODE}).give(ALICE, collateral={ETH: 10_000}, debt={BTC: 10})
    assert stage.do("emode", mode=1)[EMODE] == 1


@every
def test_entering_the_first_mode_checks_health_since_32(version):
    """An account that is unsound in the mode too: until 3.1 nobody looks when it comes from no mode."""
    stage = Stage(version, emodes={1: MODE}).give(ALICE, collateral={ETH: 100}, debt={BTC: 99})
    outcome = stage.do("emode", mode=1)
    assert outcome == names(*HEALTH, version) if version >= "3.2" else outcome[EMODE] == 1


@every
def test_leaving_a_mode_must_leave_a_sound_position(version):
    stage = Stage(version, emodes={1: MODE}).give(ALICE, collateral={ETH: 100}, debt={BTC: 85}, emode=1)
    assert stage.do("emode", mode=0) == names(*HEALTH, version)


@pytest.mark.parametrize("version", ["3.6", "3.7"])
def test_collateral_with_ltv_zero_in_the_mode_bars_entering(version):
    mode = replace(MODE, ltv_zero=frozenset({ETH}))
    stage = Stage(version, emodes={1: mode}).give(ALICE, collateral={ETH: 100})
    assert stage.do("emode", mode=1) == "InvalidCollateralInEmode"


@pytest.mark.parametrize("version", ["3.0.2", "3.1"])
def test_a_mode_with_its_own_price_source_prices_its_assets(version):
    stage = Stage(version, emodes={1: replace(MODE, price_source=b"s" * 20)})
    stage.give(ALICE, collateral={ETH: 1_000, USD: 1_000}, debt={BTC: 100}, emode=1)
    data = stage.situation.account_data(stage.states[ALICE])
    assert (data.collateral_base, data.debt_base) == (300_000, 20_000)


@every
def test_the_sentinel_stops_borrowing_until_36(version):
    stage = Stage(version, sentinel=Sentinel(b"s" * 20, 3_600), report=(1, NOW)).give(ALICE, collateral={ETH: 100})
    outcome = stage.do("borrow", USD, 1)
    refused = names("PRICE_ORACLE_SENTINEL_CHECK_FAILED", "PriceOracleSentinelCheckFailed", version)
    assert outcome == refused if version < "3.7" else outcome[owed(USD)] == 1
    stage.report = (0, NOW - 3_600)
    assert stage.do("borrow", USD, 1) == refused or version == "3.7"
    stage.report = (0, NOW - 3_601)
    assert owed(USD) in stage.do("borrow", USD, 1)


def test_a_reserve_pays_out_no_more_than_it_has():
    stage = Stage(money=99).give(ALICE, collateral={ETH: 1_000})
    assert stage.do("withdraw", ETH, 100) == "no_liquidity"
    assert stage.do("borrow", USD, 100) == "no_liquidity"
    assert stage.do("withdraw", ETH, 99)[held(ETH)] == 901


def test_a_deficit_is_covered_with_atokens_by_whoever_owes_nothing():
    stage = Stage("3.6").give(ALICE, collateral={ETH: 100}).give(BOB, collateral={ETH: 100}, debt={USD: 1})
    assert stage.do("cover_deficit", ETH, 100) == {}
    assert stage.do("cover_deficit", ETH, 10, account=BOB) == "UserCannotHaveDebt"


def test_an_unknown_kind_and_a_missing_price_are_named():
    stage = Stage(prices={}).give(ALICE, collateral={ETH: 1_000}, debt={USD: 1})
    with pytest.raises(InputError, match="no user action 'swap'"):
        stage.do("swap", ETH, 1)
    with pytest.raises(InputError, match=r"block 7: asset 0x0101.* has no price"):
        stage.situation.health(stage.states[ALICE])


def test_steps_hold_what_changed_and_nothing_else():
    stage = Stage().give(ALICE, collateral={ETH: 1_000})
    action = Action(0, Moment(7 << 24, NOW), (7, 0), "borrow", ALICE, BOB, USD, 100, False, 0)
    step = stage.situation.apply(stage.states.__getitem__, action, cash=lambda _: 10**9)
    assert step == Step(after={(ALICE, owed(USD)): 100}, cash={USD: -100}, wallet={(BOB, USD): 100})
    assert stage.states[ALICE] == {held(ETH): 1_000, used(ETH): 1}

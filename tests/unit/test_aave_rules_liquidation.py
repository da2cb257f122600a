"""What the contracts admit and do in a liquidation, version by version (facts read from each tag's sources)."""

from __future__ import annotations

import pytest

from l2liq.errors import InputError
from l2liq.protocols.aave_v3.parameters import Sentinel
from l2liq.protocols.aave_v3.versions import VERSIONS
from l2liq.protocols.interface import Gate, Liquidated, Rejection, Request
from tests.unit.aave_stage import (
    ALICE,
    BOB,
    BTC,
    ETH,
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


def broke(version: str) -> Stage:
    """Alice owes 990 against 1,000 at a threshold of 80 %: health 0.81, or in mode 1 health 0.94."""
    return Stage(version, emodes={1: MODE}).give(ALICE, collateral={ETH: 1_000}, debt={BTC: 990})


def liquidate(stage: Stage, amount: int | None = None, liquidator: int = BOB, receives_token: bool = False):
    request = Request(ALICE, liquidator, ETH, BTC, amount, receives_token)
    return stage.situation.liquidate(stage.states.__getitem__, request, cash=lambda _: stage.money)


@every
@pytest.mark.parametrize(
    ("asset", "changes", "constant", "error", "versions"),
    [
        (ETH, {"active": False}, "RESERVE_INACTIVE", "ReserveInactive", VERSIONS),
        (BTC, {"paused": True}, "RESERVE_PAUSED", "ReservePaused", VERSIONS),
        (ETH, {"frozen": True}, "", "", ()),
        (ETH, {"grace_until_s": NOW}, "LIQUIDATION_GRACE_SENTINEL_CHECK_FAILED", "LiquidationGraceSentinelCheckFailed", tuple(v for v in VERSIONS if v >= "3.1")),  # noqa: E501
        (BTC, {"grace_until_s": NOW - 1}, "", "", ()),
    ],
)  # fmt: skip
def test_what_refuses_a_liquidation(version, asset, changes, constant, error, versions):
    outcome = liquidate(broke(version).change(asset, **changes))
    if version in versions:
        assert outcome == Rejection(names(constant, error, version))
    else:
        assert isinstance(outcome, Liquidated)


@every
def test_collateral_without_a_threshold_of_its_own_is_not_let_go_until_35(version):
    stage = broke(version).give(ALICE, emode=1).change(ETH, liquidation_threshold_bps=0)
    outcome = liquidate(stage)
    if version < "3.6":
        refused = names("COLLATERAL_CANNOT_BE_LIQUIDATED", "CollateralCannotBeLiquidated", version)
        assert outcome == Rejection(refused)
        assert stage.situation.health(stage.states[ALICE]).collateral_base == 0
    else:
        assert isinstance(outcome, Liquidated)


@every
def test_nobody_liquidates_oneself_since_34(version):
    outcome = liquidate(broke(version), liquidator=ALICE)
    assert outcome == Rejection("SelfLiquidation") if version >= "3.4" else isinstance(outcome, Liquidated)


@every
def test_a_sound_account_is_not_liquidated(version):
    stage = Stage(version).give(ALICE, collateral={ETH: 1_000}, debt={BTC: 800})
    assert stage.situation.health(stage.states[ALICE]).factor_wad == 10**18
    assert liquidate(stage) == Rejection(
        names("HEALTH_FACTOR_NOT_BELOW_THRESHOLD", "HealthFactorNotBelowThreshold", version)
    )


@every
def test_a_sentinel_protects_whoever_is_above_095(version):
    sentinel = Sentinel(b"s" * 20, 3_600)
    protected = Stage(version, sentinel=sentinel, report=(0, NOW - 3_600))
    protected.give(ALICE, collateral={ETH: 1_000}, debt={BTC: 820})
    refused = names("PRICE_ORACLE_SENTINEL_CHECK_FAILED", "PriceOracleSentinelCheckFailed", version)
    gate = protected.situation.gate(protected.states[ALICE])
    if version == "3.7":
        assert gate is None and isinstance(liquidate(protected), Liquidated)
        return
    assert liquidate(protected) == Rejection(refused)
    assert gate == Gate("sentinel", NOW + 1)
    protected.report = (1, NOW - 9_999)
    assert protected.situation.gate(protected.states[ALICE]) == Gate("sentinel", None)
    protected.give(ALICE, debt={BTC: 843})
    assert protected.situation.gate(protected.states[ALICE]) is None
    assert isinstance(liquidate(protected), Liquidated)


def test_the_gate_that_opens_first_is_named_and_one_open_pair_opens_it():
    stage = broke("3.6").change(ETH, grace_until_s=NOW + 50)
    assert stage.situation.gate(stage.states[ALICE]) == Gate("grace_period", NOW + 51)
    stage.give(ALICE, collateral={USD: 5}).change(USD, paused=True)
    assert stage.situation.gate(stage.states[ALICE]) == Gate("grace_period", NOW + 51)
    stage.change(USD, paused=False)
    assert stage.situation.gate(stage.states[ALICE]) is None
    stage.change(BTC, active=False)
    assert stage.situation.gate(stage.states[ALICE]) == Gate("inactive", None)


def test_a_sentinel_without_a_known_report_is_named():
    stage = broke("3.0.2")
    stage.sentinel = Sentinel(b"s" * 20, 3_600)
    with pytest.raises(InputError, match=r"block 7: sentinel 0x7373"):
        stage.situation.gate(stage.states[ALICE])


@every
def test_receiving_atokens_of_a_liquidation_switches_them_on_until_35(version):
    done = liquidate(broke(version), 100, receives_token=True)
    if version >= "3.3":
        assert done == Rejection(names("MUST_NOT_LEAVE_DUST", "MustNotLeaveDust", version))
        done = liquidate(broke(version), receives_token=True)
    assert isinstance(done, Liquidated)
    assert ((BOB, used(ETH)) in done.step.after) == (version < "3.6")
    assert done.step.after[BOB, held(ETH)] == done.collateral_to_liquidator
    assert done.step.after[TREASURY, held(ETH)] == done.protocol_fee
    assert done.step.cash == {BTC: done.debt_repaid}


@every
def test_all_collateral_gone_leaves_the_debt_or_writes_it_off(version):
    """1,000 of collateral pay for 953 of debt with a bonus of 5 %; the rest of 1,500 and another debt stay bad."""
    stage = broke(version).give(ALICE, debt={BTC: 1_500, USD: 70})
    done = liquidate(stage)
    assert isinstance(done, Liquidated)
    repaid = 953 if version >= "3.5" else 952
    assert (done.debt_repaid, done.collateral_to_liquidator + done.protocol_fee) == (repaid, 1_000)
    assert done.step.after[ALICE, held(ETH)] == 0
    if version >= "3.3":
        assert done.deficits == {BTC: 1_500 - repaid, USD: 70}
        assert done.step.after[ALICE, owed(BTC)] == done.step.after[ALICE, owed(USD)] == 0
        assert done.health_after.factor_wad is None
    else:
        assert done.deficits == {}
        assert done.step.after[ALICE, owed(BTC)] == 1_500 - repaid and (ALICE, owed(USD)) not in done.step.after
    assert ((ALICE, used(ETH)) in done.step.after) == (version > "3.0.0")


def test_300_forgets_the_fee_when_it_asks_whether_collateral_is_used_up():
    stage = broke("3.0.0").change(ETH, protocol_fee_bps=0).give(ALICE, debt={BTC: 1_500})
    done = liquidate(stage)
    assert isinstance(done, Liquidated)
    assert done.step.after[ALICE, used(ETH)] == 0


@every
def test_an_inactive_reserves_debt_is_not_written_off(version):
    stage = broke(version).give(ALICE, debt={BTC: 1_500, USD: 70}).change(USD, active=False)
    done = liquidate(stage)
    assert isinstance(done, Liquidated)
    assert USD not in done.deficits and (ALICE, owed(USD)) not in done.step.after


@every
def test_in_a_mode_the_bonus_is_the_modes(version):
    stage = Stage(version, emodes={1: MODE}).change(ETH, protocol_fee_bps=0)
    stage.give(ALICE, collateral={ETH: 10_000_000_000}, debt={BTC: 9_500_000_000}, emode=1)
    done = liquidate(stage, 1_000_000_000)
    assert isinstance(done, Liquidated)
    assert (done.debt_repaid, done.collateral_to_liquidator) == (1_000_000_000, 1_010_000_000)


@every
@pytest.mark.parametrize("bonus_bps", [10_001, 10_500, 10_733])
def test_what_a_collateral_would_repay_is_what_taking_all_of_it_repays(version, bonus_bps):
    """In whole units of a debt that costs a cent, where base currency and debt round alike."""
    stage = Stage(version, prices={ETH: 10**6, USD: 10**8, BTC: 10**6}).change(ETH, liquidation_bonus_bps=bonus_bps)
    stage.give(ALICE, collateral={ETH: 7_654_321 * 10**6}, debt={BTC: 9_999_999 * 10**6})
    backing = stage.situation.backing(stage.states[ALICE])
    outcome = liquidate(stage)
    assert isinstance(outcome, Liquidated)
    assert outcome.collateral_to_liquidator + outcome.protocol_fee == 7_654_321 * 10**6
    assert backing.repayable_base == outcome.debt_repaid

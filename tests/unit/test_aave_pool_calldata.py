"""Calls of the Pool and of aTokens, read from calldata; and where flash loans may have begun."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from l2liq.events.log import key_of
from l2liq.protocols.aave_v3.fold_market import A_TOKEN, POOL
from l2liq.protocols.aave_v3.pool import PoolCalldata
from l2liq.protocols.aave_v3.pool.reading import readings
from l2liq.protocols.interface import Action, Call, Message, Moment, Request
from tests.small_market import USDC, WETH, small_market

USER, FRIEND, STRANGER = (bytes([n]) * 20 for n in (0xA1, 0xB2, 0xC3))
POOL_ADDRESS, TOKEN = bytes([0x50]) * 20, bytes([0x51]) * 20
NOW = Moment(key_of(1_600, 3), 1_722_900_000)
ALL = 2**256 - 1


@pytest.fixture
def calldata() -> PoolCalldata:
    market = replace(
        small_market(),
        addresses=pa.array([USER, FRIEND], pa.binary(20)),
        contracts={POOL_ADDRESS: (POOL, -1), TOKEN: (A_TOKEN, 1)},
    )
    return PoolCalldata(market)


def data(signature: str, *values: object) -> bytes:
    types = signature[signature.index("(") + 1 : -1]
    return keccak(text=signature)[:4] + encode(types.split(",") if types else [], values)


def word(*fields: tuple[int, int]) -> bytes:
    return sum(value << low for low, value in fields).to_bytes(32, "big")


def read(calldata: PoolCalldata, payload: bytes, to: bytes = POOL_ADDRESS) -> list[tuple[object, ...]] | None:
    calls = calldata.calls(Message(USER, to, payload), NOW, (1_600, 2))
    return None if calls is None else [_told(call) for call in calls]


def _told(call: Call) -> tuple[object, ...]:
    what = call.what
    assert call.moment == NOW
    if isinstance(what, Request):
        return (what.account, what.liquidator, what.collateral_asset, what.debt_asset, what.amount, what.receives_token)
    assert what.transaction == (1_600, 2)
    return (what.kind, what.account, what.other, what.asset, what.amount, what.whole, what.mode)


def test_plain_and_packed_calls_say_the_same(calldata: PoolCalldata) -> None:
    user = USER.hex()
    pairs = {
        data("supply(address,uint256,address,uint16)", USDC.hex(), 7, user, 0): ("supply", (0, 1), (16, 7)),
        data("withdraw(address,uint256,address)", WETH.hex(), ALL, user): ("withdraw", (16, 2**128 - 1)),
        data("borrow(address,uint256,uint256,uint16,address)", USDC.hex(), 9, 2, 0, user): (
            "borrow", (0, 1), (16, 9), (144, 2),
        ),
        data("repay(address,uint256,uint256,address)", USDC.hex(), ALL, 2, user): (
            "repay", (0, 1), (16, 2**128 - 1), (144, 2),
        ),
        data("repayWithATokens(address,uint256,uint256)", USDC.hex(), 5, 2): (
            "repayWithATokens", (0, 1), (16, 5), (144, 2),
        ),
        data("setUserUseReserveAsCollateral(address,bool)", USDC.hex(), True): (
            "setUserUseReserveAsCollateral", (0, 1), (16, 1),
        ),
    }  # fmt: skip
    for plain, (name, *fields) in pairs.items():
        packed = keccak(text=f"{name}(bytes32)")[:4] + word(*fields)
        assert read(calldata, plain) == read(calldata, packed) != [], name


def test_what_is_meant_by_all_is_told_from_an_amount(calldata: PoolCalldata) -> None:
    signature = "repay(address,uint256,uint256,address)"
    friend = FRIEND.hex()
    assert read(calldata, data(signature, USDC.hex(), ALL, 2, friend)) == [("repay", 1, 0, 1, ALL, True, 0)]
    assert read(calldata, data(signature, USDC.hex(), 10**30, 2, friend)) == [("repay", 1, 0, 1, 10**30, False, 0)]


def test_liquidations_are_requests(calldata: PoolCalldata) -> None:
    signature = "liquidationCall(address,address,address,uint256,bool)"
    plain = data(signature, WETH.hex(), USDC.hex(), FRIEND.hex(), ALL, True)
    first = word((0, 0), (16, 1), (32, int.from_bytes(FRIEND, "big")))
    packed = keccak(text="liquidationCall(bytes32,bytes32)")[:4] + first + word((0, 2**128 - 1), (128, 1))
    assert read(calldata, plain) == read(calldata, packed) == [(1, 0, 0, 1, None, True)]


def test_a_multicall_is_its_parts_and_tells_nothing_where_one_of_them_does_not(calldata: PoolCalldata) -> None:
    part = data("setUserEMode(uint8)", 1)
    loan = keccak(text="flashLoanSimple(address,address,uint256,bytes,uint16)")[:4]
    selector = keccak(text="multicall(bytes[])")[:4]
    both = selector + encode(["bytes[]"], [[part, part]])
    assert read(calldata, both) == [("emode", 0, -1, -1, 0, False, 1)] * 2
    assert read(calldata, selector + encode(["bytes[]"], [[part, loan]])) is None


def test_transfers_of_atokens(calldata: PoolCalldata) -> None:
    assert read(calldata, data("transfer(address,uint256)", FRIEND.hex(), 4), TOKEN) == [
        ("transfer", 0, 1, 1, 4, False, 0)
    ]
    taken = data("transferFrom(address,address,uint256)", FRIEND.hex(), USER.hex(), 4)
    assert read(calldata, taken, TOKEN) == [("transfer", 1, 0, 1, 4, False, 0)]


@pytest.mark.parametrize(
    ("to", "payload"),
    [
        (STRANGER, data("setUserEMode(uint8)", 1)),
        (POOL_ADDRESS, b""),
        (POOL_ADDRESS, data("setUserEMode(uint8)", 1)[:20]),
        (POOL_ADDRESS, data("withdraw(address,uint256,address)", STRANGER.hex(), 1, USER.hex())),
        (TOKEN, data("approve(address,uint256)", USER.hex(), 1)),
    ],
    ids=["not to the market", "nothing", "cut off", "asset that is not listed", "approval"],
)
def test_what_does_not_tell_what_is_asked_is_left_to_the_logs(
    calldata: PoolCalldata, to: bytes, payload: bytes
) -> None:
    assert read(calldata, payload, to) is None


def test_of_two_flash_loans_one_is_inside_the_other_or_they_follow_each_other() -> None:
    def call(place: int, kind: str, asset: int) -> Call:
        moment = Moment(key_of(7, place), 1)
        return Call(moment, Action(place, moment, (7, 0), kind, 0, -1, asset, 10 + place, False, 0))

    calls = [call(0, "supply", 0), call(1, "flash_repay", 1), call(2, "supply", 0), call(3, "flash_repay", 1)]
    ways = set()
    for reading in readings(calls):
        open_loans: list[int] = []
        for step in reading:
            action = step.what
            assert isinstance(action, Action)
            if action.kind == "flash_take":
                open_loans.append(action.amount)
            elif action.kind == "flash_repay":
                assert open_loans.pop() == action.amount
        assert open_loans == []
        ways.add(tuple(step.what.kind for step in reading if isinstance(step.what, Action)))
    assert len(ways) == 7

"""What a transaction asked for, from its calldata: calls of the Pool, plain or packed, and transfers of aTokens.

Calldata says what logs can't: whether "all" was meant or just that amount, how much more than was owed was offered, and
that a switch was asked for which was set already. Source: Aave v3 IPool, IL2Pool, CalldataLogic (DOMAIN §1.12).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from l2liq.events.functions import FunctionAbi, contract_functions
from l2liq.market import Market, ParameterTimeline
from l2liq.protocols.aave_v3.fold_market import A_TOKEN, POOL
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.interface import Action, Call, Message, Moment, Request

EVERYTHING = 2**256 - 1
"""How calls spell "all"."""

_SHORT_EVERYTHING = 2**128 - 1

What = Action | Request


class PoolCalldata:
    """Reads messages to one market; see :class:`l2liq.protocols.interface.Decoder`."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._asset_of = {asset.address: number for number, asset in enumerate(market.assets)}
        self._ids = lru_cache(maxsize=64)(lambda regime: reserve_ids(market.parameters, regime))

    def calls(self, message: Message, moment: Moment, transaction: tuple[int, int]) -> Sequence[Call] | None:
        """What a message asks for; None where it is not to this market, or it does not tell all that happens in it.

        A flash loan is such a message: what its receiver does with it is not in there.
        """
        kind, asset = self._market.contracts.get(message.to, ("", -1))
        if kind == POOL:
            reader = _Reader(self, message.sender, moment, transaction)
            found = reader.of_pool(message.data)
        elif kind == A_TOKEN:
            reader = _Reader(self, message.sender, moment, transaction)
            found = reader.of_token(message.data, asset)
        else:
            return None
        return None if found is None else [Call(moment, what) for what in found]

    def account(self, address: bytes) -> int:
        """Account index; -1 for somebody whom the market never saw."""
        return self._market.account_of.get(address, -1)

    def asset(self, address: bytes) -> int:
        """Asset index of an underlying. KeyError where there is none."""
        return self._asset_of[address]

    def asset_by_id(self, number: int, moment: Moment) -> int:
        """Asset index of a number in the Pool's list. KeyError where there is none."""
        return self._ids(self._market.parameters.regime_at(moment.key))[number]

    def treasury(self, asset: int, moment: Moment) -> int:
        """Account of the treasury; -1 where it never had anything."""
        treasuries: tuple[bytes | None, ...] = self._market.parameters.at(moment.key).treasury
        address = treasuries[asset] if asset < len(treasuries) else None
        return -1 if address is None else self.account(address)


def reserve_ids(timeline: ParameterTimeline[AaveParameters], regime: int) -> Mapping[int, int]:
    """Numbers of the Pool's list of reserves to assets: a new reserve takes the first number that is free."""
    taken: dict[int, int] = {}
    for parameters in timeline.sets[: regime + 1]:
        listed = {asset for asset, reserve in enumerate(parameters.reserves) if reserve is not None}
        taken = {number: asset for number, asset in taken.items() if asset in listed}
        for asset in sorted(listed - set(taken.values())):
            taken[next(number for number in range(len(taken) + 1) if number not in taken)] = asset
    return taken


class _Reader:
    """Reads the calls of one message."""

    def __init__(self, calldata: PoolCalldata, sender: bytes, moment: Moment, transaction: tuple[int, int]) -> None:
        self.names = calldata
        self.sender = calldata.account(sender)
        self.moment = moment
        self.transaction = transaction

    def of_pool(self, data: bytes) -> Sequence[What] | None:
        """Calls of the Pool."""
        function = contract_functions("aave_v3/pool_functions").get(data[:4])
        read = None if function is None else _readings().get(function.signature)
        return None if function is None or read is None else self._read(function, read, data)

    def of_token(self, data: bytes, asset: int) -> Sequence[What] | None:
        """A transfer of aTokens; approvals and the like ask the market for nothing, which their logs show."""
        function = contract_functions("aave_v3/a_token_functions").get(data[:4])
        values = None if function is None else function.arguments(data)
        if function is None or values is None:
            return None
        *giver, taker, amount = values
        account = self.names.account(giver[0]) if giver else self.sender
        return [self.action("transfer", account, self.names.account(taker), asset, amount)]

    def _read(
        self, function: FunctionAbi, read: Callable[..., Iterator[What] | None], data: bytes
    ) -> Sequence[What] | None:
        values = function.arguments(data)
        if values is None:
            return None
        try:
            found = read(self, *values)
            return None if found is None else list(found)
        except KeyError:  # an asset that the Pool does not list
            return None

    def action(
        self, kind: str, account: int, other: int, asset: int, amount: int, *, whole: bool = False, mode: int = 0
    ) -> Action:
        """An action of this transaction."""
        return Action(-1, self.moment, self.transaction, kind, account, other, asset, amount, whole, mode)


def _supply(reader: _Reader, asset: bytes, amount: int, owner: bytes, *_: Any) -> Iterator[What]:
    yield reader.action("supply", reader.names.account(owner), reader.sender, reader.names.asset(asset), amount)


def _withdraw(reader: _Reader, asset: bytes, amount: int, to: bytes) -> Iterator[What]:
    yield from _take(reader, reader.names.asset(asset), amount, reader.names.account(to))


def _borrow(reader: _Reader, asset: bytes, amount: int, mode: int, code: int, owner: bytes) -> Iterator[What]:
    yield reader.action("borrow", reader.names.account(owner), reader.sender, reader.names.asset(asset), amount)


def _repay(reader: _Reader, asset: bytes, amount: int, mode: int, owner: bytes, *_: Any) -> Iterator[What]:
    yield from _pay_back(reader, reader.names.asset(asset), amount, reader.names.account(owner))


def _repay_with_atokens(reader: _Reader, asset: bytes, amount: int, mode: int) -> Iterator[What]:
    yield from _pay_with_atokens(reader, reader.names.asset(asset), amount)


def _use(reader: _Reader, asset: bytes, use: bool) -> Iterator[What]:
    yield from _switch(reader, reader.names.asset(asset), use, reader.sender)


def _use_for(reader: _Reader, asset: bytes, use: bool, owner: bytes) -> Iterator[What]:
    yield from _switch(reader, reader.names.asset(asset), use, reader.names.account(owner))


def _emode(reader: _Reader, category: int) -> Iterator[What]:
    yield from _enter(reader, category, reader.sender)


def _emode_for(reader: _Reader, category: int, owner: bytes) -> Iterator[What]:
    yield from _enter(reader, category, reader.names.account(owner))


def _liquidate(
    reader: _Reader, collateral: bytes, debt: bytes, account: bytes, amount: int, receive: bool
) -> Iterator[What]:
    pair = reader.names.asset(collateral), reader.names.asset(debt)
    yield _request(reader, pair, reader.names.account(account), amount, receive)


def _mint_to_treasury(reader: _Reader, assets: tuple[bytes, ...]) -> Iterator[What]:
    for address in assets:
        asset = reader.names.asset(address)
        treasury = reader.names.treasury(asset, reader.moment)
        if treasury >= 0:
            yield reader.action("mint_to_treasury", treasury, -1, asset, 0)


def _cover_deficit(reader: _Reader, asset: bytes, amount: int) -> Iterator[What]:
    yield reader.action("cover_deficit", reader.sender, -1, reader.names.asset(asset), amount)


def _nothing(reader: _Reader, *_: Any) -> Iterator[What]:
    """Who may act for whom: not a part of positions."""
    yield from ()


def _several(reader: _Reader, parts: tuple[bytes, ...]) -> Iterator[What] | None:
    found: list[What] = []
    for part in parts:
        read = reader.of_pool(part)
        if read is None:
            return None
        found += read
    return iter(found)


# Packed calls, which are always about the sender's own position


def _field(word: bytes, low: int, high: int) -> int:
    """Bits [low, high) of a packed word."""
    return int.from_bytes(word, "big") >> low & ((1 << high - low) - 1)


def _packed_asset(reader: _Reader, word: bytes) -> int:
    return reader.names.asset_by_id(_field(word, 0, 16), reader.moment)


def _packed_amount(word: bytes) -> int:
    return _field(word, 16, 144)


def _or_everything(short: int) -> int:
    return EVERYTHING if short == _SHORT_EVERYTHING else short


def _packed_supply(reader: _Reader, word: bytes, *_: Any) -> Iterator[What]:
    asset = _packed_asset(reader, word)
    yield reader.action("supply", reader.sender, reader.sender, asset, _packed_amount(word))


def _packed_withdraw(reader: _Reader, word: bytes) -> Iterator[What]:
    yield from _take(reader, _packed_asset(reader, word), _or_everything(_packed_amount(word)), reader.sender)


def _packed_borrow(reader: _Reader, word: bytes) -> Iterator[What]:
    asset = _packed_asset(reader, word)
    yield reader.action("borrow", reader.sender, reader.sender, asset, _packed_amount(word))


def _packed_repay(reader: _Reader, word: bytes, *_: Any) -> Iterator[What]:
    yield from _pay_back(reader, _packed_asset(reader, word), _or_everything(_packed_amount(word)), reader.sender)


def _packed_repay_with_atokens(reader: _Reader, word: bytes) -> Iterator[What]:
    yield from _pay_with_atokens(reader, _packed_asset(reader, word), _or_everything(_packed_amount(word)))


def _packed_use(reader: _Reader, word: bytes) -> Iterator[What]:
    yield from _switch(reader, _packed_asset(reader, word), bool(_field(word, 16, 17)), reader.sender)


def _packed_liquidate(reader: _Reader, first: bytes, second: bytes) -> Iterator[What]:
    collateral, debt = (reader.names.asset_by_id(_field(first, low, low + 16), reader.moment) for low in (0, 16))
    account = reader.names.account(_field(first, 32, 192).to_bytes(20, "big"))
    amount = _or_everything(_field(second, 0, 128))
    yield _request(reader, (collateral, debt), account, amount, bool(_field(second, 128, 129)))


# What plain and packed calls share


def _take(reader: _Reader, asset: int, amount: int, receiver: int) -> Iterator[What]:
    yield reader.action("withdraw", reader.sender, receiver, asset, amount, whole=amount == EVERYTHING)


def _pay_back(reader: _Reader, asset: int, amount: int, owner: int) -> Iterator[What]:
    yield reader.action("repay", owner, reader.sender, asset, amount, whole=amount == EVERYTHING)


def _pay_with_atokens(reader: _Reader, asset: int, amount: int) -> Iterator[What]:
    sender = reader.sender
    yield reader.action("repay_with_atokens", sender, sender, asset, amount, whole=amount == EVERYTHING, mode=1)


def _switch(reader: _Reader, asset: int, use: bool, owner: int) -> Iterator[What]:
    if owner >= 0:
        yield reader.action("collateral_on" if use else "collateral_off", owner, -1, asset, 0, mode=int(use))


def _enter(reader: _Reader, category: int, owner: int) -> Iterator[What]:
    if owner >= 0:
        yield reader.action("emode", owner, -1, -1, 0, mode=category)


def _request(reader: _Reader, pair: tuple[int, int], account: int, amount: int, receive: bool) -> Request:
    return Request(account, reader.sender, *pair, None if amount == EVERYTHING else amount, receive)


_PLAIN: Mapping[str, Callable[..., Iterator[What] | None]] = {
    "supply": _supply,
    "deposit": _supply,
    "supplyWithPermit": _supply,
    "withdraw": _withdraw,
    "borrow": _borrow,
    "repay": _repay,
    "repayWithPermit": _repay,
    "repayWithATokens": _repay_with_atokens,
    "setUserUseReserveAsCollateral": _use,
    "setUserUseReserveAsCollateralOnBehalfOf": _use_for,
    "setUserEMode": _emode,
    "setUserEModeOnBehalfOf": _emode_for,
    "approvePositionManager": _nothing,
    "renouncePositionManagerRole": _nothing,
    "liquidationCall": _liquidate,
    "mintToTreasury": _mint_to_treasury,
    "eliminateReserveDeficit": _cover_deficit,
    "multicall": _several,
}
_PACKED: Mapping[str, Callable[..., Iterator[What] | None]] = {
    "supply": _packed_supply,
    "supplyWithPermit": _packed_supply,
    "withdraw": _packed_withdraw,
    "borrow": _packed_borrow,
    "repay": _packed_repay,
    "repayWithPermit": _packed_repay,
    "repayWithATokens": _packed_repay_with_atokens,
    "setUserUseReserveAsCollateral": _packed_use,
    "liquidationCall": _packed_liquidate,
}


@cache
def _readings() -> Mapping[str, Callable[..., Iterator[What] | None]]:
    """How each function of the ABI is read, by signature."""
    functions = contract_functions("aave_v3/pool_functions").values()
    return {f.signature: (_PACKED if f.types[0] == "bytes32" else _PLAIN)[f.name] for f in functions}

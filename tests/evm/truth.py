"""What the contracts themselves answer at a block: the integers l2liq has to reproduce."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.evm import abi, artifacts
from tests.evm.anvil import Node
from tests.evm.market import Deployment, Reserve, Version

_READER = "0x" + "5ead" * 10
_USERS_PER_CALL = 400
LIQUIDATION_CALL = abi.topic("LiquidationCall(address,address,address,uint256,uint256,address,bool)")

_TRANSFER = abi.topic("Transfer(address,address,uint256)")
_LIQUIDATE = abi.selector("liquidationCall(address,address,address,uint256,bool)")
_LIQUIDATE_COMPACT = abi.selector("liquidationCall(bytes32,bytes32)")
_EXECUTE = abi.selector("execute(address[],bytes[],bool)")


@dataclass(frozen=True, slots=True)
class AccountData:
    """``getUserAccountData``: amounts in base currency with 8 decimals, ratios in bps, health factor in wad."""

    collateral_base: int
    debt_base: int
    available_borrows_base: int
    liquidation_threshold_bps: int
    ltv_bps: int
    health_factor_wad: int


@dataclass(frozen=True, slots=True)
class UserTruth:
    """One account; scaled balances stand in the order of the deployment's reserves."""

    account: str
    scaled_a: tuple[int, ...]
    scaled_v: tuple[int, ...]
    configuration_bits: int
    emode: int
    data: AccountData

    def uses_as_collateral(self, reserve_number: int) -> bool:
        """Whether the account's collateral bit of the reserve is set."""
        return bool(self.configuration_bits >> (2 * reserve_number + 1) & 1)


@dataclass(frozen=True, slots=True)
class ReserveTruth:
    """One reserve as stored, and its price.

    Attributes
    ----------
    normalized_income_ray, normalized_debt_ray : int
        Indices as they stand at the block's time, growth since the last update included.
    deficit, virtual_balance, grace_until_s : int or None
        None where the version has no such thing.
    """

    asset: str
    configuration: int
    liquidity_index_ray: int
    liquidity_rate_ray: int
    variable_index_ray: int
    variable_rate_ray: int
    last_update_s: int
    accrued_to_treasury_scaled: int
    normalized_income_ray: int
    normalized_debt_ray: int
    scaled_a_supply: int
    scaled_v_supply: int
    price: int
    deficit: int | None
    virtual_balance: int | None
    grace_until_s: int | None

    def bits(self, low: int, high: int) -> int:
        """Bits [low, high) of the configuration word (DOMAIN §1.12)."""
        return self.configuration >> low & ((1 << high - low) - 1)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything after one block; ``sentinel_allows``: liquidations, at the block's own time."""

    block: int
    timestamp_s: int
    sentinel_allows: bool
    users: tuple[UserTruth, ...]
    reserves: tuple[ReserveTruth, ...]


@dataclass(frozen=True, slots=True)
class LiquidationTruth:
    """A liquidation as its event tells it, and what the contracts answered around it.

    Attributes
    ----------
    asked : int
        What the liquidator asked to cover, from the calldata.
    before : AccountData
        The borrower in the state after the previous block, asked at this block's time: the state the liquidation met,
        if it was alone.
    alone : bool
        Whether nothing else happened in its block: one transaction that is one liquidation.
    treasury_scaled : int
        Growth of the treasury's scaled balance of the collateral aToken in this block: the protocol fee, if alone.
    fee : int
        The protocol fee in base units of the collateral, as the aToken's transfer to the treasury states it, if alone.
    borrower_before, borrower_after : UserTruth
        After the previous block and after this one.
    """

    transaction_hash: str
    block: int
    log_index: int
    timestamp_s: int
    collateral_asset: str
    debt_asset: str
    user: str
    asked: int
    debt_to_cover: int
    liquidated_collateral: int
    liquidator: str
    receive_a_token: bool
    alone: bool
    before: AccountData
    treasury_scaled: int
    fee: int
    borrower_before: UserTruth
    borrower_after: UserTruth


def users_at(
    node: Node, market: Deployment, accounts: Sequence[str], block: int | str = "latest", time_s: int | None = None
) -> list[UserTruth]:
    """Accounts in the state after ``block``, asked at that block's time or at ``time_s``."""
    tokens = [r.a_token for r in market.reserves] + [r.v_token for r in market.reserves]
    count = len(market.reserves)
    users = []
    for start in range(0, len(accounts), _USERS_PER_CALL):
        part = list(accounts[start : start + _USERS_PER_CALL])
        data = abi.call_data("users(address,address[],address[])", market.pool, part, tokens)
        answers = abi.words(_ask(node, data, block, time_s))[2:]
        width = len(tokens) + 8
        for position, account in enumerate(part):
            row = answers[position * width : (position + 1) * width]
            scaled_a, scaled_v, rest = row[:count], row[count : 2 * count], row[2 * count :]
            users.append(UserTruth(account, tuple(scaled_a), tuple(scaled_v), rest[0], rest[1], AccountData(*rest[2:])))
    return users


def many_at(
    node: Node, calls: Sequence[tuple[str, bytes]], block: int | str = "latest", time_s: int | None = None
) -> tuple[int, list[list[int]]]:
    """The timestamp asked at, and the words of each call's answer; no words where the call reverts."""
    data = abi.call_data("many(address[],bytes[])", [target for target, _ in calls], [call for _, call in calls])
    timestamp_s, answers = abi.decode_values("(uint256,bytes[])", _ask(node, data, block, time_s))
    return timestamp_s, [abi.words(answer) for answer in answers]


def reserves_at(node: Node, market: Deployment, block: int | str = "latest") -> tuple[int, list[ReserveTruth]]:
    """The block's timestamp and all reserves after it."""
    calls = [call for reserve in market.reserves for call in _reserve_calls(market, reserve)]
    timestamp_s, answers = many_at(node, calls, block)
    width = len(answers) // len(market.reserves)
    reserves = []
    for reserve in market.reserves:
        stored, income, debt, a_supply, v_supply, price, *extra = answers[reserve.number * width :][:width]
        deficit, virtual, grace_s = (answer[0] for answer in extra) if extra else (None, None, None)
        reserves.append(
            ReserveTruth(
                reserve.underlying, stored[0], stored[1], stored[2], stored[3], stored[4], stored[6], stored[12],
                income[0], debt[0], a_supply[0], v_supply[0], price[0], deficit, virtual, grace_s,
            )
        )  # fmt: skip
    return timestamp_s, reserves


def snapshot(node: Node, market: Deployment, accounts: Sequence[str], block: int) -> Snapshot:
    """Everything after ``block``."""
    timestamp_s, reserves = reserves_at(node, market, block)
    allowed = abi.words(node.call(market.sentinel, abi.call_data("isLiquidationAllowed()"), block=block))[0]
    users = users_at(node, market, accounts, block)
    return Snapshot(block, timestamp_s, bool(allowed), tuple(users), tuple(reserves))


def liquidations(node: Node, market: Deployment, first: int, last: int) -> list[LiquidationTruth]:
    """Every liquidation in the blocks first..last, in order."""
    request = {"fromBlock": hex(first), "toBlock": hex(last), "address": market.pool, "topics": [LIQUIDATION_CALL]}
    logs = node.rpc.call("eth_getLogs", request)
    in_block = Counter(log["blockNumber"] for log in logs)
    return [_liquidation(node, market, log, single=in_block[log["blockNumber"]] == 1) for log in logs]


def _liquidation(node: Node, market: Deployment, log: dict[str, Any], *, single: bool) -> LiquidationTruth:
    block = int(log["blockNumber"], 16)
    header = node.rpc.call("eth_getBlockByNumber", hex(block), True)
    timestamp_s = int(header["timestamp"], 16)
    collateral, debt, user = (abi.address_of(int(topic, 16)) for topic in log["topics"][1:])
    covered, seized, liquidator, receive = abi.words(abi.from_hex(log["data"]))
    before = users_at(node, market, [user, market.treasury], block - 1, timestamp_s)
    after = users_at(node, market, [user, market.treasury], block)
    reserve = next(r for r in market.reserves if r.underlying == collateral)
    return LiquidationTruth(
        transaction_hash=log["transactionHash"],
        block=block,
        log_index=int(log["logIndex"], 16),
        timestamp_s=timestamp_s,
        collateral_asset=collateral,
        debt_asset=debt,
        user=user,
        asked=_asked(node, log["transactionHash"]),
        debt_to_cover=covered,
        liquidated_collateral=seized,
        liquidator=abi.address_of(liquidator),
        receive_a_token=bool(receive),
        alone=single and [sent["to"] for sent in header["transactions"]] == [market.pool],
        before=before[0].data,
        treasury_scaled=after[1].scaled_a[reserve.number] - before[1].scaled_a[reserve.number],
        fee=_fee(node, market, log, reserve, user),
        borrower_before=before[0],
        borrower_after=after[0],
    )


def _fee(node: Node, market: Deployment, log: dict[str, Any], reserve: Reserve, user: str) -> int:
    """What the transaction's aToken transfers from the borrower to the treasury say."""
    receipt = node.receipt(log["transactionHash"])
    wanted = [_TRANSFER, *(f"0x{int(address, 16):064x}" for address in (user, market.treasury))]
    return sum(
        abi.words(abi.from_hex(other["data"]))[0]
        for other in receipt.logs
        if other["address"] == reserve.a_token and other["topics"] == wanted
    )


def _asked(node: Node, transaction_hash: str) -> int:
    """The debt that the (first) liquidation of a transaction asked to cover."""
    data = abi.from_hex(node.rpc.call("eth_getTransactionByHash", transaction_hash)["input"])
    if data[:4] == _EXECUTE:
        steps = abi.decode_values("(address[],bytes[],bool)", data[4:])[1]
        data = next(step for step in steps if step[:4] in (_LIQUIDATE, _LIQUIDATE_COMPACT))
    if data[:4] == _LIQUIDATE:
        return abi.words(data[4:])[3]
    amount = abi.words(data[4:])[1] % 2**128
    return abi.UINT256_MAX if amount == 2**128 - 1 else amount


def _reserve_calls(market: Deployment, reserve: Reserve) -> list[tuple[str, bytes]]:
    of_pool = ["getReserveData", "getReserveNormalizedIncome", "getReserveNormalizedVariableDebt"]
    calls = [(market.pool, abi.call_data(f"{name}(address)", reserve.underlying)) for name in of_pool]
    calls += [(token, abi.call_data("scaledTotalSupply()")) for token in (reserve.a_token, reserve.v_token)]
    calls.append((market.oracle, abi.call_data("getAssetPrice(address)", reserve.underlying)))
    if market.version is not Version.V302:
        extra = ("getReserveDeficit", "getVirtualUnderlyingBalance", "getLiquidationGracePeriod")
        calls += [(market.pool, abi.call_data(f"{name}(address)", reserve.underlying)) for name in extra]
    return calls


def _ask(node: Node, data: bytes, block: int | str, time_s: int | None) -> bytes:
    """Lend the reader's code to an unused address for one eth_call."""
    request = {"to": _READER, "data": abi.hex_bytes(data), "gas": hex(10**12)}
    overrides: list[Any] = [{_READER: {"code": "0x" + artifacts.own()["Reader"].runtime}}]
    if time_s is not None:
        overrides.append({"time": hex(time_s)})
    tag = block if isinstance(block, str) else hex(block)
    return abi.from_hex(node.rpc.call("eth_call", request, tag, *overrides))

"""Everything that a market is, as the contracts have it and as l2liq's Pool has it, in the same form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields

from l2liq.protocols.aave_v3.pool import Pool
from l2liq.protocols.interface import Moment
from tests.evm import abi, truth
from tests.evm.anvil import Node
from tests.evm.market import Deployment, Reserve, Version


@dataclass(frozen=True, slots=True)
class ReserveState:
    """A reserve as stored; ``cash`` is the virtual balance, in 3.0.2 the aToken's own balance of the underlying."""

    liquidity_index_ray: int
    borrow_index_ray: int
    liquidity_rate_ray: int
    borrow_rate_ray: int
    updated_s: int
    accrued_to_treasury: int
    isolated_debt: int
    scaled_supply: int
    scaled_debt: int
    cash: int
    deficit: int


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account as stored, and what ``getUserAccountData`` says of it at the time of the block."""

    scaled_supply: tuple[int, ...]
    scaled_debt: tuple[int, ...]
    configuration: int
    emode: int
    data: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MarketState:
    """Reserves and accounts by number."""

    reserves: tuple[ReserveState, ...]
    accounts: tuple[AccountState, ...]


def of_contracts(node: Node, market: Deployment, accounts: Sequence[str]) -> MarketState:
    """What the contracts say after the latest block, at its time."""
    calls = [call for reserve in market.reserves for call in _questions(market, reserve)]
    _, answers = truth.many_at(node, calls, time_s=node.now_s)
    width = len(answers) // len(market.reserves)
    reserves = [_reserve(answers[start : start + width]) for start in range(0, len(answers), width)]
    users = truth.users_at(node, market, accounts, time_s=node.now_s)
    return MarketState(
        tuple(reserves),
        tuple(
            AccountState(
                user.scaled_a, user.scaled_v, user.configuration_bits, user.emode, tuple(asdict(user.data).values())
            )
            for user in users
        ),
    )


def _questions(market: Deployment, reserve: Reserve) -> list[tuple[str, bytes]]:
    calls = [(market.pool, abi.call_data("getReserveData(address)", reserve.underlying))]
    calls += [(token, abi.call_data("scaledTotalSupply()")) for token in (reserve.a_token, reserve.v_token)]
    if market.version is Version.V302:
        return [*calls, (reserve.underlying, abi.call_data("balanceOf(address)", reserve.a_token))]
    extra = ("getVirtualUnderlyingBalance", "getReserveDeficit")
    return [*calls, *((market.pool, abi.call_data(f"{name}(address)", reserve.underlying)) for name in extra)]


def _reserve(answers: list[list[int]]) -> ReserveState:
    stored, supply, debt, cash, *deficit = answers
    return ReserveState(
        stored[1], stored[3], stored[2], stored[4], stored[6], stored[12], stored[14], supply[0], debt[0], cash[0],
        deficit[0][0] if deficit else 0,
    )  # fmt: skip


def of_pool(pool: Pool, accounts: Sequence[int], assets: Sequence[int], moment: Moment) -> MarketState:
    """What the Pool of l2liq says at a moment; assets and accounts in the order of the contracts' side."""
    situation = pool.at(moment)
    reserves = [
        ReserveState(*(getattr(pool.reserves[asset], field.name) for field in fields(ReserveState))) for asset in assets
    ]
    return MarketState(
        tuple(reserves),
        tuple(
            AccountState(
                tuple(pool.state(account).get(pool.layout.collateral[asset], 0) for asset in assets),
                tuple(pool.state(account).get(pool.layout.debt[asset], 0) for asset in assets),
                _configuration(pool, account, assets),
                pool.state(account).get(pool.layout.emode, 0),
                tuple(asdict(situation.account_data(pool.state(account))).values()),
            )
            for account in accounts
        ),
    )


def _configuration(pool: Pool, account: int, assets: Sequence[int]) -> int:
    """The configuration word: for each reserve a bit for borrowing and one for use as collateral."""
    state, layout, word = pool.state(account), pool.layout, 0
    idle = pool.idle_borrowings.get(account, frozenset())
    for number, asset in enumerate(assets):
        word |= (layout.debt[asset] in state or asset in idle) << 2 * number
        word |= (layout.uses_as_collateral[asset] in state) << 2 * number + 1
    return word


def differences(contracts: MarketState, pool: MarketState) -> Iterator[str]:
    """Every number that differs, for people."""
    for number, (one, other) in enumerate(zip(contracts.reserves, pool.reserves, strict=True)):
        yield from _fields(f"reserve {number}", one, other)
    for number, (mine, theirs) in enumerate(zip(contracts.accounts, pool.accounts, strict=True)):
        yield from _fields(f"account {number}", mine, theirs)


def _fields(subject: str, one: object, other: object) -> Iterator[str]:
    for field in fields(one):  # type: ignore[arg-type]
        expected, actual = getattr(one, field.name), getattr(other, field.name)
        if expected != actual:
            yield f"{subject}, {field.name}: contracts {expected}, l2liq {actual}"

"""A deployed market with a few positions in it, to which every example comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.evm import abi, artifacts
from tests.evm.anvil import Node
from tests.evm.deploy import deploy
from tests.evm.differential.steps import USERS
from tests.evm.market import EMODE, GRACE_PERIOD_S, Deployment, Reserve, Version, price_answer

PUBLISHER = "0x" + "fe" * 20
SECOND_MODE = 2
INDEX_SOURCE = "0x" + "1d" * 20
"""What the oracle of 3.0.2 knows an e-mode's own price by."""

INDEX_USD = 2500.0

_AGE_S = 4 * 365 * 86_400
_PLENTY_TOKENS = 10**13
_RAY_PER_BPS = 10**23
_USERS = tuple(f"0x{0xA11CE00 + number:040x}" for number in range(USERS))
CURVES_BPS = ((9000, 0, 270, 8000), (8000, 100, 400, 30_000), (4500, 0, 700, 700), (9900, 300, 0, 0))
"""Optimal usage, base rate, slopes: what governance chooses among."""


@dataclass(slots=True)
class Arena:
    """The market, who acts in it, and what the world around it says now.

    Attributes
    ----------
    users : the accounts of :data:`.steps.USERS`; the last is the umbrella, the third may flash-borrow free of premium
    errand : a contract that acts as an account in the middle of transactions
    strategies : 3.0.2: a rate strategy for each of :data:`CURVES_BPS`
    index_aggregator : what publishes the price of :data:`INDEX_SOURCE`
    """

    node: Node
    market: Deployment
    users: tuple[str, ...]
    errand: str
    strategies: tuple[str, ...]
    index_aggregator: str

    @property
    def version(self) -> Version:
        """Version of the contracts."""
        return self.market.version

    @property
    def reserves(self) -> tuple[Reserve, ...]:
        """Listed reserves by number."""
        return self.market.reserves

    @property
    def actors(self) -> tuple[str, ...]:
        """Accounts that may hold a position by their own doing: users, then the errand."""
        return (*self.users, self.errand)

    @property
    def accounts(self) -> tuple[str, ...]:
        """Every account with a position: the actors and the treasury."""
        return (*self.actors, self.market.treasury)

    @contextmanager
    def as_it_was(self) -> Iterator[None]:
        """Forget afterwards what happens inside, time included."""
        mark = self.node.mark()
        try:
            yield
        finally:
            self.node.return_to(mark)


def furnished(node: Node, version: Version) -> Arena:
    """Deploy a market and open some positions in it."""
    market = deploy(node, version)
    errand = node.create(market.admin, artifacts.own()["Errand"].linked({}))
    aggregator = node.create(market.admin, artifacts.own()["Aggregator"].linked({}))
    strategies = tuple(_strategy(node, market, curve) for curve in CURVES_BPS) if version is Version.V302 else ()
    arena = Arena(node, market, _USERS, errand, strategies, aggregator)
    _configure(arena)
    _equip(arena)
    node.mine(node.now_s + GRACE_PERIOD_S + 2)
    _age(arena)
    _open_positions(arena)
    return arena


def _strategy(node: Node, market: Deployment, curve_bps: tuple[int, ...]) -> str:
    rays = [bps * _RAY_PER_BPS for bps in (*curve_bps, 0, 0, 0, 0, 2000)]
    code = artifacts.aave_302()["DefaultReserveInterestRateStrategy"].linked({})
    arguments = abi.encode_values(f"(address{',uint256' * len(rays)})", market.provider, *rays)
    return node.create(market.admin, code + arguments)


def _configure(arena: Arena) -> None:
    """One reserve is isolated collateral and siloed, two may be borrowed against it; a second e-mode."""
    market = arena.market
    weth, wsteth, usdc, wbtc = (reserve.underlying for reserve in market.reserves)
    do = _Admin(arena)
    do.configure("setDebtCeiling(address,uint256)", wbtc, 60_000_00)
    do.configure("setSiloedBorrowing(address,bool)", wbtc, True)
    for asset in (weth, usdc):
        do.configure("setBorrowableInIsolation(address,bool)", asset, True)
    do.that(arena.index_aggregator, "publish(int256)", price_answer(INDEX_USD))
    proxy = arena.node.create(
        market.admin,
        artifacts.own()["FeedProxy"].linked({}) + abi.encode_values("(address)", arena.index_aggregator),
    )
    do.that(market.acl, "addFlashBorrower(address)", arena.users[2])
    if arena.version is Version.V302:
        do.that(market.oracle, "setAssetSources(address[],address[])", [INDEX_SOURCE], [proxy])
        mode = (SECOND_MODE, 8800, 9000, 10300, INDEX_SOURCE, "second")
        do.configure("setEModeCategory(uint8,uint16,uint16,uint16,address,string)", *mode)
        do.configure("setAssetEModeCategory(address,uint8)", wsteth, SECOND_MODE)
        return
    do.that(market.provider, "setAddress(bytes32,address)", b"UMBRELLA".ljust(32, b"\0"), arena.users[-1])
    do.configure("setEModeCategory(uint8,uint16,uint16,uint16,string)", SECOND_MODE, 8800, 9000, 10300, "second")
    for asset in (wsteth, usdc):
        do.configure("setAssetCollateralInEMode(address,uint8,bool)", asset, SECOND_MODE, True)
    for asset in (weth, usdc):
        do.configure("setAssetBorrowableInEMode(address,uint8,bool)", asset, SECOND_MODE, True)


class _Admin:
    def __init__(self, arena: Arena) -> None:
        self._arena = arena

    def that(self, to: str, signature: str, *arguments: Any) -> None:
        self._arena.node.transact(self._arena.market.admin, to, abi.call_data(signature, *arguments))

    def configure(self, signature: str, *arguments: Any) -> None:
        self.that(self._arena.market.configurator, signature, *arguments)


def _equip(arena: Arena) -> None:
    """Everybody has more of everything than they can use, and the pool may take it."""
    node, market = arena.node, arena.market
    for reserve in market.reserves:
        approval = abi.call_data("approve(address,uint256)", market.pool, abi.UINT256_MAX)
        mints = [
            abi.call_data("mint(address,uint256)", account, _PLENTY_TOKENS * reserve.spec.unit)
            for account in arena.actors
        ]
        batch = ([reserve.underlying] * len(mints), mints)
        node.send(market.admin, market.batcher, abi.call_data("execute(address[],bytes[],bool)", *batch, True))
        for user in arena.users:
            node.send(user, reserve.underlying, approval)
        errand = abi.call_data("perform(address[],bytes[])", [reserve.underlying], [approval])
        node.send(market.admin, arena.errand, errand)
    node.mine()


def _age(arena: Arena) -> None:
    """Years of interest on two of the reserves, so that their indices are many rays and what rounding does is seen."""
    weth, _, usdc, wbtc = arena.reserves
    loans = ((arena.users[0], weth, 950), (arena.users[1], wbtc, 850))
    for account, reserve, tokens in loans:
        for supplied, amount in ((usdc, 10**8), (reserve, 1000)):
            _supply(arena, account, supplied, amount * supplied.spec.unit, account)
        _borrow(arena, account, reserve, tokens * reserve.spec.unit)
    arena.node.mine(arena.node.now_s + _AGE_S)
    for account, reserve, _ in loans:
        repay = abi.call_data("repay(address,uint256,uint256,address)", reserve.underlying, abi.UINT256_MAX, 2, account)
        _pool(arena, account, repay)
        for supplied in (reserve, usdc):
            withdraw = abi.call_data("withdraw(address,uint256,address)", supplied.underlying, abi.UINT256_MAX, account)
            _pool(arena, account, withdraw)


def _open_positions(arena: Arena) -> None:
    """Small enough that users can empty a reserve or fill it up."""
    first, second, third, umbrella = arena.users
    weth, wsteth, usdc, wbtc = arena.reserves
    supplied = (
        (umbrella, weth, 90), (umbrella, wsteth, 60), (umbrella, usdc, 250_000), (umbrella, wbtc, 3),
        (first, weth, 40), (second, usdc, 120_000), (third, wbtc, 1), (second, wsteth, 11), (arena.errand, usdc, 5_000),
    )  # fmt: skip
    for account, reserve, tokens in supplied:
        _supply(arena, umbrella, reserve, tokens * reserve.spec.unit + 7, account)
    use = "setUserUseReserveAsCollateral(address,bool)"
    _pool(arena, third, abi.call_data(use, wbtc.underlying, True))
    for account, reserve, tokens in ((first, usdc, 60_000), (second, weth, 30), (third, usdc, 30_000)):
        _borrow(arena, account, reserve, tokens * reserve.spec.unit - 3)
    _pool(arena, first, abi.call_data("setUserEMode(uint8)", 0 if arena.version is Version.V302 else SECOND_MODE))


def _supply(arena: Arena, sender: str, reserve: Reserve, amount: int, account: str) -> None:
    signature = "supply(address,uint256,address,uint16)"
    _pool(arena, sender, abi.call_data(signature, reserve.underlying, amount, account, 0))


def _borrow(arena: Arena, account: str, reserve: Reserve, amount: int) -> None:
    signature = "borrow(address,uint256,uint256,uint16,address)"
    _pool(arena, account, abi.call_data(signature, reserve.underlying, amount, 2, 0, account))


def _pool(arena: Arena, sender: str, data: bytes) -> None:
    arena.node.transact(sender, arena.market.pool, data)


MODES = (0, EMODE.number, SECOND_MODE, 9)
"""Categories that users ask for; the last does not exist."""

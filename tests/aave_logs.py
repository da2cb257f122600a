"""Logs of a small Aave v3 market, written as its contracts would write them: the input of tests of the fold.

The token arithmetic is exact rational numbers rounded in a named direction: it shares nothing with the code under test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pyarrow as pa
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from l2liq.chains.deployment import Deployment
from l2liq.events.abi import EventAbi, contract_event
from l2liq.events.log import LOGS

RAY = 10**27
START_S = 1_700_000_000
ZERO = bytes(20)


def address(name: str) -> bytes:
    """An address of that name."""
    return bytes(keccak(text=name)[-20:])


PROVIDER, POOL, CONFIGURATOR, ORACLE = (address(name) for name in ("provider", "pool", "configurator", "oracle"))
TREASURY, SENTINEL, UPTIME_FEED = (address(name) for name in ("treasury", "sentinel", "uptime feed"))


@dataclass(frozen=True)
class Coin:
    """A reserve: underlying, tokens and price source."""

    symbol: str
    decimals: int = 18

    @property
    def underlying(self) -> bytes:
        return address(self.symbol)

    @property
    def atoken(self) -> bytes:
        return address("a" + self.symbol)

    @property
    def debt(self) -> bytes:
        return address("v" + self.symbol)

    @property
    def stable(self) -> bytes:
        return address("s" + self.symbol)

    @property
    def source(self) -> bytes:
        return address("source of " + self.symbol)


@dataclass
class Chain:
    """A chain that one writes: blocks, transactions, logs."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    number: int = 0
    now_s: int = START_S
    transaction: int = 0
    log_index: int = 0

    def block(self, seconds: int = 2) -> Chain:
        """Begin the next block."""
        self.number += 1
        self.now_s += seconds
        self.transaction = self.log_index = 0
        return self

    def next_transaction(self) -> Chain:
        """Begin another transaction in the same block."""
        self.transaction += 1
        return self

    def log(self, emitter: bytes, contract: str, name: str, *values: Any) -> Chain:
        """One event; ``values`` in the order of declaration."""
        event = contract_event(contract, name)
        topics = [event.topic0, *(_word(a.type, v) for a, v in _split(event, values, indexed=True)), None, None, None]
        plain = _split(event, values, indexed=False)
        self.rows.append(
            {
                "block_number": self.number,
                "block_hash": None,
                "transaction_index": self.transaction,
                "transaction_hash": keccak(text=f"{self.number}/{self.transaction}"),
                "log_index": self.log_index,
                "timestamp_s": self.now_s,
                "address": emitter,
                **dict(zip(("topic0", "topic1", "topic2", "topic3"), topics, strict=False)),
                "data": b"".join(_word(a.type, v) for a, v in plain)
                if all(a.scalar for a, _ in plain)
                else encode([a.type for a, _ in plain], [_value(v) for _, v in plain]),
            }
        )
        self.log_index += 1
        return self

    def table(self) -> pa.Table:
        """All logs so far."""
        return pa.Table.from_pylist(self.rows, schema=LOGS)

    def pool(self, name: str, *values: Any) -> Chain:
        """An event of the Pool."""
        return self.log(POOL, "aave_v3/pool", name, *values)

    def configurator(self, name: str, *values: Any) -> Chain:
        """An event of the configurator."""
        return self.log(CONFIGURATOR, "aave_v3/pool_configurator", name, *values)

    def found(self, *coins: Coin) -> Chain:
        """Everything up to listed, configured and priced reserves, in one block."""
        provider = "aave_v3/pool_addresses_provider"
        self.block()
        for part, proxy in ((b"POOL", POOL), (b"POOL_CONFIGURATOR", CONFIGURATOR)):
            self.log(PROVIDER, provider, "ProxyCreated", part.ljust(32, b"\0"), proxy, address(f"code of {part!r}"))
        self.log(ORACLE, "aave_v3/oracle", "BaseCurrencySet", ZERO, 10**8)
        self.log(PROVIDER, provider, "PriceOracleUpdated", ZERO, ORACLE)
        for coin in coins:
            self.next_transaction().list_reserve(coin)
            self.log(ORACLE, "aave_v3/oracle", "AssetSourceUpdated", coin.underlying, coin.source)
            self.answer(coin, 10**8)
        return self

    def list_reserve(self, coin: Coin) -> Chain:
        """A reserve with LTV 75 %, threshold 80 %, bonus 5 %, fee 10 %, reserve factor 10 %."""
        name = "Initialized"
        values = (coin.underlying, POOL, TREASURY, ZERO, coin.decimals, coin.symbol, "a" + coin.symbol, b"")
        self.log(coin.atoken, "aave_v3/a_token", name, *values)
        listed = (coin.underlying, coin.atoken, coin.stable, coin.debt, address("strategy"))
        self.configurator("ReserveInitialized", *listed)
        self.configurator("ReserveBorrowing", coin.underlying, True)
        self.configurator("CollateralConfigurationChanged", coin.underlying, 7500, 8000, 10_500)
        self.configurator("LiquidationProtocolFeeChanged", coin.underlying, 0, 1000)
        return self.configurator("ReserveFactorChanged", coin.underlying, 0, 1000)

    def answer(self, coin: Coin, price: int) -> Chain:
        """The coin's source answers."""
        return self.log(coin.source, "chainlink/aggregator", "AnswerUpdated", price, self.number, self.now_s)


def deployment(version: str, **supplement: Any) -> Deployment:
    """The market's deployment."""
    return Deployment(
        "aave-v3/test", "aave-v3-test", "aave-v3", version, 31337, {"addresses_provider": PROVIDER}, 0, supplement
    )


def half_up(value: Fraction) -> int:
    """Nearest integer, halves upwards."""
    return floor(value + Fraction(1, 2))


@dataclass
class Token:
    """A scaled token as its contract keeps it; ``directed``: since 3.5 balances round towards the protocol."""

    chain: Chain
    emitter: bytes
    is_debt: bool = False
    directed: bool = False
    transfers_scaled: bool = True
    scaled: dict[bytes, int] = field(default_factory=dict)
    seen: dict[bytes, int] = field(default_factory=dict)

    def balance(self, scaled: int, index: int) -> int:
        exact = Fraction(scaled * index, RAY)
        if not self.directed:
            return half_up(exact)
        return ceil(exact) if self.is_debt else floor(exact)

    def _to_scaled(self, amount: int, index: int, *, up: bool) -> int:
        exact = Fraction(amount * RAY, index)
        if not self.directed:
            return half_up(exact)
        return ceil(exact) if up else floor(exact)

    def of(self, owner: bytes, index: int) -> int:
        """Balance of an account."""
        return self.balance(self.scaled.get(owner, 0), index)

    def mint(self, owner: bytes, amount: int, index: int) -> None:
        """Mint what ``amount`` is worth."""
        added = self._to_scaled(amount, index, up=self.is_debt)
        self._move(owner, owner, added, amount, index)

    def burn(self, owner: bytes, amount: int, index: int) -> None:
        """Burn what ``amount`` is worth."""
        removed = min(self._to_scaled(amount, index, up=not self.is_debt), self.scaled.get(owner, 0))
        self._move(owner, owner, -removed, -amount, index)

    def _move(self, owner: bytes, other: bytes, change: int, amount: int, index: int) -> None:
        scaled, increase = self.scaled.get(owner, 0), self._interest(owner, index)
        previous = self.balance(scaled, self.seen.get(owner, index))
        self.scaled[owner], self.seen[owner] = scaled + change, index
        total = self.balance(scaled + change, index) - previous if self.directed else amount + increase
        kind = "Mint" if change > 0 or total > 0 else "Burn"
        values = (owner, other, abs(total), increase, index)
        self.chain.log(self.emitter, "aave_v3/scaled_token", kind, *values)

    def transfer(self, sender: bytes, receiver: bytes, amount: int, index: int) -> None:
        """Move what ``amount`` is worth."""
        moved = min(self._to_scaled(amount, index, up=True), self.scaled.get(sender, 0))
        if self.transfers_scaled:
            for owner in dict.fromkeys((sender, receiver)):
                self._accrue(owner, index)
        elif receiver not in self.seen:
            self.seen[receiver] = index
        self.scaled[sender] -= moved
        self.scaled[receiver] = self.scaled.get(receiver, 0) + moved
        value = moved if self.transfers_scaled else amount
        self.chain.log(self.emitter, "aave_v3/a_token", "BalanceTransfer", sender, receiver, value, index)

    def _accrue(self, owner: bytes, index: int) -> None:
        increase = self._interest(owner, index)
        self.seen[owner] = index
        if increase:
            self.chain.log(self.emitter, "aave_v3/scaled_token", "Mint", POOL, owner, increase, increase, index)

    def _interest(self, owner: bytes, index: int) -> int:
        scaled = self.scaled.get(owner, 0)
        return self.balance(scaled, index) - self.balance(scaled, self.seen.get(owner, index))


def _split(event: EventAbi, values: tuple[Any, ...], *, indexed: bool) -> list[tuple[Any, Any]]:
    assert len(values) == len(event.arguments), f"{event.signature} takes {len(event.arguments)} values"
    return [(a, v) for a, v in zip(event.arguments, values, strict=True) if a.indexed is indexed]


def _word(kind: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value.rjust(32, b"\0") if kind == "address" else value.ljust(32, b"\0")
    return int(value).to_bytes(32, "big", signed=int(value) < 0)


def _value(value: Any) -> Any:
    return "0x" + value.hex() if isinstance(value, bytes) and len(value) == 20 else value

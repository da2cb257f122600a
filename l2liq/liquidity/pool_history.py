"""The history of a Uniswap v3 pool, replayed from its logs: price and liquidity at any position of the chain."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from l2liq.errors import InputError
from l2liq.events.abi import contract_event
from l2liq.events.decode import decode, split
from l2liq.events.log import block_of, key_of, log_index_of
from l2liq.events.order import in_order
from l2liq.liquidity.uniswap_v3 import Pool
from l2liq.numeric.ticks import MAX_TICK, MIN_TICK, sqrt_price_at_tick

_CONTRACT = "uniswap_v3/pool"
_EVENTS = tuple(contract_event(_CONTRACT, name) for name in ("Initialize", "Mint", "Burn", "Swap"))
"""What moves price or liquidity; Collect and Flash do neither."""

TOPICS = tuple(event.topic0 for event in _EVENTS)

_WHOLE = "Give all its Initialize, Mint, Burn and Swap logs, from its creation on."


@dataclass(frozen=True, slots=True)
class _Border:
    """One tick over time: liquidity that comes in there, net and gross, after each key at which it changed."""

    keys: list[int] = field(default_factory=list)
    net: list[int] = field(default_factory=list)
    gross: list[int] = field(default_factory=list)

    def changed(self, key: int, net: int, gross: int) -> None:
        self.keys.append(key)
        self.net.append((self.net[-1] if self.net else 0) + net)
        self.gross.append((self.gross[-1] if self.gross else 0) + gross)

    def at(self, key: int) -> int:
        """Number of the change that holds at a key, -1 before the first."""
        return bisect_right(self.keys, key) - 1


@dataclass(frozen=True, slots=True)
class _TicksAt:
    """The ticks of a history at a key."""

    order: Sequence[int]
    borders: Mapping[int, _Border]
    key: int

    def neighbour(self, tick: int, limit: int, *, down: bool) -> int | None:
        place = bisect_right(self.order, tick)
        numbers = range(place - 1, -1, -1) if down else range(place, len(self.order))
        for number in numbers:
            found = self.order[number]
            if found < limit if down else found > limit:
                return None
            border = self.borders[found]
            change = border.at(self.key)
            if change >= 0 and border.gross[change]:
                return found
        return None

    def net(self, tick: int) -> int:
        border = self.borders[tick]
        change = border.at(self.key)
        return border.net[change] if change >= 0 else 0


@dataclass(frozen=True, eq=False)
class PoolHistory:
    """A pool over time. Two are the same only if they are one object.

    Attributes
    ----------
    pool : address, 20 bytes
    keys : positions of the logs that moved price or liquidity
    states : square-root price, tick and liquidity in range after each
    order, borders : ticks that ever had liquidity, increasing, and what they had when
    """

    pool: bytes
    keys: tuple[int, ...] = field(repr=False)
    states: tuple[tuple[int, int, int], ...] = field(repr=False)
    order: tuple[int, ...] = field(repr=False)
    borders: Mapping[int, _Border] = field(repr=False)

    def at(self, key: int) -> Pool | None:
        """The pool after everything at or before a key; None before it was initialised."""
        found = bisect_right(self.keys, key) - 1
        if found < 0:
            return None
        return Pool(*self.states[found], _TicksAt(self.order, self.borders, key))


def history_of(logs: pa.Table, spacing: int, pool: bytes | None = None) -> PoolHistory:
    """Replay a pool's logs.

    Parameters
    ----------
    logs : pa.Table
        Raw logs (schema LOGS) in any order; those that move nothing are passed over.
    spacing : int
        Of the pool's ticks.
    pool : bytes | None
        Its address, needed where the logs are of several.

    Raises
    ------
    InputError
        Logs of no pool, of several, or of another one; a log that does not fit its event; one that is missing: the pool
        was never initialised, more is burnt than was minted, a swap tells another liquidity than mints and burns give.
    """
    events = list(_events(in_order(logs)))
    address = _only_pool({row["address"] for _, _, row in events}, pool)
    mine = sorted(((key, name, row) for key, name, row in events if row["address"] == address), key=lambda e: e[0])
    return _Replay(address, spacing).run(mine)


def _events(logs: pa.Table) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    for event, table in split(logs, _EVENTS).known.items():
        decoded = decode(table, event)
        if decoded.malformed.num_rows:
            bad = decoded.malformed.slice(0, 1).to_pylist()[0]
            raise InputError(
                f"the log {bad['log_index']} of block {bad['block_number']:,} is no {event.name} of a pool "
                f"({bad['reason']}). The file may be damaged: fetch it again."
            )
        for row in decoded.events.to_pylist():
            yield key_of(row["block_number"], row["log_index"]), event.name, row


def _only_pool(found: set[bytes], wanted: bytes | None) -> bytes:
    names = ", ".join(f"0x{address.hex()}" for address in sorted(found)[:5])
    if not found:
        raise InputError(f"there is no log of a Uniswap v3 pool in it. {_WHOLE}")
    if wanted is None and len(found) > 1:
        raise InputError(f"there are logs of {len(found)} pools in it ({names}). Say which one under `pool`.")
    if wanted is not None and wanted not in found:
        raise InputError(f"there are logs of {names} in it, none of 0x{wanted.hex()}. Give the logs of the right pool.")
    return next(iter(found)) if wanted is None else wanted


class _Replay:
    """Goes through the logs of one pool and notes what holds after each."""

    def __init__(self, pool: bytes, spacing: int) -> None:
        self._pool, self._spacing = pool, spacing
        self._price = self._tick = self._liquidity = 0
        self._order: list[int] = []
        self._borders: dict[int, _Border] = {}
        self._keys: list[int] = []
        self._states: list[tuple[int, int, int]] = []

    def run(self, events: Sequence[tuple[int, str, Mapping[str, Any]]]) -> PoolHistory:
        if not events or events[0][1] != "Initialize":
            raise InputError(f"0x{self._pool.hex()}: its first log is no Initialize. {_WHOLE}")
        handle = {"Initialize": self._initialize, "Mint": self._mint, "Burn": self._burn, "Swap": self._swap}
        for key, name, row in events:
            handle[name](key, row)
            self._keys.append(key)
            self._states.append((self._price, self._tick, self._liquidity))
        return PoolHistory(self._pool, tuple(self._keys), tuple(self._states), tuple(self._order), self._borders)

    def _initialize(self, key: int, row: Mapping[str, Any]) -> None:
        if self._keys:
            raise self._error(key, "it is initialised a second time: these are the logs of two chains or pools.")
        self._go_to(key, _whole(row, "sqrt_price_x96"), row["tick"])

    def _mint(self, key: int, row: Mapping[str, Any]) -> None:
        self._change(key, row, _whole(row, "amount"))

    def _burn(self, key: int, row: Mapping[str, Any]) -> None:
        self._change(key, row, -_whole(row, "amount"))

    def _change(self, key: int, row: Mapping[str, Any], amount: int) -> None:
        lower, upper = row["tick_lower"], row["tick_upper"]
        if not MIN_TICK <= lower < upper <= MAX_TICK:
            raise self._error(key, f"{lower} to {upper} is no range of ticks. Fetch the file again.")
        if lower % self._spacing or upper % self._spacing:
            raise self._error(
                key,
                f"the range {lower} to {upper} does not fit a tick spacing of {self._spacing}. Give the pool's own.",
            )
        if amount == 0:
            return
        for tick, net in ((lower, amount), (upper, -amount)):
            if tick not in self._borders:
                insort(self._order, tick)
                self._borders[tick] = _Border()
            border = self._borders[tick]
            border.changed(key, net, amount)
            if border.gross[-1] < 0:
                raise self._error(key, f"more is burnt at tick {tick} than was minted. Logs are missing. {_WHOLE}")
        if lower <= self._tick < upper:
            self._liquidity += amount

    def _swap(self, key: int, row: Mapping[str, Any]) -> None:
        self._liquidity += self._crossed(self._tick, row["tick"])
        self._go_to(key, _whole(row, "sqrt_price_x96"), row["tick"])
        told = _whole(row, "liquidity")
        if told != self._liquidity:
            raise self._error(
                key,
                f"the swap tells a liquidity of {told:,}, and the mints and burns before it give {self._liquidity:,}. "
                f"Logs are missing. {_WHOLE}",
            )

    def _crossed(self, old: int, new: int) -> int:
        """Liquidity that comes in when the price goes from one tick to another."""
        first, last = (bisect_right(self._order, tick) for tick in (min(old, new), max(old, new)))
        found = sum(self._borders[tick].net[-1] for tick in self._order[first:last])
        return found if new > old else -found

    def _go_to(self, key: int, sqrt_price: int, tick: int) -> None:
        """A price and its tick; after falling to a tick's very price, the tick is the one below."""
        if not (MIN_TICK - 1 <= tick < MAX_TICK and _fits(sqrt_price, tick)):
            raise self._error(key, f"tick {tick} and price {sqrt_price} do not belong together. Fetch the file again.")
        self._price, self._tick = sqrt_price, tick

    def _error(self, key: int, problem: str) -> InputError:
        return InputError(f"0x{self._pool.hex()}, block {block_of(key):,}, log {log_index_of(key)}: {problem}")


def _fits(sqrt_price: int, tick: int) -> bool:
    low = sqrt_price_at_tick(max(tick, MIN_TICK))
    return low <= sqrt_price <= sqrt_price_at_tick(tick + 1)


def _whole(row: Mapping[str, Any], column: str) -> int:
    return int.from_bytes(row[f"{column}_raw"], "big")

"""What happens around users and liquidators, and is the same in every run: prices, the sequencer, governance, gifts."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from l2liq.events.log import key_of
from l2liq.protocols.interface import Moment
from tests.evm import abi
from tests.evm.anvil import Node
from tests.evm.counterfactual.baseline import Baseline, Sent
from tests.evm.paths import HarnessError

_APPROVE_MANAGER = abi.selector("approvePositionManager(address,bool)")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens at a moment of the baseline.

    Attributes
    ----------
    play : puts its transactions into the pool, whose hashes it returns
    alone : what comes before must have been mined
    """

    key: int
    timestamp_s: int
    play: Callable[[Node], Iterable[str]]
    alone: bool = False


class World:
    """Plays events when their time has come; each must succeed."""

    def __init__(self, node: Node, events: Iterable[Event]) -> None:
        self._node = node
        self._events = sorted(events, key=_moment)
        self._next = 0

    def advance(self, moment: Moment) -> bool:
        """Let everything happen that is due at or before a moment; whether there was anything."""
        node, hashes, due_s = self._node, list[str](), None
        first, now = self._next, (moment.key, moment.timestamp_s)
        while self._next < len(self._events) and _moment(self._events[self._next]) <= now:
            event = self._events[self._next]
            if due_s is not None and (event.alone or due_s != event.timestamp_s):
                self._mine(due_s, hashes)
            due_s = event.timestamp_s
            hashes += event.play(node)
            self._next += 1
        if due_s is not None:
            self._mine(due_s, hashes)
        return self._next > first

    def _mine(self, timestamp_s: int | None, hashes: list[str]) -> None:
        self._node.mine(timestamp_s)
        for receipt in self._node.rpc.batch([("eth_getTransactionReceipt", (one,)) for one in hashes]):
            if receipt["status"] != "0x1":
                raise HarnessError(f"a transaction of the world around reverted: {receipt}")
        hashes.clear()


def _moment(event: Event) -> tuple[int, int]:
    """What has no log stands behind the last log before it, which may be of an earlier block."""
    return event.key, event.timestamp_s


def events_of(baseline: Baseline, replaced: Container[str]) -> list[Event]:
    """The baseline's transactions that neither users' positions nor liquidators are concerned with.

    Contracts in ``replaced`` are not created: their addresses have other code.
    """
    market = baseline.deployment
    groups = {
        (block, index)
        for table in (baseline.reading.market.actions, baseline.reading.market.liquidations)
        for block, index in zip(
            (table.column("key").to_numpy() >> 24).tolist(), table.column("transaction_index").to_pylist(), strict=True
        )
    }
    tokens = {token for reserve in market.reserves for token in (reserve.a_token, reserve.v_token)}
    events = []
    for sent in baseline.sent:
        key = sent.after if sent.first_log is None else key_of(sent.block, sent.first_log)
        to_pool = sent.to == market.pool and sent.data[:4] != _APPROVE_MANAGER
        if (
            sent.place in groups
            or to_pool
            or sent.to in tokens
            or sent.to == market.batcher
            or sent.created in replaced
        ):
            continue
        events.append(Event(key, sent.timestamp_s, _again(sent), alone=sent.to is None))
    return events


def _again(sent: Sent) -> Callable[[Node], Iterable[str]]:
    def play(node: Node) -> list[str]:
        if sent.to is None:  # its address follows from the nonce
            node.rpc.call("anvil_setNonce", sent.sender, hex(sent.nonce))
            node._nonces[sent.sender] = sent.nonce
        return [node.send(sent.sender, sent.to, sent.data)]

    return play

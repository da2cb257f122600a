"""A lived market, and everything that was sent in it: what the other runs start from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2liq.events.log import END_OF_BLOCK, key_of
from tests.evm import abi
from tests.evm.anvil import Node
from tests.evm.deploy import deploy
from tests.evm.driver.plan import Plan
from tests.evm.driver.run import Trace, simulate
from tests.evm.market import Deployment, Version
from tests.evm.reading import Reading, read_market

_EXECUTE = abi.selector("execute(address[],bytes[],bool)")
_PERFORM = abi.selector("perform(address[],bytes[])")


@dataclass(frozen=True, slots=True)
class Message:
    """One call: from whom, to whom, with what."""

    sender: str
    to: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction of the baseline that succeeded.

    Attributes
    ----------
    to, created : one of them is None
    first_log : log index in its block; None where it logged nothing
    after : key of the last log before it
    calls : what a batch called in it with success; otherwise the transaction itself
    """

    block: int
    index: int
    timestamp_s: int
    sender: str
    nonce: int
    to: str | None
    created: str | None
    data: bytes
    first_log: int | None
    after: int
    calls: tuple[Message, ...]

    @property
    def place(self) -> tuple[int, int]:
        """(block, transaction index)."""
        return self.block, self.index


@dataclass(frozen=True)
class Baseline:
    """What happened, and what l2liq read off its logs.

    Attributes
    ----------
    fresh : the node's snapshot of the market as deployed
    sent : transactions that succeeded, in order
    """

    node: Node
    deployment: Deployment
    plan: Plan
    trace: Trace
    sent: tuple[Sent, ...]
    reading: Reading
    fresh: _Kept

    @property
    def created(self) -> frozenset[str]:
        """Contracts made on the way."""
        return frozenset(sent.created for sent in self.sent if sent.created is not None)

    @contextmanager
    def as_deployed(self) -> Iterator[Node]:
        """The node as it was before anything happened, until the block ends."""
        self.fresh.restore(self.node)
        yield self.node


class _Kept:
    """A state of the node to which it can return any number of times."""

    def __init__(self, node: Node) -> None:
        self._number = node.rpc.call("evm_snapshot")
        self._now_s, self._nonces, self._funded = node.now_s, dict(node._nonces), set(node._funded)

    def restore(self, node: Node) -> None:
        """Return to it."""
        assert node.rpc.call("evm_revert", self._number)
        node.now_s, node._nonces, node._funded = self._now_s, dict(self._nonces), set(self._funded)
        self._number = node.rpc.call("evm_snapshot")


def lived(node: Node, version: Version, plan: Plan, folder: Path) -> Baseline:
    """Deploy a market, let a plan happen to it, and read it over JSON-RPC."""
    deployment = deploy(node, version)
    fresh = _Kept(node)
    trace = simulate(node, deployment, plan)
    reading = read_market(node, deployment, folder)
    return Baseline(node, deployment, plan, trace, tuple(_sent(node, deployment, trace)), reading, fresh)


def _sent(node: Node, deployment: Deployment, trace: Trace) -> Iterator[Sent]:
    blocks = range(deployment.last_block + 1, trace.last_block + 1)
    headers = node.rpc.batch([("eth_getBlockByNumber", (hex(number), True)) for number in blocks])
    sent = [(header, raw) for header in headers for raw in header["transactions"]]
    receipts = node.rpc.batch([("eth_getTransactionReceipt", (raw["hash"],)) for _, raw in sent])
    after = 0
    for (header, raw), receipt in zip(sent, receipts, strict=True):
        number, logs = int(header["number"], 16), receipt["logs"]
        before = after = max(after, key_of(number - 1, END_OF_BLOCK))
        if logs:
            after = key_of(number, int(logs[-1]["logIndex"], 16))
        if receipt["status"] != "0x1":
            continue
        to = raw["to"].lower() if raw["to"] else None
        data = abi.from_hex(raw["input"])
        yield Sent(
            block=number,
            index=int(raw["transactionIndex"], 16),
            timestamp_s=int(header["timestamp"], 16),
            sender=raw["from"].lower(),
            nonce=int(raw["nonce"], 16),
            to=to,
            created=receipt["contractAddress"].lower() if to is None else None,
            data=data,
            first_log=int(logs[0]["logIndex"], 16) if logs else None,
            after=before,
            calls=tuple(_calls(node, raw, to, data)),
        )


def _calls(node: Node, raw: dict[str, Any], to: str | None, data: bytes) -> Iterator[Message]:
    if to is None:
        return
    if data[:4] not in (_EXECUTE, _PERFORM):
        yield Message(raw["from"].lower(), to, data)
        return
    for step in node.rpc.call("trace_transaction", raw["hash"]):
        if len(step["traceAddress"]) == 1 and "error" not in step:
            action = step["action"]
            yield Message(action["from"].lower(), action["to"].lower(), abi.from_hex(action["input"]))

"""A real node for the time of a ``with`` block: its process is gone afterwards and it leaves nothing on disk."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.evm import abi
from tests.evm.paths import HarnessError, anvil_binary
from tests.evm.rpc import Rpc, RpcError

CHAIN_ID = 31337
GAS = 30_000_000
GAS_PRICE_WEI = 10**9
_START_ATTEMPTS, _START_TIMEOUT_S = 5, 30.0
_PR_SET_PDEATHSIG = 1
_RICH_WEI = hex(10**27)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction."""

    transaction_hash: str
    block_number: int
    succeeded: bool
    contract_address: str | None
    logs: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Mark:
    """A state that a node can return to, once."""

    name: str
    now_s: int
    funded: frozenset[str]
    nonces: dict[str, int]


class Node:
    """A running node that mines only when told to, at the time it is told.

    Attributes
    ----------
    now_s : int
        Timestamp of the latest block [s].
    url : str
        Address for any other JSON-RPC client.
    """

    def __init__(self, port: int, genesis_s: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.now_s = genesis_s
        self.rpc = Rpc(port)
        self._funded: set[str] = set()
        self._nonces: dict[str, int] = {}

    def mark(self) -> Mark:
        """Remember the present state."""
        return Mark(self.rpc.call("evm_snapshot"), self.now_s, frozenset(self._funded), dict(self._nonces))

    def return_to(self, mark: Mark) -> None:
        """Go back to a remembered state; the mark is used up."""
        assert self.rpc.call("evm_revert", mark.name), "the node knows its own mark"
        self.now_s, self._funded, self._nonces = mark.now_s, set(mark.funded), dict(mark.nonces)

    @property
    def block_number(self) -> int:
        """Number of the latest block."""
        return int(self.rpc.call("eth_blockNumber"), 16)

    def send(self, sender: str, to: str | None, data: bytes, gas: int = GAS) -> str:
        """Put a transaction into the pool on behalf of any account, without estimating it; returns its hash."""
        if sender not in self._funded:
            self.rpc.call("anvil_setBalance", sender, _RICH_WEI)
            self._funded.add(sender)
        nonce = self._nonces.get(sender, 0)
        self._nonces[sender] = nonce + 1
        request = {
            "from": sender,
            "nonce": hex(nonce),
            "gas": hex(gas),
            "gasPrice": hex(GAS_PRICE_WEI),
            "data": abi.hex_bytes(data),
        }
        if to is not None:
            request["to"] = to
        return str(self.rpc.call("eth_sendTransaction", request))

    def mine(self, at_s: int | None = None, base_fee_wei: int | None = None) -> None:
        """Seal the pool into one block with timestamp ``at_s`` (default: one second after the latest block).

        Several blocks may carry the same timestamp, as on rollups with sub-second blocks.
        """
        self.now_s = self.now_s + 1 if at_s is None else at_s
        if base_fee_wei is not None:
            self.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(base_fee_wei))
        self.rpc.call("evm_mine", {"timestamp": self.now_s})

    def receipt(self, transaction_hash: str) -> Receipt:
        """Receipt of a mined transaction."""
        raw = self.rpc.call("eth_getTransactionReceipt", transaction_hash)
        return Receipt(
            transaction_hash,
            int(raw["blockNumber"], 16),
            raw["status"] == "0x1",
            raw.get("contractAddress"),
            raw["logs"],
        )

    def transact(self, sender: str, to: str, data: bytes) -> Receipt:
        """One transaction in a block of its own; it must succeed.

        Raises
        ------
        HarnessError
            The transaction reverted; the message carries the revert reason.
        """
        return self._mined(sender, to, data, None)

    def create(self, sender: str, code: bytes, at_s: int | None = None) -> str:
        """Address of a contract created in a block of its own."""
        receipt = self._mined(sender, None, code, at_s)
        assert receipt.contract_address is not None
        return receipt.contract_address.lower()

    def call(
        self, to: str, data: bytes, *, block: int | str = "latest", time_s: int | None = None, sender: str | None = None
    ) -> bytes:
        """Answer of a read-only call in the state after ``block``, at that block's time or at ``time_s``."""
        request = {"to": to, "data": abi.hex_bytes(data)}
        if sender is not None:
            request["from"] = sender
        overrides: list[Any] = [] if time_s is None else [{}, {"time": hex(time_s)}]
        return abi.from_hex(self.rpc.call("eth_call", request, _tag(block), *overrides))

    def logs(self, first: int, last: int) -> list[dict[str, Any]]:
        """All logs of the blocks first..last, as eth_getLogs gives them."""
        return list(self.rpc.call("eth_getLogs", {"fromBlock": hex(first), "toBlock": hex(last)}))

    def _mined(self, sender: str, to: str | None, data: bytes, at_s: int | None) -> Receipt:
        transaction_hash = self.send(sender, to, data)
        self.mine(at_s)
        receipt = self.receipt(transaction_hash)
        if not receipt.succeeded:
            raise HarnessError(f"transaction to {to} reverted: {self._revert_reason(sender, to, data)}")
        return receipt

    def _revert_reason(self, sender: str, to: str | None, data: bytes) -> str:
        request = {"from": sender, "data": abi.hex_bytes(data)} | ({} if to is None else {"to": to})
        try:
            self.rpc.call("eth_call", request, "latest")
        except RpcError as error:
            return str(error)
        return "no reason found"


@contextmanager
def running_node(genesis_s: int = 1_772_409_600, *, kept_states: int = 100_000) -> Iterator[Node]:
    """A fresh chain whose genesis block has timestamp ``genesis_s`` (default 2026-03-02T00:00:00Z).

    Parameters
    ----------
    kept_states : int
        Number of latest blocks whose state stays readable. States live in memory only; without a bound anvil writes
        them to disk.
    """
    with tempfile.TemporaryDirectory(prefix="l2liq-anvil-") as scratch:
        process, port = _start(genesis_s, kept_states, Path(scratch))
        node = Node(port, genesis_s)
        try:
            yield node
        finally:
            node.rpc.close()
            process.kill()
            process.wait()


def _start(genesis_s: int, kept_states: int, scratch: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start the node on a free port; another process may take the port meanwhile, so try a few times."""
    report = scratch / "anvil.log"
    for _ in range(_START_ATTEMPTS):
        port = _free_port()
        command = [str(anvil_binary()), "--port", str(port), "--chain-id", str(CHAIN_ID), "--timestamp", str(genesis_s)]
        command += ["--no-mining", "--order", "fifo", "--auto-impersonate", "--accounts", "1", "--quiet"]
        command += ["--prune-history", str(kept_states), "--cache-path", str(scratch / "states")]
        command += ["--disable-block-gas-limit", "--block-base-fee-per-gas", "10000000"]
        with report.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"HOME": str(scratch), "PATH": ""},
                preexec_fn=_die_with_parent,
            )
        if _answers(process, port):
            return process, port
        process.kill()
        process.wait()
    raise HarnessError(f"anvil did not start: {report.read_text(errors='replace')[-400:].strip()}")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    give_up = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < give_up:
        rpc = Rpc(port)
        try:
            return int(rpc.call("eth_chainId"), 16) == CHAIN_ID
        except OSError:
            time.sleep(0.02)
        finally:
            rpc.close()
    return False


def _die_with_parent() -> None:
    """Have the kernel stop the node if this process is killed before it can (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tag(block: int | str) -> str:
    return block if isinstance(block, str) else hex(block)

"""The contracts with the transactions as they were really sent, instead of what l2liq takes them to have meant."""

from __future__ import annotations

from collections.abc import Container, Sequence

from l2liq.protocols.interface import Action, Call, Receipt, Rejection, Request
from tests.evm import abi, artifacts
from tests.evm.counterfactual.baseline import Baseline, Message, Sent
from tests.evm.counterfactual.machine import SENDER, NodeMachine
from tests.evm.counterfactual.sending import HELPER

_LIQUIDATIONS = tuple(
    abi.selector(f"liquidationCall({types})")
    for types in ("address,address,address,uint256,bool", "bytes32,bytes32")
)  # fmt: skip


class OriginalMachine(NodeMachine):
    """Sends the baseline's own transactions; of batches what succeeded in the baseline, liquidations left out."""

    _sender = ""

    @staticmethod
    def replaced(baseline: Baseline) -> Container[str]:
        """Every contract is as it was."""
        return frozenset[str]()

    def execute(self, calls: Sequence[Call]) -> Receipt | Rejection:
        """Send the transaction that the calls come from."""
        self._reach(calls[-1].moment)
        first = calls[0].what
        if isinstance(first, Request) or first.kind == "synchronise":
            return super().execute(calls)
        sent = self._sent[next(call.what.transaction for call in calls if isinstance(call.what, Action))]
        self._sender = sent.sender
        logs = self._send(self._as_sent(sent))
        return logs if isinstance(logs, Rejection) else Receipt((None,) * len(calls), self._wallets(logs))

    def _as_sent(self, sent: Sent) -> Message:
        if sent.to != self.deployment.batcher:
            assert sent.to is not None, "who creates a contract asks the market for nothing"
            return Message(sent.sender, sent.to, sent.data)
        kept = [call for call in sent.calls if call.data[:4] not in _LIQUIDATIONS]
        data = abi.call_data("perform(address[],bytes[])", [call.to for call in kept], [call.data for call in kept])
        return Message(SENDER, sent.to, data)

    def _owner(self, address: str) -> str:
        """The receiver of flash loans keeps what it holds for whom took them out."""
        return self._sender if address == self.deployment.flash_receiver else address

    def _unborn(self) -> frozenset[str]:
        return self.baseline.created

    def _give_code(self) -> None:
        """The batcher becomes one that says why a call failed, and has all calls fail with it."""
        self._sent = {sent.place: sent for sent in self.baseline.sent}
        code = "0x" + artifacts.own()["Errand"].runtime
        for account in (self.deployment.batcher, HELPER):
            self.node.rpc.call("anvil_setCode", account, code)

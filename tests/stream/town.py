"""A market whose chain grows, and is reorganised, as a test wants."""

from __future__ import annotations

import random
from pathlib import Path

from tests.evm import abi
from tests.evm.anvil import CHAIN_ID, Node
from tests.evm.deploy import deploy
from tests.evm.driver.feeds import PUBLISHER
from tests.evm.market import Version, price_answer


class GrowingTown:
    """Price feeds publish at random: up to three logs in a block, many blocks with none."""

    def __init__(self, node: Node, seed: int) -> None:
        self.node = node
        self.market = deploy(node, Version.V302)
        self._dice = random.Random(seed)
        self._before: list[tuple[int, str, dict[str, int], int]] = []

    def yaml(self, path: Path, name: str, *, finality: str, cell_blocks: int) -> Path:
        path.write_text(
            f"name: {name}\nprotocol: aave-v3\nversion: 3.0.2\nchain_id: {CHAIN_ID}\n"
            f"addresses_provider: '{self.market.provider}'\ncell_blocks: {cell_blocks}\nfinality: {finality}\n"
        )
        return path

    def grow(self, blocks: int) -> None:
        """Mine some blocks."""
        for _ in range(blocks):
            self._remember()
            for reserve in self._dice.sample(self.market.reserves, self._dice.choice((0, 0, 1, 1, 2, 3))):
                answer = price_answer(reserve.spec.price_usd * self._dice.uniform(0.9, 1.1))
                self.node.send(PUBLISHER, reserve.aggregator, abi.call_data("publish(int256)", answer))
            self.node.mine()

    def take_back(self, blocks: int) -> None:
        """Go back to how things were so many blocks ago; what grows from there is another history."""
        number, snapshot, nonces, now_s = self._before[-blocks]
        del self._before[-blocks:]
        assert self.node.rpc.call("evm_revert", snapshot)
        self.node._nonces, self.node.now_s = nonces, now_s
        assert self.node.block_number == number
        self.node.now_s += 7  # the same transactions in a block of another time are another block

    def _remember(self) -> None:
        snapshot = self.node.rpc.call("evm_snapshot")
        self._before.append((self.node.block_number, snapshot, dict(self.node._nonces), self.node.now_s))

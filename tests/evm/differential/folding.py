"""The market's parameters as l2liq folds them from logs, a few blocks at a time."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import pyarrow as pa

from l2liq.events.log import BLOCKS
from l2liq.market import ParameterTimeline
from l2liq.protocols.aave_v3.fold import Snapshot, fold_logs
from l2liq.protocols.aave_v3.fold_state import Reserve
from l2liq.protocols.aave_v3.parameters import AaveParameters
from tests.evm import abi
from tests.evm.anvil import Node
from tests.evm.logs import logs_table


class Folding:
    """Goes on from a folded market; what it starts from stays as it was."""

    def __init__(self, node: Node, base: Snapshot, observations: pa.Table) -> None:
        self._node, self._observations = node, observations
        self._snapshot = Snapshot(base.deployment, deepcopy(base.state), base.tables, base.clock, base.known)
        self._next_block = node.block_number + 1

    def timeline(self) -> ParameterTimeline[AaveParameters]:
        """Parameters until the latest block."""
        last = self._node.block_number
        logs = self._node.logs(self._next_block, last) if self._next_block <= last else []
        self._next_block = last + 1
        self._snapshot = fold_logs(
            self._snapshot.deployment, [logs_table(logs)], BLOCKS.empty_table(), self._observations, self._snapshot
        )
        keys, times, sets = zip(*self._snapshot.state.timeline, strict=True)
        return ParameterTimeline(keys, times, sets)

    def holdings(self, token: str, accounts: Sequence[str]) -> tuple[int, ...]:
        """Scaled balances of a token as folded until the last :meth:`timeline`."""
        book = self._snapshot.state.books[abi.from_hex(token)]
        return tuple(book.scaled(abi.from_hex(account)) for account in accounts)

    def reserve(self, underlying: str) -> Reserve:
        """A reserve as folded until then."""
        return self._snapshot.state.reserves[abi.from_hex(underlying)]

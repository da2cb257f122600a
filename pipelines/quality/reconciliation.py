"""Reconciling logs with the chain's state: what contracts state must be what their logs add up to."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from l2liq.protocols.checking import Contradiction
from l2liq.protocols.interface import Discovery, Question
from pipelines.sources.node import Node
from pipelines.sources.refusals import RefusedError, UnavailableError


class Reconciliation:
    """Asks a node at the end of one cell after the other, in one batch of calls each."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._silent: set[bytes] = set()
        self._unreached = 0
        self._asked: Sequence[Question] = ()
        self._answers: Sequence[bytes] = ()

    def contradictions(self, discovery: Discovery, logs: pa.Table, block: int) -> Sequence[Contradiction]:
        """What the logs of a market up to ``block`` leave unexplained; ``logs``: the last of them (schema LOGS).

        Nothing where the node has no state of that block any more, or does not tell it. ``discovery`` goes on from what
        was stated.
        """
        questions = [one for one in discovery.statements(block) if one.target not in self._silent]
        try:
            if questions != self._asked:  # a cell that cannot be sealed is tried again and again
                self._answers, self._asked = self._node.answers(questions), questions
        except (UnavailableError, RefusedError):
            self._unreached += 1
            return ()
        stated = {question: answer for question, answer in zip(questions, self._answers, strict=True) if answer}
        self._silent |= {one.target for one in questions if one not in stated}
        return discovery.unexplained(logs, stated)

    def notes(self) -> list[str]:
        """What was not compared, for people."""
        told = []
        if self._unreached:
            cells = f"{self._unreached:,} cell{'' if self._unreached == 1 else 's'}"
            told.append(f"Supply was not compared in {cells}: {self._node.label} keeps or tells no state that old.")
        if self._silent:
            tokens = ", ".join(f"0x{one.hex()}" for one in sorted(self._silent))
            told.append(f"Supply was not compared of tokens that do not state it: {tokens}.")
        return told

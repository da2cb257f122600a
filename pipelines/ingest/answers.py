"""Facts that logs cannot show: the protocol's questions, asked of the chain once and kept as observations."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from l2liq.lake import OBSERVATION_DATA, OBSERVATIONS, Grid, Linkage, Span, Writer
from l2liq.protocols.interface import Question
from pipelines.sources.node import Node
from pipelines.sources.refusals import RevertedError, UnavailableError

Key = tuple[int, bytes, str, bytes]
"""Block, target, call, arguments."""


class Oracle(Protocol):
    """Who can be asked."""

    label: str
    concurrency: int

    def answer(self, question: Question) -> bytes | None:
        """The answer; no bytes where the contract has none, None where it is not to be had."""


class NodeOracle:
    """A node that is asked by eth_call."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.label = node.label
        self.concurrency = node.rpc.manners.concurrency

    def answer(self, question: Question) -> bytes | None:
        """See :class:`Oracle`."""
        try:
            return self._node.call(question.target, question.signature, question.arguments, question.block)
        except RevertedError:
            return b""
        except UnavailableError:
            return None


class Answers:
    """What is known beyond the logs, and who can be asked for more.

    Attributes
    ----------
    missing : questions that nobody could be asked, or whose state the node has no more
    declined : questions to which the contract itself has no answer (the call reverts, or there is no such contract yet)
    count : answers got in this run
    """

    def __init__(self, held: pa.Table, oracle: Oracle | None) -> None:
        self._known = held
        self._oracle = oracle
        self._asked = set(zip(*(held.column(name).to_pylist() for name in OBSERVATION_DATA.key), strict=True))
        self._new = OBSERVATIONS.empty_table()
        self.missing: list[Question] = []
        self.declined: list[Question] = []
        self.count = 0

    def until(self, questions: Sequence[Question], span: Span) -> pa.Table:
        """All answers known up to the end of ``span``, after asking those of ``questions`` that are due by then."""
        due = [one for one in questions if one.block < span.stop and key_of(one) not in self._asked]
        if due:
            found = self._ask(due)
            self._asked |= {key_of(one) for one in due}
            self._known = pa.concat_tables([self._known, found])
            self._new = pa.concat_tables([self._new, found])
            self.count += found.num_rows
        return self._known.filter(pc.less(self._known.column("block_number"), span.stop))

    def fork(self) -> Answers:
        """The same knowledge, for blocks that may be taken back: what is learned there is not learned here."""
        forked = copy.copy(self)
        forked._asked = set(self._asked)
        forked.missing, forked.declined = list(self.missing), list(self.declined)
        return forked

    def seal(self, writer: Writer, grid: Grid, stop: int) -> None:
        """Seal what was newly answered about blocks before ``stop``, each in the cell of its block."""
        sealed = pc.less(self._new.column("block_number"), stop)
        rows, self._new = self._new.filter(sealed), self._new.filter(pc.invert(sealed))
        starts = pa.array([grid.cell_of(block).start for block in rows.column("block_number").to_pylist()], pa.int64())
        for start in sorted(set(starts.to_pylist())):
            part = rows.filter(pc.equal(starts, start))
            writer.seal(OBSERVATION_DATA, grid.cell_of(start), part, linkage=Linkage.VERIFIED, source=self._label)

    def tail(self) -> pa.Table:
        """What was newly answered and is not sealed."""
        return self._new

    @property
    def _label(self) -> str:
        return self._oracle.label if self._oracle else "given"

    def _ask(self, questions: Iterable[Question]) -> pa.Table:
        rows: list[tuple[int, bytes, str, bytes, bytes, str]] = []
        questions = list(questions)
        with ThreadPoolExecutor(self._oracle.concurrency if self._oracle else 1) as pool:
            for question, answer in zip(questions, pool.map(self._answer, questions), strict=True):
                if answer is None:
                    self.missing.append(question)
                elif answer:
                    rows.append((*key_of(question), answer, "rpc"))
                else:
                    self.declined.append(question)
        return observations(rows)

    def _answer(self, question: Question) -> bytes | None:
        """The answer; no bytes where the contract has none, None where nobody can tell."""
        return None if self._oracle is None else self._oracle.answer(question)


def key_of(question: Question) -> Key:
    """A question's key among the observations."""
    return question.block, question.target, question.signature, question.arguments


def observations(rows: Sequence[tuple[int, bytes, str, bytes, bytes, str]]) -> pa.Table:
    """Observations of (block, target, call, arguments, answer, source)."""
    columns = {name: [row[index] for row in rows] for index, name in enumerate(OBSERVATIONS.names)}
    return pa.Table.from_pydict(columns, OBSERVATIONS)

"""Price feeds as the chain shows them: what each contract last answered, and who answers for whom (DOMAIN §6.1).

A consumer reads a *source*. The source logs its answers itself, or forwards to an *aggregator* that does; moving to
another aggregator is a new phase, logged by ``AggregatorConfirmed`` on the source where the source is new enough.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Status:
    """State of a sequencer uptime feed: answer 0 = up, 1 = down; since when, and when last reported [s]."""

    answer: int
    started_s: int
    updated_s: int


@dataclass
class Feeds:
    """Everything feeds have said so far.

    Attributes
    ----------
    answers : answering contract to its last answer
    statuses : the same answers with their times, for uptime feeds
    aggregators : source to the contract that answers for it now; a source without one answers itself
    """

    answers: dict[bytes, int] = field(default_factory=dict)
    statuses: dict[bytes, Status] = field(default_factory=dict)
    aggregators: dict[bytes, bytes] = field(default_factory=dict)

    def answering(self, source: bytes) -> bytes:
        """The contract whose logs are the source's answers."""
        return self.aggregators.get(source, source)

    def current(self, source: bytes) -> int | None:
        """The source's present answer; None where nothing was heard yet."""
        return self.answers.get(self.answering(source))

    def status(self, source: bytes) -> Status | None:
        """The present state of an uptime feed."""
        return self.statuses.get(self.answering(source))

    def hear(self, contract: bytes, answer: int, started_s: int, now_s: int) -> None:
        """An ``AnswerUpdated``: for uptime feeds its third argument is when the status began."""
        self.answers[contract] = answer
        self.statuses[contract] = Status(answer, started_s, now_s)

    def renew(self, contract: bytes, updated_s: int) -> None:
        """A ``RoundUpdated`` of an uptime feed: the same status, reported again."""
        known = self.statuses.get(contract)
        if known is not None:
            self.statuses[contract] = Status(known.answer, known.started_s, updated_s)

    def to_json(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "answers": {contract.hex(): str(answer) for contract, answer in self.answers.items()},
            "statuses": {c.hex(): [s.answer, s.started_s, s.updated_s] for c, s in self.statuses.items()},
            "aggregators": {source.hex(): aggregator.hex() for source, aggregator in self.aggregators.items()},
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Feeds:
        """From a snapshot."""
        return cls(
            {bytes.fromhex(c): int(answer) for c, answer in document["answers"].items()},
            {bytes.fromhex(c): Status(*status) for c, status in document["statuses"].items()},
            {bytes.fromhex(s): bytes.fromhex(a) for s, a in document["aggregators"].items()},
        )

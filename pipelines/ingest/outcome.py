"""What an ingest did, for people and programs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from l2liq.errors import LakeError, LogError
from l2liq.lake import Lake
from l2liq.protocols.interface import Question


@dataclass(frozen=True, slots=True)
class Refusal:
    """Logs that went to quarantine.

    Attributes
    ----------
    place : where they came from
    error : of the kind that they are, and says why
    consequence : what became of the other logs there
    """

    place: str
    error: LogError
    consequence: str

    @property
    def reason(self) -> str:
        """Why, and what follows."""
        return f"{self.error}; {self.consequence}"

    def as_json(self) -> dict[str, str]:
        """Everything, for programs."""
        return {"place": self.place, "error": type(self.error).__name__, "reason": self.reason}


@dataclass
class Outcome:
    """What an ingest did.

    Attributes
    ----------
    market : its name
    first_block, last_block : blocks that were looked at, both included
    sealed_cells, known_cells : segments of logs written, and those that were there already
    logs : logs sealed by this run; ``unknown_logs``: of no event that l2liq knows, kept all the same
    tail_blocks, tail_logs : behind the last sealed block, replaceable
    as_found_logs : logs of undeclared files
    other_logs : logs of a file that are not this market's; ``outside_logs``: those of blocks that were not asked for
    inputs : transactions whose calldata was fetched
    quarantined : what was refused
    unsealed : what a reorganisation took back
    missing : questions that nobody could answer; ``declined``: those to which the contracts have no answer
    calls, seconds : requests made, time taken
    notes : what else a person should know, one sentence each
    """

    market: str
    first_block: int | None = None
    last_block: int | None = None
    sealed_cells: int = 0
    known_cells: int = 0
    logs: int = 0
    unknown_logs: int = 0
    tail_blocks: int = 0
    tail_logs: int = 0
    as_found_logs: int = 0
    other_logs: int = 0
    outside_logs: int = 0
    answers: int = 0
    inputs: int = 0
    quarantined: list[Refusal] = field(default_factory=list)
    unsealed: list[str] = field(default_factory=list)
    missing: list[Question] = field(default_factory=list)
    declined: list[Question] = field(default_factory=list)
    calls: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def saw(self, first: int, stop: int) -> None:
        """Blocks [first, stop) were looked at."""
        self.first_block = first if self.first_block is None else min(self.first_block, first)
        self.last_block = stop - 1 if self.last_block is None else max(self.last_block, stop - 1)

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        found = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        found["quarantined"] = [one.as_json() for one in self.quarantined]
        for name in ("missing", "declined"):
            found[name] = [
                {"target": "0x" + one.target.hex(), "call": one.signature, "block": one.block, "why": one.why}
                for one in getattr(self, name)
            ]
        found["seconds"] = round(self.seconds, 3)
        return found

    def sentences(self) -> list[str]:
        """The last words, a sentence per line."""
        lines = [self._done()]
        if self.tail_blocks:
            lines.append(f"Tail: {_count(self.tail_blocks, 'block')} ({_count(self.tail_logs, 'log')}) not yet sealed.")
        if self.inputs:
            lines.append(f"Calldata of {_count(self.inputs, 'transaction')} fetched.")
        if self.unknown_logs:
            lines.append(f"{_count(self.unknown_logs, 'log')} of unknown events kept as they are.")
        if self.outside_logs:
            lines.append(f"{_count(self.outside_logs, 'log')} of other blocks left out.")
        if self.other_logs and not self.as_found_logs:
            lines.append(f"{_count(self.other_logs, 'log')} of other contracts left out.")
        if self.unsealed:
            lines.append(f"A reorganisation took back {_count(len(self.unsealed), 'file')}, now in quarantine.")
        lines += [f"Quarantined: {one.place}: {one.reason}" for one in self.quarantined[:5]]
        if len(self.quarantined) > 5:
            lines.append(f"And {len(self.quarantined) - 5} more in quarantine.")
        for one in self.missing[:5]:
            lines.append(f"Not known: {one.signature} of 0x{one.target.hex()} at block {one.block:,} ({one.why}).")
        if self.missing:
            more = f" (also {len(self.missing) - 5} others)" if len(self.missing) > 5 else ""
            lines.append(f"Ask an archive node{more}, or give it in the market YAML under supplement.")
        return lines + self.notes

    def _done(self) -> str:
        time = f" in {duration(self.seconds)}"
        quarantine = "" if self.quarantined else " Nothing quarantined."
        if self.as_found_logs:
            other = f"; {_count(self.other_logs, 'other log')} left out" if self.other_logs else ""
            kept = _count(self.as_found_logs, "log")
            return f"Kept {kept} as found in the file{time}{other}: nothing is sealed.{quarantine}"
        if not self.sealed_cells and self.known_cells:
            return f"Everything was there already ({_count(self.known_cells, 'cell')}, checked{time}).{quarantine}"
        known = f"; {_count(self.known_cells, 'cell')} were there already" if self.known_cells else ""
        return f"Sealed {_count(self.sealed_cells, 'cell')} ({_count(self.logs, 'log')}){time}{known}.{quarantine}"


def refresh_catalog(lake: Lake, outcome: Outcome) -> None:
    """Build the catalog anew; where that fails, the logs are in the lake all the same."""
    try:
        lake.rebuild_catalog()
    except LakeError as error:
        outcome.notes.append(f"The catalog is as it was before: {error}")


def duration(seconds: float) -> str:
    """``6 min 12 s``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"

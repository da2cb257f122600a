"""Messages that cannot be used: which cell each stops, until a person decides or the cell is sealed by other means."""

from __future__ import annotations

import re
from dataclasses import dataclass

from l2liq.errors import LogError
from l2liq.lake import Grid, Lake

_CELL = re.compile(r", blocks ([\d,]+)–")


@dataclass(frozen=True, slots=True)
class _Refusal:
    cell: int
    reason: str
    decided: bool


class Poison:
    """The poison of one market. What is in quarantine already keeps its cell, however often and wherever it is read."""

    def __init__(self, lake: Lake, grid: Grid, market: str) -> None:
        self._lake, self._grid, self._market = lake, grid, market
        self._here: set[str] = set()
        self._known: dict[str, _Refusal] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read what lies in quarantine, and what was decided about it."""
        for one in self._lake.quarantine_history():
            market, _, where = one.place.rpartition(", ")
            cell = _CELL.search(market)
            if cell is not None and market.startswith(f"{self._market}, "):
                start = int(cell[1].replace(",", ""))
                self._known[where] = _Refusal(start, one.reason, one.decision is not None)

    def put(self, where: str, error: LogError, block: int, content: bytes) -> int:
        """Put a message away that came from ``where`` and is about ``block``; the first block of the cell it stops."""
        self._here.add(where)
        known = self._known.get(where)
        if known is None or known.reason != str(error):
            cell = self._grid.cell_of(block)
            self._lake.quarantine(content, reason=error, place=f"{self._market}, {cell}, {where}")
            known = self._known[where] = _Refusal(cell.start, str(error), False)
        return known.cell

    def reason(self, cell: int) -> str | None:
        """Why the cell that begins at ``cell`` cannot be sealed from the stream, None where it can."""
        for where in sorted(self._here):
            found = self._known[where]
            if found.cell == cell and not found.decided:
                return (
                    f"{self._grid.cell_of(cell)} cannot be sealed from the stream: {where}: {found.reason}. Fetch them "
                    f"with `l2liq ingest`, or decide about the message with `l2liq quarantine`"
                )
        return None

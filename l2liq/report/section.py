"""What a report says of one model of the surroundings: a finding in a paragraph, a picture, tables."""

from __future__ import annotations

from dataclasses import dataclass, field

import plotly.graph_objects as go


@dataclass(frozen=True, slots=True)
class Table:
    """Text in rows; the first cell of each row names it. Cells of the head that name a world get its colour."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a report.

    Attributes
    ----------
    name, title : anchor in the page, and heading
    finding : what the model changed in this run, in one paragraph whose numbers all come from the run's tables
    figure : picture, None = none
    tables, remarks : below the picture; plain text, escaped where it is printed
    """

    name: str
    title: str
    finding: str
    figure: go.Figure | None = field(default=None, repr=False)
    tables: tuple[Table, ...] = ()
    remarks: tuple[str, ...] = ()

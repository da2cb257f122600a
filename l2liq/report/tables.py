"""The report as text for a governance forum (Markdown) and as rows for a spreadsheet (CSV)."""

from __future__ import annotations

import csv
import io

from l2liq.report import words
from l2liq.report.bundle import RunBundle
from l2liq.report.headline import headline

_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_{}[]<>#|"})


def _plain(text: str) -> str:
    """Foreign text that Markdown must not read as markup, and a terminal not as commands."""
    return "".join(one if one.isprintable() else " " if one.isspace() else "�" for one in text).translate(_SPECIAL)


def markdown(bundle: RunBundle) -> str:
    """Headline, table of the three worlds, what the result rests on."""
    said = headline(bundle)
    lines = [
        f"## {_plain(bundle.title)}",
        "",
        f"{_plain(bundle.market)}, {words.moment(bundle.window_s[0])} to {words.moment(bundle.window_s[1])}",
        "",
        f"**{_plain(said.effect)}** {_plain(said.error)}",
        "",
    ]
    if said.caution:
        lines += [f"> {_plain(said.caution)}", ""]
    lines += [f"- {_plain(change)}" for change in bundle.changes]
    lines += [
        "",
        "| metric | actual | control | alternative | effect | 95 % interval | model error, net | gross, by account |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in bundle.comparisons:
        interval = (
            "–" if row.low is None else f"{words.change(row.low, row.unit)} to {words.change(row.high, row.unit)}"
        )
        cells = [_plain(row.label)]
        cells += [words.number(value, row.unit) for value in (row.actual, row.control, row.alternative)]
        cells += [words.change(row.effect, row.unit), interval, words.change(row.model_error, row.unit)]
        cells += [words.number(row.gross_error, row.unit)]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *(f"- {_plain(sentence)}" for sentence in (*bundle.assumptions, *bundle.notes))]
    lines += [
        "",
        f"Run `{bundle.run_id}`. " + ", ".join(f"{name} root `{root}`" for name, root in bundle.roots.items()),
        "",
    ]
    return "\n".join(lines)


def comma_separated(bundle: RunBundle) -> str:
    """The table of the three worlds with full precision, one row per metric."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            "run_id",
            "metric",
            "unit",
            "actual",
            "control",
            "alternative",
            "effect",
            "low",
            "high",
            "model_error",
            "gross_error",
            "within_error",
        ]
    )
    for row in bundle.comparisons:
        worlds, effect = (row.actual, row.control, row.alternative), (row.effect, row.low, row.high)
        values = (*worlds, *effect, row.model_error, row.gross_error)
        exact = ["" if value is None else repr(value) for value in values]
        writer.writerow([bundle.run_id, row.metric, row.unit, *exact, row.within_error])
    return out.getvalue()

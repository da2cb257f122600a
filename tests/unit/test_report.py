"""The report says what the comparison holds, and nothing foreign becomes markup."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow as pa
import pytest

from l2liq.report import words
from l2liq.report.headline import headline
from l2liq.report.index import IndexRow, render_index
from l2liq.report.render import render
from l2liq.report.rollup import at_risk_before_settlement, costs, paid, peaks
from l2liq.report.tables import comma_separated, markdown
from tests.bundles import HOSTILE, START, STOP, bundle, comparison


class Elements(HTMLParser):
    """Tags of a page outside its own scripts, and its visible text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1_923_456.0, "usd", "$1.92 M"),
        (-310.4, "usd", "−$310"),
        (0.0, "usd", "$0"),
        (None, "usd", "–"),
        (1204.0, "count", "1,204"),
        (0.0213, "share", "2.1 %"),
        (0.384, "share", "38 %"),
        (45.0, "s", "45 s"),
        (12_600.0, "s", "3.5 h"),
        (999_999_999.0, "usd", "$1,000 M"),
    ],
)
def test_numbers_read_as_people_say_them(value: float | None, unit: str, text: str) -> None:
    assert words.number(value, unit).replace("\u202f", " ") == text


def test_headline_repeats_the_comparison() -> None:
    said = headline(bundle())
    assert "17 more accounts would have been liquidated (+29" in said.effect
    assert "bad debt would have been $131\u202fk instead of $205\u202fk" in said.effect
    assert "the change itself would have put 2 of the accounts below health 1" in said.effect
    assert "2 liquidated accounts net (3 that the chain did not liquidate, 5 missed)" in said.error
    assert "$14\u202fk of bad debt net ($52\u202fk account by account)" in said.error
    assert "$8,000 of debt repaid net ($410\u202fk account by account)" in said.error
    assert said.caution is None


def test_effect_below_the_models_error_is_called_that() -> None:
    rows = (comparison("liquidated_accounts", "Liquidated accounts", "count", (60, 40, 45)),)
    said = headline(replace(bundle(), comparisons=rows))
    assert said.caution is not None
    assert said.caution.startswith("Within model error")
    assert "within model error" in render(replace(bundle(), comparisons=rows))


def test_hostile_text_stays_text() -> None:
    plain, hostile = Elements(render(bundle())), Elements(render(bundle(hostile=True)))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert HOSTILE in hostile.text


def test_page_asks_for_nothing_from_outside() -> None:
    loading = {"src", "srcset", "data", "poster", "background"}
    for tag, attributes in Elements(render(bundle())).tags:
        assert not loading & set(attributes), tag
        assert tag not in {"link", "iframe", "object", "embed", "base"}


def test_markdown_and_csv_hold_the_same_numbers_as_the_page() -> None:
    run = bundle()
    rows = list(csv.DictReader(io.StringIO(comma_separated(run))))
    assert [float(row["effect"]) for row in rows] == [row.effect for row in run.comparisons]
    gross = ["" if row.gross_error is None else repr(row.gross_error) for row in run.comparisons]
    assert [row["gross_error"] for row in rows] == gross
    text, page = markdown(run), render(run)
    for row in run.comparisons:
        told = words.number(row.gross_error, row.unit)
        assert f"| {words.change(row.model_error, row.unit)} | {told} |" in text
        assert (f"gross {told}" in page) == (row.gross_error is not None)
        assert f"| {words.number(row.alternative, row.unit)} | {words.change(row.effect, row.unit)} |" in text


def test_markdown_escapes_what_is_foreign() -> None:
    assert "<script>" not in markdown(bundle(hostile=True)).replace("\\<script\\>", "")


def test_index_lists_newest_first_and_escapes() -> None:
    rows = [
        IndexRow(f"{n:040x}", START + n, HOSTILE, f"run {n}", (START, STOP), HOSTILE, HOSTILE, f"runs/{n}")
        for n in range(3)
    ]
    page = render_index(rows)
    assert page.index("run 2") < page.index("run 1") < page.index("run 0")
    assert [tag for tag, _ in Elements(page).tags].count("script") == 0


def test_what_is_not_settled_is_shown_where_the_chain_has_clocks_and_costs_where_somebody_pays() -> None:
    shown = Elements(render(bundle()))
    sections = {attributes.get("id") for tag, attributes in shown.tags if tag == "section"}
    assert {"at-risk", "costs"} <= sections
    assert "On L1 5\u202fmin after execution" in shown.text.replace("300\u202fs", "5\u202fmin")
    silent = bundle()
    names = ("gas_used", "l2_fee_wei", "l1_fee_wei", "fee_usd")
    columns = {name: pa.nulls(silent.outcomes.num_rows, silent.outcomes.schema.field(name).type) for name in names}
    outcomes = silent.outcomes
    for name, column in columns.items():
        outcomes = outcomes.set_column(outcomes.schema.get_field_index(name), outcomes.schema.field(name), column)
    bare = Elements(render(replace(silent, clocks=(), outcomes=outcomes)))
    assert not {"at-risk", "costs"} & {attributes.get("id") for tag, attributes in bare.tags if tag == "section"}


def test_the_finding_about_costs_tells_whom_they_kept_from_being_liquidated() -> None:
    run = bundle()
    rows = run.outcomes.to_pylist()
    held = dict.fromkeys(run.outcomes.schema.names) | {
        "run_id": "r",
        "sequence": 0,
        "kind": "blocked",
        "block_number": 1,
        "timestamp_s": START,
        "cause": "unprofitable",
    }
    assert {"world": "alternative", "account": bytes([1]) * 20, "kind": "liquidation"}.items() <= rows[119].items()
    more = [
        held | {"world": "alternative", "account": bytes([1]) * 20},
        held | {"world": "alternative", "account": b"\xee" * 20},
        held | {"world": "control", "account": bytes([1]) * 20},
        held | {"world": "control", "account": bytes([2]) * 20, "cause": "sentinel"},
    ]
    section = costs(replace(run, outcomes=pa.Table.from_pylist([*rows, *more], run.outcomes.schema)))
    assert section is not None
    assert "In the alternative 2 accounts waited at first because fees" in section.finding
    assert "in the control world 1; 1 of them were never liquidated, in the control world 0" in section.finding
    assert "and the dearest one $0.01" in section.finding
    silent = costs(run)
    assert silent is not None
    assert "waited at first" not in silent.finding


def test_the_picture_of_what_is_at_risk_ends_at_the_peak_that_the_table_says() -> None:
    run = bundle()
    figure = at_risk_before_settlement(run)
    assert figure is not None
    most = dict(peaks(run))["state not yet settled on L1"]
    for line in figure.data:
        inside = most[line.name]
        assert inside is not None
        assert max(line.y) <= inside
        assert line.y[0] == 0.0
    assert at_risk_before_settlement(replace(run, clocks=())) is None
    assert peaks(replace(run, clocks=())) == []


def test_costs_add_up_by_world() -> None:
    found = paid(bundle())
    assert [one.world for one in found] == ["actual", "control", "alternative"]
    for one in found:
        assert one.gas == one.liquidations * 400_000
        assert (one.l2_wei, one.l1_wei) == (one.liquidations * 4 * 10**12, one.liquidations * 10**12)
        assert one.l1_share == 0.2

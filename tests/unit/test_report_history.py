"""The page of a series: tonight beside its nights, breaks that end lines, and nothing foreign that becomes markup."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser

from l2liq.metrics.catalogue import METRIC
from l2liq.report.history import SHOWN, HistoryPage, Point, render_history
from l2liq.report.index import NightRow, render_index
from tests.bundles import HOSTILE

FIRST = date(2026, 3, 1)


def point(number: int, accounts: float = 10) -> Point:
    values = {"actual": accounts, "control": accounts + 2, "alternative": accounts + 5, "effect": 3.0}
    values |= {"model_error": 2.0, "gross_error": 4.0}
    return Point(
        FIRST + timedelta(days=number), (number * 86_400, (number + 7) * 86_400 - 12), f"run{number:013d}",
        f"../run{number:013d}/report.html", "1+a", dict.fromkeys(SHOWN, values), {"skipped_value_share": 0.01},
    )  # fmt: skip


def page(count: int = 31, **changes: object) -> HistoryPage:
    metrics = tuple(METRIC[name] for name in SHOWN)
    made = HistoryPage("ab" * 8, "aave-v3/x", "title", ("a change",), [point(n) for n in range(count)], {}, metrics, ())
    return replace(made, **changes)  # type: ignore[arg-type]


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def figure(text: str, name: str) -> dict[str, object]:
    """A picture as it stands in the page."""
    start = text.index(f'"plot-{name}": ') + len(f'"plot-{name}": ')
    found, _ = json.JSONDecoder().raw_decode(text[start:])
    return dict(found)


def test_every_night_stands_beside_tonight() -> None:
    text = Elements(render_history(page())).text
    assert "The night of 2026-03-31 beside the 30 before it" in re.sub(r"\s+", " ", text)
    for number in range(31):
        assert str(FIRST + timedelta(days=number)) in text
    for name in SHOWN:
        assert METRIC[name].label in text


def test_break_ends_the_lines_and_what_tonight_is_measured_by() -> None:
    broken = FIRST + timedelta(days=6)
    text = render_history(page(10, breaks={broken: "code 1+b"}))
    assert "beside the 3 before it" in re.sub(r"\s+", " ", Elements(text).text)
    assert "Break at 2026-03-07: code 1+b." in text
    drawn = figure(text, "liquidated_accounts")
    areas = [one for one in drawn["data"] if one.get("fill")]  # type: ignore[attr-defined]
    assert [(len(one["x"]), str(broken) in one["x"]) for one in areas] == [(12, False), (8, True)]
    for line in [one for one in drawn["data"] if not one.get("fill")]:  # type: ignore[attr-defined]
        gap = line["y"].index(None)
        assert line["x"][gap + 1] == str(broken)
        assert len(line["y"]) == 11
    assert [shape["x0"] for shape in drawn["layout"]["shapes"]] == [f"{broken}T00:00:00"]  # type: ignore[index]


def test_first_night_has_a_page() -> None:
    assert "none before it" in render_history(page(1))


def test_deleted_run_has_its_numbers_and_no_link() -> None:
    points = [replace(point(0), link=None), point(1)]
    elements = Elements(render_history(page(points=points)))
    links = [attributes["href"] for tag, attributes in elements.tags if tag == "a"]
    assert links == ["../index.html", points[1].link]
    assert "deleted" in elements.text


def test_foreign_text_is_text() -> None:
    rendered = render_history(page(title=HOSTILE, market=HOSTILE, changes=(HOSTILE,), alerts=(HOSTILE,)))
    plain = render_history(page(alerts=("x",)))
    assert [tag for tag, _ in Elements(rendered).tags] == [tag for tag, _ in Elements(plain).tags]
    row = NightRow(HOSTILE, HOSTILE, "2026-03-01", "failed", HOSTILE, None, None, True, {})
    hostile, tame = (
        render_index([], [one], [one.title]) for one in (row, replace(row, market="m", title="t", reason="r"))
    )
    assert [tag for tag, _ in Elements(hostile).tags] == [tag for tag, _ in Elements(tame).tags]


def test_page_asks_nobody_for_anything() -> None:
    tags = Elements(render_history(page())).tags
    assert not [a for tag, a in tags if tag in ("link", "img", "iframe") or (tag == "script" and a.get("src"))]

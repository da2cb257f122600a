"""Rules of alerts on made-up nights, how alerts stand and are told, and what a series calls a break."""

from __future__ import annotations

import json
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from l2liq.lake import Lake
from pipelines.nightly.alerts import Alert, alerts_of, raise_alerts, task_failed, task_succeeded
from pipelines.nightly.config import Alarms, Rule
from pipelines.nightly.history import Journal, Night, Result, Series, breaks, remember

START = date(2026, 3, 1)
BAD_DEBT = Rule(watch="model_error", of="bad_debt_usd", above=0.5, rise=3, least=1_000)


def night(number: int, error: float, *, size: float = 100_000, version: str = "1+a", days: int = 7) -> Night:
    """A night on which the model is wrong by a share of the actual bad debt."""
    day = START + timedelta(days=number)
    metric = {"actual": size, "control": size * (1 - error), "model_error": -size * error, "gross_error": size * error}
    return Night(
        night=day, from_s=number * 86_400, to_s=(number + days) * 86_400 - 12, run_id=f"run-{number}", version=version,
        made_at="", asked=str(number), data="", metrics={"bad_debt_usd": {**metric, "effect": 0.0, "alternative": 0.0}},
        validity={"skipped_value_share": error},
    )  # fmt: skip


def raised(nights: list[Night], rule: Rule = BAD_DEBT, results: list[Result] | None = None) -> list[Alert]:
    journal = Journal(
        market="aave-v3/x", night=nights[-1].night, results=results or [], series={"s": Series(title="t", file="f")}
    )
    journal.series["s"].nights = nights
    return alerts_of({"aave-v3-x": journal}, Alarms(rules=(rule,)), 30)


@pytest.mark.parametrize(("error", "share"), [(0.5, None), (0.51, 0.51), (-1.0, None), (-1.04, 1.04 / 2.04)])
def test_level_is_a_share_of_the_larger_world(error: float, share: float | None) -> None:
    """A control world with twice the bad debt is as wrong as one with half of it."""
    assert [one.value for one in raised([night(0, error)])] == ([] if share is None else [pytest.approx(share)])


def test_rise_is_against_the_median_of_former_nights() -> None:
    former = [night(number, 0.1) for number in range(5)]
    assert raised([*former, night(5, 0.3)]) == []
    (alert,) = raised([*former, night(5, 0.31)])
    assert alert.limit == pytest.approx(0.3)
    assert "3 times the median" in alert.words
    assert raised([*former[:4], night(5, 0.31)]) == []


def test_median_begins_anew_at_a_break() -> None:
    former = [night(number, 0.1) for number in range(10)]
    new = [night(number, 0.1, version="1+b") for number in range(10, 14)]
    assert raised([*former, *new, night(14, 0.4, version="1+b")]) == []
    (_,) = raised([*former, *new, night(14, 0.1, version="1+b"), night(15, 0.4, version="1+b")])


def test_small_nights_are_not_judged() -> None:
    assert raised([night(0, 0.9, size=999)]) == []
    assert len(raised([night(0, 0.9, size=1_000)])) == 1


def test_validity_and_gross_error_are_watched_as_well() -> None:
    (one,) = raised([night(0, 0.2)], Rule(watch="validity", of="skipped_value_share", above=0.1))
    assert (one.kind, one.value) == ("validity", 0.2)
    (one,) = raised([night(0, 0.2)], Rule(watch="gross_error", of="bad_debt_usd", above=0.1))
    assert (one.kind, one.value) == ("gross_error", pytest.approx(0.2))


def test_series_that_did_not_run_tonight_is_not_judged_by_its_former_night() -> None:
    journal = Journal(market="m", night=START + timedelta(days=9), series={"s": Series(title="t", file="f")})
    journal.series["s"].nights = [night(0, 0.9)]
    assert alerts_of({"m": journal}, Alarms(rules=(BAD_DEBT,)), 30) == []


def test_what_did_not_run_is_an_alert() -> None:
    results = [
        Result(file="a.yaml", title="a", state="not_run", reason="coverage ends at noon"),
        Result(file="b.yaml", title="b", state="failed", reason="no such asset"),
        Result(file="c.yaml", title="c", state="reused"),
    ]
    found = raised([night(0, 0.0)], results=results)
    assert [one.kind for one in found] == ["not_run", "failed"]
    assert found[0].words.endswith("a, night of 2026-03-01: not run: coverage ends at noon")


def test_alert_is_told_once_while_it_stands_and_again_when_it_comes_back(tmp_path: Path) -> None:
    lake, told = Lake.create(tmp_path / "lake"), tmp_path / "told"
    alarms = Alarms(
        command=(sys.executable, "-c", f"import sys; open({str(told)!r}, 'a').write(sys.stdin.read() + '\\n')")
    )
    alert = Alert("validity", "m", "s", "2026-03-01", "words")
    (first,) = raise_alerts(lake, [alert], alarms)
    (second,) = raise_alerts(lake, [alert], alarms)
    assert (first.told, second.since) == (True, first.since)
    assert [len(json.loads(line)) for line in told.read_text().splitlines()] == [1]
    assert raise_alerts(lake, [], alarms) == []
    raise_alerts(lake, [alert], alarms)
    assert len(told.read_text().splitlines()) == 2


def test_alert_whose_command_failed_is_told_again(tmp_path: Path) -> None:
    lake, told = Lake.create(tmp_path / "lake"), tmp_path / "told"
    alert = Alert("validity", "m", "s", "2026-03-01", "words")
    (first,) = raise_alerts(lake, [alert], Alarms(command=("false",)))
    assert not first.told
    assert lake.nights().alerts()["alerts"][0]["words"] == "words"
    (again,) = raise_alerts(lake, [alert], Alarms(command=(sys.executable, "-c", f"open({str(told)!r}, 'w')")))
    assert again.told
    assert told.exists()


def test_alert_of_a_task_stands_until_the_task_succeeds(tmp_path: Path) -> None:
    lake, alarms = Lake.create(tmp_path / "lake"), Alarms()
    task_failed(lake, alarms, "m", "dag.task", "no answer")
    task_failed(lake, alarms, "m", "dag.task", "no answer again")
    (alert,) = raise_alerts(lake, [], alarms)
    assert alert.words == "dag.task of m gave up: no answer again"
    task_succeeded(lake, "other", "dag.task")
    assert len(lake.nights().alerts()["alerts"]) == 1
    task_succeeded(lake, "m", "dag.task")
    assert lake.nights().alerts()["alerts"] == []


def test_break_is_where_code_or_length_of_the_window_changes() -> None:
    nights = [
        night(0, 0),
        night(1, 0),
        night(2, 0, version="1+b"),
        night(3, 0, version="1+b"),
        night(4, 0, version="1+b", days=9),
    ]
    found = breaks(nights)
    assert found == {
        START + timedelta(days=2): "code 1+b",
        START + timedelta(days=4): "window of 9 days instead of 7",
    }


def test_night_that_is_run_again_supersedes_its_former_run() -> None:
    series = Series(title="t", file="f")
    for number in (1, 0, 2):
        remember(series, night(number, 0.0))
    other = night(1, 0.2).model_copy(update={"run_id": "better"})
    remember(series, other)
    assert [one.run_id for one in series.nights] == ["run-0", "better", "run-2"]
    assert series.superseded == ["run-1"]
    remember(series, night(1, 0.0))
    assert series.superseded == ["better"]

"""Nightly runs without Airflow, on the bundled sample: which windows, what is repeated, what is said and kept."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from l2liq.chains.markets import find_market
from l2liq.errors import InputError, LakeError, ScenarioError
from l2liq.lake import Lake, Span
from pipelines import maintain
from pipelines.ingest.file_job import FileWish, ingest_files
from pipelines.nightly.config import Nightly, load_nightly
from pipelines.nightly.days import DAY_S, covered, end_s, start_s
from pipelines.nightly.history import Journal, read_journal, write_journal
from pipelines.nightly.jobs import nights_between, run_nights
from pipelines.nightly.market import run_market
from pipelines.nightly.publish import publish_nights
from pipelines.sources.logfiles import LogFile
from tests.e2e.cli import LOGS, MARKET, SAMPLE, SLUG, STOP

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("nightly")]

BLOCKS = SAMPLE / "blocks.parquet"
FIRST, LAST = date(2026, 3, 2), date(2026, 3, 15)
"""The sample's complete days."""

SCENARIO = (
    "name: {name}\npolicy_range: false\nuncertainty: {{resamples: 0}}\ndistance: 'off'\nheartbeat: 1h\n{more}"
    "change: {{reserves: {{WETH: {{liquidation_threshold: {{shift: -2pp}}}}}}}}\n"
)


def seal(lake: Path, stop: int) -> None:
    listing = find_market(str(MARKET))
    files = [LogFile(LOGS, None, listing.chain, None)]
    ingest_files(lake, listing, files, FileWish(Span(0, stop), None, (BLOCKS,)), lambda *_: None)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the whole sample. Shared: take a copy."""
    lake = tmp_path_factory.mktemp("nightly") / "lake"
    seal(lake, STOP)
    return lake


@pytest.fixture
def folder(tmp_path: Path, sealed: Path) -> Path:
    """A folder with lake, nightly file and one scenario."""
    shutil.copytree(sealed, tmp_path / "lake", symlinks=True)
    (tmp_path / "scenarios").mkdir()
    scenario(tmp_path, "one")
    return tmp_path


def scenario(folder: Path, name: str, more: str = "") -> None:
    (folder / "scenarios" / f"{name}.yaml").write_text(SCENARIO.format(name=name, more=more))


def nightly(folder: Path, more: str = "", days: int = 2) -> Nightly:
    path = folder / "nightly.yaml"
    path.write_text(
        f"lake: lake\nuntil: coverage\ndays: {days}\nmarkets:\n  - {{market: {MARKET}, scenarios: scenarios}}\n{more}"
    )
    return load_nightly(path)


def journal(folder: Path) -> Journal:
    return read_journal(Lake.open(folder / "lake"), SLUG)


def states(found: Nightly, night: date | None = None) -> dict[str, tuple[str, str | None]]:
    return {one.title: (one.state, one.reason) for one in run_market(found, found.markets[0], night).results}


def test_window_is_complete_utc_days_by_block_timestamp(folder: Path) -> None:
    found = nightly(folder, days=2)
    night = date(2026, 3, 11)
    run_market(found, found.markets[0], night)
    (run,) = Lake.open(folder / "lake").runs()
    window = run.manifest["window"]
    blocks = pq.read_table(BLOCKS).to_pylist()
    inside = [one["number"] for one in blocks if start_s(date(2026, 3, 10)) <= one["timestamp_s"] < end_s(night)]
    assert window["from_block"] <= inside[0]
    assert window["to_block"] > inside[-1]
    outside = [one for one in blocks if window["from_block"] <= one["number"] < window["to_block"]]
    assert {one["timestamp_s"] // DAY_S for one in outside} == {start_s(night) // DAY_S - 1, start_s(night) // DAY_S}


def test_night_without_a_name_is_the_last_complete_day_of_the_coverage(folder: Path) -> None:
    found = nightly(folder)
    assert run_market(found, found.markets[0]).night == LAST
    assert covered(Lake.open(folder / "lake"), SLUG).last_day == LAST
    by_clock = nightly(folder, more="").model_copy(update={"until": "yesterday"})
    outcome = run_market(by_clock, by_clock.markets[0])
    assert outcome.night > LAST
    assert [one.state for one in outcome.results] == ["not_run"]


def test_others_run_where_one_cannot(folder: Path) -> None:
    scenario(folder, "late", "window: {from: 2026-03-14, to: 2026-03-20}\n")
    scenario(folder, "early", "window: {from: 2026-02-01, to: 2026-03-05}\n")
    scenario(folder, "fixed", "window: {from: 2026-03-04, to: 2026-03-06}\n")
    (folder / "scenarios" / "broken.yaml").write_text("name: broken\nchange: {reserves: {WETH: {ltv: 85}}}\n")
    (folder / "scenarios" / "unknown.yaml").write_text("name: unknown\nchange: {reserves: {DOGE: {ltv: 80%}}}\n")
    found = states(nightly(folder))
    assert found["one"] == ("done", None)
    assert found["fixed"] == ("done", None)
    assert found["late"] == ("not_run", "coverage ends at 2026-03-16 00:52 UTC, the window at 2026-03-20 00:00 UTC")
    assert found["early"][0] == "not_run"
    assert (found["early"][1] or "").startswith("coverage begins at 2026-03-02 00:00 UTC")
    assert found["broken.yaml"][0] == "failed"
    assert "85 has no unit" in (found["broken.yaml"][1] or "")
    assert found["unknown"][0] == "failed"
    assert "DOGE" in (found["unknown"][1] or "")


def test_first_night_needs_its_whole_window(folder: Path) -> None:
    assert states(nightly(folder, days=3), date(2026, 3, 3))["one"][0] == "not_run"
    assert states(nightly(folder, days=2), date(2026, 3, 3))["one"][0] == "done"


def test_night_is_repeated_for_new_data_or_rules_and_for_nothing_else(tmp_path: Path) -> None:
    """Sealing what comes after the window changes the market's root, and none of the night's numbers."""
    (tmp_path / "scenarios").mkdir()
    scenario(tmp_path, "one")
    seal(tmp_path / "lake", 3000)
    found, night = nightly(tmp_path), date(2026, 3, 8)
    assert states(found, night)["one"] == ("done", None)
    seal(tmp_path / "lake", STOP)
    assert states(found, night)["one"] == ("reused", None)
    (made,) = Lake.open(tmp_path / "lake").runs()
    scenario(tmp_path, "one", "seed: 4\n")
    assert states(found, night)["one"] == ("done", None)
    assert made.run_id in {run.run_id for run in Lake.open(tmp_path / "lake").runs()}
    assert len(journal(tmp_path).series) == 2


def test_backfilled_night_takes_its_place_and_not_the_last_ones(folder: Path) -> None:
    found = nightly(folder)
    for night in (date(2026, 3, 12), date(2026, 3, 10), date(2026, 3, 11)):
        run_market(found, found.markets[0], night)
    kept = journal(folder)
    assert kept.night == date(2026, 3, 12)
    (series,) = kept.series.values()
    assert [one.night.day for one in series.nights] == [10, 11, 12]
    assert len({one.run_id for one in series.nights}) == 3


def test_night_before_the_first_logs_does_not_hide_the_nights_after_it(tmp_path: Path) -> None:
    """Of an empty lake the night is yesterday's, which is later than any that an old chain will have."""
    (tmp_path / "scenarios").mkdir()
    scenario(tmp_path, "one")
    found = nightly(tmp_path)
    assert states(found)["one"] == ("not_run", "the lake covers nothing of the market")
    seal(tmp_path / "lake", STOP)
    assert states(found)["one"][0] == "done"
    assert (journal(tmp_path).night, [one.state for one in journal(tmp_path).results]) == (LAST, ["done"])


def test_two_at_once_on_one_market_do_no_harm(folder: Path) -> None:
    found = nightly(folder)
    with Lake.open(folder / "lake").nights().writing(SLUG), pytest.raises(LakeError, match="already being done"):
        run_market(found, found.markets[0])
    assert states(found)["one"] == ("done", None)


def test_damaged_market_is_said_of_every_scenario(folder: Path) -> None:
    segment = next((folder / "lake" / "logs" / SLUG).glob("*.parquet"))
    segment.write_bytes(segment.read_bytes()[:-200])
    with pytest.raises(LakeError, match="damaged"):
        run_market(nightly(folder), nightly(folder).markets[0])
    whole = run_nights(nightly(folder), [None])
    assert list(whole.problems) == ["aave-v3/sample"]


def test_pages_link_tonight_and_its_history(folder: Path) -> None:
    found = nightly(folder)
    for night in nights_between(date(2026, 3, 10), date(2026, 3, 12)):
        run_market(found, found.markets[0], night)
    published = publish_nights(found)
    (page,) = published.pages
    index, history = published.index.read_text(), (folder / "lake" / "runs" / page).read_text()
    (series,) = journal(folder).series.values()
    tonight = series.nights[-1]
    assert f'href="{page}"' in index
    assert f'href="{tonight.run_id}/report.html"' in index
    for one in series.nights:
        assert f'href="../{one.run_id}/report.html"' in history
    again = publish_nights(found)
    assert (again.index.read_text(), (folder / "lake" / "runs" / page).read_text()) == (index, history)


def test_retention_deletes_what_nights_made_and_nobody_needs(folder: Path) -> None:
    found = nightly(folder)
    lake = Lake.open(folder / "lake")
    for night in nights_between(date(2026, 3, 9), date(2026, 3, 12)):
        run_market(found, found.markets[0], night)
    by_hand = lake.publish_run("mine-0001", {"title": "mine"}, {})
    (series,) = journal(folder).series.values()
    oldest, second, third, newest = (one.run_id for one in series.nights)
    lake.nights().pin(oldest, "the vote")
    assert maintain.retain(lake, 2, dry=True).deleted == (second,)
    assert second in {run.run_id for run in lake.runs()}
    kept = maintain.retain(lake, 2)
    assert (kept.deleted, kept.pinned) == ((second,), (oldest,))
    assert {run.run_id for run in lake.runs()} == {oldest, third, newest, by_hand.run_id}
    assert maintain.retain(lake, 2).deleted == ()
    assert len(next(iter(journal(folder).series.values())).nights) == 4
    maintain.verify_lake(lake)


def test_superseded_run_goes_with_the_first_retention(folder: Path) -> None:
    found, night = nightly(folder), date(2026, 3, 11)
    run_market(found, found.markets[0], night)
    lake = Lake.open(folder / "lake")
    kept = journal(folder)
    (series,) = kept.series.values()
    former = series.nights[0].run_id
    series.nights[0].asked = "other data"
    other = lake.publish_run("other-0001", {**lake.read_run(former).manifest, "title": "former"}, {})
    series.nights[0].run_id = other.run_id
    write_journal(lake, SLUG, kept)
    run_market(found, found.markets[0], night)
    (series,) = journal(folder).series.values()
    assert ([one.run_id for one in series.nights], series.superseded) == ([former], [other.run_id])
    assert maintain.retain(lake, 90).deleted == (other.run_id,)
    assert next(iter(journal(folder).series.values())).superseded == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("markets: []\n", "nightly.yaml:1"),
        ("dayz: 3\n", "dayz"),
        ("alerts: {rules: [{watch: model_error, of: nonsense, above: 5%}]}\n", "nonsense is nothing"),
        ("alerts: {rules: [{watch: model_error, of: bad_debt_usd}]}\n", "needs `above` or `rise`"),
        ("alerts: {rules: [{watch: model_error, of: bad_debt_usd, above: much}]}\n", "'much' is no share"),
        ("until: tomorrow\n", "until"),
    ],
)
def test_mistake_in_the_nightly_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    rest = "" if text.startswith("markets") else f"markets: [{{market: {MARKET}, scenarios: .}}]\n"
    (tmp_path / "nightly.yaml").write_text(text + rest)
    with pytest.raises(ScenarioError, match=said):
        load_nightly(tmp_path / "nightly.yaml")


def test_secret_of_a_node_comes_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "nightly.yaml"
    path.write_text(
        f"lake: lake\nuntil: coverage\ndays: 2\n"
        f"markets: [{{market: {MARKET}, scenarios: scenarios, rpc: $L2LIQ_NO_SUCH_NODE}}]\n"
    )
    monkeypatch.delenv("L2LIQ_NO_SUCH_NODE", raising=False)
    whole = run_nights(load_nightly(path), [None])
    assert "L2LIQ_NO_SUCH_NODE" in whole.problems["aave-v3/sample"]
    assert [one.state for one in whole.outcomes[0].results] == ["done"]


def test_nights_between_are_no_guess() -> None:
    assert [one.day for one in nights_between(FIRST, date(2026, 3, 4))] == [2, 3, 4]
    with pytest.raises(InputError):
        nights_between(LAST, FIRST)


def test_alerts_stand_in_the_lake_and_in_its_status(folder: Path) -> None:
    from pipelines.nightly.rows import alert_words
    from pipelines.status import sentences

    rules = "alerts: {rules: [{watch: validity, of: skipped_value_share, above: 0%}]}\n"
    found = nightly(folder, rules)
    night = run_nights(found, [date(2026, 3, 11)])
    content = json.loads((folder / "lake" / "runs" / "alerts.json").read_text())
    (alert,) = content["alerts"]
    assert (alert["kind"], alert["of"], alert["night"]) == ("validity", "skipped_value_share", "2026-03-11")
    assert alert["value"] > 0 == alert["limit"]
    lake = Lake.open(folder / "lake")
    assert night.published.alerts[0].words in " ".join(sentences(lake.status(), alert_words(lake)))
    run_nights(nightly(folder, rules.replace("0%", "100%")), [date(2026, 3, 11)])
    assert json.loads((folder / "lake" / "runs" / "alerts.json").read_text())["alerts"] == []

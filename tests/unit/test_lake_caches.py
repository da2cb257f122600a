"""Caches, runs and status: keyed, whole, and never mixed."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from l2liq.errors import InputError, LakeError
from l2liq.lake import CacheKey, Lake, Span
from l2liq.lake.caches import snake
from l2liq.outcome.schema import METRICS
from tests.lake_tables import MARKET, POOL, everything, logs, seal

OLD, NEW, NEWER = (CacheKey(bytes([n]) * 32, "abi", "code") for n in (1, 2, 3))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def numbers(*values: int) -> pa.Table:
    return pa.table({"key": list(values)})


def test_a_cache_answers_its_own_key_only_and_keeps_the_last_two(lake: Lake) -> None:
    cache = lake.market_cache(MARKET)
    assert cache.newest() is None
    for number, key in enumerate((OLD, NEW, NEWER)):
        assert cache.read(key) is None
        written = cache.write(key, {"steps": numbers(number)}, {"number": number})
        assert written.tables == ("steps",)
        assert written.table("steps") == numbers(number)
        newest = cache.newest()
        assert newest is not None
        assert newest.document == {"number": number}
    assert cache.read(OLD) is None
    kept = cache.read(NEW)
    assert kept is not None
    assert kept.document == {"number": 1}
    assert cache.write(NEW, {"steps": numbers(99)}, {"number": 99}).document == {"number": 1}, "an entry never changes"


@pytest.mark.parametrize(
    "changed", [CacheKey(b"\x02" * 32, "a", "c"), CacheKey(b"\x01" * 32, "b", "c"), CacheKey(b"\x01" * 32, "a", "d")]
)
def test_each_part_of_a_key_counts(changed: CacheKey) -> None:
    assert CacheKey(b"\x01" * 32, "a", "c").name != changed.name


def test_decoded_events_are_replaced_a_quarter_at_a_time(lake: Lake) -> None:
    cache = lake.event_cache("aave-v3", MARKET)
    cache.write("2024q1", [{"Supply": numbers(1)}, {"Borrow": numbers(2)}], OLD)
    cache.write("2024q2", [{"Supply": numbers(3)}], OLD)
    assert cache.read("Supply", "2024q1", OLD) == numbers(1)
    assert cache.read("Supply", "2024q1", NEW) is None
    cache.write("2024q1", [{"Supply": pa.table({"key": [4], "referral": ["x"]})}], NEW)
    assert not cache.holds("2024q1", OLD)
    borrowed = cache.read("Borrow", "2024q1", NEW)
    assert borrowed is not None
    assert borrowed.num_rows == 0, "an event that the new decoding does not have must not stay from the old one"
    found = lake.query("SELECT market, key, referral FROM aave_v3_supply ORDER BY key").rows()
    assert list(found) == [("aave-v3-testnet", 3, None), ("aave-v3-testnet", 4, "x")]


@pytest.mark.parametrize("name", ["../x", "a b", "", "x;DROP", 'a"b', "1st"])
def test_what_cannot_name_an_event_is_refused(lake: Lake, name: str) -> None:
    with pytest.raises(InputError, match="cannot name an event"):
        snake(name)
    with pytest.raises(InputError, match="is no quarter"):
        lake.event_cache("aave-v3", MARKET).write(f"2024q1{name}/", [], OLD)


def test_a_run_is_published_once_and_found_by_its_beginning(lake: Lake) -> None:
    with pytest.raises(InputError, match=r"there are no runs yet\. Make one with `l2liq backtest"):
        lake.read_run()
    metrics = {"metrics": METRICS.empty_table()}
    first = lake.publish_run("abc-1", {"n": 1}, metrics, "<p>one</p>")
    lake.publish_run("abd-2", {"n": 2}, metrics)
    assert lake.publish_run("abc-1", {"n": 3}, metrics).manifest == {"n": 1, "run_id": "abc-1"}
    assert [run.run_id for run in lake.runs()] == ["abd-2", "abc-1"]
    assert lake.read_run("abc").path == first.path
    assert lake.read_run().run_id == "abd-2"
    assert first.report.read_text() == "<p>one</p>"
    assert first.table("metrics").schema.equals(METRICS)
    lake.write_report("abc-1", "<p>two</p>")
    assert first.report.read_text() == "<p>two</p>"
    with pytest.raises(InputError, match="2 runs begin so"):
        lake.read_run("ab")
    with pytest.raises(InputError, match="no run has this id"):
        lake.read_run("x")
    with pytest.raises(LakeError, match=r"outcomes\.parquet: cannot be read"):
        first.table("outcomes")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A-run", "run'; DROP", "_schema", ".."])
def test_what_cannot_name_a_run_is_refused(lake: Lake, name: str) -> None:
    with pytest.raises(InputError, match="cannot name a run"):
        lake.publish_run(name, {}, {})
    with pytest.raises(InputError, match="cannot name a table"):
        lake.publish_run("run-1", {}, {f"{name}.x": METRICS.empty_table()})
    assert lake.runs() == []


def test_status_tells_holes_sizes_and_the_last_run(lake: Lake) -> None:
    for start in (0, 200):
        seal(lake, Span(start, start + 100), logs([(start + 5, 0, POOL), (start + 6, 0, POOL)]), everything(POOL))
    lake.publish_run("run-1", {}, {})
    lake.quarantine(b"xyz", reason="cut short", place="a.csv")
    status = lake.status()
    [market] = status.markets
    assert (market.market, market.first_block, market.last_block, market.holes) == (
        "aave-v3-testnet",
        0,
        299,
        ((100, 200),),
    )
    assert (market.segments, market.logs, market.addresses, market.tail_blocks, market.problem) == (2, 4, 1, 0, None)
    assert status.last_run is not None
    assert status.last_run.run_id == "run-1"
    assert [entry.reason for entry in status.quarantined] == ["cut short"]
    sizes = {
        name: sum(path.stat().st_size for path in (lake.path / name).rglob("*") if path.is_file())
        for name in status.bytes_on_disk
    }
    assert status.bytes_on_disk == sizes
    assert sizes["quarantine"] > 3

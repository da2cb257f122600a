"""A lake in an object store: an S3 server over real HTTP, killed clients, leases, and what never becomes visible."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from l2liq.errors import InputError, LakeError, ReorgError
from l2liq.lake import LOG_DATA, Lake, Span, leases
from l2liq.lake.publish import TEMPORARY
from tests import lake_work, s3_work
from tests.lake_tables import CHAIN, MARKET, POOL, everything, logs, places, seal
from tests.s3 import SECRET, Relay, Server, running_server

pytestmark = pytest.mark.xdist_group("s3")
PROCESSES = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch, running_server() as started:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        PROCESSES.set_forkserver_preload(["tests.s3_work"])
        yield started


@pytest.fixture
def place(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lake's place in a fresh bucket, used with a folder for copies of this test alone."""
    for name, value in server.environment(tmp_path / "copies").items():
        monkeypatch.setenv(name, value)
    return Path(f"s3://{server.bucket()}/deep/lake")


def bucket_of(place: Path) -> str:
    return place.parts[1]


def run(target: Any, *args: Any) -> int | None:
    process = PROCESSES.Process(target=target, args=args)
    process.start()
    process.join()
    return process.exitcode


def elsewhere(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """The same lake as another machine sees it: without copies, and not the holder of any lease."""
    monkeypatch.setenv("L2LIQ_CACHE", str(tmp_path / "other-copies"))
    return Lake.open(place)


def visible(server: Server, place: Path) -> set[str]:
    """Keys of a lake but for its locks."""
    found = (key.removeprefix("deep/lake/") for key in server.objects(bucket_of(place)))
    return {key for key in found if not key.startswith(".locks/")}


def test_a_lake_in_a_bucket_has_the_roots_and_rows_of_one_in_a_folder(
    server: Server, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lake"
    for where in (place, folder):
        Lake.create(where)
        lake_work.ingest(where)
        lake_work.publish(where)
    there, here = elsewhere(place, tmp_path, monkeypatch), Lake.open(folder)
    assert there.markets() == here.markets()
    assert there.dataset_root(MARKET) == here.dataset_root(MARKET)
    assert places(there) == places(here)
    assert there.verify(MARKET) == []
    assert [one.key for one in there.coverage(MARKET).segments] == [one.key for one in here.coverage(MARKET).segments]
    for sql in ("SELECT market, count(*) FROM logs GROUP BY ALL", "SELECT run_id FROM runs",
                "SELECT market, first_block, last_block, status, row_count FROM coverage"):  # fmt: skip
        assert list(there.query(sql).rows()) == list(here.query(sql).rows())
    assert there.read_run().report.read_text() == here.read_run().report.read_text()
    assert not any(TEMPORARY in key for key in server.objects(bucket_of(place)))


@pytest.mark.slow
def test_a_kill_before_any_request_of_an_ingest_leaves_whole_segments_only_and_the_next_one_finishes(
    server: Server, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = server.environment(tmp_path / "doomed")
    counted = PROCESSES.Value("q", 0)
    Lake.create(place)
    assert run(s3_work.count_requests, lake_work.ingest, place, env, counted) == 0
    expected, root = visible(server, place), Lake.open(place).dataset_root(MARKET)
    assert counted.value > 30
    for request in range(1, counted.value, counted.value // 7):
        doomed = place.parent.parent / f"kill-{request}" / "lake"
        Lake.create(doomed)
        assert run(s3_work.die_before, lake_work.ingest, doomed, env, request) == -signal.SIGKILL
        bucket = bucket_of(place)
        keys = {key.split("/lake/", 1)[1] for key in server.objects(bucket, f"kill-{request}/")}
        assert {key for key in keys if not key.startswith(".locks/")} <= expected
        lake = Lake.open(doomed)
        assert lake.verify(MARKET) == []
        monkeypatch.setenv("L2LIQ_CACHE", str(tmp_path / "doomed"))
        lake_work.ingest(doomed)
        assert Lake.open(doomed).dataset_root(MARKET) == root
        monkeypatch.setenv("L2LIQ_CACHE", str(tmp_path / "copies"))


@pytest.mark.slow
def test_a_kill_before_any_request_of_publishing_leaves_a_whole_run_or_none(
    server: Server, place: Path, tmp_path: Path
) -> None:
    env = server.environment(tmp_path / "doomed")
    counted = PROCESSES.Value("q", 0)
    Lake.create(place)
    assert run(s3_work.count_requests, lake_work.publish, place, env, counted) == 0
    partly = 0
    for request in range(counted.value):
        doomed = place.parent.parent / f"kill-{request}" / "lake"
        Lake.create(doomed)
        assert run(s3_work.die_before, lake_work.publish, doomed, env, request) == -signal.SIGKILL
        lake = Lake.open(doomed)
        uploaded = [key for key in server.objects(bucket_of(place), f"kill-{request}/") if "/runs/" in key]
        partly += 0 < len(uploaded) < 3
        assert lake.query("FROM runs").table().num_rows == len(lake.runs()) == (len(uploaded) == 3)
        for found in lake.runs():
            assert found.table("outcomes").num_rows == 0
            assert found.report.read_text() == "<html></html>"
    assert partly, "no kill fell between the first table and the manifest"


def test_a_client_killed_in_the_middle_of_an_upload_leaves_nothing_and_the_next_one_seals(
    server: Server, place: Path, tmp_path: Path
) -> None:
    lake = Lake.create(place)
    uploading, seen = threading.Event(), [False]

    def stop_in_the_body(piece: bytes) -> bytes:
        if piece.startswith(b"PUT ") and b"/logs/" in piece.split(b"\r\n", 1)[0]:
            seen[0] = True
        elif seen[0]:
            uploading.set()
            threading.Event().wait(20)
        return piece

    relay = Relay(server, stop_in_the_body)
    env = relay.server.environment(tmp_path / "doomed")
    process = PROCESSES.Process(target=s3_work.seal_much, args=(place, env))
    process.start()
    assert uploading.wait(60)
    process.kill()
    process.join()
    relay.close()
    assert visible(server, place) == {"lake.json"}
    assert places(lake) == []
    assert run(s3_work.seal_much, place, server.environment(tmp_path / "other")) == 1, "the lease of the dead one holds"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "LAST_S", 0.5)
        threading.Event().wait(1.5)
        seal(lake, Span(0, 100), logs([(1, 0, POOL)]), everything(POOL))
    assert places(lake) == [(1, 0)]


def test_what_a_server_changes_on_the_way_never_counts(server: Server, place: Path, tmp_path: Path) -> None:
    lake = Lake.create(place)
    with lake.writer(MARKET, CHAIN) as writer:
        writer.seal_logs(Span(0, 100), logs([(1, 0, POOL)]), everything(POOL), **lake_work.PUT)
        client, key = server.client(), "deep/lake/logs/aave-v3-testnet/000000000000-000000000099.parquet"
        held = client.get_object(Bucket=bucket_of(place), Key=key)["Body"].read()
        client.put_object(Bucket=bucket_of(place), Key=key, Body=held[:-100] + bytes(100))
    with pytest.raises(LakeError, match=r"logs/aave-v3-testnet/.*damaged or cut short"):
        places(Lake.open(place))


def test_a_second_writer_is_told_who_writes_and_a_dead_one_is_found_out(
    server: Server, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Lake.create(place)
    ready = PROCESSES.Event()
    env = server.environment(tmp_path / "holder")
    holder = PROCESSES.Process(target=s3_work.hold_writer, args=(place, env, ready))
    holder.start()
    assert ready.wait(60)
    other = elsewhere(place, tmp_path, monkeypatch)
    with (
        pytest.raises(LakeError, match=rf"already being done by process {holder.pid} on "),
        other.writer(MARKET, CHAIN),
    ):
        pass
    with other.writer("aave-v3/other", CHAIN):
        pass
    holder.kill()
    holder.join()
    with pytest.raises(LakeError, match="already being done"), other.writer(MARKET, CHAIN):
        pass
    monkeypatch.setenv("L2LIQ_CACHE", str(tmp_path / "holder"))
    with Lake.open(place).writer(MARKET, CHAIN):
        pass  # the machine itself knows that its process is dead
    with other.writer(MARKET, CHAIN):
        pass  # given back, nobody has to wait


def test_a_writer_that_was_suspended_for_longer_than_its_lease_writes_no_more(
    server: Server, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Lake.create(place)
    ready, resumed = PROCESSES.Event(), PROCESSES.Event()
    here, there = PROCESSES.Pipe(duplex=False)
    env = server.environment(tmp_path / "suspended")
    process = PROCESSES.Process(target=s3_work.write_after_a_pause, args=(place, env, 2.0, ready, resumed, there))
    process.start()
    assert ready.wait(60)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    monkeypatch.setattr(leases, "LAST_S", 2.0)
    other = elsewhere(place, tmp_path, monkeypatch)
    with other._storage.exclusive("market-aave-v3-testnet", "testing", wait=True):
        os.kill(process.pid, signal.SIGCONT)
        resumed.set()
        process.join()
        told = here.recv()
    assert told.startswith("LakeError: ")
    assert "another may write now" in told
    assert places(other) == []


def test_two_machines_are_never_inside_at_once(server: Server, place: Path, tmp_path: Path) -> None:
    Lake.create(place)
    start, inside, most = PROCESSES.Event(), PROCESSES.Value("i", 0), PROCESSES.Value("i", 0)
    workers = [
        PROCESSES.Process(
            target=s3_work.take_the_lock,
            args=(place, server.environment(tmp_path / f"machine-{number}"), start, inside, most),
        )
        for number in range(3)
    ]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert most.value == 1


def test_nothing_sealed_is_overwritten_even_by_who_did_not_see_it(
    server: Server, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake.create(place)
    seal(lake, Span(0, 100), logs([(1, 0, POOL)]), everything(POOL))
    before = server.objects(bucket_of(place), "deep/lake/logs/")
    key = "logs/aave-v3-testnet/000000000000-000000000099.parquet"
    with pytest.raises(LakeError, match="another process wrote it meanwhile"):
        lake._storage.publish(key, lambda path: path.write_bytes(b"other"), lambda path: None, once=True)  # type: ignore[arg-type, return-value]
    with pytest.raises(ReorgError):
        seal(lake, Span(0, 100), logs([(1, 0, POOL)], data=b"\x06"), everything(POOL))
    assert seal(lake, Span(0, 100), logs([(1, 0, POOL)]), everything(POOL)) == 0
    assert server.objects(bucket_of(place), "deep/lake/logs/") == before


def test_a_store_that_ignores_conditions_is_refused(
    server: Server, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    relay = Relay(server, lambda piece: piece.replace(b"If-None-Match: *", b"X-Unknown: ignored"))
    for name, value in relay.server.environment(tmp_path / "copies").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LakeError, match="ignores conditions on uploads"):
        Lake.create(place)
    relay.close()


def test_more_objects_than_one_page_lists_are_all_seen(server: Server, place: Path) -> None:
    lake, client = Lake.create(place), server.client()
    for number in range(1005):
        client.put_object(Bucket=bucket_of(place), Key=f"deep/lake/many/{number:04d}", Body=b"")
    assert len(lake._storage.keys("many")) == 1005


def test_a_query_sees_what_another_machine_replaced_and_took_back(
    server: Server, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Lake.create(place)
    lake_work.ingest(place)
    other = elsewhere(place, tmp_path, monkeypatch)
    assert other.query("SELECT count(*) FROM logs").table().to_pydict() == {"count_star()": [62]}
    with first.writer(MARKET, CHAIN) as writer:
        writer.replace_tail(LOG_DATA, Span(300, 350), logs([(311, 0, POOL)]), everything(POOL), **lake_work.PUT)
    assert list(other.query("SELECT block_number FROM logs WHERE status = 'tail'").rows()) == [(311,)]
    with first.writer(MARKET, CHAIN) as writer:
        writer.unseal_from(150, reason="reorg")
    assert other.query("SELECT count(*) FROM logs").table().to_pydict() == {"count_star()": [21]}
    [entry] = other.quarantined()
    other.release(entry, who="me", reason="the node was wrong")
    assert len(places(first)) == 61
    assert first.quarantine_history()[0].decision is not None


@pytest.mark.parametrize(
    "name", ["s3://", "s3://UPPER/x", "s3://a/x", "s3://bucket/../x", "s3://bucket/a?key=b", "s3://u:p@b/x"]
)
def test_a_place_that_cannot_be_is_refused(name: str, place: Path) -> None:
    with pytest.raises(InputError, match=r"Write s3://bucket/prefix"):
        Lake.open(Path(name))


def test_what_is_not_there_is_named_and_no_secret_is(
    server: Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LakeError, match=r"^s3://lake-.*/deep/lake: there is no lake here"):
        Lake.open(place)
    with pytest.raises(LakeError, match=r"^s3://no-such-bucket/x: there is no such bucket"):
        Lake.create(Path("s3://no-such-bucket/x"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(LakeError, match=r"the object store cannot be used \(EndpointConnectionError\)") as caught:
        Lake.open(place)
    assert SECRET not in str(caught.value)


def test_nothing_in_the_bucket_or_among_the_copies_holds_a_credential(
    server: Server, place: Path, tmp_path: Path
) -> None:
    lake = Lake.create(place)
    lake_work.ingest(place)
    lake.quarantine(b"x", reason="why", place="https://u:p@node.example/key")
    client = server.client()
    bodies = [
        client.get_object(Bucket=bucket_of(place), Key=key)["Body"].read() for key in server.objects(bucket_of(place))
    ]
    bodies += [path.read_bytes() for path in (tmp_path / "copies").rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in body for body in bodies)
    lease = json.loads(
        client.get_object(Bucket=bucket_of(place), Key="deep/lake/.locks/market-aave-v3-testnet.json")["Body"].read()
    )
    assert lease == {"state": "free"}

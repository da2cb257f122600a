"""A lake that the stream wrote is the one that batch writes, whatever delivery and retention do."""

from __future__ import annotations

import random
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from l2liq.lake import SEALED, Lake, Span
from l2liq.lake.publish import TEMPORARY
from l2liq.protocols.interface import Discovery
from pipelines.ingest.node_job import Wish, ingest_node
from pipelines.stream.broker import Inlet, Outlet, Record
from pipelines.stream.follower import Follower
from pipelines.stream.messages import Block, Message, Scanned, decode
from pipelines.stream.sink import Sink, group_of
from pipelines.stream.topic import ensure_topic, place_of
from tests.s3 import running_server
from tests.stream.conftest import Rig
from tests.stream.records import forget, records_of, send

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kafka")]


def sealed_logs(lake: Lake, market: str) -> dict[str, bytes]:
    return {one.key.rpartition("/")[2]: one.root for one in lake.coverage(market).segments if one.status in SEALED}


def test_stream_and_batch_write_the_same_lake_tail_included(rig: Rig) -> None:
    rig.follow()
    state = rig.sink()
    batch, stream = rig.batch(), Lake.open(rig.folder / "stream")
    assert stream.dataset_root(rig.slug) == batch.dataset_root(rig.slug)
    assert sealed_logs(stream, rig.slug) == sealed_logs(batch, rig.slug) != {}
    assert stream.coverage(rig.slug).span == batch.coverage(rig.slug).span
    assert stream.verify(rig.slug) == []
    assert (state.sealed_block, state.stopped, state.poison) == (299, None, 0)


def test_a_stream_seals_into_a_bucket_what_it_seals_into_a_folder_and_any_machine_goes_on(
    rig: Rig, batch_root: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server() as server:
        bucket = server.bucket()
        there = replace(rig, folder=Path(f"s3://{bucket}"))
        for machine in ("one", "two"):
            for name, value in server.environment(tmp_path / machine).items():
                monkeypatch.setenv(name, value)
            there.follow(there.folder / "lake" if machine == "two" else None)
            state = there.sink("lake")
            assert (state.sealed_block, state.stopped, state.sealed_cells > 0) == (299, None, machine == "one")
            assert there.root("lake") == batch_root
            assert Lake.open(there.folder / "lake").verify(rig.slug) == []
            assert not any(TEMPORARY in key for key in server.objects(bucket))
    assert not list(tmp_path.glob("s3*")), "nothing of it lies in a folder of that name"


def test_on_a_single_core_what_came_is_sealed_before_more_is_read(
    rig: Rig, batch_root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.follow()
    monkeypatch.setattr(pa, "cpu_count", lambda: 1)
    monkeypatch.setattr("pipelines.stream.sink.BEACON_S", 0.0)
    with Sink(rig.folder / "stream", rig.listing, rig.bootstrap) as sink:
        told = sink.state
        while sink.step():
            assert told.sealed_block + 1 == (min(told.final_block, told.scanned_block) + 1) // 100 * 100
        assert told.sealed_block == 299
    inlet = Inlet(rig.bootstrap, place_of(rig.listing.chain, rig.slug), group_of(rig.folder / "stream", rig.slug))
    assert inlet.committed() is not None, "the place is kept while it goes on, not only at the end"
    inlet.close()
    assert rig.root() == batch_root


def test_the_lag_told_with_what_was_read_is_that_told_when_asked(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.follow()
    monkeypatch.setattr("pipelines.stream.broker.AT_A_TIME", 10)
    inlet = Inlet(rig.bootstrap, place_of(rig.listing.chain, rig.slug), None)
    begin, end = inlet.bounds()
    inlet.seek(begin)
    assert len(inlet.poll(10.0)) == 10
    assert inlet.lag(ask=False) == inlet.lag(ask=True) == end - inlet.position() > 0
    inlet.close()


@pytest.mark.parametrize(("stride", "part_bytes"), [(1, 1), (7, 600), (33, 1 << 20)])
def test_however_blocks_are_cut_into_messages_the_lake_is_the_same(
    rig: Rig, batch_root: bytes, stride: int, part_bytes: int
) -> None:
    ensure_topic(rig.bootstrap, place_of(rig.listing.chain, rig.slug).topic)
    with Outlet(rig.bootstrap) as outlet:
        follower = Follower(rig.node, rig.listing, outlet, rig.bootstrap, stride=stride, part_bytes=part_bytes)
        while follower.step().blocks:
            pass
    messages = [one.message(rig) for one in records_of(rig)]
    assert max(one.parts for one in messages if isinstance(one, Block)) > 1 or part_bytes > 1000
    rig.sink()
    assert rig.root() == batch_root


def test_duplicated_and_reordered_messages_change_nothing(rig: Rig, batch_root: bytes) -> None:
    rig.follow()
    records = records_of(rig)
    expected = batch_root
    send(rig, random.Random(1).sample(records[1:], len(records) - 1))
    rig.sink()
    assert rig.root() == expected
    rig.sink("late")
    assert rig.root("late") == expected


def test_messages_in_any_order_give_the_same_lake(rig: Rig, batch_root: bytes, tmp_path: Path) -> None:
    rig.follow()
    records = records_of(rig)
    other = Rig(rig.url, rig.yaml, rig.listing, rig.bootstrap, tmp_path / "other")
    assert forget(rig, 0.999) > 0
    send(other, random.Random(2).sample(records[1:], len(records) - 1))
    other.sink()
    assert other.root() == batch_root


def test_the_kept_place_is_that_of_the_oldest_record_about_a_block_that_is_not_sealed(rig: Rig) -> None:
    rig.follow()
    rig.sink()
    inlet = Inlet(rig.bootstrap, place_of(rig.listing.chain, rig.slug), group_of(rig.folder / "stream", rig.slug))
    kept = inlet.committed()
    begin, end = inlet.bounds()
    assert kept is not None
    about = [
        (one.offset, message.header.number if isinstance(message, Block) else message.last.number)
        for one in inlet.between(begin, end)
        if one.key == rig.slug.encode()
        for message in [message_of(rig, one)]
        if isinstance(message, Block | Scanned)
    ]
    inlet.close()
    assert min(offset for offset, block in about if block >= 300) == kept
    again = rig.sink()
    assert again.read_logs == sum(
        message.logs.rows for message in (one.message(rig) for one in records_of(rig))
        if isinstance(message, Block) and message.header.number >= 300
    )  # fmt: skip


def message_of(rig: Rig, record: Record) -> Message:
    return decode(record.value, record.headers, rig.slug, rig.listing.chain.chain_id)


def test_where_retention_outran_the_sink_the_node_fills_the_gap(rig: Rig, batch_root: bytes) -> None:
    rig.follow()
    forget(rig, 0.5)
    state = rig.sink(node=True)
    assert state.stopped is None
    assert rig.root() == batch_root


def test_a_gap_without_a_node_stops_the_sink_with_the_remedy_until_batch_has_filled_it(
    rig: Rig, batch_root: bytes
) -> None:
    rig.follow()
    forget(rig, 0.5)
    state = rig.sink()
    assert state.stopped is not None
    assert "retention outran the sink" in state.stopped
    assert "l2liq ingest" in state.stopped
    assert Lake.open(rig.folder / "stream").coverage(rig.slug).segments == ()
    ingest_node(rig.folder / "stream", rig.listing, rig.node, Wish(to_block=200))
    assert rig.sink().stopped is None
    assert rig.root() == batch_root


def test_the_follower_begins_where_the_lake_ends_and_the_sink_goes_on_from_there(rig: Rig, batch_root: bytes) -> None:
    ingest_node(rig.folder / "stream", rig.listing, rig.node, Wish(to_block=200))
    rig.follow(rig.folder / "stream")
    told = [one.message(rig) for one in records_of(rig)]
    assert min(one.first.number for one in told if isinstance(one, Scanned)) == 200
    rig.sink()
    assert rig.root() == batch_root


def test_a_kept_place_that_is_of_no_use_to_an_empty_lake_is_given_up(rig: Rig, batch_root: bytes) -> None:
    rig.follow()
    rig.sink()
    shutil.rmtree(rig.folder / "stream")
    assert rig.sink().stopped is None
    assert rig.root() == batch_root


def test_two_sinks_and_a_batch_ingest_at_once_do_no_harm(rig: Rig, batch_root: bytes) -> None:
    rig.follow()
    sinks = [Sink(rig.folder / "stream", rig.listing, rig.bootstrap) for _ in range(2)]
    begin, failures = threading.Barrier(2), []

    def work(sink: Sink) -> None:
        begin.wait()
        try:
            with sink:
                for _ in range(200):
                    sink.step(0.02)
                    if sink.caught_up and sink.state.sealed_block == 299:
                        break
                sink.finish()
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(sink,)) for sink in sinks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [sink.state.sealed_block for sink in sinks] == [299, 299]
    ingest_node(rig.folder / "stream", rig.listing, rig.node, Wish())
    assert rig.root() == batch_root


class Late(Sink):
    """Between what it looks at and its lock another process takes a cell back."""

    def _seal_cell(self, span: Span, discovery: Discovery) -> Any:
        if span.start == 200:
            with self._lake.writer(self.slug, self._chain.chain_id) as writer:
                writer.unseal_from(100, reason="a test")
        return super()._seal_cell(span, discovery)


def test_a_sink_that_ends_early_or_loses_a_cell_meanwhile_leaves_no_hole(rig: Rig, batch_root: bytes) -> None:
    rig.follow()
    lake = Lake.create(rig.folder / "stream")
    with Sink(lake.path, rig.listing, rig.bootstrap, ending=lambda: sink.state.sealed_cells > 0) as sink:
        while sink.step() or not sink.caught_up:
            pass
        sink.finish()
    assert lake.coverage(rig.slug).span == Span(0, 100)
    with Late(lake.path, rig.listing, rig.bootstrap) as late:
        while late.step() or not late.caught_up:
            pass
        assert "unsealed meanwhile" in (late.state.stopped or "")
    assert lake.coverage(rig.slug).span == Span(0, 100)
    assert rig.sink().stopped is None
    assert rig.root() == batch_root


def test_two_followers_at_once_do_no_harm(rig: Rig, batch_root: bytes) -> None:
    ensure_topic(rig.bootstrap, place_of(rig.listing.chain, rig.slug).topic)
    with Outlet(rig.bootstrap) as one, Outlet(rig.bootstrap) as two:
        followers = [Follower(rig.node, rig.listing, outlet, rig.bootstrap, stride=30) for outlet in (one, two)]
        dice = random.Random(5)
        while any(follower.step().blocks for follower in dice.sample(followers, 2)):
            pass
    rig.sink(node=True)
    assert rig.root() == batch_root

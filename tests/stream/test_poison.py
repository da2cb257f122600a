"""Messages that cannot be used: their cell is not sealed, they lie in quarantine, and everybody is told."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from l2liq.chains.markets import find_market
from l2liq.events.abi import contract_event
from l2liq.lake import Lake
from pipelines import status as described
from pipelines.ingest.node_job import Wish, ingest_node
from pipelines.stream.messages import FINGERPRINT, LARGEST_BYTES, Block, Message, Retract, Scanned
from pipelines.stream.metrics import Metrics
from pipelines.stream.packing import Packed, packed_blocks, table_of
from pipelines.stream.topic import place_of
from tests.pipelines.conftest import market_file
from tests.stream.conftest import City, Rig
from tests.stream.records import Sent, records_of, send, sent_by

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kafka")]

MINT = contract_event("aave_v3/scaled_token", "Mint")

Forge = Callable[[Sent, Block], list[Sent]]
"""What comes in place of a record with a block of the second cell."""


def signed(value: bytes) -> Sent:
    return Sent(value, [(FINGERPRINT, hashlib.sha256(value).digest())])


def block(old: Block, **changes: object) -> Sent:
    return sent_by(replace(old, **changes))  # type: ignore[arg-type]


def header(old: Block, **changes: object) -> Sent:
    return block(old, header=replace(old.header, **changes))  # type: ignore[arg-type]


def logs(old: Block, **changes: object) -> Sent:
    return block(old, logs=old.logs._replace(**changes))  # type: ignore[arg-type]


POISON: dict[str, tuple[Forge, str]] = {
    "garbage": (lambda sent, _: [signed(b"hello"), sent], "the mark of no schema"),
    "no value": (lambda sent, _: [Sent(None, []), sent], "has no value"),
    "foreign schema": (lambda sent, _: [signed(b"\xc3\x01" + bytes(8) + b"x"), sent], "the mark of no schema"),
    "no fingerprint": (lambda sent, _: [Sent(sent.value, [])], "not what its fingerprint says"),
    "one bit": (lambda sent, _: [Sent(flipped(sent.value), sent.headers)], "not what its fingerprint says"),
    "truncated": (lambda sent, _: [Sent(sent.value[:-9], sent.headers)], "not what its fingerprint says"),
    "truncated and signed": (lambda sent, _: [signed(sent.value[:-9])], "does not follow its schema"),
    "more behind the end": (lambda sent, _: [signed(sent.value + b"x")], "goes on behind its end"),
    "oversize": (lambda sent, _: [signed(sent.value + os.urandom(LARGEST_BYTES)), sent], "more than the"),
    "other market": (lambda sent, old: [block(old, market="aave-v3-other"), sent], "its key is"),
    "other chain": (lambda sent, old: [block(old, chain_id=10), sent], "on chain 10"),
    "more logs than columns": (lambda _, old: [logs(old, rows=old.logs.rows + 1)], "do not hold the"),
    "data of another length": (lambda _, old: [logs(old, data=old.logs.data + b"x")], "its data have"),
    "topics of another length": (lambda _, old: [logs(old, topics=old.logs.topics[:-32])], "its topics have"),
    "indices that fall": (lambda _, old: [logs(old, log_index=backwards(old.logs.log_index))], "do not rise"),
    "part of none": (lambda sent, old: [block(old, part=3, parts=2), sent], "part 3 of 2"),
    "another block of that number": (lambda sent, old: [sent, header(old, hash=bytes(32))], "nothing was retracted"),
}


def flipped(value: bytes | None) -> bytes:
    assert value is not None
    return value[:40] + bytes([value[40] ^ 1]) + value[41:]


def backwards(column: bytes) -> bytes:
    return b"".join(reversed([column[at : at + 4] for at in range(0, len(column), 4)]))


def in_second_cell(message: Message) -> bool:
    return isinstance(message, Block) and 100 <= message.header.number < 200 and message.logs.rows > 1


@pytest.fixture(scope="module")
def template(city: City, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Sent, Message]]:
    """The records of an undisturbed stream, to be sent again under other names."""
    folder = tmp_path_factory.mktemp("template")
    yaml = market_file(folder / "template.yaml", city.provider, name="aave-v3/template")
    rig = Rig(city.node.url, yaml, find_market(str(yaml)), bootstrap, folder)
    rig.follow()
    return [(one, one.message(rig)) for one in records_of(rig)]


def renamed(rig: Rig, template: list[tuple[Sent, Message]]) -> list[tuple[Sent, Message]]:
    messages = [replace(message, market=rig.slug) for _, message in template]
    return [(sent_by(message), message) for message in messages]


@pytest.mark.parametrize("name", POISON)
def test_poison_stops_its_cell_is_kept_with_the_reason_and_is_told_until_batch_helps(
    rig: Rig, template: list[tuple[Sent, Message]], batch_root: bytes, name: str
) -> None:
    forge, reason = POISON[name]
    records, forged = [], False
    for sent, message in renamed(rig, template):
        if not forged and in_second_cell(message):
            assert isinstance(message, Block)
            records += forge(sent, message)
            forged = True
        else:
            records.append(sent)
    send(rig, records)
    metrics = Metrics()

    for _ in range(2):
        state = rig.sink(metrics=metrics)
        assert state.stopped is not None
        assert reason in state.stopped
    lake = Lake.open(rig.folder / "stream")
    assert lake.coverage(rig.slug).sealed_until == 100
    kept = lake.quarantined()
    assert [reason in one.reason for one in kept] == [True]
    assert metrics.registry.get_sample_value("l2liq_stream_stopped", {"market": rig.slug}) == 1
    assert metrics.registry.get_sample_value("l2liq_stream_poison_messages_total", {"market": rig.slug}) == 2
    told = "\n".join(described.sentences(lake.status()))
    assert "STOPPED" in told
    assert reason in told

    ingest_node(rig.folder / "stream", rig.listing, rig.node, Wish(to_block=200))
    assert rig.sink().stopped is None
    assert rig.root() == batch_root


def test_poison_that_a_person_discarded_does_not_stop_its_cell_any_more(
    rig: Rig, template: list[tuple[Sent, Message]], batch_root: bytes
) -> None:
    records = [sent for sent, _ in renamed(rig, template)]
    send(rig, [*records[:100], signed(b"from nobody"), *records[100:]])
    assert rig.sink().stopped is not None
    lake = Lake.open(rig.folder / "stream")
    lake.discard(lake.quarantined()[0], who="test", reason="not one of our producers")
    assert rig.sink().stopped is None
    assert rig.root() == batch_root


def lost(rig: Rig, template: list[tuple[Sent, Message]]) -> list[Sent]:
    """One message of the second cell never came."""
    records = renamed(rig, template)
    gone = next(number for number, (_, message) in enumerate(records) if in_second_cell(message))
    return [sent for number, (sent, _) in enumerate(records) if number != gone]


def test_a_lost_message_is_noticed_and_its_cell_is_not_sealed_without_a_node(
    rig: Rig, template: list[tuple[Sent, Message]]
) -> None:
    send(rig, lost(rig, template))
    state = rig.sink()
    assert state.stopped is not None
    assert "logs came where there are" in state.stopped
    assert Lake.open(rig.folder / "stream").coverage(rig.slug).sealed_until == 100


def test_a_lost_message_is_made_up_for_by_the_node(
    rig: Rig, template: list[tuple[Sent, Message]], batch_root: bytes
) -> None:
    send(rig, lost(rig, template))
    assert rig.sink(node=True).stopped is None
    assert rig.root() == batch_root


def test_a_log_too_many_stops_its_cell(rig: Rig, template: list[tuple[Sent, Message]]) -> None:
    """A stale block of another history, or a log that the filter does not let through."""
    records = []
    for sent, message in renamed(rig, template):
        records.append(sent)
        if in_second_cell(message) and len(records) % 2:
            assert isinstance(message, Block)
            count = message.logs.rows
            shifted = message.logs._replace(
                address=bytes(20) * count,
                log_index=raised(message.logs.log_index),
                transaction_index=(9_000).to_bytes(4, "little") * count,
                transaction_hash=b"t" * 32 * count,
            )
            records.append(block(message, logs=shifted))
    send(rig, records)
    state = rig.sink()
    assert state.stopped is not None
    assert "which no filter lets through" in state.stopped
    assert Lake.open(rig.folder / "stream").coverage(rig.slug).sealed_until == 100


def raised(column: bytes) -> bytes:
    numbers = [int.from_bytes(column[at : at + 4], "little") + 5_000 for at in range(0, len(column), 4)]
    return b"".join(number.to_bytes(4, "little") for number in numbers)


def test_a_withheld_mint_is_found_by_a_sink_that_can_ask_what_its_token_states(
    rig: Rig, template: list[tuple[Sent, Message]]
) -> None:
    """Whoever fills the topic was never given the log: counts and hashes are right all the same."""
    records, withheld = [], -1
    for _, message in renamed(rig, template):
        if withheld < 0 and in_second_cell(message):
            assert isinstance(message, Block)
            kept = without_a_mint(message)
            if kept is not None:
                withheld, message = message.header.number, replace(message, logs=kept)
        elif isinstance(message, Scanned) and message.first.number <= withheld <= message.last.number:
            message = replace(message, logs=message.logs - 1)
        records.append(sent_by(message))
    send(rig, records)
    for _ in range(2):
        state = rig.sink(node=True)
        assert state.stopped is not None
        assert (state.stopped_by, "are not explained by its logs" in state.stopped) == ("SupplyError", True)
    lake = Lake.open(rig.folder / "stream")
    assert lake.coverage(rig.slug).sealed_until == 100
    assert [one.error for one in lake.quarantined()] == ["SupplyError"]


def without_a_mint(block: Block) -> Packed | None:
    """A block's logs without its first Mint; None where it has none, or nothing else."""
    header = block.header
    logs = table_of([block.logs], [header.number], [header.hash], [header.timestamp_s])
    mints = [row for row, topic in enumerate(logs.column("topic0").to_pylist()) if topic == MINT.topic0]
    if not mints or logs.num_rows == 1:
        return None
    others = [row for row in range(logs.num_rows) if row != mints[0]]
    ((_, (packed,)),) = packed_blocks(logs.take(others), 1 << 20)
    return packed


def test_scanned_ranges_that_do_not_follow_each_other_stop_their_cell(
    rig: Rig, template: list[tuple[Sent, Message]]
) -> None:
    records = []
    for sent, message in renamed(rig, template):
        if isinstance(message, Scanned) and message.first.number == 100:
            whole = message
            middle = replace(whole.last, number=150, hash=b"m" * 32)
            other = replace(whole.first, number=151, parent_hash=b"o" * 32, hash=b"n" * 32)
            before = sum(1 for _ in range(whole.logs))
            records.append(sent_by(replace(whole, last=middle, logs=before)))
            records.append(sent_by(replace(whole, first=other, logs=before)))
        else:
            records.append(sent)
    send(rig, records)
    state = rig.sink()
    assert state.stopped is not None
    assert Lake.open(rig.folder / "stream").coverage(rig.slug).sealed_until == 100


def test_a_retraction_too_many_never_puts_anything_wrong_into_the_lake(
    rig: Rig, template: list[tuple[Sent, Message]], batch_root: bytes
) -> None:
    records = [sent for sent, _ in renamed(rig, template)]
    dice = random.Random(3)
    for _ in range(3):
        taken_back = Retract(rig.slug, rig.listing.chain.chain_id, dice.randrange(300), dice.randbytes(32))
        records.insert(dice.randrange(2, len(records)), sent_by(taken_back))
    send(rig, records)
    rig.sink()
    rig.sink(node=True)
    assert rig.root() == batch_root


def test_messages_of_other_markets_in_the_same_partition_are_no_poison(
    rig: Rig, template: list[tuple[Sent, Message]], batch_root: bytes
) -> None:
    records = [sent for sent, _ in renamed(rig, template)]
    send(rig, [signed(b"not ours")], key=b"somebody-else")
    send(rig, records)
    assert rig.sink().stopped is None
    assert rig.root() == batch_root


def test_what_lies_in_quarantine_is_the_message_itself(rig: Rig, template: list[tuple[Sent, Message]]) -> None:
    send(rig, [*[sent for sent, _ in renamed(rig, template)][:5], signed(b"what came")])
    rig.sink()
    (kept,) = Lake.open(rig.folder / "stream").quarantined()
    assert (kept.path / "content.bin").read_bytes() == b"what came"
    place = place_of(rig.listing.chain, rig.slug)
    assert kept.place.endswith(f" of {place.topic}/{place.partition}")

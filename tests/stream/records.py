"""Records of a topic as tests read, forge and send them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kafka import KafkaAdminClient, KafkaProducer

from pipelines.stream.broker import Inlet
from pipelines.stream.messages import Message, decode, encode
from pipelines.stream.topic import ensure_topic, place_of
from tests.stream.conftest import Rig

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Sent:
    """One record's value and headers."""

    value: bytes | None
    headers: Headers

    def message(self, rig: Rig) -> Message:
        return decode(self.value, self.headers, rig.slug, rig.listing.chain.chain_id)


def sent_by(message: Message) -> Sent:
    return Sent(*encode(message))


def records_of(rig: Rig) -> list[Sent]:
    """Every record of a market that its topic holds."""
    inlet = Inlet(rig.bootstrap, place_of(rig.listing.chain, rig.slug), None)
    try:
        return [Sent(one.value, one.headers) for one in inlet.between(*inlet.bounds()) if one.key == rig.slug.encode()]
    finally:
        inlet.close()


def send(rig: Rig, records: Sequence[Sent], *, key: bytes | None = None) -> None:
    """Put records into the market's partition."""
    place = place_of(rig.listing.chain, rig.slug)
    ensure_topic(rig.bootstrap, place.topic)
    producer = KafkaProducer(bootstrap_servers=rig.bootstrap, max_request_size=32 << 20)
    for one in records:
        producer.send(
            place.topic, one.value, key=key or rig.slug.encode(), headers=list(one.headers), partition=place.partition
        )
    producer.flush(30)
    producer.close()


def forget(rig: Rig, share: float) -> int:
    """Have the broker delete the older records of a market's partition, as retention does; how many."""
    place = place_of(rig.listing.chain, rig.slug)
    inlet = Inlet(rig.bootstrap, place, None)
    begin, end = inlet.bounds()
    mine = [one.offset for one in inlet.between(begin, end) if one.key == rig.slug.encode()]
    inlet.close()
    offset = mine[int(len(mine) * share)]
    admin = KafkaAdminClient(bootstrap_servers=rig.bootstrap)
    admin.delete_records({place: offset})
    admin.close()
    return offset - begin

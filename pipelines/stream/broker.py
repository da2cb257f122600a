"""Both ends of a partition: what a follower puts in, what a sink takes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from pipelines.stream.messages import LARGEST_BYTES, Message, encode
from pipelines.stream.topic import broker_failures

FLUSH_S = 60.0
AT_A_TIME = 4_000


class Record(Protocol):
    """A record as the client gives it."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Outlet:
    """Produces messages in order, each acknowledged by all replicas in sync, none twice by a retry."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._sent: list[Any] = []
        with broker_failures(bootstrap):
            self._producer = KafkaProducer(
                bootstrap_servers=bootstrap,
                bootstrap_timeout_ms=10_000,
                max_request_size=LARGEST_BYTES + (64 << 10),
                batch_size=1 << 18,
                linger_ms=5,
                compression_type="zstd",
                delivery_timeout_ms=45_000,
                request_timeout_ms=15_000,
                metrics_enabled=False,
            )

    def send(self, place: TopicPartition, message: Message) -> None:
        """Put a message on its way."""
        value, headers = encode(message)
        with broker_failures(self._bootstrap):
            self._sent.append(
                self._producer.send(
                    place.topic, value, key=message.market.encode(), headers=headers, partition=place.partition
                )
            )

    def __enter__(self) -> Outlet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.close(timeout=0 if kind else FLUSH_S)

    def flush(self) -> None:
        """Return once everything sent is acknowledged; SourceError where it was not."""
        sent, self._sent = self._sent, []
        with broker_failures(self._bootstrap):
            self._producer.flush(FLUSH_S)
            for one in sent:
                one.get(timeout=FLUSH_S)


class Inlet:
    """Reads one partition, from wherever its reader wants, and keeps that place in a group of its own."""

    def __init__(self, bootstrap: str, place: TopicPartition, group: str | None) -> None:
        self._bootstrap = bootstrap
        self.place = place
        with broker_failures(bootstrap):
            self._consumer = KafkaConsumer(
                bootstrap_servers=bootstrap,
                bootstrap_timeout_ms=10_000,
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                max_partition_fetch_bytes=4 << 20,
                fetch_max_wait_ms=100,
                metrics_enabled=False,
            )
            self._consumer.assign([place])

    def bounds(self) -> tuple[int, int]:
        """Offset of the oldest record, and that behind the newest."""
        with broker_failures(self._bootstrap):
            return self._consumer.beginning_offsets([self.place])[self.place], self.end()

    def end(self) -> int:
        """Offset behind the newest record."""
        with broker_failures(self._bootstrap):
            return int(self._consumer.end_offsets([self.place])[self.place])

    def lag(self, *, ask: bool) -> int:
        """How many records were not read: as the broker told with the last ones that were, or now that it is asked."""
        with broker_failures(self._bootstrap):
            told = None if ask else self._consumer.highwater(self.place)
        return max(0, (self.end() if told is None else int(told)) - self.position())

    def committed(self) -> int | None:
        """The place that was kept, None where there is none."""
        with broker_failures(self._bootstrap):
            found = self._consumer.committed(self.place)
            return None if found is None else int(found)

    def seek(self, offset: int) -> None:
        """Read on from there."""
        with broker_failures(self._bootstrap):
            self._consumer.seek(self.place, offset)

    def position(self) -> int:
        """Offset of the record that comes next."""
        with broker_failures(self._bootstrap):
            return int(self._consumer.position(self.place))

    def poll(self, timeout_s: float) -> Sequence[Record]:
        """The next records, none where nothing comes in time."""
        with broker_failures(self._bootstrap):
            # Asked to wait, the client may rest 0.1 s beside records that came while it looked: take those first.
            found = self._consumer.poll(0, AT_A_TIME) or self._consumer.poll(int(timeout_s * 1000), AT_A_TIME)
            records: Sequence[Record] = found.get(self.place, ())
            return records

    def commit(self, offset: int) -> None:
        """Keep a place."""
        with broker_failures(self._bootstrap):
            self._consumer.commit({self.place: OffsetAndMetadata(offset, "", -1)}, timeout_ms=10_000)

    def between(self, start: int, stop: int) -> Iterator[Record]:
        """The records [start, stop) that are still there."""
        if start >= stop:
            return
        self.seek(start)
        while self.position() < stop:
            for record in self.poll(1.0):
                if record.offset >= stop:
                    return
                yield record

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close(autocommit=False, timeout_ms=2_000)

"""The topic of a chain, and the partition in it that is a market's."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import KafkaError, TopicAlreadyExistsError

from l2liq.chains.chain import Chain
from l2liq.errors import InputError, SourceError
from pipelines.stream.messages import LARGEST_BYTES

PARTITIONS = 12
"""Partitions of a topic. The number never changes: with it a market would move, and its order would be lost."""


def topic_of(chain: Chain) -> str:
    """The topic that holds the markets of a chain."""
    return "l2liq.logs." + re.sub(r"[^a-zA-Z0-9_-]", "-", chain.name)


def partition_of(slug: str) -> int:
    """The partition that holds all messages of a market; the same in every client and for ever."""
    return zlib.crc32(slug.encode()) % PARTITIONS


def place_of(chain: Chain, slug: str) -> TopicPartition:
    """Topic and partition of a market."""
    return TopicPartition(topic_of(chain), partition_of(slug))


def ensure_topic(bootstrap: str, topic: str) -> None:
    """Create a topic that is not there yet, with the broker's own retention and replication.

    Raises
    ------
    InputError
        It is there with another number of partitions.
    SourceError
        No broker answers, or it refuses.
    """
    with broker_failures(bootstrap):
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=10_000)
        try:
            settings = {"max.message.bytes": str(LARGEST_BYTES + (64 << 10)), "compression.type": "producer"}
            wanted = {"num_partitions": PARTITIONS, "replication_factor": -1, "configs": settings}
            try:
                admin.create_topics({topic: wanted}, wait_for_metadata=True)
            except TopicAlreadyExistsError:
                found = len(admin.describe_topics([topic])[0]["partitions"])
                if found != PARTITIONS:
                    raise InputError(
                        f"{topic}: the topic has {found} partitions, not {PARTITIONS}. Delete it, and it is made anew."
                    ) from None
        finally:
            admin.close()


@contextmanager
def broker_failures(bootstrap: str) -> Iterator[None]:
    """Turn what the client raises into one SourceError that names the broker."""
    try:
        yield
    except KafkaError as error:
        text = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise SourceError(
            f"Kafka at {bootstrap}: {type(error).__name__.removesuffix('Error')}: {text}. Check --bootstrap and that "
            f"the broker is up."
        ) from error

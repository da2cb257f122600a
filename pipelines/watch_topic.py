"""What was watched, to a Kafka topic: one JSON message per market and look, keyed by the market."""

from __future__ import annotations

import json

from l2liq.errors import InputError, SourceError
from pipelines.watch import Watched

PATIENCE_S = 30


def produce(found: Watched, bootstrap: str, topic: str) -> None:
    """Send and wait until the brokers have it. SourceError where they do not take it."""
    try:
        from kafka import KafkaProducer
        from kafka.errors import KafkaError
    except ImportError:
        raise InputError(
            "Kafka needs the extra `stream`. Install it with `pip install 'l2liq[stream]'`, or use --json."
        ) from None
    try:
        producer = KafkaProducer(bootstrap_servers=bootstrap.split(","), bootstrap_timeout_ms=PATIENCE_S * 1000)
        try:
            content = json.dumps(found.as_json()).encode()
            producer.send(topic, key=found.market.encode(), value=content).get(timeout=PATIENCE_S)
        finally:
            producer.close(timeout=PATIENCE_S)
    except (KafkaError, OSError) as error:
        raise SourceError(
            f"{bootstrap}: topic {topic} did not take the message ({error}). Is the broker up?"
        ) from error

"""What was watched, to a Kafka topic: one JSON message per market and look, keyed by the market."""

from __future__ import annotations

import json

from l2liq.errors import InputError
from pipelines.watch import Watched

PATIENCE_S = 30


def produce(found: Watched, bootstrap: str, topic: str) -> None:
    """Send, and wait until the brokers have it; a topic that is not there is made.

    Raises SourceError where they do not take it, InputError where the extra ``stream`` is not installed.
    """
    try:
        from kafka import KafkaProducer

        from pipelines.stream.topic import broker_failures, ensure_topic
    except ImportError:
        raise InputError(
            "Kafka needs the extra `stream`. Install it with `pip install 'l2liq[stream]'`, or use --json."
        ) from None
    ensure_topic(bootstrap, topic)
    with broker_failures(bootstrap):
        producer = KafkaProducer(bootstrap_servers=bootstrap.split(","), bootstrap_timeout_ms=PATIENCE_S * 1000)
        try:
            content = json.dumps(found.as_json()).encode()
            producer.send(topic, key=found.market.encode(), value=content).get(timeout=PATIENCE_S)
        finally:
            producer.close(timeout=PATIENCE_S)

"""What was watched arrives at a real broker, keyed by its market."""

from __future__ import annotations

import json
import uuid
from fractions import Fraction
from pathlib import Path

import pytest
from kafka import KafkaConsumer

from l2liq.chains.markets import find_market
from l2liq.errors import SourceError
from l2liq.lake import Lake
from pipelines import watch_topic
from pipelines.watch import watch_market
from tests.e2e.cli import MARKET, ingesting, l2liq

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kafka")]


def test_topic_holds_what_json_prints(bootstrap: str, tmp_path: Path) -> None:
    assert l2liq(*ingesting(), lake=tmp_path / "lake").code == 0
    found = watch_market(Lake.open(tmp_path / "lake"), find_market(str(MARKET)), Fraction(1, 20), Fraction(1, 10))
    topic = f"l2liq.watch.{uuid.uuid4().hex[:8]}"
    watch_topic.produce(found, bootstrap, topic)
    consumer = KafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=30_000
    )
    message = next(consumer)
    consumer.close()
    assert message.key == b"aave-v3/sample"
    assert json.loads(message.value) == json.loads(json.dumps(found.as_json()))
    with pytest.raises(SourceError, match="the broker is up"):
        watch_topic.produce(found, "127.0.0.1:1", topic)

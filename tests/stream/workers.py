"""Followers, sinks and batch ingests for processes that are meant to be killed."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import time
from pathlib import Path
from types import SimpleNamespace

import pandas  # noqa: F401 - Arrow imports it at the first table written; forks should not each wait for that
import pyarrow.parquet as pq
import structlog

import pipelines.sample
import pipelines.stream.service
from l2liq.chains.markets import find_market
from l2liq.errors import L2LiqError
from l2liq.events.log import LOGS
from l2liq.events.order import in_order
from l2liq.events.wellformed import all_well_formed
from pipelines.ingest.node_job import Wish, ingest_node
from pipelines.quality.structure import known_events
from pipelines.sources.jsonrpc import JsonRpc, Manners
from pipelines.sources.node import Header, Node
from pipelines.stream.columns import blocks_of
from pipelines.stream.messages import Block, encode
from pipelines.stream.metrics import Metrics
from pipelines.stream.packing import packed_blocks
from pipelines.stream.service import FollowWish, Stop, follow, sink
from pipelines.stream.sink import SinkWish

PATIENT = Manners(timeout_s=20.0, attempts=20, pause_s=0.05, longest_pause_s=0.5)


def nothing() -> None:
    """Only come into being."""


def warm_up() -> None:
    """Compile what a process that is soon killed has no time to compile, and a fork of this one needs not load."""
    logs = in_order(pq.read_table(Path(pipelines.sample.__file__).with_name("logs.parquet")).cast(LOGS))
    assert all_well_formed(logs, known_events())[0]
    _, (packed,) = next(packed_blocks(logs, 1 << 20))
    value, headers = encode(Block("any", 1, Header(1, bytes(32), bytes(32), 1, None, 0), 0, 1, packed))
    assert blocks_of([SimpleNamespace(value=value, headers=headers)], "any", 1) is not None


def follow_forever(url: str, yaml: str, bootstrap: str, lake: Path) -> None:
    """A follower as a service, with or without the lake's help."""
    _quiet()
    wish = FollowWish(lake if (lake / "lake.json").exists() and random.random() < 0.5 else None, poll_s=0.02)
    _again(lambda: follow(url, PATIENT, [find_market(yaml)], bootstrap, wish, Metrics(), Stop()))


def sink_forever(url: str, yaml: str, bootstrap: str, lake: Path) -> None:
    """A sink as a service, with a node behind it."""
    _quiet()
    listing = find_market(yaml)

    def node_of(_: object) -> Node:
        return Node(JsonRpc(url, PATIENT), listing.chain)

    _again(lambda: sink(lake, [listing], bootstrap, node_of, SinkWish(tail_every_s=0.3), Metrics(), Stop()))


def ingest_now_and_then(url: str, yaml: str, bootstrap: str, lake: Path) -> None:
    """Batch ingests beside the sink, each to some block."""
    _quiet()
    listing = find_market(yaml)
    dice = random.Random(os.getpid())
    while True:
        time.sleep(dice.uniform(0.2, 1.0))
        with contextlib.suppress(L2LiqError):
            node = Node(JsonRpc(url, PATIENT), listing.chain)
            latest = node.latest()
            ingest_node(lake, listing, node, Wish(to_block=dice.randrange(latest // 2, latest)))


def _again(serve: object) -> None:
    while True:
        try:
            serve()  # type: ignore[operator]
        except L2LiqError:
            time.sleep(0.1)


def _quiet() -> None:
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

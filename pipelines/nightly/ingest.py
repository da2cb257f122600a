"""Ingest for the nights: a market from its node, up to its head or to the end of a day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import structlog

from l2liq.errors import InputError
from l2liq.lake import Lake
from pipelines.ingest.node_job import Wish, ingest_node
from pipelines.nightly.config import Fed, Nightly, address_of, listing_of
from pipelines.nightly.days import covered, covered_if_any, end_s
from pipelines.sources.jsonrpc import JsonRpc, Manners
from pipelines.sources.node import Node

log = structlog.get_logger()

Watch = Callable[[int, int, int], None]


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an ingest left.

    Attributes
    ----------
    complete_until : the last complete UTC day that the lake has
    covered_until_s : time of the last block
    news : a day became complete or a cell was sealed: there is something to run
    """

    market: str
    slug: str
    complete_until: date
    covered_until_s: int
    news: bool
    words: str


def ingest_market(nightly: Nightly, fed: Fed, until: date | None = None, *, watch: Watch = lambda *_: None) -> Ingested:
    """Bring a market up to its node's head, or until the day ``until`` is complete; what is there is not fetched again.

    Raises InputError for a market without a node, and what :func:`pipelines.ingest.node_job.ingest_node` raises.
    """
    lake, listing = Lake.create(nightly.lake), listing_of(fed)
    name, slug = listing.deployment.name, listing.deployment.slug
    before = covered_if_any(lake, name)
    if until is not None and before is not None and before.end_s >= end_s(until):
        return Ingested(name, slug, before.last_day, before.end_s, False, f"{name}: {until} is there already.")
    url = address_of(fed)
    if url is None:
        raise InputError(f"{name}: the nightly file gives no `rpc` for it. Add one, or fill the lake another way.")
    node = Node(JsonRpc(url, Manners()), listing.chain)
    stop = None if until is None else _block_after(lake, slug, node, end_s(until))
    outcome = ingest_node(lake.path, listing, node, Wish(to_block=stop), watch)
    after = covered(lake, name)
    log.info("ingested", market=name, sealed_cells=outcome.sealed_cells, tail_blocks=outcome.tail_blocks)
    news = before is None or outcome.sealed_cells > 0 or bool(outcome.unsealed) or after.last_day > before.last_day
    text = " ".join(outcome.sentences())
    return Ingested(name, slug, after.last_day, after.end_s, news, f"{name}: {text}")


def markets_with_node(nightly: Nightly) -> list[str]:
    """Names of the markets that the nights fetch themselves."""
    return [listing_of(fed).deployment.name for fed in nightly.markets if fed.rpc is not None]


def _block_after(lake: Lake, slug: str, node: Node, moment_s: int) -> int | None:
    """End of the range that shows a day to be over; None where the chain is not that far. It never gives up a tail."""
    latest = node.latest()
    if _time(node, latest) < moment_s:
        return None
    low, high = -1, latest
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _time(node, middle) >= moment_s else (middle, high)
    known = lake.coverage(slug).span
    return max(high + 1, known.stop if known is not None else 0)


def _time(node: Node, number: int) -> int:
    return node.headers([number])[number].timestamp_s

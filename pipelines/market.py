"""A market out of the lake: folded from its logs once, kept in the cache, continued where new logs came."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from l2liq.chains.deployment import Deployment
from l2liq.chains.markets import Listing
from l2liq.errors import GapError, InputError, LakeError
from l2liq.events.log import block_of
from l2liq.lake import BLOCK_DATA, OBSERVATION_DATA, Lake, Span, Status
from l2liq.lake.caches import Cache, CacheEntry, CacheKey
from l2liq.lake.markets import shown_tables
from l2liq.market import Market, NullTest
from l2liq.market.gaps import missing_prices
from l2liq.protocols import protocol as find_protocol
from l2liq.protocols.interface import Discovery, Protocol
from pipelines.events import write_events
from pipelines.manifest import this_version

Told = Callable[[str, float], None]
"""Told how far (0 to 1) the folding of some blocks is."""

_MARKS = {
    Status.TAIL.value: "the last blocks are not final yet (tail)",
    Status.AS_FOUND.value: "data as found in files: nothing says that they are complete",
    "unverified": "the source gave no block hashes: that its blocks follow each other is unverified",
}

_NULL_TEST = "null_test"


@dataclass(frozen=True)
class Folded:
    """A folded market: the protocol's snapshot, the market with what it rests on noted, and where both are kept."""

    snapshot: Any
    market: Market
    entry: CacheEntry


def load_market(lake: Lake, listing: Listing, *, told: Told | None = None) -> Market:
    """The market of a listing, as far as the lake has logs of it.

    Raises
    ------
    GapError
        Blocks or addresses that nobody looked at.
    InputError
        No logs at all, no beginning, a fact or a price that is missing; the message says how to get it.
    """
    folded = fold_market(lake, listing, told=told)
    require_beginning(folded.market, listing.deployment)
    require_prices(folded.market)
    return replace(folded.market, null_test=_null_test(lake, listing, folded))


def fold_market(lake: Lake, listing: Listing, *, told: Told | None = None, thorough: bool = False) -> Folded:
    """As :func:`load_market`, with the snapshot, without the null test and without asking whether every price is known.

    ``thorough`` reads every table of the caches, those of the views included, and makes anew what is damaged.
    """
    deployment = listing.deployment
    span = _span(lake, deployment)
    found = find_protocol(deployment.protocol)
    job = _FoldJob(lake, listing, found, span, told or (lambda what, done: None), thorough)
    snapshot, entry = job.run()
    market = found.market(snapshot)
    marks = tuple(_MARKS[mark] for mark in lake.coverage(deployment.slug).marks(span))
    return Folded(snapshot, replace(market, notes=(*market.notes, *marks)), entry)


def _span(lake: Lake, deployment: Deployment) -> Span:
    coverage = lake.coverage(deployment.slug)
    if coverage.span is None:
        raise InputError(
            f"{deployment.name}: the lake {lake.name} has no logs of it. Fetch them with "
            f"`l2liq ingest SOURCE --market {deployment.name}`."
        )
    held = coverage.segments[0].chain_id
    if held != deployment.chain_id:
        raise InputError(
            f"{deployment.name}: its logs in the lake {lake.path} are of chain {held}, and the market is said to be on "
            f"chain {deployment.chain_id}. Correct chain_id in the market's file, or name another lake with --lake."
        )
    return coverage.span


def _null_test(lake: Lake, listing: Listing, folded: Folded) -> NullTest:
    """What the null test counts; its cost grows with the recorded liquidations, so the counts stay with the cache."""
    known = folded.entry.remembered(_NULL_TEST)
    if isinstance(known, dict) and known.keys() == NullTest.__dataclass_fields__.keys():
        return NullTest(**known)
    found = find_protocol(listing.deployment.protocol).check(folded.snapshot, folded.market).counts
    with suppress(LakeError):  # a lake that may not be written can be read all the same
        lake.market_cache(listing.deployment.slug).remember(folded.entry, _NULL_TEST, asdict(found))
    return found


@dataclass
class _FoldJob:
    """One market, folded piece by piece; what is sealed is cached apart from the tail behind it."""

    lake: Lake
    listing: Listing
    protocol: Protocol
    span: Span
    told: Told
    thorough: bool

    def __post_init__(self) -> None:
        self.deployment = self.listing.deployment
        self.slug = self.deployment.slug
        self.cache: Cache = self.lake.market_cache(self.slug)
        self.coverage = self.lake.coverage(self.slug)
        self.observations = self.lake.read(OBSERVATION_DATA, self.slug)
        # Discovery's questions have no arguments; sampled prices, of which there may be many, do.
        plain = pc.equal(pc.binary_length(self.observations.column("arguments")), 0)
        self.answers = self.observations.filter(plain)

    def run(self) -> tuple[Any, CacheEntry]:
        """The snapshot of everything, and where it is kept."""
        entry = self.cache.read(self._key(self.span))
        if entry is not None:
            snapshot = None if entry.damaged(thorough=self.thorough) else self._restored(entry)
            if snapshot is not None:
                if self.thorough:
                    self._show()
                return snapshot, entry
            self.cache.discard(entry)
        snapshot, start = self._beginning()
        sealed = self.coverage.sealed_until
        if sealed is not None and start < sealed < self.span.stop:
            snapshot = self._fold(Span(start, sealed), snapshot)
            self._keep(Span(self.span.start, sealed), snapshot)
            start = sealed
        if start < self.span.stop:
            snapshot = self._fold(Span(start, self.span.stop), snapshot)
        entry = self._keep(self.span, snapshot)
        self._show()
        return snapshot, entry

    def _show(self) -> None:
        """Bring up to date what only people look at."""
        write_events(self.lake, self.slug, self.protocol.event_families)
        self.lake.rebuild_catalog()

    def _beginning(self) -> tuple[Any, int]:
        """A cached snapshot of a beginning that is still what the lake holds, and the first block after it."""
        entry = self.cache.newest()
        stop = entry.document.get("stop") if entry is not None else None
        if entry is None or not isinstance(stop, int) or not self.span.start < stop < self.span.stop:
            return None, self.span.start
        same = entry.document.get("key") == self._key(Span(self.span.start, stop)).name
        snapshot = self._restored(entry) if same else None
        return (None, self.span.start) if snapshot is None else (snapshot, stop)

    def _restored(self, entry: CacheEntry) -> Any:
        """The snapshot of an entry; None where it cannot be read, and has to be computed again."""
        try:
            return self.protocol.restored(self.deployment, entry.table, entry.document["snapshot"], self.observations)
        except LakeError:
            return None

    def _keep(self, span: Span, snapshot: Any) -> CacheEntry:
        key = self._key(span)
        tables, document = self.protocol.stored(snapshot)
        tables = {**tables, **shown_tables(self.protocol.market(snapshot))}
        return self.cache.write(key, tables, {"stop": span.stop, "key": key.name, "snapshot": document})

    def _key(self, span: Span) -> CacheKey:
        version = this_version()
        return CacheKey(self.lake.dataset_root(self.slug, span), _fingerprint(self.deployment), version.code)

    def _fold(self, span: Span, snapshot: Any) -> Any:
        discovery = self._discovery(span.start)
        blocks = self.lake.read(BLOCK_DATA, self.slug, span)
        logs = self._logs(span, discovery)
        return self.protocol.fold(self.deployment, logs, blocks, self.observations, snapshot)

    def _discovery(self, start: int) -> Discovery:
        """What was known before a block."""
        discovery = self.protocol.discovery(self.deployment)
        if start > self.span.start:
            for table in self.lake.read_logs(self.slug, Span(self.span.start, start)):
                discovery.see(table)
        discovery.learn(self.answers)
        return discovery

    def _logs(self, span: Span, discovery: Discovery) -> Iterator[pa.Table]:
        """The logs in pieces of the grid, each checked against what had to be looked at by then."""
        chain = self.listing.chain
        for piece in self.lake.grid(chain.chain_id, chain.cell_blocks).pieces(span):
            for table in self.lake.read_logs(self.slug, piece):
                discovery.see(table)
                discovery.learn(self.answers)
                yield table
            if Status.AS_FOUND.value not in self.coverage.marks(piece):
                self.coverage.require(piece, discovery.filter(), market=self.deployment.name)
            self.told(f"folding {self.deployment.name}", (piece.stop - span.start) / (span.stop - span.start))


def _fingerprint(deployment: Deployment) -> str:
    """What a fold takes from the deployment itself."""
    given = {
        "version": deployment.version,
        "start_block": deployment.start_block,
        "addresses": {name: address.hex() for name, address in deployment.addresses.items()},
        "supplement": deployment.supplement,
    }
    return hashlib.sha256(json.dumps(given, sort_keys=True, default=str).encode()).hexdigest()[:16]


def require_prices(market: Market) -> None:
    """Raise InputError naming the first asset and range without a price."""
    gap = next(missing_prices(market), None)
    if gap is None:
        return
    asset, first, last = market.assets[gap.asset], block_of(gap.first_key), gap.last_key
    until = f"block {block_of(last):,}" if last is not None else "the end"
    days = " to ".join(
        datetime.fromtimestamp(market.clock.time_of(block), UTC).strftime("%Y-%m-%d")
        for block in (first, block_of(last) if last is not None else market.last_block)
    )
    raise InputError(
        f"{market.name}: the price of 0x{asset.address.hex()} ({asset.symbol[:20]!r}) is unknown from block {first:,} "
        f"to {until} ({days}). Ingest its price source over RPC, or give a price table with "
        f"`l2liq ingest … --market {market.name} --prices FILE`."
    )


def require_beginning(market: Market, deployment: Deployment) -> None:
    """Raise GapError unless the logs at hand begin early enough to know any reserve."""
    if not market.assets:
        raise GapError(
            f"{deployment.name}: blocks {market.first_block:,} to {market.last_block:,} list no reserve, so nobody's "
            f"balance can be known. Ingest the market from its deployment (block {deployment.start_block:,})."
        )

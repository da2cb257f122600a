"""Aave v3 as the engine sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from l2liq.chains.deployment import Deployment
from l2liq.market import Market, ParameterTimeline
from l2liq.protocols.aave_v3.discovery import AaveDiscovery
from l2liq.protocols.aave_v3.fold import Snapshot, fold_logs
from l2liq.protocols.aave_v3.fold_market import build_market
from l2liq.protocols.aave_v3.levers import AaveLevers
from l2liq.protocols.aave_v3.nulltest import check, check_indices
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.pool import PoolCalldata, RecordedPool, open_pool
from l2liq.protocols.aave_v3.record import SeriesRecord
from l2liq.protocols.aave_v3.snapshot import from_tables, to_tables
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.protocols.aave_v3.versions import rule_set
from l2liq.protocols.checking import CheckReport
from l2liq.protocols.interface import Decoder, Discovery, Historian, Machine, Protocol, Venue
from l2liq.protocols.levers import Levers


class AaveV3:
    """See :class:`l2liq.protocols.interface.Protocol`."""

    name = "aave-v3"
    event_families: Sequence[str] = ("aave_v3", "chainlink", "proxy")
    levers: Levers = AaveLevers()

    def discovery(self, deployment: Deployment) -> Discovery:
        """A fresh discovery that knows nothing but the deployment."""
        return AaveDiscovery(deployment)

    def fold(
        self,
        deployment: Deployment,
        logs: Iterable[pa.Table],
        blocks: pa.Table,
        observations: pa.Table,
        snapshot: Any | None = None,
    ) -> Snapshot:
        """Logs (order of the chain) to a snapshot; see :func:`.fold.fold_logs`. A snapshot handed in is used up."""
        return fold_logs(deployment, logs, blocks, observations, snapshot)

    def stored(self, snapshot: Snapshot) -> tuple[Mapping[str, pa.Table], Mapping[str, Any]]:
        """A snapshot as tables and a document that JSON can hold."""
        return to_tables(snapshot)

    def restored(
        self,
        deployment: Deployment,
        table: Callable[[str], pa.Table],
        document: Mapping[str, Any],
        observations: pa.Table,
    ) -> Snapshot | None:
        """The snapshot that :meth:`stored` gave."""
        return from_tables(deployment, table, document, observations)

    def check(self, snapshot: Snapshot, market: Market, progress: Callable[[int], None] | None = None) -> CheckReport:
        """The null test; see :mod:`.nulltest`."""
        return check(snapshot, market, progress)

    def check_bare(self, deployment: Deployment, logs: Iterable[pa.Table]) -> CheckReport:
        """Indices alone, from bare ``ReserveDataUpdated`` logs; see :func:`.nulltest.check_indices`."""
        return check_indices(logs, rule_set(deployment.version))

    def market(self, snapshot: Snapshot) -> Market:
        """The Market of a snapshot."""
        return build_market(snapshot)

    def venue(self, market: Market, timeline: ParameterTimeline[AaveParameters]) -> Venue:
        """The market's rules under a parameter timeline."""
        return AaveVenue(market, timeline)

    def machine(self, market: Market, timeline: ParameterTimeline[AaveParameters], key: int) -> Machine:
        """The Pool as recorded after everything at or before ``key``, going on under ``timeline``."""
        return open_pool(market, timeline, SeriesRecord(market), key)

    def historian(self, market: Market, key: int) -> Historian:
        """Follows history after ``key``."""
        return RecordedPool(open_pool(market, market.parameters, SeriesRecord(market), key), market)

    def decoder(self, market: Market) -> Decoder:
        """Reads calls of the Pool and transfers of aTokens."""
        return PoolCalldata(market)


PROTOCOL: Protocol = AaveV3()

"""The lake: everything l2liq keeps on disk. :class:`Lake` is its one door."""

from l2liq.lake.caches import Cache, CacheEntry, CacheKey, EventCache
from l2liq.lake.coverage import SEALED, Coverage, Gap
from l2liq.lake.datasets import (
    BLOCK_DATA,
    DATASETS,
    INPUT_DATA,
    INPUTS,
    LOG_DATA,
    OBSERVATION_DATA,
    OBSERVATIONS,
    RECEIPT_DATA,
    RECEIPTS,
    Dataset,
    Grid,
    Linkage,
    Span,
    Status,
    slug_of,
)
from l2liq.lake.lake import Lake
from l2liq.lake.nights import Nights
from l2liq.lake.queries import Query
from l2liq.lake.runs import Run
from l2liq.lake.segments import Segment
from l2liq.lake.status import LakeStatus, MarketStatus
from l2liq.lake.writer import Writer

__all__ = [
    "BLOCK_DATA",
    "DATASETS",
    "INPUTS",
    "INPUT_DATA",
    "LOG_DATA",
    "OBSERVATIONS",
    "OBSERVATION_DATA",
    "RECEIPTS",
    "RECEIPT_DATA",
    "SEALED",
    "Cache",
    "CacheEntry",
    "CacheKey",
    "Coverage",
    "Dataset",
    "EventCache",
    "Gap",
    "Grid",
    "Lake",
    "LakeStatus",
    "Linkage",
    "MarketStatus",
    "Nights",
    "Query",
    "Run",
    "Segment",
    "Span",
    "Status",
    "Writer",
    "slug_of",
]

"""Where data quality has its say in a nightly run: before a market is loaded, and before a run is published."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

import pyarrow as pa
import structlog

from l2liq.chains.markets import Listing
from l2liq.lake import Lake
from pipelines.backtest import Gate

log = structlog.get_logger()


def objections(lake: Lake, listing: Listing) -> list[str]:
    """Why a market's data must not be backtested, a sentence each; none = go on.

    The library's structural checks have blocked sealing by now. Plausibility is judged by :mod:`pipelines.quality`;
    without the extra that it needs nobody judges, and the log says so.
    """
    if find_spec("great_expectations") is None:
        log.warning("quality_not_judged", market=listing.deployment.name, remedy="install l2liq[quality]")
        return []
    from pipelines.quality.gate import judge

    verdict = judge(lake, listing)
    for one in verdict.findings:
        if one not in verdict.blocking:
            log.warning("quality", market=verdict.market, finding=one.sentence())
    return [one.sentence() for one in verdict.blocking]


def outcome_gate(lake: Lake) -> Gate | None:
    """What judges the outcomes of runs before they are published; None without the extra that it needs."""
    if find_spec("great_expectations") is None:
        return None
    from pipelines.quality.gate import judge_outcomes, outcome_jury

    jury = outcome_jury(lake)

    def gate(market: str, tables: Mapping[str, pa.Table], window_s: tuple[int, int]) -> None:
        judge_outcomes(lake, market, tables, window_s, jury).require()

    return gate

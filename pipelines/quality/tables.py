"""What is judged, as tables: rows of new segments as they are; of everything else one row that DuckDB counted."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.chains.deployment import Deployment
from l2liq.events.abi import EventAbi, contract_events, contracts
from l2liq.events.decode import decode, split
from l2liq.events.log import LOGS
from l2liq.events.raw import floats
from l2liq.lake import Coverage, Lake
from l2liq.lake.markets import shown_tables
from l2liq.market import Market
from l2liq.outcome.schema import World
from l2liq.protocols import protocol
from pipelines.quality.structure import known_events

DAY_S = 86_400
RECENT_DAYS = 30
_SCALE = {"index": 1e27, "rate": 1e27, "amount": 1.0}


def raw_logs(logs: pa.Table) -> pd.DataFrame:
    """Logs without what only identifies them, with what they carry counted."""
    topics = [logs.column(f"topic{n}").is_valid().to_numpy().astype(np.int8) for n in range(4)]
    known = pa.array([event.topic0 for event in known_events()], pa.binary(32))
    columns = ("block_number", "log_index", "transaction_index", "timestamp_s")
    return pd.DataFrame(
        {name: logs.column(name).to_numpy() for name in columns}
        | {
            "topics": np.sum(topics, axis=0),
            "data_bytes": pc.binary_length(logs.column("data")).to_numpy(),
            "known": pc.is_in(logs.column("topic0"), value_set=known).to_numpy().astype(np.int8),
        }
    )


def measures(logs: pa.Table, families: Sequence[str]) -> pd.DataFrame:
    """Numbers of decoded events by what they measure: one row per number, one column per measure, the others empty."""
    parts = []
    wanted = {event: numbers for family in families for event, numbers in _measured(family).items()}
    for event, rows in split(logs, list(wanted)).known.items():
        found = decode(rows, event, decimals=False).events
        for argument, measure in wanted[event].items():
            part = {name: found.column(name).to_numpy() for name in ("block_number", "log_index")}
            parts.append(pd.DataFrame(part | {measure: floats(found.column(f"{argument}_raw")) / _SCALE[measure]}))
    empty = {"block_number": pd.Series(dtype="int64"), "log_index": pd.Series(dtype="int64")}
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(empty)
    return table.reindex(columns=["block_number", "log_index", *_SCALE])


@cache
def _measured(family: str) -> Mapping[EventAbi, Mapping[str, str]]:
    document = tomllib.loads(files("schemas.expectations").joinpath("measures.toml").read_text(encoding="utf-8"))
    named = document.get(family, {})
    known = {
        event for contract in contracts() if contract.startswith(f"{family}/") for event in contract_events(contract)
    }
    found = {}
    for event in known:
        arguments = {argument.column for argument in event.arguments}
        numbers = {name: measure for name, measure in named.get(event.name, {}).items() if name in arguments}
        if numbers:
            found[event] = numbers
    return found


def activity(lake: Lake, deployment: Deployment, coverage: Coverage) -> pd.DataFrame:
    """One row: what was not looked at, who never spoke, and recent days with too many or too few logs."""
    span = coverage.span
    assert span is not None
    wanted = protocol(deployment.protocol).discovery(deployment).filter()
    gaps = coverage.gaps(span, wanted)
    heard: set[bytes] = set()
    days: dict[int, int] = {}
    for table in lake.read_logs(deployment.slug, columns=["timestamp_s", "address"]):
        heard |= set(table.column("address").unique().to_pylist())
        for day, count in zip(
            *np.unique(table.column("timestamp_s").to_numpy() // DAY_S, return_counts=True), strict=True
        ):
            days[int(day)] = days.get(int(day), 0) + int(count)
    counted = pa.table({"day": pa.array(days.keys(), pa.int64()), "logs": pa.array(days.values(), pa.int64())})
    row = {
        "blocks_unseen": sum(gap.span.stop - gap.span.start for gap in gaps),
        "contracts_silent": len(wanted.addresses - heard),
        "blocks_before": max(0, span.start - deployment.start_block) if deployment.start_block else 0,
    }
    return pd.DataFrame([row | _counted("activity", {}, counted=counted)])


def prices(market: Market) -> pd.DataFrame:
    """One row about the prices that a market saw: all of them, and those of the last 30 days."""
    given = {"last_s": market.clock.time_of(market.last_block), "recent_s": RECENT_DAYS * DAY_S}
    shown = shown_tables(market)
    return pd.DataFrame([_counted("prices", given, series=shown["series"], assets=shown["assets"])])


def ledger(market: Market) -> pd.DataFrame:
    """One row about the balances, with what the null test counted."""
    given = {"accounts": len(market.addresses), "legs": len(market.legs)}
    tested = market.null_test
    compared, equal = (tested.compared, tested.equal) if tested else (0, 0)
    row = {"divergences": compared - equal, "divergent_share": (compared - equal) / max(compared, 1)}
    return pd.DataFrame([_counted("ledger", given, ledger=market.ledger.table) | row])


def outcomes(table: pa.Table) -> pd.DataFrame:
    """Outcome events with what is judged of liquidations beside them."""
    found = table.select(["sequence", "world", "kind", "account", "timestamp_s", "debt_usd", "collateral_usd",
                          "protocol_fee_usd", "liquidatable_since_s"]).to_pandas()  # fmt: skip
    liquidations = found["kind"] == "liquidation"
    health = pd.to_numeric(pc.cast(table.column("health_before_wad"), pa.float64()).to_pandas()) / 1e18
    modelled = found["world"] != World.ACTUAL.value
    found["health_of_liquidated"] = health.where(liquidations & modelled)
    repaid = found["debt_usd"].where(liquidations & (found["debt_usd"] >= 1))
    found["seized_per_repaid"] = found["collateral_usd"] / repaid
    found["waited_s"] = (found["timestamp_s"] - found["liquidatable_since_s"]).where(liquidations)
    return found.drop(columns=["kind", "liquidatable_since_s"])


def chunks(lake: Lake, slug: str, spans: Sequence[Any], rows: int) -> Iterator[tuple[Any, Any, pa.Table]]:
    """First and last of consecutive spans that together hold about ``rows`` logs, and these logs."""
    parts: list[pa.Table] = []
    first = None
    for number, span in enumerate(spans):
        first = first or span
        parts += lake.read_logs(slug, span)
        if sum(part.num_rows for part in parts) >= rows or number == len(spans) - 1:
            yield first, span, pa.concat_tables([LOGS.empty_table(), *parts])
            parts, first = [], None


def _counted(name: str, given: Mapping[str, int], **tables: pa.Table) -> dict[str, Any]:
    """The one row that a query of ``schemas/expectations`` counts."""
    sql = files("schemas.expectations").joinpath(f"{name}.sql").read_text(encoding="utf-8")
    with duckdb.connect() as connection:
        for table, rows in tables.items():
            connection.register(table, rows)
        found = connection.execute(sql, dict(given)) if given else connection.execute(sql)
        names = [column[0] for column in found.description or ()]
        return dict(zip(names, found.fetchone() or (), strict=True))

"""A rollup as plain data, in the form that YAML gives it: what :class:`l2liq.chains.entry.RollupEntry` reads again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from l2liq.chains.dated import Dated, Value
from l2liq.chains.rollup import Rollup


def described(rollup: Rollup) -> dict[str, Any]:
    """Everything of a rollup that is not the default; empty for one of which nothing is known."""
    found: dict[str, Any] = {}
    if rollup.kind is not Rollup().kind:
        found["kind"] = rollup.kind.value
    if rollup.genesis_s:
        found["genesis"] = _moment(rollup.genesis_s)
    dated: Mapping[str, list[dict[str, Any]]] = {
        "ordering": _spans(rollup.ordering, lambda one: {**asdict(one), "policy": one.policy.value}),
        "clocks": _spans(rollup.clocks, asdict),
        "fees": _spans(rollup.fees, lambda one: {"scheme": one.scheme, "scalars": dict(one.scalars)}),
    }
    found |= {name: spans for name, spans in dated.items() if spans}
    if rollup.forced_inclusion_s is not None:
        found["forced_inclusion_s"] = rollup.forced_inclusion_s
    if rollup.uptime_feed is not None:
        found["uptime_feed"] = "0x" + rollup.uptime_feed.hex()
    return found


def _spans(dated: Dated[Value], plain: Callable[[Value], dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "from": _moment(span.from_s),
            **({} if span.until_s is None else {"until": _moment(span.until_s)}),
            **plain(span.value),
        }
        for span in dated.spans
    ]


def _moment(timestamp_s: int) -> str:
    return datetime.fromtimestamp(timestamp_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

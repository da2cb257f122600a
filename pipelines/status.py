"""What a lake holds, in words and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from l2liq.lake import LakeStatus, MarketStatus


def as_json(status: LakeStatus, alerts: Sequence[str] = ()) -> dict[str, Any]:
    """Everything, for programs; ``alerts``: those of nightly runs that stand."""
    return {
        "lake": status.name,
        "markets": [{name: getattr(one, name) for name in MarketStatus.__dataclass_fields__} for one in status.markets],
        "quarantined": [
            {
                "path": str(one.path),
                "at": one.at.isoformat(),
                "error": one.error,
                "reason": one.reason,
                "place": one.place,
            }
            for one in status.quarantined
        ],
        "bytes_on_disk": status.bytes_on_disk,
        "streams": status.streams,
        "broken_runs": [{"path": str(path), "reason": reason} for path, reason in status.broken_runs],
        "last_run": status.last_run.run_id if status.last_run else None,
        "alerts": list(alerts),
    }


def sentences(status: LakeStatus, alerts: Sequence[str] = ()) -> list[str]:
    """The state of a lake, a sentence per line."""
    total = sum(status.bytes_on_disk.values())
    lines = [f"{status.name}: {len(status.markets)} market(s), {size(total)} on disk."]
    for market in status.markets:
        lines += _of_market(market)
    for slug, told in sorted(status.streams.items()):
        lines += _of_stream(slug, told)
    for one in status.quarantined[-5:]:
        lines.append(f"In quarantine since {one.at:%Y-%m-%d %H:%M} UTC: {one.place}: {one.reason}")
    if len(status.quarantined) > 5:
        lines.append(f"And {len(status.quarantined) - 5} more. `l2liq quarantine list` shows all.")
    lines += [f"{path}: {reason}" for path, reason in status.broken_runs]
    lines.append(f"Last run: {status.last_run.run_id}." if status.last_run else "No runs yet.")
    return [*lines, *(f"Alert: {one}." for one in alerts)]


def _of_stream(slug: str, told: Mapping[str, Any]) -> list[str]:
    """What a sink last said; when it said so shows whether it still runs."""
    if "problem" in told:
        return [f"Stream of {slug}: {told['problem']}"]
    line = (
        f"Stream of {told['market']} at {told['at']}: sealed to block {told['sealed_block']:,}, known to block "
        f"{told['scanned_block']:,}, {told['lag']:,} messages behind, {told['logs_per_s']:,.0f} logs/s."
    )
    return [line, *([f"  STOPPED: {told['stopped']}"] if told["stopped"] else [])]


def size(count: float) -> str:
    """``12.3 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _of_market(market: MarketStatus) -> list[str]:
    if market.problem:
        return [f"{market.market}: cannot be read: {market.problem}"]
    lines = []
    if market.first_block is None:
        lines.append(f"{market.market}: nothing sealed.")
    else:
        lines.append(
            f"{market.market}: blocks {market.first_block:,}–{market.last_block:,} sealed: {market.logs:,} logs of "
            f"{market.addresses:,} contracts in {market.segments:,} segments."
        )
    if market.unverified_segments:
        lines.append(f"  {market.unverified_segments:,} segments from files: their blocks were not checked by hash.")
    for start, stop in market.holes[:5]:
        lines.append(f"  Hole: blocks {start:,}–{stop - 1:,} are not in the lake.")
    if len(market.holes) > 5:
        lines.append(f"  And {len(market.holes) - 5} more holes.")
    if market.tail_blocks:
        lines.append(f"  Tail: {market.tail_blocks:,} blocks ({market.tail_logs:,} logs) not final yet.")
    if market.as_found_logs:
        lines.append(f"  {market.as_found_logs:,} logs as found in files, complete for no range.")
    return lines

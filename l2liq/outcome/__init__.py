"""What a run emits."""

from l2liq.outcome.schema import ACCOUNTS, METRICS, OUTCOMES, Kind, World

__all__ = ["ACCOUNTS", "METRICS", "OUTCOMES", "Kind", "World"]

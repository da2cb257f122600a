"""Moments as a chain's YAML gives them: a date or a time in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator


def _seconds(value: Any) -> int:
    """Seconds since 1970 of a YAML date or time, or of one as text."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is no moment. Write a date (2024-03-14) or a time in UTC.") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        raise ValueError(f"{value!r} is no moment. Write a date (2024-03-14) or a time in UTC.")
    at = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    return int(at.timestamp())


MomentText = Annotated[int, BeforeValidator(_seconds)]
"""Seconds since 1970, written as a date or a time."""

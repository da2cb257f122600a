"""Numbers and times as people read them. Text only: escaping belongs to the templates."""

from __future__ import annotations

import math
from datetime import UTC, datetime

MINUS = "\u2212"
NARROW = "\u202f"
ABSENT = "–"
NO_CHANGE = "±0"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.3g}"


def _scaled(value: float) -> str:
    size = abs(value)
    for limit, divisor, suffix in ((1e9, 1e9, "B"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if size >= limit:
            return f"{_three_digits(size / divisor)}{NARROW}{suffix}"
    if 0.005 <= size < 10:
        return f"{size:,.2f}"
    return f"{size:,.0f}"


def usd(value: float | None) -> str:
    """``$1.92 M``, ``−$310``; three digits are enough to decide on."""
    if value is None or math.isnan(value):
        return ABSENT
    sign = MINUS if value < 0 and _scaled(value) != "0" else ""
    return f"{sign}${_scaled(value)}"


def count(value: float | None) -> str:
    """``1,204``."""
    if value is None or math.isnan(value):
        return ABSENT
    return f"{value:,.0f}".replace("-", MINUS)


def several(number: float, noun: str) -> str:
    """``1 account``, ``2 accounts``."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def counted(number: int, noun: str) -> str:
    """``1 account``, ``1,204 accounts``."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def share(value: float | None) -> str:
    """A fraction as percent: ``38 %``, ``2.1 %``."""
    if value is None or math.isnan(value):
        return ABSENT
    percent = value * 100 + 0.0
    digits = 0 if abs(percent) >= 10 or percent == 0 else 1 if abs(percent) >= 0.1 else 2
    return f"{percent:.{digits}f}{NARROW}%".replace("-", MINUS)


def duration(seconds: float | None) -> str:
    """``45 s``, ``12 min``, ``3.5 h``, ``2.1 d``."""
    if seconds is None or math.isnan(seconds):
        return ABSENT
    sign, size = (MINUS if seconds < 0 else ""), abs(seconds)
    for limit, divisor, name in ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min")):
        if size >= limit:
            return f"{sign}{size / divisor:.3g}{NARROW}{name}"
    return f"{sign}{size:.0f}{NARROW}s"


def factor(value: float | None) -> str:
    """A plain number such as an index or a ratio: ``0.183``."""
    if value is None or math.isnan(value):
        return ABSENT
    return f"{value:.3g}".replace("-", MINUS)


_FORMATS = {"usd": usd, "count": count, "share": share, "s": duration}


def number(value: float | None, unit: str) -> str:
    """A value in the words of its unit; units without words of their own are plain numbers."""
    return _FORMATS.get(unit, factor)(value)


def change(value: float | None, unit: str) -> str:
    """A difference with its sign always shown: ``+$0.61 M``, ``−96``, ``±0``."""
    if value is None or math.isnan(value):
        return ABSENT
    text = number(value, unit)
    if value == 0 or text.lstrip(MINUS) == number(0.0, unit):
        return NO_CHANGE
    return text if value < 0 else f"+{text}"


def moment(timestamp_s: int | None) -> str:
    """``2024-08-05 06:31 UTC``."""
    if timestamp_s is None:
        return ABSENT
    return datetime.fromtimestamp(timestamp_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def day(timestamp_s: int) -> str:
    """``2024-08-05``."""
    return datetime.fromtimestamp(timestamp_s, UTC).strftime("%Y-%m-%d")


def address(raw: bytes) -> str:
    """``0x`` and 40 hex digits."""
    return "0x" + raw.hex()


def short(raw: bytes) -> str:
    """``0x1234…cdef``."""
    text = raw.hex()
    return f"0x{text[:4]}…{text[-4:]}"


def amount(base_units: int | None, decimals: int) -> str:
    """Tokens from base units, exact to six significant digits: ``1,204.51``."""
    if base_units is None:
        return ABSENT
    tokens = base_units / 10**decimals
    return f"{tokens:,.2f}" if tokens >= 1000 else f"{tokens:.6g}"

"""Quantities as people write them, to exact integers and back: shares, premiums, changes, durations, moments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from l2liq.protocols.levers import Scale

BPS = 10_000
WAD = 10**18

_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d+)?) ?(%|bps|pp|ms|s|m|h|d|blocks?)?", re.ASCII)
_UNIT_BPS = {"%": 100, "pp": 100, "bps": 1}
MAX_DELAY_MS = 10 * 365 * 86_400_000
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def split_quantity(value: Any) -> tuple[Decimal, str]:
    """Number and unit of ``80%``, ``-2pp``, ``0.95`` …; unit empty where there is none. ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"{value!r} is no quantity.")
    found = _QUANTITY.fullmatch(str(value).strip())
    if found is None:
        raise ValueError(f"{value!r} is no quantity. Write a number and its unit, as in 80% or 8000bps.")
    return Decimal(found[1]), found[2] or ""


_PERCENT: Mapping[Scale, tuple[int, int]] = {Scale.SHARE: (1, 0), Scale.PREMIUM: (1, BPS), Scale.RATE: (10**23, 0)}
"""Scales written in percent: what one basis point is stored as, and what 0 % is."""


def stored_value(value: Any, scale: Scale) -> int:
    """What the protocol stores for ``80%``, ``8000bps``, ``0.95`` … ValueError says the fix."""
    number, unit = split_quantity(value)
    if scale is Scale.HEALTH:
        return _wad(number, unit)
    if scale is Scale.COUNT:
        return _count(number, unit, value)
    if scale is Scale.DURATION:
        return _seconds(number, unit, value)
    if unit == "":
        raise ValueError(f"{value} has no unit. Write {_plain(number)}% or {_plain(number * 100)}bps.")
    if unit == "pp":
        raise ValueError(f"{value} is a change. Write `{{shift: {_signed(number)}pp}}`.")
    if unit not in _UNIT_BPS:
        raise ValueError(f"{value} is no share. Write a number and % or bps, as in 80% or 8000bps.")
    return _of_bps(number, unit, value, scale) + _PERCENT[scale][1]


def stored_shift(value: Any, scale: Scale) -> int:
    """Difference of stored values for a change as people write it (``-2pp``, ``+50bps``, ``-0.01``)."""
    number, unit = split_quantity(value)
    if scale is Scale.HEALTH:
        return _wad(number, unit)
    if scale is Scale.COUNT:
        return _count(number, unit, value)
    if scale is Scale.DURATION:
        return _seconds(number, unit, value)
    if unit == "":
        raise ValueError(f"{value} has no unit. Write {_signed(number)}pp or {_signed(number * 100)}bps.")
    if unit not in ("pp", "bps"):
        raise ValueError(
            f"{value} could mean points or a share of the value. Write {_signed(number)}pp for percentage points."
        )
    return _of_bps(number, unit, value, scale)


def _wad(number: Decimal, unit: str) -> int:
    if unit:
        raise ValueError(f"a health factor is a plain number. Write {_plain(number / 100 if unit == '%' else number)}.")
    wad = number * WAD
    if wad != int(wad):
        raise ValueError(f"{number} is finer than a health factor can be (18 decimals).")
    return int(wad)


def _count(number: Decimal, unit: str, value: Any) -> int:
    if unit or number != int(number):
        raise ValueError(f"{value} is no count. Write a whole number without a unit.")
    return int(number)


def _seconds(number: Decimal, unit: str, value: Any) -> int:
    if unit not in _UNIT_MS:
        raise ValueError(f"{value} is no duration. Write a number and s, m, h or d.")
    seconds = number * _UNIT_MS[unit] / 1_000
    if seconds != int(seconds):
        raise ValueError(f"{value} is not a whole number of seconds.")
    return int(seconds)


def _of_bps(number: Decimal, unit: str, value: Any, scale: Scale) -> int:
    stored = number * _UNIT_BPS[unit] * _PERCENT[scale][0]
    if stored != int(stored):
        raise ValueError(f"{value} is finer than a basis point. Write at most two decimals of a percent.")
    return int(stored)


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _signed(number: Decimal) -> str:
    return ("+" if number > 0 else "") + _plain(number)


def written_value(stored: int, scale: Scale) -> str:
    """Inverse of :func:`stored_value`, canonical: ``80%``, ``5%`` for a bonus, ``0.95``, ``1h``."""
    if scale is Scale.HEALTH:
        return _plain(Decimal(stored) / WAD)
    if scale is Scale.COUNT:
        return str(stored)
    if scale is Scale.DURATION:
        return written_seconds(stored)
    step, base = _PERCENT[scale]
    return _plain(Decimal(stored - base) / (100 * step)) + "%"


def written_shift(shift: int, scale: Scale) -> str:
    """Inverse of :func:`stored_shift`, canonical: ``-2pp``, ``-0.01``, ``+30m``."""
    if scale is Scale.HEALTH:
        return _signed(Decimal(shift) / WAD)
    if scale is Scale.COUNT:
        return f"{shift:+d}"
    if scale is Scale.DURATION:
        return ("-" if shift < 0 else "+") + written_seconds(abs(shift))
    return _signed(Decimal(shift) / (100 * _PERCENT[scale][0])) + "pp"


def written_seconds(seconds: int) -> str:
    """Canonical duration of whole seconds, 0 included."""
    return written_duration(seconds * 1_000) if seconds else "0s"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change of one stored value: to ``set``, or by ``shift``; exactly one is given [stored units]."""

    scale: Scale
    set: int | None = None
    shift: int | None = None

    def applied(self, stored: int, step: int = 1, steps: int = 1) -> int:
        """The value after ``step`` of ``steps`` equal parts of the change, rounded towards the old value."""
        whole = self.shift if self.shift is not None else self._target() - stored
        part = abs(whole) * step // steps
        return stored + (part if whole >= 0 else -part)

    def _target(self) -> int:
        assert self.set is not None
        return self.set

    def written(self) -> dict[str, str]:
        """Canonical form as a scenario has it."""
        if self.shift is not None:
            return {"shift": written_shift(self.shift, self.scale)}
        return {"set": written_value(self._target(), self.scale)}


def parse_adjustment(value: Any, scale: Scale) -> Adjustment:
    """``80%``, ``{set: 80%}`` or ``{shift: -2pp}``. ValueError says the fix."""
    if not isinstance(value, dict):
        return Adjustment(scale, set=stored_value(value, scale))
    if set(value) == {"set"}:
        return Adjustment(scale, set=stored_value(value["set"], scale))
    if set(value) == {"shift"}:
        return Adjustment(scale, shift=stored_shift(value["shift"], scale))
    raise ValueError("a change is either `set: …` or `shift: …`. Keep one of them.")


def parse_share_bps(value: Any) -> int:
    """A share between 0 and 100 % [bps]; a plain integer is one already."""
    if isinstance(value, int) and not isinstance(value, bool):
        found = value
    else:
        found = stored_value(value, Scale.SHARE)
    if not 0 <= found <= BPS:
        raise ValueError(f"{value} is impossible. It can be 0% to 100%.")
    return found


_DOLLARS = re.compile(r"\$(\d{1,12}(?:\.\d+)?)", re.ASCII)


def parse_dollars(value: Any) -> float:
    """US dollars from ``$10`` or ``$0.25``; a float is them already."""
    if isinstance(value, float) and 0 <= value < 1e12:
        return value
    found = _DOLLARS.fullmatch(str(value).strip())
    if found is None:
        raise ValueError(f"{value} is no amount of dollars. Write it as $10 or $0.25.")
    return float(found[1])


def parse_duration_ms(value: Any) -> int:
    """Duration [ms] from ``500ms``, ``12s``, ``10m``, ``2h``, ``7d``; at least 1 ms."""
    number, unit = split_quantity(value)
    if unit == "":
        raise ValueError(f"{value} has no unit. Write {value}s, {value}m, {value}h or {value}d.")
    if unit not in _UNIT_MS:
        raise ValueError(f"{value} is no duration. Write a number and ms, s, m, h or d.")
    ms = number * _UNIT_MS[unit]
    if ms != int(ms) or ms <= 0:
        raise ValueError(f"{value} is no duration. It must be positive and whole milliseconds.")
    return int(ms)


def parse_duration_s(value: Any) -> int:
    """Duration [s], whole seconds; otherwise as :func:`parse_duration_ms`."""
    ms = parse_duration_ms(value)
    if ms % 1_000:
        raise ValueError(f"{value} is not a whole number of seconds.")
    return ms // 1_000


WAIT_SCHEMA = {"type": "string", "pattern": r"^\d+(\.\d+)? ?(ms|s|m|h|d)$", "examples": ["0s", "10m"]}


def parse_wait_s(value: Any) -> int:
    """Duration [s], whole seconds, that may be none: ``0s``, ``10m``; a plain integer is one already."""
    found = value if isinstance(value, int) and not isinstance(value, bool) else stored_value(value, Scale.DURATION)
    if found < 0 or found * 1_000 > MAX_DELAY_MS:
        raise ValueError(f"{value} is no time to wait. It can be 0s to 3650d.")
    return found


def written_duration(ms: int) -> str:
    """Canonical duration: the largest unit that holds it exactly."""
    for unit in ("d", "h", "m", "s"):
        if ms % _UNIT_MS[unit] == 0:
            return f"{ms // _UNIT_MS[unit]}{unit}"
    return f"{ms}ms"


@dataclass(frozen=True, slots=True)
class When:
    """A place in time: a block, or a second; neither = the edge it is asked for (start or end of the data)."""

    block: int | None = None
    timestamp_s: int | None = None


def parse_when(value: Any, edge: str) -> When:
    """Block number, date (``2024-08-01``), time (``2024-08-01T12:00``; UTC unless it says otherwise) or ``edge``."""
    if value == edge:
        return When()
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < 1 << 39:
            raise ValueError(f"{value} is no block number.")
        return When(block=value)
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value.strip())
        except ValueError:
            pass
        else:
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
            seconds = int(at.timestamp())
            if at.microsecond or seconds < 0:
                raise ValueError(f"{value} is no time of a chain. Write whole seconds since 1970.")
            return When(timestamp_s=seconds)
    raise ValueError(
        f"{value!r} is no moment. Write a date (2024-08-01), a time (2024-08-01T12:00), a block or `{edge}`."
    )


def written_when(when: When, edge: str) -> str | int:
    """Canonical moment: a block number, a time in UTC, or the word ``edge``."""
    if when.block is not None:
        return when.block
    if when.timestamp_s is not None:
        return written_time(when.timestamp_s)
    return edge


def written_time(timestamp_s: int) -> str:
    """A second as ``2024-08-01T12:00:00Z``."""
    return datetime.fromtimestamp(timestamp_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_days(value: Any) -> int:
    """Whole days from ``1d``, ``7d``, ``24h``."""
    days, rest = divmod(parse_duration_s(value), 86_400)
    if rest:
        raise ValueError(f"{value} is not whole days. Write it as 1d or 7d.")
    return days


def parse_never_or_days(value: Any) -> int | None:
    """Whole days, or None for ``never``."""
    return None if value is None or value == "never" else parse_days(value)


def written_never_or_days(days: int | None) -> str:
    """Inverse of :func:`parse_never_or_days`."""
    return "never" if days is None else f"{days}d"


@dataclass(frozen=True, slots=True)
class Delay:
    """Median time until a liquidator acts: milliseconds or blocks; neither = fitted from the log."""

    ms: int | None = None
    blocks: int | None = None


DELAY_SCHEMA = {"type": ["string", "null"], "examples": ["30s", "3 blocks", "fitted"]}


def parse_delay(value: Any) -> Delay | None:
    """``30s``, ``3 blocks`` or ``fitted``."""
    if value is None:
        return None
    if value == "fitted":
        return Delay()
    number, unit = split_quantity(value)
    if unit in ("block", "blocks"):
        if number != int(number) or number < 0:
            raise ValueError(f"{value} is no delay. Write whole blocks.")
        return Delay(blocks=int(number))
    if unit == "":
        raise ValueError(f"{value} has no unit. Write {value}s or {value} blocks, or `fitted`.")
    ms = parse_duration_ms(value)
    if ms > MAX_DELAY_MS:
        raise ValueError(f"{value} is longer than ten years. Write a shorter delay.")
    return Delay(ms=ms)


def written_delay(delay: Delay | None) -> str | None:
    """Inverse of :func:`parse_delay`."""
    if delay is None:
        return None
    if delay.blocks is not None:
        return f"{delay.blocks} blocks"
    return "fitted" if delay.ms is None else written_duration(delay.ms)


MOST_WEI = 10**24
RECORDED_WEI_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MOST_WEI}, {"const": "recorded"}]}


def parse_recorded_wei(value: Any) -> int | None:
    """Whole wei, or None for ``recorded``."""
    if value is None or value == "recorded":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_WEI:
        return value
    raise ValueError(f"{value!r} is no amount of wei. Write a whole number, or recorded.")


def written_recorded_wei(wei: int | None) -> int | str:
    """Inverse of :func:`parse_recorded_wei`."""
    return "recorded" if wei is None else wei


def parse_price(value: Any) -> float | None:
    """A positive plain number of US dollars."""
    if value is None:
        return None
    number, unit = (Decimal(str(value)), "") if isinstance(value, float) else split_quantity(value)
    if unit or not 0 < number <= 10**9:
        raise ValueError(f"{value} is no price. Write dollars as a plain number, such as 2400.")
    return float(number)


def parse_health(value: Any) -> float:
    """A health factor above 1 and at most 10."""
    number, unit = (Decimal(str(value)), "") if isinstance(value, float) else split_quantity(value)
    if unit or not 1 < number <= 10:
        raise ValueError(f"{value} is no health factor of an account in stress. Write one above 1, such as 1.25.")
    return float(number)


MAX_SPREAD = 5


def parse_spread(value: Any) -> float:
    """A plain number between 0 and :data:`MAX_SPREAD`."""
    number, unit = (Decimal(str(value)), "") if isinstance(value, float) else split_quantity(value)
    if unit or not 0 <= number <= MAX_SPREAD:
        raise ValueError(f"{value} is no spread. Write a number between 0 and {MAX_SPREAD}, such as 0.8.")
    return float(number)

"""How a scenario describes liquidators who compete, how much they repay at once, and auctions of oracle updates."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field

from l2liq.protocols.levers import Scale
from l2liq.scenario import quantities as q
from l2liq.scenario.typed import Dollars, DollarsOrNone, DurationS, Share, Strict, typed


class Profit(Strict):
    """What a liquidation costs whoever does it, and what must be left."""

    above: Dollars = Field(default=0.0, description="Least profit, at the world's prices.")
    slippage: Share = Field(default=0, description="Share of the collateral lost in selling it.")
    flash_fee: Share = Field(default=0, description="Share of the debt paid for borrowing it.")
    transaction: DollarsOrNone = Field(
        default=None, description="Gas of one attempt, L1 data included; null = by the scenario's `fees`, or nothing."
    )
    attempts: float = Field(default=1.0, ge=1, le=1_000, description="Transactions that one success takes.")


WaitS = Annotated[int, *typed(q.parse_wait_s, q.written_seconds, q.WAIT_SCHEMA)]
"""A duration that may be none [s]."""

WaitSOrNone = Annotated[
    int | None,
    *typed(
        lambda value: None if value is None else q.parse_wait_s(value),
        lambda seconds: None if seconds is None else q.written_seconds(seconds),
        {"anyOf": [q.WAIT_SCHEMA, {"type": "null"}]},
    ),
]
DurationMsOrNone = Annotated[
    int | None,
    *typed(
        lambda value: value if value is None or isinstance(value, int) else q.parse_duration_ms(value),
        lambda ms: None if ms is None else q.written_duration(ms),
        {"type": ["string", "null"], "pattern": r"^\d+(\.\d+)? ?(ms|s|m|h|d)$", "examples": ["200ms", "2s"]},
    ),
]

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


def _address(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str) and _ADDRESS.fullmatch(value):
        return bytes.fromhex(value[2:])
    raise ValueError(f"{value} is no address. Write 0x and 40 hex digits, in quotes.")


def _delay(value: Any) -> q.Delay | None:
    found = q.parse_delay(value)
    if found == q.Delay():
        raise ValueError("a contestant's delay is given. Write it as 5s, or `delay: fitted` beside `model` to fit all.")
    return found


class Contestant(Strict):
    """One of several liquidators."""

    delay: Annotated[q.Delay | None, *typed(_delay, q.written_delay, q.DELAY_SCHEMA)] = Field(
        default=None, description="Median time from liquidatable to liquidated: `5s`, `3 blocks`; null = at once."
    )
    spread: Annotated[
        float, *typed(q.parse_spread, lambda v: v, {"type": "number", "minimum": 0, "maximum": q.MAX_SPREAD})
    ] = Field(default=0.0, description="Standard deviation of the delay's natural logarithm.")
    capital: DollarsOrNone = Field(
        default=None, description="What it can have lent out at once, at the world's prices; null = without end."
    )
    recycle: WaitS = Field(
        default=0, description="Time until what it repaid is its own again; 0s = the next block, or a second later."
    )
    bid: Share = Field(default=0, description="Share of the bonus that it pays to come first.")
    address: Annotated[
        bytes | None,
        *typed(
            _address,
            lambda v: None if v is None else f"0x{v.hex()}",
            {"type": ["string", "null"], "pattern": "^0x[0-9a-fA-F]{40}$"},
        ),
    ] = Field(default=None, description="Under which it stands in the outcomes; null = made from its name.")
    profit: Profit | None = Field(default=None, description="Its own condition; null = the liquidator's `profit`.")


class Oev(Strict):
    """Auctions of the place behind an oracle's update, as Chainlink's SVR holds them."""

    recapture: Share = Field(description="The protocol's part of the winner's bid.")
    bid: Share | None = Field(
        default=None, description="Share of its bonus that the winner bids; with `contestants` they bid each their own."
    )
    cutoff: DurationS = Field(
        default=5, description="How much later an update reaches the market that nobody won the place behind."
    )
    success: Share = Field(default=q.BPS, description="Share of auctions that somebody wins.")


LARGEST, TWO_STEP, WHAT_PAYS = "max", "two_step", "what_pays"
_LEAST_HEALTH, _MOST_HEALTH = q.WAD, 10 * q.WAD


def parse_sizing(value: Any) -> str | int:
    """``max``, ``two_step``, ``what_pays``, or the health [wad] of ``{to_health: 1.05}``."""
    if value in (LARGEST, TWO_STEP, WHAT_PAYS) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, dict) and set(value) == {"to_health"}:
        health = q.stored_value(value["to_health"], Scale.HEALTH)
        if not _LEAST_HEALTH <= health <= _MOST_HEALTH:
            raise ValueError(f"{value['to_health']} is no health to restore. It can be 1 to 10.")
        return health
    raise ValueError(f"{value} is no sizing. Write max, two_step, what_pays, or {{to_health: 1.05}}.")


def written_sizing(value: str | int) -> str | dict[str, str]:
    """Inverse of :func:`parse_sizing`."""
    return value if isinstance(value, str) else {"to_health": q.written_value(value, Scale.HEALTH)}


_HEALTH = {"type": ["string", "number"], "pattern": r"^\d+(\.\d+)?$"}
SIZING_SCHEMA = {
    "anyOf": [
        {"enum": [LARGEST, TWO_STEP, WHAT_PAYS]},
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["to_health"],
            "properties": {"to_health": _HEALTH},
        },
    ]
}
SizingText = Annotated[str | int, *typed(parse_sizing, written_sizing, SIZING_SCHEMA)]


class Competing(Strict):
    """What a scenario says of liquidators beyond one that is alone."""

    contestants: dict[str, Contestant] | None = Field(
        default=None,
        description="With `competition`: who competes, by name; null with `delay: fitted` = who liquidated before the "
        "window, each with the delays and the largest repayment that the log shows.",
    )
    ordering: Literal["fcfs", "priority_fee", "express_lane"] | None = Field(
        default=None, description="With `competition`: whose transaction comes first; null = as on the market's chain."
    )
    block_time: DurationMsOrNone = Field(
        default=None,
        description="With `priority_fee`: those who are ready within one block compete by bid; null = the chain's.",
    )
    lane: str | None = Field(default=None, description="With `express_lane`: the contestant who holds it.")
    lane_delay: DurationMsOrNone = Field(
        default=None, description="With `express_lane`: what the others wait; null = the chain's, or 200ms."
    )
    notice: WaitSOrNone = Field(
        default=None,
        description="With `competition`: whoever would come so much later than a position was closed knows it and does "
        "not pay for a failed attempt; null = all who come too late pay.",
    )
    sizing: SizingText = Field(
        default=LARGEST,
        description="How much is repaid at once; `what_pays` with `profit`: a part where all of it does not pay.",
    )
    oev: Oev | None = Field(default=None, description="Auctions of oracle updates; null = there are none.")

    def check_competition(self, model: str, *, fitted: bool) -> None:
        """Raise ValueError where keys do not fit the model or one another."""
        only = ("contestants", "ordering", "block_time", "lane", "lane_delay", "notice")
        if model != "competition":
            strange = [name for name in only if getattr(self, name) is not None]
            if strange:
                raise ValueError(f"`{strange[0]}` belongs to the model competition. Take it out.")
            self._check_bid()
            return
        if self.contestants is not None and not 1 <= len(self.contestants) <= MOST:
            raise ValueError(f"nobody competes, or too many do: write 1 to {MOST:,} contestants.")
        if (self.contestants is None) != fitted:
            given = "has both" if fitted else "needs"
            raise ValueError(
                f"the model competition {given} `contestants` {'and' if fitted else 'or'} `delay: fitted`. "
                "Write one of them."
            )
        for name, wanted in (("block_time", "priority_fee"), ("lane", "express_lane"), ("lane_delay", "express_lane")):
            if getattr(self, name) is not None and self.ordering not in (None, wanted):
                raise ValueError(f"`{name}` belongs to `ordering: {wanted}`. Take it out.")
        if self.ordering == "express_lane" and self.lane is None:
            raise ValueError("`ordering: express_lane` needs `lane`, the name of the contestant who holds it.")
        if fitted:
            self._check_bid()
        self._check_names()

    def _check_bid(self) -> None:
        if self.oev is not None and self.oev.bid is None:
            raise ValueError("`oev` needs `bid`, the share of its bonus that a winner bids, such as 80%.")

    def _check_names(self) -> None:
        known = self.contestants or {}
        if self.lane is not None and self.lane not in known:
            raise ValueError(f"`lane: {self.lane}` is no contestant. Known are {', '.join(known) or 'none'}.")
        if self.oev is not None and self.oev.bid is not None and known:
            raise ValueError("with `contestants` everyone's own `bid` counts in auctions. Take it out of `oev`.")
        addresses = [one.address for one in known.values() if one.address is not None]
        twice = next((one for one in addresses if addresses.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"two contestants have the address 0x{twice.hex()}. Give each its own.")
        for name, one in known.items():
            if not name.strip() or len(name) > LONGEST_NAME:
                raise ValueError(f"a contestant's name has 1 to {LONGEST_NAME} characters.")
            if one.recycle and one.capital is None:
                raise ValueError(f"{name}: `recycle` says when `capital` comes back, and there is none. Give capital.")
            if one.spread and one.delay is None:
                raise ValueError(f"{name}: `spread` belongs to a delay. Give one, or take it out.")


MOST = 1_000
"""Contestants of one scenario."""

LONGEST_NAME = 60
QUIET = tuple(Competing.model_fields)
"""Keys that an effective scenario leaves out where they have their defaults."""

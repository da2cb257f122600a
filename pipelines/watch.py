"""Who is close to liquidation at the end of what the lake holds, and what a fall of prices would do to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from l2liq.chains.markets import Listing
from l2liq.errors import InputError
from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.lake import Lake
from l2liq.market import Market
from l2liq.protocols import protocol as find_protocol
from l2liq.protocols.interface import Moment, State
from pipelines.impact import WAD, Case, case_of, indebted, moved, parse_move
from pipelines.market import load_market
from pipelines.pictures import BASE_UNIT

Moves = Sequence[tuple[int, Fraction]]
"""Prices that move together: assets and relative changes."""


@dataclass(frozen=True, slots=True)
class Close:
    """An account whose health factor is at least 1 and little more; values in US dollars."""

    account: bytes
    collateral_usd: float
    debt_usd: float
    health: float


@dataclass(frozen=True, slots=True)
class Watched:
    """A market after its last known block.

    Attributes
    ----------
    accounts : with debt
    liquidatable : of them, already
    within : health factors up to 1 + this are close
    close : accounts that are, least healthy first
    cases : what moves of prices would do, moves that concern nobody's health left out
    final : the block is sealed, not of the tail
    """

    market: str
    block: int
    timestamp_s: int
    accounts: int
    liquidatable: int
    within: float
    close: tuple[Close, ...]
    cases: tuple[Case, ...]
    final: bool

    def as_json(self) -> dict[str, Any]:
        """For programs and topics."""
        found = asdict(self)
        found["close"] = [asdict(one) | {"account": f"0x{one.account.hex()}"} for one in self.close]
        found["cases"] = [case.as_json() for case in self.cases]
        return found


def watch_market(
    lake: Lake, listing: Listing, within: Fraction, fall: Fraction, together: Sequence[str] = ()
) -> Watched:
    """Look at a market after its last known block.

    ``fall``: each asset's price falls by this on its own; ``together``: further moves as ``WETH=-10%,wstETH=-10%``.
    Raises what :func:`pipelines.market.load_market` raises, and InputError for a move that cannot be read.
    """
    if not 0 < within <= 10 or not 0 < fall < 1:
        raise InputError("--within is above 0 and at most 1000%, --fall above 0% and below 100%.")
    market = load_market(lake, listing)
    sealed = lake.coverage(listing.deployment.slug).sealed_until
    final = sealed is not None and market.last_block < sealed
    at = Moment(key_of(market.last_block, END_OF_BLOCK), market.clock.time_of(market.last_block))
    moves: list[Moves] = [[(asset, -fall)] for asset in range(len(market.assets))]
    moves += [[parse_move(part.strip(), market) for part in text.split(",")] for text in together]
    return _look(market, at, within, moves, final)


def _look(market: Market, at: Moment, within: Fraction, moves: Sequence[Moves], final: bool) -> Watched:
    venue = find_protocol(market.protocol).venue(market, market.parameters)
    now = venue.at(at)
    states = indebted(market, at.key)
    health = {account: now.health(state) for account, state in states.items()}
    factors = {account: one.factor_wad for account, one in health.items()}
    safe = {account: state for account, state in states.items() if not health[account].liquidatable}
    bound = WAD + WAD * within.numerator // within.denominator
    close = [
        Close(
            market.address(account),
            health[account].collateral_base / BASE_UNIT,
            health[account].debt_base / BASE_UNIT,
            (factors[account] or 0) / WAD,
        )
        for account in safe
        if (factors[account] or bound + 1) <= bound
    ]
    cases = []
    for move in moves:
        concerned = _holding(market, safe, {asset for asset, _ in move})
        if concerned:
            prices = {asset: moved(market, asset, at, share) for asset, share in move}
            words = ", ".join(f"{market.assets[asset].symbol} price {float(share):+.1%}" for asset, share in move)
            cases.append(case_of(words, market, concerned, factors, venue.at(at, prices=prices)))
    return Watched(
        market.name,
        market.last_block,
        at.timestamp_s,
        len(states),
        len(states) - len(safe),
        float(within),
        tuple(sorted(close, key=lambda one: (one.health, one.account))),
        tuple(cases),
        final,
    )


def _holding(market: Market, states: dict[int, State], assets: set[int]) -> dict[int, State]:
    """Accounts whose health may hang on the price of one of these assets: the others need no second look.

    Legs without an asset (an e-mode, which may have a price source of its own) always count.
    """
    legs = {n for n, leg in enumerate(market.legs) if leg.asset in assets or leg.asset < 0}
    return {account: state for account, state in states.items() if not legs.isdisjoint(state)}

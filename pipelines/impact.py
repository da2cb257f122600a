"""Who becomes liquidatable at one block: the moment a change takes effect, or when a price moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

from l2liq.errors import InputError
from l2liq.events.log import END_OF_BLOCK, block_of, key_of
from l2liq.lake import Lake
from l2liq.market import PRICE, LegKind, Market
from l2liq.protocols import protocol as find_protocol
from l2liq.protocols.interface import Moment, Protocol, Situation, State
from l2liq.report.headline import data_fails
from l2liq.scenario.compose import Composition, compose
from l2liq.scenario.quantities import When, split_quantity
from pipelines.market import load_market
from pipelines.pictures import BASE_UNIT
from pipelines.scenarios import prepare

WAD = 10**18
MOST_PERCENT = 1_000_000
"""No price rises further while anybody looks at one block."""


@dataclass(frozen=True, slots=True)
class Struck:
    """An account that is safe now and would be liquidatable.

    Values in US dollars at the prices of the case; health factors before and after.
    """

    account: bytes
    collateral_usd: float
    debt_usd: float
    health_now: float
    health_then: float


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that happens, and whom it strikes, largest debt first.

    Attributes
    ----------
    what : in words
    struck : accounts
    bad_debt_usd : debt above collateral among them
    """

    what: str
    struck: tuple[Struck, ...]
    bad_debt_usd: float

    @property
    def debt_usd(self) -> float:
        return sum(account.debt_usd for account in self.struck)

    @property
    def collateral_usd(self) -> float:
        return sum(account.collateral_usd for account in self.struck)

    def as_json(self) -> dict[str, object]:
        """For programs and topics."""
        return {
            "what": self.what,
            "accounts": len(self.struck),
            "debt_usd": self.debt_usd,
            "collateral_usd": self.collateral_usd,
            "bad_debt_usd": self.bad_debt_usd,
            "liquidatable": [asdict(one) | {"account": f"0x{one.account.hex()}"} for one in self.struck],
        }


@dataclass(frozen=True, slots=True)
class Impact:
    """Cases at one block, ``accounts`` with debt looked at, ``already`` liquidatable before anything happens."""

    block: int
    timestamp_s: int
    accounts: int
    already: int
    cases: tuple[Case, ...]


def impact(
    protocol: Protocol,
    market: Market,
    composition: Composition,
    at: Moment,
    price_moves: Sequence[tuple[int, Fraction]],
) -> Impact:
    """Look at every account with debt, in the state after the moment ``at``.

    ``price_moves`` are assets and relative changes of their prices; each makes a case of its own, under the parameters
    of history and under the scenario's.
    """
    history = protocol.venue(market, market.parameters)
    now = history.at(at)
    states = indebted(market, at.key)
    health_now = {account: now.health(state).factor_wad for account, state in states.items()}
    safe = {account: state for account, state in states.items() if (health_now[account] or 0) >= WAD}
    cases: list[Case] = []
    changed = protocol.venue(market, composition.timeline) if composition.words else None

    def add(what: str, then: Situation) -> None:
        cases.append(case_of(what, market, safe, health_now, then))

    if changed is not None:
        add("; ".join(composition.words), changed.at(_in_force(composition, at)))
    for asset, move in price_moves:
        prices = {asset: moved(market, asset, at, move)}
        words = f"{market.assets[asset].symbol} price {float(move):+.1%}"
        add(words, history.at(at, prices=prices))
        if changed is not None:
            add(f"{words}, with the change", changed.at(_in_force(composition, at), prices=prices))
    return Impact(block_of(at.key), at.timestamp_s, len(states), len(states) - len(safe), tuple(cases))


def _in_force(composition: Composition, at: Moment) -> Moment:
    """The moment itself, or where it comes before the last step of the change, an error that says so."""
    if at.key < composition.steps[-1].key:
        raise InputError(
            f"block {block_of(at.key)}: the change is not fully in force there. Ask for block "
            f"{block_of(composition.steps[-1].key)} or later."
        )
    return at


def indebted(market: Market, key: int) -> dict[int, State]:
    """State of every account with debt after ``key``."""
    debts = {number for number, leg in enumerate(market.legs) if leg.kind is LegKind.DEBT}
    found: dict[int, State] = {}
    for account in range(market.ledger.account_count):
        state = market.ledger.state(account, key)
        if not debts.isdisjoint(state):
            found[account] = state
    return found


def case_of(
    what: str, market: Market, safe: Mapping[int, State], health_now: Mapping[int, int | None], then: Situation
) -> Case:
    struck = []
    bad_debt = 0
    for account, state in safe.items():
        health = then.health(state)
        if not health.liquidatable:
            continue
        bad_debt += max(0, health.debt_base - health.collateral_base)
        struck.append(
            Struck(
                market.address(account),
                health.collateral_base / BASE_UNIT,
                health.debt_base / BASE_UNIT,
                (health_now[account] or 0) / WAD,
                (health.factor_wad or 0) / WAD,
            )
        )
    struck.sort(key=lambda one: (-one.debt_usd, one.account))
    return Case(what, tuple(struck), bad_debt / BASE_UNIT)


def moved(market: Market, asset: int, at: Moment, move: Fraction) -> int:
    """Price after a relative move, rounded down [base currency]."""
    series = market.series.get((PRICE, asset))
    price = series.at(at.key) if series is not None else None
    if price is None or price <= 0:
        name = market.assets[asset].symbol
        raise InputError(f"{name} has no price at block {block_of(at.key)}. Ask for a block at which it has one.")
    moved = price * (move.denominator + move.numerator) // move.denominator
    if not moved:
        raise InputError(
            f"--price {market.assets[asset].symbol}={float(move):.6%}: leaves no price at all, as prices have eight "
            f"decimals. Write a smaller fall."
        )
    return moved


def moment_for(composition: Composition, market: Market, block: int | None) -> Moment:
    """After ``block``; without one after the first block of the change, or at the end if the scenario gives no time."""
    if block is None and composition.scenario.effective_from != When():
        step = composition.steps[-1]
        return Moment(key_of(block_of(step.key), END_OF_BLOCK), step.timestamp_s)
    number = market.last_block if block is None else block
    if not market.first_block <= number <= market.last_block:
        raise InputError(
            f"--block {number}: the lake has blocks {market.first_block:,} to {market.last_block:,} of {market.name}."
        )
    return Moment(key_of(number, END_OF_BLOCK), market.clock.time_of(number))


def parse_move(text: str, market: Market) -> tuple[int, Fraction]:
    """``WETH=-10%`` to asset and move. InputError says what is wrong."""
    name, sign, value = text.rpartition("=")
    if not sign:
        raise InputError(f"--price {text}: write the asset and the move, as in WETH=-10%.")
    found = [
        number
        for number, asset in enumerate(market.assets)
        if name == asset.symbol or name.lower() == f"0x{asset.address.hex()}"
    ]
    if len(found) != 1:
        known = ", ".join(f"{asset.symbol} (0x{asset.address.hex()})" for asset in market.assets)
        problem = "is no asset of" if not found else "is the name of several assets of"
        raise InputError(f"--price {text}: {name} {problem} {market.name}. Known: {known}.")
    try:
        number, unit = split_quantity(value)
    except ValueError:
        number, unit = None, ""
    if number is None or unit != "%" or not -100 < number <= MOST_PERCENT:
        raise InputError(
            f"--price {text}: {value} is no move. Write percent above -100% and up to {MOST_PERCENT:,}%, "
            f"as in {name}=-10%."
        )
    return found[0], Fraction(number) / 100


def impact_of_file(
    lake: Lake,
    path: Path,
    market: str | None,
    block: int | None,
    moves: Sequence[str],
    *,
    told: Callable[[str], None],
    warned: Callable[[str], None],
) -> tuple[str, Impact]:
    """Name of the market, and the impact of a scenario file on it. A sweep is refused: it is many changes.

    ``told`` hears what is being done; ``warned`` that the data cannot be relied on.
    """
    prepared = prepare(lake, path, market)
    if len(prepared.scenarios) != 1:
        raise InputError(f"{path.name}: a sweep is many changes. Take `sweep:` out and give the one to look at.")
    told(f"loading {prepared.listing.deployment.name}")
    loaded = load_market(lake, prepared.listing)
    if loaded.null_test is not None and not loaded.null_test.exact:
        warned(data_fails(asdict(loaded.null_test)))
    found = find_protocol(loaded.protocol)
    composition = compose(prepared.scenarios[0], loaded, found.levers)
    at = moment_for(composition, loaded, block)
    told("looking at every account with debt")
    return loaded.name, impact(found, loaded, composition, at, [parse_move(move, loaded) for move in moves])

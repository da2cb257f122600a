"""Where a fold stands: every scaled balance, index and parameter after the last folded block."""

from __future__ import annotations

from dataclasses import dataclass, field

from l2liq.numeric import RAY
from l2liq.oracles.feeds import Feeds
from l2liq.protocols.aave_v3.interest import borrow_index_at, liquidity_index_at
from l2liq.protocols.aave_v3.parameters import AaveParameters, EMode, ReserveParameters, Sentinel
from l2liq.protocols.aave_v3.prices import Prices
from l2liq.protocols.aave_v3.scaled import ScaledMath, atoken_math, debt_math
from l2liq.protocols.aave_v3.versions import RuleSet


class Holding:
    """What an account holds of one token.

    Attributes
    ----------
    account : index of the account
    scaled : scaled balance
    index_ray : index at which it was last touched
    balance : what it was worth then [base units]; remembered, as the next event says what it has grown by since
    """

    __slots__ = ("account", "balance", "index_ray", "scaled")

    def __init__(self, account: int, scaled: int = 0, index_ray: int = RAY, balance: int = 0) -> None:
        self.account = account
        self.scaled = scaled
        self.index_ray = index_ray
        self.balance = balance


class Book:
    """Scaled balances of one token.

    Attributes
    ----------
    leg : the market's leg that they are
    holdings : address to what it holds, none of them 0
    total : sum of all balances
    index_ray : index at ``Reserve.looked_s``
    """

    __slots__ = ("address", "holdings", "index_ray", "is_debt", "leg", "math", "reserve", "rules", "total")

    def __init__(self, address: bytes, leg: int, is_debt: bool, reserve: Reserve, rules: RuleSet) -> None:
        self.address = address
        self.leg = leg
        self.is_debt = is_debt
        self.reserve = reserve
        self.holdings: dict[bytes, Holding] = {}
        self.total = 0
        self.index_ray = RAY
        self.use(rules)

    def use(self, rules: RuleSet) -> None:
        """Go on with the rules of another version, by which balances may have been worth something else before."""
        self.rules = rules
        self.math: ScaledMath = debt_math(rules) if self.is_debt else atoken_math(rules)
        for held in self.holdings.values():
            held.balance = self.math.balance(held.scaled, held.index_ray)

    def add(self, owner: bytes, account: int, scaled: int, index_ray: int) -> None:
        """Put in what an account holds, touched last at ``index_ray``."""
        self.holdings[owner] = Holding(account, scaled, index_ray, self.math.balance(scaled, index_ray))
        self.total += scaled

    def scaled(self, owner: bytes) -> int:
        """Scaled balance of an address."""
        held = self.holdings.get(owner)
        return held.scaled if held is not None else 0


class Reserve:
    """State of one reserve as the contract stores it, and as it reads at ``looked_s``.

    Attributes
    ----------
    asset : index into the market's assets; ``address`` its underlying
    liquidity_index_ray, borrow_index_ray, liquidity_rate_ray, borrow_rate_ray, updated_s : as stored
    accrued_to_treasury : scaled aToken units not minted yet
    cash : underlying that the reserve holds [base units] (DOMAIN §1.2)
    looked_s : time for which both books carry the grown index
    looked_debt : scaled debt in total at that time, before anything of that time changed it
    """

    __slots__ = (
        "accrued_to_treasury",
        "address",
        "asset",
        "borrow_index_ray",
        "borrow_rate_ray",
        "cash",
        "collateral",
        "debt",
        "liquidity_index_ray",
        "liquidity_rate_ray",
        "looked_debt",
        "looked_s",
        "updated_s",
    )

    def __init__(self, asset: int, address: bytes) -> None:
        self.asset = asset
        self.address = address
        self.liquidity_index_ray = RAY
        self.borrow_index_ray = RAY
        self.liquidity_rate_ray = 0
        self.borrow_rate_ray = 0
        self.updated_s = 0
        self.accrued_to_treasury = 0
        self.cash = 0
        self.looked_s = -1
        self.looked_debt = 0
        self.collateral: Book
        self.debt: Book

    def look(self, now_s: int, rules: RuleSet) -> None:
        """Grow both indices to ``now_s``; reading stores nothing (DOMAIN §1.2), and without debt that index stays."""
        elapsed = now_s - self.updated_s
        self.looked_s = now_s
        self.looked_debt = self.debt.total
        self.collateral.index_ray = liquidity_index_at(self.liquidity_index_ray, self.liquidity_rate_ray, elapsed)
        self.debt.index_ray = (
            borrow_index_at(self.borrow_index_ray, self.borrow_rate_ray, elapsed, rules.compounding)
            if self.looked_debt
            else self.borrow_index_ray
        )


@dataclass(frozen=True, slots=True)
class Listing:
    """What an aToken said of itself when it was initialised."""

    treasury: bytes
    decimals: int
    symbol: str


@dataclass(frozen=True, slots=True)
class ListedAsset:
    """An asset of the market, in the order of listing."""

    address: bytes
    symbol: str
    decimals: int


@dataclass
class Configuration:
    """The parameters as they stand, open to change; :meth:`frozen` is a parameter set."""

    rules: RuleSet
    reserves: list[ReserveParameters | None] = field(default_factory=list)
    treasury: list[bytes | None] = field(default_factory=list)
    emodes: dict[int, EMode] = field(default_factory=dict)
    sentinel: Sentinel | None = None
    flash_premium_total_bps: int = 0
    flash_premium_to_protocol_bps: int = 0
    base_currency_unit: int = 10**8

    def frozen(self) -> AaveParameters:
        """An immutable copy."""
        return AaveParameters(
            rules=self.rules,
            reserves=tuple(self.reserves),
            emodes=dict(sorted(self.emodes.items())),
            sentinel=self.sentinel,
            flash_premium_total_bps=self.flash_premium_total_bps,
            flash_premium_to_protocol_bps=self.flash_premium_to_protocol_bps,
            base_currency_unit=self.base_currency_unit,
            treasury=tuple(self.treasury),
        )


class Accounts(dict[bytes, int]):
    """Address to account index, in order of first appearance: an address that was never seen gets the next one."""

    def __missing__(self, address: bytes) -> int:
        found = self[address] = len(self)
        return found


@dataclass
class FoldState:
    """Everything that is needed to go on folding.

    Attributes
    ----------
    configuration, timeline : parameters now, and every set so far as (key, time, set)
    assets, reserves : listed assets in order, and their state by underlying
    books : token to its balances
    listings : aToken to what it said when initialised
    stable_tokens : stable debt tokens of listed assets
    implementations : proxy to the implementation last seen behind it
    emodes : account to its category
    sequencer_feeds : sentinel to its uptime feed; ``graces`` : sentinel to its grace period
    compared, equal : what the null test counted, by subject
    """

    configuration: Configuration
    prices: Prices
    pool: bytes = b""
    configurator: bytes = b""
    timeline: list[tuple[int, int, AaveParameters]] = field(default_factory=list)
    accounts: Accounts = field(default_factory=Accounts)
    assets: list[ListedAsset] = field(default_factory=list)
    reserves: dict[bytes, Reserve] = field(default_factory=dict)
    books: dict[bytes, Book] = field(default_factory=dict)
    listings: dict[bytes, Listing] = field(default_factory=dict)
    stable_tokens: set[bytes] = field(default_factory=set)
    implementations: dict[bytes, bytes] = field(default_factory=dict)
    emodes: dict[int, int] = field(default_factory=dict)
    sequencer_feeds: dict[bytes, bytes] = field(default_factory=dict)
    graces: dict[bytes, int] = field(default_factory=dict)
    compared: dict[str, int] = field(default_factory=dict)
    equal: dict[str, int] = field(default_factory=dict)
    last_key: int = -1

    @property
    def feeds(self) -> Feeds:
        """What price and uptime feeds have said."""
        return self.prices.feeds

    @property
    def rules(self) -> RuleSet:
        """Rules of the Pool."""
        return self.configuration.rules


EMODE_LEG = 0
LEGS_PER_ASSET = 3


def collateral_leg(asset: int) -> int:
    """Leg of an asset's scaled aToken balance."""
    return 1 + LEGS_PER_ASSET * asset


def debt_leg(asset: int) -> int:
    """Leg of an asset's scaled variable debt."""
    return 2 + LEGS_PER_ASSET * asset


def flag_leg(asset: int) -> int:
    """Leg that says whether an asset is used as collateral."""
    return 3 + LEGS_PER_ASSET * asset

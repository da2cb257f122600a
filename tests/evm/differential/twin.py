"""l2liq's Pool in the same market: it is told the same calls, prices and reports, and folds parameters from logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from l2liq.events.log import END_OF_BLOCK, key_of
from l2liq.protocols.aave_v3.pool.opening import open_pool
from l2liq.protocols.interface import Action, Call, Moment, Rejection, Request
from tests.evm import abi
from tests.evm.differential.arena import INDEX_SOURCE, INDEX_USD, Arena
from tests.evm.differential.folding import Folding
from tests.evm.differential.state import MarketState, of_pool
from tests.evm.market import Version, price_answer
from tests.evm.reading import Reading

What = Action | Request


class World:
    """What surrounds the market."""

    def __init__(self, arena: Arena, numbers: dict[bytes, int]) -> None:
        self.answers = [price_answer(reserve.spec.price_usd) for reserve in arena.reserves]
        self.index_answer = price_answer(INDEX_USD)
        self.report = (0, 0)
        self._numbers = numbers

    def price(self, asset: int, key: int) -> int:
        return self.answers[asset]

    def price_of_source(self, source: bytes, key: int) -> int | None:
        return self.index_answer if source == abi.from_hex(INDEX_SOURCE) else None

    def sequencer(self, key: int) -> tuple[int, int]:
        return self.report

    def account_of(self, address: bytes) -> int | None:
        return self._numbers.get(address)


class Twin:
    """A pool opened where the arena stands.

    Attributes
    ----------
    folding : the fold of the market's logs, as far as it was needed
    accounts : account indices of the arena's accounts, in their order
    assets : asset indices of the arena's reserves
    """

    def __init__(self, arena: Arena, reading: Reading) -> None:
        market = reading.market
        self._arena = arena
        numbers = dict(market.account_of)
        for address in map(abi.from_hex, arena.accounts):
            numbers.setdefault(address, len(numbers))
        self.accounts = [numbers[abi.from_hex(account)] for account in arena.accounts]
        addresses = [asset.address for asset in market.assets]
        self.assets = [addresses.index(abi.from_hex(reserve.underlying)) for reserve in arena.reserves]
        assert self.assets == list(range(len(self.assets))), "reserves and assets are numbered alike"
        self.world = World(arena, numbers)
        self.pool = open_pool(market, market.parameters, self.world, key_of(arena.node.block_number, END_OF_BLOCK))
        self.folding = Folding(arena.node, reading.snapshot, reading.observations)

    def execute(self, whats: Sequence[What]) -> str | None:
        """Execute the calls of the latest block's transaction; the reason of a refusal."""
        calls = [self._call(place, what) for place, what in enumerate(whats)]
        done = self.pool.execute(calls)
        return done.reason if isinstance(done, Rejection) else None

    def govern(self, synchronises: int | None) -> None:
        """The latest block changed parameters; ``synchronises``: the reserve that it brought up to date."""
        self.pool.timeline = self.folding.timeline()
        if synchronises is not None and self._arena.version is not Version.V302:
            what = Action(-1, self.now, (0, 0), "synchronise", -1, -1, synchronises, 0, False, 0)
            assert not isinstance(self.pool.execute([Call(self.now, what)]), Rejection)

    @property
    def now(self) -> Moment:
        """After everything in the latest block."""
        node = self._arena.node
        return Moment(key_of(node.block_number, END_OF_BLOCK), node.now_s)

    def state(self) -> MarketState:
        """Everything after the latest block."""
        return of_pool(self.pool, self.accounts, self.assets, self.now)

    def raised_factors_bps(self) -> list[int]:
        """By how much each reserve factor exceeds the one that the reserve's rates were last computed with."""
        present = self.pool.timeline.sets[-1].reserves
        pairs = ((present[asset], self.pool.reserves[asset]) for asset in self.assets)
        return [
            max(0, (terms.reserve_factor_bps if terms else 0) - reserve.reserve_factor_bps) for terms, reserve in pairs
        ]

    def _call(self, place: int, what: What) -> Call:
        node = self._arena.node
        moment = Moment(key_of(node.block_number, place), node.now_s)
        return Call(moment, replace(what, moment=moment) if isinstance(what, Action) else what)

"""The stage: the queue of what is to come, the clock, and the block being filled."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable

from eth_utils.crypto import keccak

from tests.evm import abi
from tests.evm.anvil import Node
from tests.evm.driver.plan import DAY_S, Plan
from tests.evm.market import PRICE_UNIT, Deployment, Reserve
from tests.evm.truth import UserTruth, users_at

Action = Callable[[], None]


class Stage:
    """Everything the actors share.

    Attributes
    ----------
    start_s : int
        When the run begins: the first second at which the sentinel lets people borrow.
    now_s : int
        Time of the action being performed.
    answers : dict[str, int]
        Price answers as last published, 8 decimals.
    """

    def __init__(self, node: Node, market: Deployment, plan: Plan) -> None:
        self.node, self.market, self.plan = node, market, plan
        self.rng = random.Random(plan.seed)
        self.start_s = self.now_s = self._on_grid(node.now_s + 3602)
        self.answers = {reserve.symbol: round(reserve.spec.price_usd * PRICE_UNIT) for reserve in market.reserves}
        self.accounts: list[str] = []
        self._queue: list[tuple[int, int, Action]] = []
        self._queued = 0
        self._pending = 0

    @property
    def end_s(self) -> int:
        """When the run ends."""
        return self.start_s + int(self.plan.days * DAY_S)

    @property
    def outage_s(self) -> tuple[int, int]:
        """First second without blocks, and the second of the first block afterwards; equal without an outage."""
        if self.plan.outage is None:
            return self.end_s, self.end_s
        begin = self.start_s + int(self.plan.outage.day * DAY_S)
        return begin, begin + int(self.plan.outage.minutes * 60)

    @property
    def panicking(self) -> bool:
        """Whether the crash is on, or less than half a day over."""
        crash = self.plan.crash
        if crash is None:
            return False
        begin = self.start_s + crash.day * DAY_S
        return begin <= self.now_s < begin + crash.hours * 3600 + DAY_S / 2

    def at(self, time_s: float, action: Action) -> None:
        """Perform ``action`` at a time; what falls into the outage follows in the minutes after it."""
        moment = self._on_grid(math.ceil(time_s))
        begin, end = self.outage_s
        if begin <= moment < end:
            moment = self._on_grid(end + 1 + int(self.rng.expovariate(1 / 300)))
        heapq.heappush(self._queue, (moment, self._queued, action))
        self._queued += 1

    def _on_grid(self, moment: int) -> int:
        return moment + -moment % self.plan.second_step

    def play(self) -> None:
        """Perform everything in order until the end; each second that sends transactions becomes a block or several."""
        while self._queue and self._queue[0][0] <= self.end_s:
            moment, _, action = heapq.heappop(self._queue)
            if moment > self.now_s or (self._pending and self.rng.random() < 0.2):
                self.seal()
            self.now_s = max(moment, self.now_s)
            action()
        self.seal()

    def submit(self, sender: str, to: str, data: bytes) -> None:
        """Send a transaction into the block being filled; it may revert."""
        self.node.send(sender, to, data)
        self._pending += 1

    def act(self, sender: str, signature: str, *arguments: object) -> None:
        """Submit a call of the pool."""
        self.submit(sender, self.market.pool, abi.call_data(signature, *arguments))

    def seal(self) -> None:
        """Close the block being filled, if it has transactions: what follows meets a state that can be asked for."""
        if self._pending:
            factor = self.plan.panic**2 if self.panicking else 1.0
            fee_wei = int(self.plan.base_fee_wei * factor * self.rng.lognormvariate(0, 0.15))
            self.node.mine(self.now_s, fee_wei)
            self._pending = 0

    def settle(self) -> None:
        """Where amounts are to be clear, close the block, so that what is asked for next is what the action meets."""
        if self.plan.clear_amounts:
            self.seal()

    def look(self, accounts: list[str]) -> list[UserTruth]:
        """Accounts as they stand now, at the present time."""
        return users_at(self.node, self.market, accounts, time_s=self.now_s)

    def balance(self, token: str, account: str) -> int:
        """``balanceOf`` at the present time."""
        answer = self.node.call(token, abi.call_data("balanceOf(address)", account), time_s=self.now_s)
        return abi.words(answer)[0]

    def units(self, reserve: Reserve, usd: float) -> int:
        """Base units of a reserve's underlying worth ``usd``, with odd last digits, at least one."""
        exact = usd * reserve.spec.unit * PRICE_UNIT / self.answers[reserve.symbol]
        return max(1, int(exact) + self.rng.randrange(-7, 8))

    def usd(self, reserve: Reserve, units: int) -> float:
        """Value of base units at the published price."""
        return units * self.answers[reserve.symbol] / PRICE_UNIT / reserve.spec.unit

    def equip(self, accounts: list[str], spenders: list[str]) -> None:
        """Give accounts more tokens than they ever need and let ``spenders`` take them."""
        market = self.market
        for reserve in market.reserves:
            plenty = 10**9 * reserve.spec.unit
            mints = [abi.call_data("mint(address,uint256)", account, plenty) for account in accounts]
            for start in range(0, len(mints), 100):
                part = mints[start : start + 100]
                data = abi.call_data("execute(address[],bytes[],bool)", [reserve.underlying] * len(part), part, True)
                self.submit(market.admin, market.batcher, data)
            for account in accounts:
                for spender in spenders:
                    approval = abi.call_data("approve(address,uint256)", spender, abi.UINT256_MAX)
                    self.submit(account, reserve.underlying, approval)


def account_name(seed: int, role: str, number: int) -> str:
    """A fixed address for an actor of a run."""
    return abi.hex_bytes(keccak(f"{role} {number} of run {seed}".encode())[:20])

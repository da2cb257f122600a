"""One example: steps sent to the contracts and told to l2liq, everything compared after each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from l2liq.protocols.interface import Action, Request
from tests.evm import abi
from tests.evm.anvil import GAS
from tests.evm.differential.aiming import aimed
from tests.evm.differential.amounts import Amounts
from tests.evm.differential.arena import INDEX_USD, PUBLISHER, Arena
from tests.evm.differential.conservation import Conservation, Taken
from tests.evm.differential.deeds import Deed, Deeds
from tests.evm.differential.governance import Governance
from tests.evm.differential.reasons import reasons
from tests.evm.differential.state import differences, of_contracts
from tests.evm.differential.steps import PRICE_MOVES_BPS, WAITS_S, Step
from tests.evm.differential.twin import Twin, What
from tests.evm.market import Version, price_answer
from tests.evm.reading import Reading
from tests.evm.rpc import RpcError

_LONGEST_S = 3 * 365 * 86_400
"""An example lives no longer, so that no index outgrows its storage."""


_FAR = 4

_FOLDED = (
    "liquidity_index_ray", "borrow_index_ray", "liquidity_rate_ray", "borrow_rate_ray", "updated_s",
    "accrued_to_treasury",
)  # fmt: skip


@dataclass(slots=True)
class Seen:
    """What examples came across: steps and accepted steps by kind, refusals by reason, states that are rare."""

    steps: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    rare: Counter[str] = field(default_factory=Counter)


class Duel:
    """Both sides of one example, and what they agreed on."""

    def __init__(self, arena: Arena, reading: Reading, seen: Seen | None = None) -> None:
        self._arena, self._node = arena, arena.node
        self._twin = Twin(arena, reading)
        self._amounts = Amounts(arena)
        self._amounts.answers = self._twin.world.answers
        self._deeds = Deeds(arena, self._twin.accounts, self._amounts)
        self._governance = Governance(arena)
        self._began_s = arena.node.now_s
        self._conservation = Conservation(arena.version, len(arena.reserves))
        self._compare("the beginning")
        self.seen = seen or Seen()

    def play(self, step: Step) -> None:
        """One step on both sides; AssertionError where they differ."""
        wait_s = WAITS_S[step.wait]
        if self._node.now_s + wait_s - self._began_s > _LONGEST_S:
            wait_s = 1
        self._amounts.at_s = at_s = self._node.now_s + wait_s
        before, raised = self._state, self._twin.raised_factors_bps()
        step = aimed(step, before)
        deed, done = self._deeds.deed(step), ()
        if deed is not None:
            done = self._perform(step, deed, at_s)
        elif step.kind == "price":
            self._move_price(step, at_s)
        elif step.kind == "sequencer":
            self._report(step, at_s)
        else:
            self._govern(step, at_s)
        self._compare(step)
        self.seen.steps[step.kind] += 1
        self.seen.rare["borrowing bit without debt"] += any(self._twin.pool.idle_borrowings.values())
        self.seen.rare["deficit"] += any(reserve.deficit for reserve in self._state.reserves)
        self.seen.rare["isolated debt"] += any(reserve.isolated_debt for reserve in self._state.reserves)
        self._conservation.check(before, self._state, _taken(done, raised))

    def fold_all(self) -> list[str]:
        """Where the fold of all logs disagrees with the contracts; gifts to a reserve are in no log of the market."""
        folding, accounts = self._twin.folding, self._arena.accounts
        folding.timeline()
        found = []
        for reserve, stored in zip(self._arena.reserves, self._state.reserves, strict=True):
            folded = folding.reserve(reserve.underlying)
            pairs = {name: (getattr(stored, name), getattr(folded, name)) for name in _FOLDED}
            if self._arena.version is not Version.V302:
                pairs["cash"] = (stored.cash, folded.cash)
            users = self._state.accounts
            supplied = tuple(user.scaled_supply[reserve.number] for user in users)
            owed = tuple(user.scaled_debt[reserve.number] for user in users)
            pairs["scaled supply"] = (supplied, folding.holdings(reserve.a_token, accounts))
            pairs["scaled debt"] = (owed, folding.holdings(reserve.v_token, accounts))
            found += [f"{reserve.symbol}, {name}: {a} != {b}" for name, (a, b) in pairs.items() if a != b]
        return found

    def _perform(self, step: Step, deed: Deed, at_s: int) -> tuple[What, ...]:
        """What was done: the deed's calls, or nothing."""
        reverted = self._send(deed.sender, deed.to, deed.data, at_s)
        refused = self._twin.execute(deed.whats) if deed.whats else None
        expected = None if reverted is None else reasons(self._arena.version, reverted)
        agreed = refused is None if expected is None else refused in expected
        assert agreed, f"{step}: contracts {sorted(expected or ['accept'])}, l2liq {refused or 'accepts'}; {deed.whats}"
        if refused is not None:
            self.seen.refusals[refused] += 1
            return ()
        self.seen.accepted[step.kind] += 1
        return deed.whats

    def _move_price(self, step: Step, at_s: int) -> None:
        """An asset's feed, or the one that an e-mode of 3.0.2 has for itself; what went far comes back."""
        world, factor = self._twin.world, PRICE_MOVES_BPS[step.number % len(PRICE_MOVES_BPS)]
        of_index = self._arena.version is Version.V302 and step.second == 3
        answer = world.index_answer if of_index else world.answers[step.asset]
        usual = price_answer(INDEX_USD if of_index else self._arena.reserves[step.asset].spec.price_usd)
        answer = usual if answer * _FAR < usual or usual * _FAR < answer else max(1, answer * factor // 10_000)
        target = self._arena.index_aggregator if of_index else self._arena.reserves[step.asset].aggregator
        assert self._send(PUBLISHER, target, abi.call_data("publish(int256)", answer), at_s) is None
        if of_index:
            world.index_answer = answer
        else:
            world.answers[step.asset] = answer

    def _report(self, step: Step, at_s: int) -> None:
        """The sequencer goes down, or is up again or still; the sentinel counts from what its version reads."""
        status = int(not step.flag and step.number % 3 == 0)
        data = abi.call_data("report(int256,uint64)", status, at_s)
        assert self._send(PUBLISHER, self._arena.market.uptime_feed, data, at_s) is None
        renewed = self._arena.version is Version.V302
        if status != self._twin.world.report[0] or renewed:
            self._twin.world.report = (status, at_s)

    def _govern(self, step: Step, at_s: int) -> None:
        change = self._governance.change(step, self._state)
        assert change is not None, f"{step.kind} is no kind of step"
        if self._send(self._arena.market.admin, change.to, change.data, at_s) is None:
            self.seen.accepted[step.kind] += 1
            self._twin.govern(change.synchronises)

    def _send(self, sender: str, to: str, data: bytes, at_s: int) -> bytes | None:
        """A transaction in a block of its own; what it reverted with."""
        node = self._node
        sent = node.send(sender, to, data)
        node.mine(at_s)
        if node.receipt(sent).succeeded:
            return None
        request = {"from": sender, "to": to, "data": abi.hex_bytes(data), "gas": hex(GAS)}
        try:
            node.rpc.call("eth_call", request, "latest", {}, {"time": hex(at_s)})
        except RpcError as error:
            return abi.from_hex(error.data or "0x")
        raise AssertionError(f"a transaction to {to} reverted, and does not when repeated")

    def _compare(self, after: object) -> None:
        contracts = of_contracts(self._node, self._arena.market, self._arena.accounts)
        found = list(differences(contracts, self._twin.state()))
        assert not found, "\n".join([f"after {after}:", *found])
        self._state = self._amounts.state = contracts


def _taken(whats: Sequence[What], raised_factors_bps: Sequence[int]) -> Taken:
    requests = [what for what in whats if isinstance(what, Request)]
    twice = (one.debt_asset for one in requests if one.debt_asset == one.collateral_asset)
    given: Counter[int] = Counter()
    for what in whats:
        if isinstance(what, Action) and what.kind == "donate":
            given[what.asset] += what.amount
    return Taken(max(1, len(whats)), frozenset(twice), raised_factors_bps, given)

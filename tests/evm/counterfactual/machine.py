"""The contracts as the engine's machine: it executes by real transactions, and answers with what they say."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from l2liq.market import ParameterTimeline
from l2liq.protocols.aave_v3.layout import Layout, Tables
from l2liq.protocols.aave_v3.parameters import AaveParameters
from l2liq.protocols.aave_v3.situation import AaveSituation
from l2liq.protocols.interface import (
    Action,
    Call,
    Health,
    Liquidated,
    Moment,
    Receipt,
    Rejection,
    Request,
    State,
    Step,
)
from tests.evm import abi, artifacts, truth
from tests.evm.anvil import GAS, Node
from tests.evm.counterfactual.baseline import Baseline, Message
from tests.evm.counterfactual.sending import HELPER, Sending
from tests.evm.counterfactual.world import World
from tests.evm.differential.reasons import reasons
from tests.evm.market import Reserve, Version
from tests.evm.rpc import RpcError
from tests.evm.truth import UserTruth, many_at, users_at

LIQUIDATOR = "0x" + "1d" * 20
"""Holds no position, and all tokens that it may need."""

SENDER = "0x" + "5e" * 20
_PLENTY_TOKENS = 10**12
_WAD = 10**18
_TRANSFER = abi.topic("Transfer(address,address,uint256)")
_DEFICIT = abi.topic("DeficitCreated(address,address,uint256)")
_DUST = "MustNotLeaveDust"


class NodeMachine:
    """One market in a node, under a parameter timeline; intents are sent as calls.

    Accounts are those of the market as l2liq read it from the baseline; the treasury may follow them.
    """

    def __init__(
        self,
        node: Node,
        baseline: Baseline,
        timeline: ParameterTimeline[AaveParameters],
        world: World,
        delegations: Sequence[tuple[int, int, int]],
    ) -> None:
        market, deployment = baseline.reading.market, baseline.deployment
        self.node = node
        self.baseline = baseline
        self.deployment = deployment
        self._timeline = timeline
        self._world = world
        self._layout = Layout(market)
        self._addresses = [abi.hex_bytes(address) for address in market.addresses.to_pylist()]
        if deployment.treasury not in self._addresses:
            self._addresses.append(deployment.treasury)
        self._account_of = {address: account for account, address in enumerate(self._addresses)}
        by_underlying = {reserve.underlying: reserve for reserve in deployment.reserves}
        self._reserves = [by_underlying[abi.hex_bytes(asset.address)] for asset in market.assets]
        self._sending = Sending(deployment, market)
        self._tables: dict[int, Tables] = {}
        self._record = _Record(self)
        self._moment = Moment(0, 0)
        self._situation: AaveSituation | None = None
        self._shot: dict[str, UserTruth] = {}
        self._shot_at: tuple[int, int] | None = None
        self._version = 0
        self.sent = 0
        self._furnish(delegations)

    @staticmethod
    def replaced(baseline: Baseline) -> Container[str]:
        """Contracts of the baseline in whose stead there is other code: that of Errands."""
        return {abi.hex_bytes(address) for address in baseline.reading.market.addresses.to_pylist()}

    # What it is

    def at(self, moment: Moment) -> AaveSituation:
        """Prices, rules and indices at a moment."""
        self._reach(moment)
        if self._situation is None:
            self._situation = AaveSituation(moment, self._tables_at(moment.key), self._record)
        return self._situation

    def state(self, account: int) -> State:
        """Non-zero legs of an account, read from the tokens and the pool."""
        if account < 0:
            return {}
        user, layout, state = self._users(at_any_time=True)[self._addresses[account]], self._layout, dict[int, int]()
        for asset, reserve in enumerate(self._reserves):
            number = reserve.number
            state[layout.collateral[asset]] = user.scaled_a[number]
            state[layout.debt[asset]] = user.scaled_v[number]
            state[layout.uses_as_collateral[asset]] = int(user.uses_as_collateral(number))
        state[layout.emode] = user.emode
        return {leg: value for leg, value in state.items() if value}

    def cash(self, asset: int) -> int:
        """Underlying that counts as the reserve's own."""
        reserve = self._reserves[asset]
        if self.deployment.version is Version.V302:
            answer = self.node.call(reserve.underlying, abi.call_data("balanceOf(address)", reserve.a_token))
        else:
            data = abi.call_data("getVirtualUnderlyingBalance(address)", reserve.underlying)
            answer = self.node.call(self.deployment.pool, data)
        return abi.words(answer)[0]

    def owing(self) -> Sequence[int]:
        """Accounts with debt."""
        return [
            self._account_of[address] for address, user in self._users(at_any_time=True).items() if any(user.scaled_v)
        ]

    def candidates(self, moment: Moment) -> Sequence[int]:
        """Accounts whose health factor is below one, as the pool itself has it."""
        self._reach(moment)
        return [
            self._account_of[address] for address, user in self._users().items() if user.data.health_factor_wad < _WAD
        ]

    # What happens to it

    def execute(self, calls: Sequence[Call]) -> Receipt | Rejection:
        """Send the calls as one transaction at their moment."""
        self._reach(calls[-1].moment)
        if isinstance(calls[0].what, Request):
            return self._liquidate(calls[0].what)
        if all(isinstance(call.what, Action) and call.what.kind == "synchronise" for call in calls):
            return Receipt((None,) * len(calls), {})  # governance's own, played with the world around
        to, data = self._sending.transaction(calls)
        logs = self._send(Message(SENDER, to, data))
        return logs if isinstance(logs, Rejection) else Receipt((None,) * len(calls), self._wallets(logs))

    def _liquidate(self, request: Request) -> Receipt | Rejection:
        """Ask for all; where dust forbids that, for the largest amount that the contracts accept."""
        situation, before = self.at(self._moment), self._user(request.account)
        assert request.amount is None, "the engine asks for as much as the rules allow"
        logs = self._send(self._liquidation(request, abi.UINT256_MAX))
        if isinstance(logs, Rejection) and logs.reason == _DUST:
            most = self._largest(request)
            if most:
                logs = self._send(self._liquidation(request, most))
        if isinstance(logs, Rejection):
            return logs
        category = before.emode
        collateral, debt = self._reserves[request.collateral_asset], self._reserves[request.debt_asset]
        told = next(log for log in logs if log["topics"][0] == truth.LIQUIDATION_CALL)
        repaid, seized, *_ = abi.words(abi.from_hex(told["data"]))
        deficits = {
            self._reserves.index(self._reserve(abi.address_of(int(log["topics"][2], 16)))): int(log["data"], 16)
            for log in logs
            if log["topics"][0] == _DEFICIT
        }
        done = Liquidated(
            step=Step({}),
            debt_repaid=repaid,
            collateral_to_liquidator=seized,
            protocol_fee=self._fee(logs, collateral, before.account),
            deficits=deficits,
            collateral_price=situation.prices_in(category)[request.collateral_asset],
            debt_price=situation.prices_in(category)[request.debt_asset],
            health_before=_health(before),
            health_after=_health(self._user(request.account)),
        )
        assert debt.underlying == abi.address_of(int(told["topics"][2], 16))
        return Receipt((done,), self._wallets(logs))

    def _liquidation(self, request: Request, amount: int) -> Message:
        collateral, debt = self._reserves[request.collateral_asset], self._reserves[request.debt_asset]
        data = abi.call_data(
            "liquidationCall(address,address,address,uint256,bool)",
            collateral.underlying,
            debt.underlying,
            self._addresses[request.account],
            amount,
            request.receives_token,
        )
        return Message(LIQUIDATOR, self.deployment.pool, data)

    def _largest(self, request: Request) -> int:
        """By bisection over the contracts' own answers; smaller repayments leave more."""
        token = self._reserves[request.debt_asset].v_token
        account = self._addresses[request.account]
        data = abi.call_data("balanceOf(address)", account)
        accepted, refused = 0, abi.words(self.node.call(token, data, time_s=self._moment.timestamp_s))[0]
        while refused - accepted > 1:
            middle = (accepted + refused) // 2
            if self._why_not(self._liquidation(request, middle)) is None:
                accepted = middle
            else:
                refused = middle
        return accepted

    def _fee(self, logs: list[dict[str, Any]], collateral: Reserve, borrower: str) -> int:
        wanted = [_TRANSFER, *(f"0x{int(address, 16):064x}" for address in (borrower, self.deployment.treasury))]
        return sum(
            int(log["data"], 16) for log in logs if log["address"] == collateral.a_token and log["topics"] == wanted
        )

    def _send(self, message: Message) -> list[dict[str, Any]] | Rejection:
        """Send one transaction in a block of its own; its logs, or why it reverted."""
        self._version += 1
        self.sent += 1
        self._situation = None
        sent = self.node.send(message.sender, message.to, message.data)
        self.node.mine(self._moment.timestamp_s)
        receipt = self.node.receipt(sent)
        if receipt.succeeded:
            return receipt.logs
        why_not = self._why_not(message)
        assert why_not is not None, "what reverted reverts again"
        return why_not

    def _why_not(self, message: Message) -> Rejection | None:
        """Why a message would revert now; several names where the contracts do not tell them apart."""
        request = {
            "from": message.sender,
            "to": message.to,
            "data": abi.hex_bytes(message.data),
            "gas": hex(GAS),
        }
        try:
            self.node.rpc.call("eth_call", request, "latest", {}, {"time": hex(self._moment.timestamp_s)})
        except RpcError as error:
            found = reasons(self.deployment.version, abi.from_hex(error.data) if error.data else b"")
            return Rejection("|".join(sorted(found)))
        return None

    def _wallets(self, logs: list[dict[str, Any]]) -> Mapping[tuple[int, int], int]:
        """Underlying that left accounts and came to them."""
        changes: dict[tuple[int, int], int] = {}
        for log in logs:
            if log["topics"][0] != _TRANSFER:
                continue
            reserve = next((one for one in self._reserves if one.underlying == log["address"]), None)
            if reserve is None:
                continue
            amount, asset = int(log["data"], 16), self._reserves.index(reserve)
            for topic, change in ((log["topics"][1], -amount), (log["topics"][2], amount)):
                account = self._account_of.get(self._owner(abi.address_of(int(topic, 16))))
                if account is not None:
                    changes[account, asset] = changes.get((account, asset), 0) + change
        return changes

    def _owner(self, address: str) -> str:
        """Whose money an address holds."""
        return address

    # How it is read

    def _reach(self, moment: Moment) -> None:
        """Let the world around go on until a moment."""
        if moment == self._moment:
            return
        if self._world.advance(moment):
            self._version += 1
        self._moment = moment
        self._situation = None

    def _users(self, *, at_any_time: bool = False) -> Mapping[str, UserTruth]:
        now = (self._version, self._moment.timestamp_s)
        if self._shot_at is None or (self._shot_at[0] != now[0] if at_any_time else self._shot_at != now):
            users = users_at(self.node, self.deployment, self._addresses, time_s=self._moment.timestamp_s)
            self._shot, self._shot_at = {user.account: user for user in users}, now
        return self._shot

    def _user(self, account: int) -> UserTruth:
        return self._users()[self._addresses[account]]

    def _tables_at(self, key: int) -> Tables:
        regime = self._timeline.regime_at(key)
        found = self._tables.get(regime)
        if found is None:
            found = self._tables[regime] = Tables(self._layout, self._timeline.sets[regime])
        return found

    def _reserve(self, underlying: str) -> Reserve:
        return next(reserve for reserve in self._reserves if reserve.underlying == underlying)

    # How it begins

    def _furnish(self, delegations: Sequence[tuple[int, int, int]]) -> None:
        """Everybody has more than they need, and may be borrowed for by whom they let."""
        node, market = self.node, self.deployment
        actors = [*self._addresses, HELPER, LIQUIDATOR]
        self._give_code()
        nonces = node.rpc.batch([("eth_getTransactionCount", (account, "latest")) for account in actors])
        node._nonces.update({account: int(nonce, 16) for account, nonce in zip(actors, nonces, strict=True)})
        for reserve in market.reserves:
            for account in actors:
                mint = abi.call_data("mint(address,uint256)", account, _PLENTY_TOKENS * reserve.spec.unit)
                node.send(SENDER, reserve.underlying, mint)
                approval = abi.call_data("approve(address,uint256)", market.pool, abi.UINT256_MAX)
                if account not in self._unborn():
                    node.send(account, reserve.underlying, approval)
        for owner, borrower, asset in delegations:
            grant = abi.call_data("approveDelegation(address,uint256)", self._addresses[borrower], abi.UINT256_MAX)
            node.send(self._addresses[owner], self._reserves[asset].v_token, grant)
        node.mine(node.now_s)

    def _unborn(self) -> frozenset[str]:
        """Accounts that are contracts made later on: they must be as if nobody had ever heard of them."""
        return frozenset()

    def _give_code(self) -> None:
        code = "0x" + artifacts.own()["Errand"].runtime
        for account in (*self._addresses, HELPER):
            self.node.rpc.call("anvil_setCode", account, code)


class _Record:
    """What a situation asks, answered by the oracle, the pool and the sequencer's feed at the machine's moment."""

    def __init__(self, machine: NodeMachine) -> None:
        self._machine = machine
        self._answers: list[list[int]] = []
        self._asked_at: tuple[int, int] | None = None

    def price(self, asset: int, key: int) -> int | None:
        return self._answer(3 * asset)[0]

    def price_of_source(self, source: bytes, key: int) -> int | None:
        raise NotImplementedError("no category of these markets has a price source of its own")

    def income_index_ray(self, asset: int, moment: Moment) -> int | None:
        return self._answer(3 * asset + 1)[0]

    def debt_index_ray(self, asset: int, moment: Moment) -> int | None:
        return self._answer(3 * asset + 2)[0]

    def sequencer(self, key: int) -> tuple[int, int] | None:
        _, answer, started_s, updated_s, _ = self._answer(-1)
        rules = self._machine._timeline.at(key).rules
        return answer, started_s if rules.sentinel_waits_from_start else updated_s

    def account_of(self, address: bytes) -> int | None:
        return self._machine._account_of.get(abi.hex_bytes(address))

    def _answer(self, place: int) -> list[int]:
        machine = self._machine
        now = (machine._version, machine._moment.timestamp_s)
        if self._asked_at != now:
            market, calls = machine.deployment, list[tuple[str, bytes]]()
            for reserve in machine._reserves:
                asset = reserve.underlying
                calls.append((market.oracle, abi.call_data("getAssetPrice(address)", asset)))
                for name in ("getReserveNormalizedIncome", "getReserveNormalizedVariableDebt"):
                    calls.append((market.pool, abi.call_data(f"{name}(address)", asset)))
            calls.append((market.uptime_feed, abi.call_data("latestRoundData()")))
            _, self._answers = many_at(machine.node, calls, time_s=now[1])
            self._asked_at = now
        return self._answers[place]


def _health(user: UserTruth) -> Health:
    data = user.data
    factor = None if data.health_factor_wad == abi.UINT256_MAX else data.health_factor_wad
    threshold = data.collateral_base * data.liquidation_threshold_bps // 10_000
    return Health(factor, data.collateral_base, data.debt_base, threshold, factor is not None and factor < _WAD)

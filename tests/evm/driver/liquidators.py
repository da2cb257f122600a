"""Liquidators: they see what can be liquidated, each after its own delay, and each in its own way."""

from __future__ import annotations

from dataclasses import dataclass

from tests.evm import abi
from tests.evm.driver.calls import PoolCalls
from tests.evm.driver.plan import LiquidatorSpec
from tests.evm.driver.stage import Stage, account_name
from tests.evm.market import GRACE_PERIOD_S, Reserve
from tests.evm.truth import UserTruth

_WAD = 10**18
_MOST_ATTEMPTS = 12
_LARGER_TRANSACTION_SHARE = 0.05
_SHARED_BLOCK_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Liquidator:
    """One liquidator's account and ways."""

    account: str
    spec: LiquidatorSpec


class Liquidators:
    """Watches all accounts and liquidates the unhealthy ones."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.rng, self.market = stage, stage.rng, stage.market
        self.calls = PoolCalls(stage.rng, stage.plan.compact_share)
        seed = stage.plan.seed
        self.liquidators = [
            Liquidator(account_name(seed, "liquidator", number), spec)
            for number, spec in enumerate(stage.plan.liquidators)
        ]
        self._seen: set[tuple[str, str]] = set()

    def watch(self) -> None:
        """Look at everybody; every liquidator that minds a newly unhealthy account sets out."""
        for user in self.stage.look(self.stage.accounts):
            healthy = user.data.health_factor_wad >= _WAD
            for liquidator in self.liquidators:
                key = (liquidator.account, user.account)
                if healthy:
                    self._seen.discard(key)
                elif key not in self._seen:
                    self._seen.add(key)
                    self._set_out(liquidator, user)

    def _set_out(self, liquidator: Liquidator, user: UserTruth) -> None:
        spec = liquidator.spec
        attention = spec.attention / self.stage.plan.panic ** (1 / 3) if self.stage.panicking else spec.attention
        if user.data.debt_base / 1e8 >= spec.smallest_debt_usd and self.rng.random() < attention:
            self._later(liquidator, user.account, 1)

    def _later(self, liquidator: Liquidator, account: str, attempt: int) -> None:
        spec, stage = liquidator.spec, self.stage
        panic = stage.plan.panic if stage.panicking else 1.0
        moment = stage.now_s + spec.delay_s * panic * self.rng.lognormvariate(0, spec.spread) * attempt
        _, end = stage.outage_s
        if attempt > 3 and end <= stage.now_s < end + GRACE_PERIOD_S:
            moment = end + GRACE_PERIOD_S + spec.delay_s * self.rng.lognormvariate(0, spec.spread)
        stage.at(moment, lambda: self._attempt(liquidator, account, attempt))

    def _attempt(self, liquidator: Liquidator, account: str, attempt: int) -> None:
        """Liquidate if it is still to be done, and come back later: it may fail, or not be enough."""
        alone = self.rng.random() >= _SHARED_BLOCK_SHARE
        if alone:
            self.stage.seal()
        user = self.stage.look([account])[0]
        pair = self._pair(user)
        if user.data.health_factor_wad >= _WAD or pair is None:
            self._seen.discard((liquidator.account, account))
            return
        self._send(liquidator, user, *pair)
        if alone:
            self.stage.seal()
        if attempt < _MOST_ATTEMPTS:
            self._later(liquidator, account, attempt + 1)

    def _send(self, liquidator: Liquidator, user: UserTruth, collateral: Reserve, debt: Reserve) -> None:
        spec, stage = liquidator.spec, self.stage
        amount = self._amount(spec, stage.balance(debt.v_token, user.account))
        receive = spec.receives_a_tokens != (self.rng.random() < 0.1)
        if self.rng.random() >= _LARGER_TRANSACTION_SHARE:
            data = self.calls.liquidate(collateral, debt, user.account, amount, receive)
            stage.submit(liquidator.account, self.market.pool, data)
            return
        plain = PoolCalls(self.rng, 0.0)
        helped = self.rng.choice(stage.accounts)
        steps = [
            plain.supply(debt, self.rng.randrange(1, 10**6), helped, self.market.batcher),
            plain.liquidate(collateral, debt, user.account, amount, receive),
            plain.liquidate(collateral, debt, user.account, amount, receive),
        ]
        data = abi.call_data("execute(address[],bytes[],bool)", [self.market.pool] * len(steps), steps, False)
        stage.submit(liquidator.account, self.market.batcher, data)

    def _amount(self, spec: LiquidatorSpec, owed: int) -> int:
        kind = self.rng.random()
        if kind < spec.partial_share:
            return max(1, int(owed * self.rng.uniform(0.02, 0.6)))
        return owed if kind < spec.partial_share + 0.1 else abi.UINT256_MAX

    def _pair(self, user: UserTruth) -> tuple[Reserve, Reserve] | None:
        """Usually the largest collateral and debt, sometimes any."""
        collaterals = [r for r in self.market.reserves if user.scaled_a[r.number] and user.uses_as_collateral(r.number)]
        debts = [r for r in self.market.reserves if user.scaled_v[r.number]]
        if not collaterals or not debts:
            return None
        if self.rng.random() < 0.2:
            return self.rng.choice(collaterals), self.rng.choice(debts)
        return (
            max(collaterals, key=lambda r: self.stage.usd(r, user.scaled_a[r.number])),
            max(debts, key=lambda r: self.stage.usd(r, user.scaled_v[r.number])),
        )

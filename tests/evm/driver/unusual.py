"""What users do more rarely: flash loans, donations, several accounts in one transaction, calls on behalf."""

from __future__ import annotations

from collections.abc import Callable

from tests.evm import abi, artifacts
from tests.evm.driver.calls import PoolCalls
from tests.evm.driver.stage import Stage
from tests.evm.driver.users import User
from tests.evm.market import EMODE, Reserve, Version


class Unusual:
    """Rare actions of users."""

    def __init__(self, stage: Stage, users: list[User]) -> None:
        self.stage, self.users, self.rng, self.market = stage, users, stage.rng, stage.market
        self.plain = PoolCalls(stage.rng, 0.0)
        self._agent: str | None = None

    def actions(self) -> dict[str, Callable[[User], None]]:
        """Action by name; those the version does not have are left out."""
        common: dict[str, Callable[[User], None]] = {
            "mint_to_treasury": self.mint_to_treasury, "flash": self.flash, "flash_into_debt": self.flash_into_debt,
            "donate": self.donate, "bundle": self.bundle, "errand": self.errand,
        }  # fmt: skip
        if self.market.version is Version.V302:
            return common
        return common | {"multicall": self.multicall, "manager": self.manager}

    def mint_to_treasury(self, user: User) -> None:
        """Hand the treasury what has accrued to it."""
        assets = [reserve.underlying for reserve in self.market.reserves]
        self.stage.act(user.account, "mintToTreasury(address[])", assets)

    def flash(self, user: User) -> None:
        """Borrow for the length of a transaction, one asset or two."""
        some = self.rng.sample(self.market.reserves, 2)
        amounts = [self.stage.units(reserve, user.wealth_usd * self.rng.random()) for reserve in some]
        receiver = self.market.flash_receiver
        if self.rng.random() < 0.5:
            signature = "flashLoanSimple(address,address,uint256,bytes,uint16)"
            self.stage.act(user.account, signature, receiver, some[0].underlying, amounts[0], b"", 0)
        else:
            self._flash(user, [reserve.underlying for reserve in some], amounts, [0, 0])

    def flash_into_debt(self, user: User) -> None:
        """A flash loan of two assets, one of which stays as debt."""
        some = self.rng.sample(self.market.reserves, 2)
        available = self.stage.look([user.account])[0].data.available_borrows_base / 1e8
        kept = self.stage.units(some[0], available * self.rng.uniform(0.1, 0.9))
        paid_back = self.stage.units(some[1], user.wealth_usd * self.rng.random())
        self._flash(user, [reserve.underlying for reserve in some], [kept, paid_back], [2, 0])

    def donate(self, user: User) -> None:
        """Send underlying straight to an aToken."""
        reserve = self.rng.choice(self.market.reserves)
        amount = self.stage.units(reserve, user.wealth_usd * 0.01 * self.rng.random())
        data = abi.call_data("transfer(address,uint256)", reserve.a_token, amount)
        self.stage.submit(user.account, reserve.underlying, data)

    def bundle(self, user: User) -> None:
        """One transaction that supplies to one account, repays another's debt and borrows in a third one's name."""
        self.stage.settle()
        first, second, third = (one.account for one in self.rng.sample(self.users, 3))
        supplied, owed, drawn = (self.rng.choice(self.market.reserves) for _ in range(3))
        batcher, pool = self.market.batcher, self.market.pool
        amount = self.stage.units(supplied, user.wealth_usd * 0.2 * self.rng.random())
        debt = self.stage.balance(owed.v_token, second)
        part = max(1, int(debt * self.rng.random()))
        available = self.stage.look([third])[0].data.available_borrows_base / 1e8
        loan = self.stage.units(drawn, available * self.rng.random() * 0.5)
        grant = abi.call_data("approveDelegation(address,uint256)", batcher, loan)
        self.stage.submit(third, drawn.v_token, grant)
        steps = [
            (pool, self.plain.supply(supplied, amount, first, batcher)),
            (pool, self.plain.repay(owed, part, second, batcher)),
            (pool, self.plain.borrow(drawn, loan, third, batcher)),
            (pool, self.plain.withdraw(supplied, abi.UINT256_MAX, first, batcher)),
        ]
        self.rng.shuffle(steps)
        data = abi.call_data(
            "execute(address[],bytes[],bool)", [to for to, _ in steps], [call for _, call in steps], False
        )
        self.stage.submit(user.account, batcher, data)

    def multicall(self, user: User) -> None:
        """Several steps of one user in one transaction of the pool itself."""
        account, reserve = user.account, self.market.reserve(self.rng.choice(user.supplies))
        amount = self.stage.units(reserve, user.wealth_usd * 0.3 * self.rng.random())
        steps = [
            self.plain.supply(reserve, amount, account, account),
            self.plain.withdraw(reserve, max(1, amount // 3), account, account),
            self.plain.supply(reserve, amount // 5 + 1, account, account),
        ]
        self.stage.act(account, "multicall(bytes[])", steps)

    def manager(self, user: User) -> None:
        """Let somebody else switch one's e-mode or collateral, and have it done; it may be so already."""
        self.stage.settle()
        position = self.stage.look([user.account])[0]
        other = self.rng.choice(self.users).account
        self.stage.act(user.account, "approvePositionManager(address,bool)", other, True)
        if self.rng.random() < 0.5:
            category = self.rng.choice((0, EMODE.number))
            if self.stage.plan.clear_amounts:
                category = 0 if position.emode else EMODE.number
            self.stage.act(other, "setUserEModeOnBehalfOf(uint8,address)", category, user.account)
        else:
            reserve = self.rng.choice(self.market.reserves)
            use = self.rng.random() < 0.5
            if self.stage.plan.clear_amounts:
                use = not position.uses_as_collateral(reserve.number)
            signature = "setUserUseReserveAsCollateralOnBehalfOf(address,bool,address)"
            self.stage.act(other, signature, reserve.underlying, use, user.account)

    def errand(self, user: User) -> None:
        """A contract does several things in one transaction, most of them in the middle of a flash loan or of two."""
        self.stage.settle()
        agent, pool, rng = self._equipped_agent(), self.market.pool, self.rng
        lent, other = rng.sample(self.market.reserves, 2)
        friend = rng.choice(self.users).account

        def small(reserve: Reserve) -> int:
            return self.stage.units(reserve, user.wealth_usd * 0.2 * rng.random())

        inside = [self.plain.supply(rng.choice((lent, other)), small(lent), friend, agent)]
        debt = self.stage.balance(lent.v_token, user.account)
        if debt > 2:
            inside.append(self.plain.repay(lent, rng.randrange(1, debt), user.account, agent))
        if rng.random() < 0.5:
            inside += [self.plain.supply(lent, small(lent), agent, agent)]
            inside += [self.plain.withdraw(lent, abi.UINT256_MAX, user.account, agent)]
        if rng.random() < 0.3:
            inside = [self._loan(agent, other, small(other), inside)]
        steps = [self._loan(agent, lent, self.stage.units(lent, user.wealth_usd * rng.random()), inside)]
        if rng.random() < 0.5:
            steps.insert(rng.randrange(2), self.plain.supply(lent, small(lent), friend, agent))
        data = abi.call_data("perform(address[],bytes[])", [pool] * len(steps), steps)
        self.stage.submit(user.account, agent, data)

    def _loan(self, agent: str, reserve: Reserve, amount: int, inside: list[bytes]) -> bytes:
        """A flash loan in the middle of which the agent does other things."""
        errands = abi.encode_values("(address[],bytes[])", [self.market.pool] * len(inside), inside)
        if self.rng.random() < 0.5:
            signature = "flashLoanSimple(address,address,uint256,bytes,uint16)"
            return abi.call_data(signature, agent, reserve.underlying, amount, errands, 0)
        signature = "flashLoan(address,address[],uint256[],uint256[],address,bytes,uint16)"
        return abi.call_data(signature, agent, [reserve.underlying], [amount], [0], agent, errands, 0)

    def _equipped_agent(self) -> str:
        """The contract that runs errands, made at its first one."""
        if self._agent is None:
            self.stage.seal()
            code = artifacts.own()["Errand"].linked({})
            self._agent = self.stage.node.create(self.market.admin, code, self.stage.now_s)
            self.stage.equip([self._agent], [])
            tokens = [reserve.underlying for reserve in self.market.reserves]
            approval = abi.call_data("approve(address,uint256)", self.market.pool, abi.UINT256_MAX)
            data = abi.call_data("perform(address[],bytes[])", tokens, [approval] * len(tokens))
            self.stage.submit(self.market.admin, self._agent, data)
            self.stage.seal()
        return self._agent

    def _flash(self, user: User, assets: list[str], amounts: list[int], modes: list[int]) -> None:
        signature = "flashLoan(address,address[],uint256[],uint256[],address,bytes,uint16)"
        receiver = self.market.flash_receiver
        self.stage.act(user.account, signature, receiver, assets, amounts, modes, user.account, b"", 0)

"""Users: who they are, and the ordinary things they do with their positions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.evm import abi
from tests.evm.driver.calls import PoolCalls
from tests.evm.driver.plan import Plan
from tests.evm.driver.stage import Stage, account_name
from tests.evm.market import EMODE, Reserve
from tests.evm.truth import UserTruth

WEALTH_CEILING_USD = 3_000_000.0
STYLES = {
    "lender": (("WETH", "wstETH", "USDC", "WBTC"), ()),
    "dollar_borrower": (("WETH", "WBTC", "wstETH"), ("USDC",)),
    "short_seller": (("USDC",), ("WETH", "WBTC")),
    "looper": (("wstETH",), ("WETH",)),
    "mixed": (("WETH", "wstETH", "USDC", "WBTC"), ("USDC", "WETH", "WBTC")),
}
"""Style → what it supplies and what it borrows."""

_STYLE_WEIGHTS = {"lender": 3, "dollar_borrower": 9, "short_seller": 3, "looper": 3, "mixed": 4}


@dataclass(frozen=True, slots=True)
class User:
    """One account with its means and habits; ``target_health`` is what it aims at when it borrows."""

    account: str
    style: str
    wealth_usd: float
    target_health: float
    defends: bool

    @property
    def supplies(self) -> tuple[str, ...]:
        """Symbols it supplies."""
        return STYLES[self.style][0]

    @property
    def borrows(self) -> tuple[str, ...]:
        """Symbols it borrows."""
        return STYLES[self.style][1]


def make_users(stage: Stage) -> list[User]:
    """The users of a plan, drawn from its seed."""
    rng, plan = stage.rng, stage.plan
    return [_user(stage, plan, number, rng.choices(list(_STYLE_WEIGHTS), list(_STYLE_WEIGHTS.values()))[0])
            for number in range(plan.users)]  # fmt: skip


def _user(stage: Stage, plan: Plan, number: int, style: str) -> User:
    rng = stage.rng
    median, spread = plan.wealth_usd
    least, scale = plan.health_spread
    wealth = min(WEALTH_CEILING_USD, median * rng.lognormvariate(0, spread))
    health = least + rng.expovariate(1 / scale) if style != "looper" else 1.015 + rng.expovariate(1 / 0.03)
    return User(account_name(plan.seed, "user", number), style, wealth, health, rng.random() >= plan.sloppiness)


class Ordinary:
    """Supply, withdraw, borrow, repay, transfer and switch, with every kind of amount."""

    def __init__(self, stage: Stage, users: list[User]) -> None:
        self.stage, self.users, self.rng = stage, users, stage.rng
        self.market = stage.market
        self.calls = PoolCalls(stage.rng, stage.plan.compact_share)

    def actions(self) -> dict[str, Callable[[User], None]]:
        """Action by name."""
        return {
            "open": self.open, "supply": self.supply, "withdraw": self.withdraw, "borrow": self.borrow,
            "repay": self.repay, "repay_with_a_tokens": self.repay_with_a_tokens, "transfer": self.transfer,
            "switch_collateral": self.switch_collateral, "switch_emode": self.switch_emode, "defend": self.defend,
        }  # fmt: skip

    def open(self, user: User) -> None:
        """Supply something and borrow against it up to the health factor the user aims at."""
        self.stage.settle()
        collateral = self.pick(user.supplies)
        amount = self.stage.units(collateral, user.wealth_usd * self.rng.uniform(0.3, 1.0))
        if user.style == "looper" and self.position(user).emode != EMODE.number:
            self.stage.act(user.account, "setUserEMode(uint8)", EMODE.number)
        self._pool(user.account, self.calls.supply(collateral, amount, user.account, user.account))
        if user.borrows:
            self.stage.at(self.stage.now_s + self.rng.choice((0, 1, 12, 240)), lambda: self._borrow_to_target(user))

    def supply(self, user: User) -> None:
        """Supply for oneself or, now and then, for somebody else; sometimes single units."""
        reserve = self.pick(user.supplies)
        amount = self.stage.units(reserve, user.wealth_usd * self.rng.uniform(0.01, 0.4))
        if self.rng.random() < 0.06:
            amount = self.rng.randrange(1, 40)
        self._pool(user.account, self.calls.supply(reserve, amount, self._beneficiary(user), user.account))

    def withdraw(self, user: User) -> None:
        """Withdraw a part, the exact balance, everything, or more than there is."""
        self.stage.settle()
        reserve = self._held(self.position(user).scaled_a)
        if reserve is not None:
            amount = self._amount_of(self.stage.balance(reserve.a_token, user.account))
            self._pool(user.account, self.calls.withdraw(reserve, amount, self._beneficiary(user), user.account))

    def borrow(self, user: User) -> None:
        """Borrow a part of what is available, sometimes too much, sometimes in the name of a delegator."""
        reserve = self.pick(user.borrows or ("USDC",))
        debtor = self._beneficiary(user)
        available = self.stage.look([debtor])[0].data.available_borrows_base / 1e8
        amount = self.stage.units(reserve, available * self.rng.uniform(0.05, 1.03))
        if debtor != user.account:
            grant = abi.call_data("approveDelegation(address,uint256)", user.account, amount)
            self.stage.submit(debtor, reserve.v_token, grant)
        self._pool(user.account, self.calls.borrow(reserve, amount, debtor, user.account))

    def repay(self, user: User) -> None:
        """Repay a part, the exact debt, everything, or more than is owed; sometimes somebody else's debt."""
        self.stage.settle()
        debtor = self._beneficiary(user)
        reserve = self._held(self.stage.look([debtor])[0].scaled_v)
        if reserve is not None:
            amount = self._amount_of(self.stage.balance(reserve.v_token, debtor))
            self._pool(user.account, self.calls.repay(reserve, amount, debtor, user.account))

    def repay_with_a_tokens(self, user: User) -> None:
        """Repay with aTokens of the debt's asset, which are supplied first where there are none."""
        self.stage.settle()
        position = self.position(user)
        reserve = self._held(position.scaled_v)
        if reserve is None:
            return
        debt = self.stage.balance(reserve.v_token, user.account)
        if position.scaled_a[reserve.number] == 0:
            amount = max(1, int(debt * self.rng.uniform(0.2, 1.5)))
            self._pool(user.account, self.calls.supply(reserve, amount, user.account, user.account))
        self._pool(user.account, self.calls.repay_with_a_tokens(reserve, self._amount_of(debt)))

    def transfer(self, user: User) -> None:
        """Send aTokens to somebody, often a borrower, or to oneself; a part or all."""
        reserve = self._held(self.position(user).scaled_a)
        if reserve is None:
            return
        to = user.account if self.rng.random() < 0.12 else self.rng.choice(self.users).account
        balance = self.stage.balance(reserve.a_token, user.account)
        kind = self.rng.random()
        amount = balance if kind < 0.25 else self.rng.randrange(1, 9) if kind < 0.35 else self._part(balance)
        self.stage.submit(user.account, reserve.a_token, abi.call_data("transfer(address,uint256)", to, amount))

    def switch_collateral(self, user: User) -> None:
        """Turn the collateral bit of something held."""
        self.stage.settle()
        position = self.position(user)
        reserve = self._held(position.scaled_a)
        if reserve is not None:
            use = not position.uses_as_collateral(reserve.number)
            self._pool(user.account, self.calls.use_as_collateral(reserve, use))

    def switch_emode(self, user: User) -> None:
        """Enter or leave the e-mode; now and then ask for one that does not exist."""
        self.stage.settle()
        wanted = 0 if self.position(user).emode else EMODE.number
        self.stage.act(user.account, "setUserEMode(uint8)", 7 if self.rng.random() < 0.05 else wanted)

    def defend(self, user: User) -> None:
        """Repay enough to bring the health factor back to the target."""
        self.stage.settle()
        position = self.position(user)
        reserve = self._held(position.scaled_v)
        health = position.data.health_factor_wad / 1e18
        if reserve is not None and health < user.target_health:
            debt = self.stage.balance(reserve.v_token, user.account)
            amount = max(1, int(debt * min(1.0, 1 - health / user.target_health)))
            self._pool(user.account, self.calls.repay(reserve, amount, user.account, user.account))

    def position(self, user: User) -> UserTruth:
        """The user as it stands now."""
        return self.stage.look([user.account])[0]

    def pick(self, symbols: tuple[str, ...]) -> Reserve:
        """One of the reserves with these symbols."""
        return self.market.reserve(self.rng.choice(symbols))

    def _borrow_to_target(self, user: User) -> None:
        position = self.position(user)
        limit = position.data.collateral_base * position.data.liquidation_threshold_bps / 10_000
        wanted = min(limit / user.target_health - position.data.debt_base, position.data.available_borrows_base)
        if wanted > 1e8:
            reserve = self.pick(user.borrows)
            amount = self.stage.units(reserve, wanted / 1e8)
            self._pool(user.account, self.calls.borrow(reserve, amount, user.account, user.account))

    def _pool(self, sender: str, data: bytes) -> None:
        self.stage.submit(sender, self.market.pool, data)

    def _beneficiary(self, user: User) -> str:
        return self.rng.choice(self.users).account if self.rng.random() < 0.08 else user.account

    def _held(self, scaled: tuple[int, ...]) -> Reserve | None:
        held = [reserve for reserve in self.market.reserves if scaled[reserve.number]]
        return self.rng.choice(held) if held else None

    def _part(self, whole: int) -> int:
        return max(1, int(whole * self.rng.random() ** 2))

    def _amount_of(self, whole: int) -> int:
        """A part, exactly all, "all" as the contracts spell it, a little more than all, or single units."""
        kind = self.rng.random()
        if self.stage.plan.clear_amounts:
            return self._part(whole - 1) if kind < 0.6 and whole > 1 else abi.UINT256_MAX
        if kind < 0.5:
            return self._part(whole)
        if kind < 0.65:
            return whole
        if kind < 0.85:
            return abi.UINT256_MAX
        return whole + self.rng.randrange(1, 50) if kind < 0.92 else self.rng.randrange(1, 9)

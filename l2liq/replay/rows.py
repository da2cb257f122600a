"""Outcome rows as they are emitted, and the tables made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from l2liq.chains.clocks import Clocks
from l2liq.chains.dated import Dated
from l2liq.chains.failures import NO_FAILURES, Failures
from l2liq.events.log import block_of, log_index_of
from l2liq.liquidators import Costs, FixedPrice, Offer
from l2liq.liquidity import Sale, Selling, Sold
from l2liq.market import PRICE, Market
from l2liq.outcome.schema import OUTCOMES, Kind, World
from l2liq.protocols.interface import Action, Health, Liquidated, Moment, Request, Situation, State

BASE_UNIT = 10**8
"""One US dollar in base currency."""

_DECIMAL_LIMIT = 10**38


@dataclass(frozen=True, slots=True)
class Deal:
    """What is particular about who does a liquidation.

    Attributes
    ----------
    liquidator : address, None = that of the request, or nobody's
    bid_usd : paid to come first, None where nobody pays for that
    recaptured_usd : the protocol's part of it, None where it has none
    left_usd : profit by the liquidator's own reckoning, None = what the offer leaves
    """

    liquidator: bytes | None = None
    bid_usd: float | None = None
    recaptured_usd: float | None = None
    left_usd: float | None = None


class Rows:
    """The outcome of one world, in order.

    Attributes
    ----------
    market : as the world sees it
    prices : the market with the prices of the world itself
    clocks : of the market's chain
    costs : what each liquidation costs, None = nothing is told of that
    failures : of settlement, None = none
    selling : how liquidators sell what they seize, None = nothing is told of that
    """

    def __init__(
        self,
        market: Market,
        world: World,
        clocks: Dated[Clocks],
        costs: Costs | None,
        prices: Market | None = None,
        failures: Failures | None = None,
        selling: Selling | None = None,
    ) -> None:
        self._market = market
        self._prices = prices or market
        self._world = world
        self._clocks = clocks
        self._failures = failures or NO_FAILURES
        self._costs = costs
        self._selling = selling
        self._rows: list[dict[str, Any]] = []

    def usd(self, asset: int, amount: int, key: int) -> float | None:
        """Value of an amount at the world's price [USD]; None without a price."""
        price = self.price(asset, key)
        return None if price is None else self._value(asset, amount, price)

    def price(self, asset: int, key: int) -> int | None:
        """The world's price [base currency]; None without one."""
        series = self._prices.series.get((PRICE, asset))
        return series.at(key) if series is not None else None

    def health_at_world_prices(self, situation: Situation, state: State, moment: Moment) -> int | None:
        """Health factor of an account [wad] at the world's prices; None where the market sees those."""
        if self._prices is self._market:
            return None
        seen = (
            (asset, series.at(moment.key)) for (kind, asset), series in self._prices.series.items() if kind == PRICE
        )
        prices = {asset: price for asset, price in seen if price is not None}
        return situation.at_prices(prices).health(state).factor_wad

    def offer(self, request: Request, done: Liquidated, moment: Moment) -> Offer:
        """A liquidation at the world's prices: what the collateral can be sold for, and the debt."""
        sale = self._sale(request.collateral_asset, done.collateral_to_liquidator, moment)
        sold = None if sale is None else Sold(sale.usd, 0.0)
        if sale is not None and self._selling is not None:
            sold = self._selling.quote(request.collateral_asset, sale, moment.timestamp_s)
        return Offer(
            None if sold is None else sold.proceeds_usd,
            self.usd(request.debt_asset, done.debt_repaid, moment.key),
            self._cost(moment).get("fee_usd"),
        )

    def sellable_usd(self, collateral_base: Mapping[int, int], now: Moment) -> float | None:
        """What selling all collateral of an account would yield, at values that the market sees [base currency].

        None where nothing is told of sales, or a price is not known.
        """
        if self._selling is None:
            return None
        found = 0.0
        for asset, value in collateral_base.items():
            series = self._market.series.get((PRICE, asset))
            price = series.at(now.key) if series is not None else None
            amount = value * self._market.assets[asset].unit // price if price else 0
            sale = self._sale(asset, amount, now)
            sold = None if sale is None else self._selling.quote(asset, sale, now.timestamp_s)
            if sold is None:
                return None
            found += sold.proceeds_usd
        return found

    def whose(self, account: int) -> dict[str, Any]:
        """What a row of any table of this world begins with; ``run_id`` empty."""
        return {"run_id": "", "world": self._world.value, "account": self._market.address(account)}

    def sells_better_s(self, now: Moment) -> int | None:
        """When a sale will yield clearly more than now [s], as far as that is known."""
        return None if self._selling is None else self._selling.better_s(now.timestamp_s)

    def margin_call(self, moment: Moment, account: int, health: Health, cause: str) -> None:
        """An account fell below health 1."""
        self._add(
            Kind.MARGIN_CALL, moment, account, cause=cause, liquidatable_since_s=moment.timestamp_s, **_of(health)
        )

    def liquidation(
        self,
        moment: Moment,
        request: Request,
        done: Liquidated,
        *,
        since_s: int,
        cause: str,
        transaction_hash: bytes | None = None,
        market_health_wad: int | None = None,
        deal: Deal = Deal(),
    ) -> tuple[float, float]:
        """A liquidation. Returns what the account lost (fee included) and what was repaid [USD]."""
        collateral_usd = self._value(request.collateral_asset, done.collateral_to_liquidator, done.collateral_price)
        fee_usd = self._value(request.collateral_asset, done.protocol_fee, done.collateral_price)
        debt_usd = self._value(request.debt_asset, done.debt_repaid, done.debt_price)
        self._add(
            Kind.LIQUIDATION,
            moment,
            request.account,
            log_index=self._recorded_log(moment),
            transaction_hash=transaction_hash,
            liquidator=self._market.address(request.liquidator) if request.liquidator >= 0 else deal.liquidator,
            collateral_asset=self._market.assets[request.collateral_asset].address,
            debt_asset=self._market.assets[request.debt_asset].address,
            **_amount("collateral_amount", done.collateral_to_liquidator),
            **_amount("debt_amount", done.debt_repaid),
            **_amount("protocol_fee_amount", done.protocol_fee),
            collateral_price_base=fitting(done.collateral_price),
            debt_price_base=fitting(done.debt_price),
            health_after_wad=fitting(done.health_after.factor_wad),
            **_of(done.health_before),
            collateral_usd=collateral_usd,
            debt_usd=debt_usd,
            protocol_fee_usd=fee_usd,
            collateral_market_usd=self.usd(request.collateral_asset, done.collateral_to_liquidator, moment.key),
            debt_market_usd=self.usd(request.debt_asset, done.debt_repaid, moment.key),
            liquidatable_since_s=since_s,
            cause=cause,
            health_before_market_wad=fitting(market_health_wad),
            **asdict(self._failures.times(self._clocks, moment.timestamp_s)),
            **self._cost(moment),
            profit_usd=self.offer(request, done, moment).left_usd if deal.left_usd is None else deal.left_usd,
            bid_usd=deal.bid_usd,
            recaptured_usd=deal.recaptured_usd,
            **self._sold(request, done, moment),
        )
        return collateral_usd + fee_usd, debt_usd

    def deficit(self, moment: Moment, account: int, asset: int, amount: int, price: int | None = None) -> None:
        """Debt that nobody will pay."""
        value = self.usd(asset, amount, moment.key) if price is None else self._value(asset, amount, price)
        self._add(
            Kind.DEFICIT,
            moment,
            account,
            log_index=self._recorded_log(moment),
            debt_asset=self._market.assets[asset].address,
            **_amount("debt_amount", amount),
            debt_usd=value,
        )

    def blocked(self, moment: Moment, account: int, health: Health, reason: str, since_s: int) -> None:
        """A liquidation that something holds up."""
        self._add(Kind.BLOCKED, moment, account, cause=reason, liquidatable_since_s=since_s, **_of(health))

    def failed(self, moment: Moment, account: int, liquidator: bytes | None) -> None:
        """A liquidator's transaction that found nothing left to liquidate."""
        self._add(Kind.FAILED_ATTEMPT, moment, account, liquidator=liquidator, cause="too_late", **self._cost(moment))

    def action(self, kind: Kind, action: Action, moment: Moment, amount: int, reason: str) -> float:
        """A user action that was not done, or not as asked (rejected, clipped, unfunded). Returns its value [USD]."""
        value = self.usd(action.asset, amount, moment.key) if action.asset >= 0 else None
        self._add(
            kind,
            moment,
            action.account,
            log_index=log_index_of(action.moment.key),
            action=action.kind,
            debt_asset=self._market.assets[action.asset].address if action.asset >= 0 else None,
            **_amount("debt_amount", amount),
            debt_usd=value,
            cause=reason,
        )
        return value or 0.0

    def __len__(self) -> int:
        return len(self._rows)

    def revert(self, since: int) -> None:
        """Everything emitted since row number ``since`` was undone."""
        for row in self._rows[since:]:
            if self._selling is not None and row["kind"] == Kind.LIQUIDATION.value and "proceeds_usd" in row:
                self._selling.undo()
            row["action"] = " ".join(filter(None, (row["kind"], row.get("action"))))
            row["kind"] = Kind.REVERTED.value

    def table(self) -> pa.Table:
        """Everything emitted, schema OUTCOMES; ``run_id`` empty."""
        return table_of(self._rows, OUTCOMES)

    def _recorded_log(self, moment: Moment) -> int | None:
        """Log of what history holds; None in the other worlds, where a model decides and no log tells of it."""
        return log_index_of(moment.key) if self._world is World.ACTUAL else None

    def _cost(self, moment: Moment) -> Mapping[str, Any]:
        """What the transaction of a liquidation costs; nothing where nobody asked."""
        if self._costs is None:
            return {}
        cost, token = self._costs.charge(block_of(moment.key), moment.timestamp_s), self._costs.token
        wei = cost.total_wei
        return {
            "gas_used": cost.gas_used,
            "l2_fee_wei": fitting(cost.l2_wei),
            "l1_fee_wei": fitting(cost.l1_wei),
            "fee_usd": token.usd(wei) if isinstance(token, FixedPrice) else self.usd(token.asset, wei, moment.key),
        }

    def _sale(self, asset: int, amount: int, moment: Moment) -> Sale | None:
        """The sale of an amount; None without a price."""
        usd = self.usd(asset, amount, moment.key)
        return None if usd is None else Sale(amount, usd, moment.key, lambda asset: self.usd(asset, 1, moment.key))

    def _sold(self, request: Request, done: Liquidated, moment: Moment) -> Mapping[str, Any]:
        """What selling the collateral yields, now sold; nothing where nobody asked or it cannot be known."""
        sale = self._sale(request.collateral_asset, done.collateral_to_liquidator, moment)
        if self._selling is None or sale is None:
            return {}
        sold = self._selling.sell(request.collateral_asset, sale, moment.timestamp_s)
        if sold is None:
            return {}
        return {
            "proceeds_usd": sold.proceeds_usd,
            "slippage_usd": sale.usd - sold.proceeds_usd,
            "displaced_share": 0.0 - math.expm1(sold.displacement),
        }

    def _value(self, asset: int, amount: int, price: int) -> float:
        return amount * price / (self._market.assets[asset].unit * BASE_UNIT)

    def _add(self, kind: Kind, moment: Moment, account: int, **columns: Any) -> None:
        self._rows.append(
            {
                "run_id": "",
                "world": self._world.value,
                "sequence": len(self._rows),
                "kind": kind.value,
                "block_number": block_of(moment.key),
                "timestamp_s": moment.timestamp_s,
                "account": self._market.address(account),
                **columns,
            }
        )


def table_of(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """A table of rows that leave out what is null."""
    return pa.table([pa.array([row.get(f.name) for row in rows], f.type) for f in schema], schema=schema)


def fitting(value: int | None) -> int | None:
    """The value where a decimal of 38 digits holds it."""
    return value if value is not None and abs(value) < _DECIMAL_LIMIT else None


def _amount(name: str, amount: int) -> Mapping[str, Any]:
    return {f"{name}_raw": amount.to_bytes(32, "big"), name: fitting(amount)}


def _of(health: Health) -> Mapping[str, Any]:
    return {
        "health_before_wad": fitting(health.factor_wad),
        "account_collateral_base": fitting(health.collateral_base),
        "account_debt_base": fitting(health.debt_base),
    }

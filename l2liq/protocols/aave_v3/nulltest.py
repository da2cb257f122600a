"""The null test: everything the logs repeat, recomputed; every recorded liquidation, repeated.

Balances and indices are compared while folding (:mod:`.fold_tokens`). A liquidation is repeated by the rules from the
state just before it: the recorded pair, amount and form of payment are what the liquidator chose, the rest follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from l2liq.errors import InputError
from l2liq.events.log import block_of, log_index_of
from l2liq.events.raw import ints
from l2liq.market import Market, quantity
from l2liq.protocols.aave_v3.fold import Snapshot
from l2liq.protocols.aave_v3.fold_events import read_batch
from l2liq.protocols.aave_v3.fold_market import build_market
from l2liq.protocols.aave_v3.interest import borrow_index_at, liquidity_index_at
from l2liq.protocols.aave_v3.venue import AaveVenue
from l2liq.protocols.aave_v3.versions import RuleSet
from l2liq.protocols.checking import CheckReport, Count, Divergence
from l2liq.protocols.interface import Liquidated, Moment, Rejection, Request

SUBJECTS = ("balances", "indices", "treasury")


def check(
    snapshot: Snapshot, market: Market | None = None, progress: Callable[[int], None] | None = None
) -> CheckReport:
    """Run the null test on a snapshot.

    Parameters
    ----------
    snapshot : Snapshot
        A folded market.
    market : Market, optional
        Its market, where that has been built already.
    progress : callable, optional
        Called with the number of liquidations repeated so far.
    """
    market = market or build_market(snapshot)
    state = snapshot.state
    divergences = list(_recorded_divergences(snapshot.tables["divergences"]))
    repeated = _Repeated(market)
    reproduced = 0
    for number, row in enumerate(_rows(market.liquidations)):
        found = repeated.differences(row)
        divergences.extend(found)
        reproduced += not found
        if progress is not None:
            progress(number + 1)
    subjects = {name: Count(state.compared.get(name, 0), state.equal.get(name, 0)) for name in SUBJECTS}
    return CheckReport(subjects, market.liquidations.num_rows, reproduced, tuple(divergences))


def check_indices(logs: Iterable[pa.Table], rules: RuleSet) -> CheckReport:
    """Recompute indices from bare ``ReserveDataUpdated`` logs: each from the rate and the time of the one before.

    For files that hold nothing else. Every reserve is taken to have debt. A liquidity index above what interest gives
    is left to flash-loan premiums, where the rules let these raise it, and does not count as compared.
    """
    before: dict[tuple[bytes, bytes], tuple[int, int, int, int, int]] = {}
    compared = equal = 0
    divergences: list[Divergence] = []
    for table in logs:
        batch = read_batch(table)
        for at, (name, values) in enumerate(zip(batch.names, batch.values, strict=True)):
            if name != "ReserveDataUpdated":
                continue
            _, pool, asset, rate, debt_rate, index, debt_index = values
            now = batch.seconds[at]
            known = before.get((pool, asset))
            before[pool, asset] = (now, rate, debt_rate, index, debt_index)
            if known is None:
                continue
            then, rate_then, debt_rate_then, index_then, debt_index_then = known
            grown = liquidity_index_at(index_then, rate_then, now - then)
            debt_grown = borrow_index_at(debt_index_then, debt_rate_then, now - then, rules.compounding)
            premium = rules.flash_premium_bumps_index and index > grown
            pairs = [("variable_borrow_index", debt_grown, debt_index)]
            pairs += [] if premium else [("liquidity_index", grown, index)]
            key = int(batch.keys[at])
            for label, expected, actual in pairs:
                compared += 1
                equal += expected == actual
                if expected != actual:
                    divergences.append(_difference("index", None, asset, key, label, expected, actual))
    return CheckReport({"balances": Count(0, 0), "indices": Count(compared, equal)}, 0, 0, tuple(divergences))


def _difference(
    kind: str, account: bytes | None, token: bytes | None, key: int, name: str, expected: Any, actual: Any
) -> Divergence:
    return Divergence(kind, account, token, block_of(key), log_index_of(key), name, str(expected), str(actual))


def _recorded_divergences(table: pa.Table) -> Iterator[Divergence]:
    for row in table.to_pylist():
        yield Divergence(
            row["kind"],
            row["account"],
            row["token"],
            row["block_number"],
            row["log_index"],
            row["field"],
            row["expected"],
            row["actual"],
        )


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows with exact integers instead of raw columns."""
    columns = {
        name.removesuffix("_raw"): ints(table.column(name)) if name.endswith("_raw") else table.column(name).to_pylist()
        for name in table.column_names
    }
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


class _Repeated:
    """Repeats recorded liquidations by the market's own rules and parameters."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._venue = AaveVenue(market, market.parameters)
        self._deficits: dict[int, list[tuple[int, int, int]]] = {}
        for row in _rows(market.deficits):
            self._deficits.setdefault(row["account"], []).append((row["key"], row["asset"], row["amount"]))

    def differences(self, row: Mapping[str, Any]) -> list[Divergence]:
        """What differs for one recorded liquidation.

        The amount a liquidator asked for is in the log only where nothing else limited it. So the recorded amount is
        asked for, and where that does not give the record, as much as the rules allow.
        """
        best: list[Divergence] | None = None
        for amount in (row["debt"], None):
            found = self._compare(row, amount)
            if best is None or len(found) < len(best):
                best = found
            if not best:
                break
        return best or []

    def _compare(self, row: Mapping[str, Any], amount: int | None) -> list[Divergence]:
        before, account = row["start_key"] - 1, row["account"]
        request = Request(
            account, row["liquidator"], row["collateral_asset"], row["debt_asset"], amount, row["receives_token"]
        )
        ledger = self._market.ledger
        try:
            situation = self._venue.at(Moment(before, row["timestamp_s"]))
            outcome = situation.liquidate(
                lambda who: ledger.state(who, before),
                request,
                cash=lambda asset: self._venue.recorded_cash(asset, before),
            )
        except InputError as error:
            outcome = Rejection(str(error))
        if isinstance(outcome, Rejection):
            return [self._differs(row, account, "debt_asset", "eligibility", outcome.reason, "liquidated")]
        return [*self._amounts(row, outcome), *self._states(row, outcome)]

    def _amounts(self, row: Mapping[str, Any], outcome: Liquidated) -> Iterator[Divergence]:
        account = row["account"]
        for side, name, expected, actual in (
            ("debt_asset", "debt_repaid", outcome.debt_repaid, row["debt"]),
            ("collateral_asset", "collateral_to_liquidator", outcome.collateral_to_liquidator, row["collateral"]),
            ("collateral_asset", "protocol_fee", outcome.protocol_fee, row["protocol_fee"]),
        ):
            if expected != actual:
                yield self._differs(row, account, side, name, expected, actual)
        written_off = {
            asset: amount
            for key, asset, amount in self._deficits.get(account, ())
            if row["start_key"] <= key <= row["key"]
        }
        if dict(outcome.deficits) != written_off:
            yield self._differs(row, account, "debt_asset", "deficit", dict(outcome.deficits), written_off)

    def _states(self, row: Mapping[str, Any], outcome: Liquidated) -> Iterator[Divergence]:
        """Every leg that the liquidation changed, by the rules and on the ledger."""
        market = self._market
        ledger, first, last = market.ledger, row["start_key"], row["key"]
        after = dict(outcome.step.after)
        start, stop = ledger.key.searchsorted(first), ledger.key.searchsorted(last, side="right")
        recorded = {
            (entry["account"], entry["leg"]): quantity(entry["after_raw"])
            for entry in ledger.table.slice(start, stop - start).to_pylist()
        }
        for account, leg in sorted(after.keys() | recorded.keys()):
            expected, actual = after.get((account, leg)), recorded.get((account, leg))
            if expected is None or actual is None:
                unchanged = ledger.state(account, first - 1).get(leg, 0)
                expected = unchanged if expected is None else expected
                actual = unchanged if actual is None else actual
            if expected != actual:
                yield _difference(
                    "liquidation", market.address(account), None, last, market.legs[leg].name, expected, actual
                )

    def _differs(
        self, row: Mapping[str, Any], account: int, side: str, name: str, expected: Any, actual: Any
    ) -> Divergence:
        token = self._market.assets[row[side]].address
        return _difference("liquidation", self._market.address(account), token, row["key"], name, expected, actual)

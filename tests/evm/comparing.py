"""Where l2liq and the contracts disagree: field by field, integers only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from l2liq.market import PRICE
from l2liq.protocols.aave_v3.layout import Role
from l2liq.protocols.interface import Moment, Rejection, Request
from tests.evm.abi import from_hex
from tests.evm.reading import Reading
from tests.evm.truth import LiquidationTruth, ReserveTruth, Snapshot, UserTruth


@dataclass(frozen=True, slots=True)
class Difference:
    """One number that differs."""

    block: int
    subject: str
    field: str
    contracts: object
    l2liq: object


def differences(reading: Reading, shots: Sequence[Snapshot]) -> list[Difference]:
    """All differences in balances, flags, account data, indices, rates and prices over snapshots."""
    return [difference for shot in shots for difference in _snapshot(reading, shot)]


def _snapshot(reading: Reading, shot: Snapshot) -> Iterator[Difference]:
    moment = reading.after_block(shot.block, shot.timestamp_s)
    open_now = reading.venue.at(moment).gates.sentinel is None
    yield from _named(shot.block, "sentinel", iter([("allows liquidations", shot.sentinel_allows, open_now)]))
    for reserve in shot.reserves:
        yield from _named(shot.block, reserve.asset, _reserve_pairs(reading, moment, reserve))
        yield from _named(shot.block, reserve.asset, _parameter_pairs(reading, moment, reserve))
    for user in shot.users:
        yield from _named(shot.block, user.account, _user_pairs(reading, moment, shot, user))


def _named(block: int, subject: str, pairs: Iterator[tuple[str, object, object]]) -> Iterator[Difference]:
    for field, expected, actual in pairs:
        if expected != actual:
            yield Difference(block, subject, field, expected, actual)


def _reserve_pairs(reading: Reading, moment: Moment, reserve: ReserveTruth) -> Iterator[tuple[str, object, object]]:
    market, asset = reading.market, _asset(reading, reserve.asset)
    stored = {
        "liquidity_index_ray": reserve.liquidity_index_ray,
        "liquidity_rate_ray": reserve.liquidity_rate_ray,
        "borrow_index_ray": reserve.variable_index_ray,
        "borrow_rate_ray": reserve.variable_rate_ray,
        PRICE: reserve.price,
    }
    for kind, expected in stored.items():
        yield kind, expected, market.series[kind, asset].at(moment.key)
    index = market.series["liquidity_index_ray", asset]
    if reserve.last_update_s:  # 0 until the first action, when there is nothing to accrue yet
        yield "last update", reserve.last_update_s, int(index.timestamp_s[index.step_at(moment.key)])
    situation = reading.venue.at(moment)
    yield "normalized income", reserve.normalized_income_ray, situation.income_ray[asset]
    yield "normalized debt", reserve.normalized_debt_ray, situation.debt_index_ray[asset]
    if reserve.virtual_balance is not None:
        yield "cash", reserve.virtual_balance, reading.venue.recorded_cash(asset, moment.key)


def _parameter_pairs(reading: Reading, moment: Moment, reserve: ReserveTruth) -> Iterator[tuple[str, object, object]]:
    listed = reading.market.parameters.at(moment.key).reserves[_asset(reading, reserve.asset)]
    numbers = {
        "ltv_bps": (0, 16),
        "liquidation_threshold_bps": (16, 32),
        "liquidation_bonus_bps": (32, 48),
        "reserve_factor_bps": (64, 80),
        "borrow_cap": (80, 116),
        "supply_cap": (116, 152),
        "protocol_fee_bps": (152, 168),
    }
    for name, (low, high) in numbers.items():
        yield name, reserve.bits(low, high), getattr(listed, name)
    for name, bit in {"active": 56, "frozen": 57, "borrowing": 58, "paused": 60, "flash_loans": 63}.items():
        yield name, bool(reserve.bits(bit, bit + 1)), getattr(listed, name)
    if reserve.grace_until_s is not None:
        yield "grace_until_s", reserve.grace_until_s, listed.grace_until_s


def _user_pairs(
    reading: Reading, moment: Moment, shot: Snapshot, user: UserTruth
) -> Iterator[tuple[str, object, object]]:
    market, layout = reading.market, reading.venue.layout
    account = market.account_of.get(from_hex(user.account))
    state = {} if account is None else market.ledger.state(account, moment.key)
    for number, reserve in enumerate(shot.reserves):
        asset = _asset(reading, reserve.asset)
        yield f"scaled aToken {number}", user.scaled_a[number], state.get(layout.collateral[asset], 0)
        yield f"scaled debt {number}", user.scaled_v[number], state.get(layout.debt[asset], 0)
        uses = bool(state.get(layout.uses_as_collateral[asset], 0))
        yield f"uses as collateral {number}", user.uses_as_collateral(number), uses
    yield "e-mode", user.emode, state.get(layout.emode, 0)
    yield "account data", asdict(user.data), asdict(reading.venue.at(moment).account_data(state))


def liquidation_differences(reading: Reading, truths: Sequence[LiquidationTruth], treasury: str) -> list[Difference]:
    """All differences over recorded liquidations, each executed again by l2liq's rules in the state it met."""
    rows = reading.market.liquidations.to_pylist()
    found = [Difference(0, "liquidations", "count", len(truths), len(rows))] if len(rows) != len(truths) else []
    for truth, row in zip(truths, rows, strict=False):
        pairs = _recorded_pairs(reading, truth, row)
        if truth.alone:
            pairs += _executed_pairs(reading, truth, row, treasury)
        found += list(_named(truth.block, truth.transaction_hash, iter(pairs)))
    return found


def _recorded_pairs(
    reading: Reading, truth: LiquidationTruth, row: dict[str, object]
) -> list[tuple[str, object, object]]:
    addresses = reading.market.addresses
    return [
        ("transaction", truth.transaction_hash, "0x" + _bytes(row["transaction_hash"]).hex()),
        ("borrower", truth.user, "0x" + addresses[row["account"]].as_py().hex()),
        ("liquidator", truth.liquidator, "0x" + addresses[row["liquidator"]].as_py().hex()),
        ("debt", truth.debt_to_cover, _integer(row["debt_raw"])),
        ("collateral", truth.liquidated_collateral, _integer(row["collateral_raw"])),
        ("receives aToken", truth.receive_a_token, row["receives_token"]),
    ]


def _executed_pairs(
    reading: Reading, truth: LiquidationTruth, row: dict[str, object], treasury: str
) -> list[tuple[str, object, object]]:
    """The rules applied to the state that the liquidation met, given the liquidator's choice.

    Assets are numbered in the order of their listing, in l2liq and in the pool.
    """
    market, layout, venue = reading.market, reading.venue.layout, reading.venue
    before = _whole(row["start_key"]) - 1
    borrower, collateral = _whole(row["account"]), _whole(row["collateral_asset"])
    situation = venue.at(Moment(before, truth.timestamp_s))
    data = situation.account_data(market.ledger.state(borrower, before))
    pairs: list[tuple[str, object, object]] = [("account data before", asdict(truth.before), asdict(data))]
    request = Request(
        borrower, _whole(row["liquidator"]), collateral, _whole(row["debt_asset"]), truth.asked, truth.receive_a_token
    )  # fmt: skip
    done = situation.liquidate(
        lambda account: market.ledger.state(account, before),
        request,
        cash=lambda asset: venue.recorded_cash(asset, before),
    )
    if isinstance(done, Rejection):
        return [*pairs, ("accepted", True, done.reason)]
    pairs += [
        ("debt repaid", truth.debt_to_cover, done.debt_repaid),
        ("collateral to the liquidator", truth.liquidated_collateral, done.collateral_to_liquidator),
        ("fee", truth.fee, done.protocol_fee),
    ]
    leg = layout.collateral[collateral]
    keeper = market.account_of.get(from_hex(treasury), -1)
    held = 0 if keeper < 0 else market.ledger.state(keeper, before).get(leg, 0)
    pairs.append(("fee to the treasury", truth.treasury_scaled, done.step.after.get((keeper, leg), held) - held))
    state = dict(market.ledger.state(borrower, before))
    state |= {leg: value for (account, leg), value in done.step.after.items() if account == borrower}
    after = truth.borrower_after
    for leg, (role, asset) in enumerate(layout.roles):
        if role == Role.COLLATERAL:
            pairs.append((f"aToken {asset} after", after.scaled_a[asset], state.get(leg, 0)))
        elif role == Role.DEBT:
            pairs.append((f"debt {asset} after", after.scaled_v[asset], state.get(leg, 0)))
        elif role == Role.USES_AS_COLLATERAL:
            pairs.append((f"uses {asset} after", after.uses_as_collateral(asset), bool(state.get(leg, 0))))
    return pairs


def _asset(reading: Reading, address: str) -> int:
    raw = from_hex(address)
    return next(number for number, asset in enumerate(reading.market.assets) if asset.address == raw)


def _integer(raw: object) -> int:
    return int.from_bytes(_bytes(raw), "big")


def _bytes(raw: object) -> bytes:
    assert isinstance(raw, bytes)
    return raw


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value

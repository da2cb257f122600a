"""Raw logs of whole blocks as one ordered list of decoded events, ready for the fold's loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from l2liq.events.abi import EventAbi, contract_event, contract_events
from l2liq.events.decode import decode, split
from l2liq.events.log import keys_of
from l2liq.events.raw import ints, signed_ints
from l2liq.events.words import pieces, words_of

_CONFIGURATOR = {
    "AssetBorrowableInEModeChanged": ("asset", "category_id", "borrowable"),
    "AssetCollateralInEModeChanged": ("asset", "category_id", "collateral"),
    "AssetLtvzeroInEModeChanged": ("asset", "category_id", "ltvzero"),
    "BorrowCapChanged": ("asset", "new_borrow_cap"),
    "BorrowableInIsolationChanged": ("asset", "borrowable"),
    "CollateralConfigurationChanged": ("asset", "ltv", "liquidation_threshold", "liquidation_bonus"),
    "DebtCeilingChanged": ("asset", "new_debt_ceiling"),
    "EModeAssetCategoryChanged": ("asset", "new_category_id"),
    "EModeCategoryAdded": ("category_id", "ltv", "liquidation_threshold", "liquidation_bonus", "oracle", "label"),
    "EModeCategoryIsolationChanged": ("category_id", "isolated"),
    "FlashloanPremiumToProtocolUpdated": ("new_flashloan_premium_to_protocol",),
    "FlashloanPremiumTotalUpdated": ("new_flashloan_premium_total",),
    "LiquidationGracePeriodChanged": ("asset", "grace_period_until"),
    "LiquidationGracePeriodDisabled": ("asset",),
    "LiquidationProtocolFeeChanged": ("asset", "new_fee"),
    "PendingLtvChanged": ("asset", "ltv"),
    "ReserveActive": ("asset", "active"),
    "ReserveBorrowing": ("asset", "enabled"),
    "ReserveDropped": ("asset",),
    "ReserveFactorChanged": ("asset", "new_reserve_factor"),
    "ReserveFlashLoaning": ("asset", "enabled"),
    "ReserveFrozen": ("asset", "frozen"),
    "ReserveInitialized": (
        "asset",
        "a_token",
        "stable_debt_token",
        "variable_debt_token",
        "interest_rate_strategy_address",
    ),
    "ReserveInterestRateDataChanged": ("asset", "data"),
    "ReserveInterestRateStrategyChanged": ("asset", "new_strategy"),
    "ReservePaused": ("asset", "paused"),
    "SiloedBorrowingChanged": ("asset", "new_state"),
    "SupplyCapChanged": ("asset", "new_supply_cap"),
}
_PROVIDER = {
    "PoolConfiguratorUpdated": ("old_address", "new_address"),
    "PoolUpdated": ("old_address", "new_address"),
    "PriceOracleSentinelUpdated": ("new_address",),
    "PriceOracleUpdated": ("new_address",),
    "ProxyCreated": ("id", "proxy_address", "implementation_address"),
}
_POOL = {
    "BackUnbacked": ("reserve", "backer", "amount", "fee"),
    "Borrow": ("reserve", "user", "on_behalf_of", "amount", "interest_rate_mode"),
    "DeficitCovered": ("reserve", "caller", "amount_covered"),
    "DeficitCreated": ("user", "debt_asset", "amount_created"),
    "FlashLoan": ("initiator", "asset", "amount", "interest_rate_mode", "premium"),
    "IsolationModeTotalDebtUpdated": ("asset", "total_debt"),
    "LiquidationCall": (
        "collateral_asset",
        "debt_asset",
        "user",
        "debt_to_cover",
        "liquidated_collateral_amount",
        "liquidator",
        "receive_a_token",
        "transaction_hash",
    ),
    "MintUnbacked": ("reserve", "user", "on_behalf_of", "amount"),
    "MintedToTreasury": ("reserve", "amount_minted"),
    "Repay": ("reserve", "user", "repayer", "amount", "use_a_tokens"),
    "ReserveDataUpdated": (
        "reserve",
        "liquidity_rate",
        "variable_borrow_rate",
        "liquidity_index",
        "variable_borrow_index",
    ),
    "ReserveUsedAsCollateralDisabled": ("reserve", "user"),
    "ReserveUsedAsCollateralEnabled": ("reserve", "user"),
    "Supply": ("reserve", "user", "on_behalf_of", "amount"),
    "UserEModeSet": ("user", "category_id"),
    "Withdraw": ("reserve", "user", "to", "amount"),
}

ARGUMENTS: dict[tuple[str, str], tuple[str, ...]] = {
    **{("aave_v3/pool_configurator", name): columns for name, columns in _CONFIGURATOR.items()},
    **{("aave_v3/pool_addresses_provider", name): columns for name, columns in _PROVIDER.items()},
    **{("aave_v3/pool", name): columns for name, columns in _POOL.items()},
    ("aave_v3/scaled_token", "Mint"): ("on_behalf_of", "value", "balance_increase", "index"),
    ("aave_v3/scaled_token", "Burn"): ("from", "value", "balance_increase", "index"),
    ("aave_v3/a_token", "BalanceTransfer"): ("from", "to", "value", "index"),
    ("aave_v3/a_token", "Initialized"): ("underlying_asset", "treasury", "a_token_decimals", "a_token_symbol"),
    ("aave_v3/stable_debt_token", "Mint"): ("on_behalf_of",),
    ("aave_v3/oracle", "AssetSourceUpdated"): ("asset", "source"),
    ("aave_v3/oracle", "BaseCurrencySet"): ("base_currency_unit",),
    ("aave_v3/price_oracle_sentinel", "GracePeriodUpdated"): ("new_grace_period",),
    ("aave_v3/price_oracle_sentinel", "SequencerOracleUpdated"): ("new_sequencer_oracle",),
    ("proxy/proxy", "Upgraded"): ("implementation",),
    ("chainlink/aggregator", "AnswerUpdated"): ("current", "updated_at"),
    ("chainlink/proxy", "AggregatorConfirmed"): ("latest",),
    ("chainlink/sequencer_uptime_feed", "RoundUpdated"): ("updated_at",),
}
"""Contract and event to the arguments that the fold reads. Everything else in the logs is left aside."""

_RENAMED = {("aave_v3/stable_debt_token", "Mint"): "StableMint"}


Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One event that the fold reads: its name there, and its arguments with whether each is an exact integer."""

    name: str
    abi: EventAbi
    columns: tuple[str, ...]


@cache
def wanted_events() -> tuple[Wanted, ...]:
    """Everything the fold reads."""
    return tuple(
        Wanted(_RENAMED.get((contract, name), name), contract_event(contract, name), columns)
        for (contract, name), columns in ARGUMENTS.items()
    )


@dataclass(frozen=True)
class Batch:
    """Events of whole blocks in order of the chain; all sequences have one entry per event.

    Attributes
    ----------
    keys, times, transaction_indices : int64 / int64 / int32
    seconds : ``times`` as Python integers
    transactions : number of the event's transaction within the batch
    names : the event's name
    places : name to the positions in the batch of its events
    values : (position in the batch, emitter, arguments ...)
    malformed : (emitter, block, log index, reason) of logs that do not fit their event
    """

    keys: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]
    transaction_indices: npt.NDArray[np.int32]
    seconds: list[int]
    transactions: list[int]
    names: Sequence[str]
    places: dict[str, list[int]]
    values: Sequence[tuple[Any, ...]]
    malformed: list[tuple[bytes, int, int, str]]


def read_batch(logs: pa.Table) -> Batch:
    """Decode raw logs (schema LOGS) and put them in order. Logs of other events are left aside."""
    tables: list[tuple[Wanted, pa.Table]] = []
    malformed: list[tuple[bytes, int, int, str]] = []
    by_abi = {wanted.abi: wanted for wanted in wanted_events()}
    for abi, raw in split(logs, by_abi).known.items():
        decoded = decode(raw, abi, decimals=False)
        tables.append((by_abi[abi], decoded.events))
        columns = (decoded.malformed.column(c).to_pylist() for c in ("address", "block_number", "log_index", "reason"))
        malformed.extend(zip(*columns, strict=True))
    return _merged(tables, malformed)


def _merged(tables: list[tuple[Wanted, pa.Table]], malformed: list[tuple[bytes, int, int, str]]) -> Batch:
    keys = [_keys(table) for _, table in tables]
    count = sum(map(len, keys))
    joined = np.concatenate([*keys, np.empty(0, np.int64)])
    order = np.argsort(joined, kind="stable")
    places = np.empty(count, np.int64)
    places[order] = np.arange(count)
    times, indices = (
        _joined(tables, name, order, kind) for name, kind in (("timestamp_s", "i8"), ("transaction_index", "i4"))
    )
    sorted_keys = joined[order]
    steps = np.diff(sorted_keys >> 24) != 0
    steps |= np.diff(indices) != 0
    transactions = np.concatenate([np.zeros(min(count, 1), np.int64), np.cumsum(steps)])
    names = np.empty(count, object)
    values: list[tuple[Any, ...]] = []
    by_name: dict[str, list[int]] = {}
    for (wanted, table), own in zip(tables, keys, strict=True):
        here = places[len(values) : len(values) + len(own)]
        names[here] = wanted.name
        by_name[wanted.name] = here.tolist()
        values += zip(by_name[wanted.name], *_columns(table, wanted), strict=True)
    return Batch(
        keys=sorted_keys,
        times=times,
        transaction_indices=indices,
        seconds=times.tolist(),
        transactions=transactions.tolist(),
        names=names.tolist(),
        places=by_name,
        values=_in_order(values, order),
        malformed=malformed,
    )


def _in_order(things: list[Thing], order: npt.NDArray[np.int64]) -> Sequence[Thing]:
    return itemgetter(*order.tolist())(things) if len(things) > 1 else things


def _keys(table: pa.Table) -> npt.NDArray[np.int64]:
    return keys_of(table.column("block_number").to_numpy(), table.column("log_index").to_numpy())


def _joined(
    tables: list[tuple[Wanted, pa.Table]], name: str, order: npt.NDArray[np.int64], kind: str
) -> npt.NDArray[Any]:
    return np.concatenate([*(table.column(name).to_numpy() for _, table in tables), np.empty(0, kind)])[order]


def _columns(table: pa.Table, wanted: Wanted) -> list[list[Any]]:
    return [_values(table, name, wanted.abi) for name in ("address", *wanted.columns)]


def _values(table: pa.Table, name: str, abi: EventAbi) -> list[Any]:
    """A column as Python values: integers exact, addresses and hashes as bytes."""
    if f"{name}_raw" in table.column_names:
        signed = any(a.column == name and a.type.startswith("int") for a in abi.arguments)
        column = table.column(f"{name}_raw")
        return signed_ints(column) if signed else ints(column)
    column = table.column(name)
    if pa.types.is_fixed_size_binary(column.type):
        return _shared_bytes(column.combine_chunks())
    is_text = pa.types.is_string(column.type) or pa.types.is_binary(column.type)
    return column.to_pylist() if is_text else column.to_numpy().tolist()


def _shared_bytes(column: pa.FixedSizeBinaryArray) -> list[bytes]:
    """Bytes of a column without nulls; equal ones are one object, whose hash is computed once."""
    encoded = column.dictionary_encode()
    distinct = np.array(pieces(words_of(encoded.dictionary)), object)
    shared: list[bytes] = distinct[encoded.indices.to_numpy()].tolist()
    return shared


def fold_topics(contract: str) -> frozenset[bytes]:
    """topic0 of the events of one contract that the fold reads."""
    return frozenset(event.topic0 for event in contract_events(contract) if (contract, event.name) in ARGUMENTS)

"""From logs to a snapshot: a streaming fold that can stop after any block and go on later (DOMAIN §1.10)."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.chains.deployment import Deployment
from l2liq.errors import DecodeError, DuplicateLogError, OrderError
from l2liq.events.log import block_of, log_index_of
from l2liq.oracles.feeds import Feeds
from l2liq.protocols.aave_v3.fold_config import ConfigFold
from l2liq.protocols.aave_v3.fold_events import Batch, read_batch
from l2liq.protocols.aave_v3.fold_feeds import FeedFold
from l2liq.protocols.aave_v3.fold_groups import Groups
from l2liq.protocols.aave_v3.fold_pool import PoolFold
from l2liq.protocols.aave_v3.fold_rows import CLOCK, TABLES, BatchRows
from l2liq.protocols.aave_v3.fold_state import Configuration, FoldState
from l2liq.protocols.aave_v3.fold_tokens import TokenFold
from l2liq.protocols.aave_v3.prices import Prices
from l2liq.protocols.aave_v3.supplement import Supplement, read_given
from l2liq.protocols.aave_v3.versions import rule_set

BATCH_ROWS = 1 << 14
"""Logs folded at a time: what bounds the memory of a fold beside its results. They fit the processor's cache."""


@dataclass
class Snapshot:
    """A folded market, and everything that is needed to go on.

    Attributes
    ----------
    deployment : what was folded
    state : where the fold stands
    tables : what it has written, by name (:data:`.fold_rows.TABLES`)
    clock : known block times (:data:`.fold_rows.CLOCK`), in order
    known : facts beyond the logs
    """

    deployment: Deployment
    state: FoldState
    tables: dict[str, pa.Table]
    clock: pa.Table
    known: Supplement = field(repr=False)


def fold_logs(
    deployment: Deployment,
    logs: Iterable[pa.Table],
    blocks: pa.Table,
    observations: pa.Table,
    snapshot: Snapshot | None = None,
) -> Snapshot:
    """Fold logs into a snapshot.

    Parameters
    ----------
    deployment : Deployment
        What to fold.
    logs : iterable of pa.Table
        Schema LOGS, in order of the chain, each log once; only whole blocks in all.
    blocks : pa.Table
        Headers (schema BLOCKS), for the times of blocks without logs.
    observations : pa.Table
        Answers that logs do not hold (schema OBSERVATIONS of the lake), all of them.
    snapshot : Snapshot, optional
        Where to go on; it is used up and must not be read any more.

    Raises
    ------
    LogError
        Logs out of order or repeated, or one of the market's own that does not fit its event.
    InputError
        A fact beyond the logs that is missing; stable-rate debt.
    """
    known = Supplement(read_given(deployment.supplement), observations)
    state = snapshot.state if snapshot is not None else _fresh(deployment)
    pieces: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
    times: list[pa.Table] = [_clock_of(blocks, "number")]
    if snapshot is not None:
        for name, table in snapshot.tables.items():
            pieces[name].append(table)
        times.append(snapshot.clock)
    for whole in _whole_blocks(logs):
        times.append(_clock_of(whole, "block_number"))
        with _no_garbage_collection():
            made = _fold_batch(state, read_batch(whole), deployment, known)
        for name, table in made.items():
            pieces[name].append(table)
    tables = {name: pa.concat_tables([TABLES[name].empty_table(), *pieces[name]]) for name in TABLES}
    return Snapshot(deployment, state, tables, _merged_clock(times), known)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A batch makes many tuples and no cycles; looking through them for cycles would take half of the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _fresh(deployment: Deployment) -> FoldState:
    configuration = Configuration(rule_set(deployment.version))
    named = deployment.addresses
    pool, configurator = named.get("pool", b""), named.get("pool_configurator", b"")
    state = FoldState(configuration, Prices(Feeds()), pool=pool, configurator=configurator)
    state.timeline.append((0, 0, configuration.frozen()))
    return state


def _fold_batch(state: FoldState, batch: Batch, deployment: Deployment, known: Supplement) -> dict[str, pa.Table]:
    _check_order(state, batch)
    rows = BatchRows()
    groups = Groups(state, batch)
    tokens = TokenFold(state, batch, rows, groups.is_liquidation)
    handlers = _handlers(state, batch, rows, tokens, groups, deployment, known)
    for handle, values in zip(map(handlers.__getitem__, batch.names), batch.values, strict=True):
        handle(*values)
    tokens.count()
    _check_malformed(state, batch, deployment)
    return rows.tables(batch)


def _handlers(
    state: FoldState,
    batch: Batch,
    rows: BatchRows,
    tokens: TokenFold,
    groups: Groups,
    deployment: Deployment,
    known: Supplement,
) -> dict[str, Callable[..., None]]:
    pool = PoolFold(state, batch, rows, tokens, groups)
    feeds = FeedFold(state, batch, rows, known)
    config = ConfigFold(state, batch, rows, tokens, feeds, deployment.addresses["addresses_provider"], known)
    ignored = ("PoolUpdated", "PoolConfiguratorUpdated")
    return {
        "Mint": tokens.mint,
        "Burn": tokens.burn,
        "BalanceTransfer": tokens.transfer,
        "ReserveDataUpdated": tokens.reserve_updated,
        "StableMint": pool.stable_mint,
        "Supply": pool.supply,
        "Withdraw": pool.withdraw,
        "Borrow": pool.borrow,
        "Repay": pool.repay,
        "FlashLoan": pool.flash_loan,
        "LiquidationCall": pool.liquidation,
        "ReserveUsedAsCollateralEnabled": pool.collateral_on,
        "ReserveUsedAsCollateralDisabled": pool.collateral_off,
        "UserEModeSet": pool.emode,
        "MintedToTreasury": pool.minted_to_treasury,
        "DeficitCreated": pool.deficit_created,
        "DeficitCovered": pool.deficit_covered,
        "IsolationModeTotalDebtUpdated": pool.isolated_debt,
        "MintUnbacked": pool.mint_unbacked,
        "BackUnbacked": pool.back_unbacked,
        "AnswerUpdated": feeds.answered,
        "RoundUpdated": feeds.renewed,
        "AggregatorConfirmed": feeds.confirmed,
        **dict.fromkeys(ignored, _nothing),
        **config.handlers(),
    }


def _nothing(*_: Any) -> None:
    """The addresses provider names a new implementation; the proxy's own Upgraded says the same."""


def _check_order(state: FoldState, batch: Batch) -> None:
    if not len(batch.keys):
        return
    if int(batch.keys[0]) <= state.last_key:
        block = block_of(int(batch.keys[0]))
        raise OrderError(
            f"block {block:,} comes after block {block_of(state.last_key):,}: logs must be in order, once each"
        )
    if (np.diff(batch.keys) == 0).any():
        key = int(batch.keys[:-1][np.diff(batch.keys) == 0][0])
        raise DuplicateLogError(f"block {block_of(key):,}: log {log_index_of(key)} is there more than once")
    state.last_key = int(batch.keys[-1])


def _check_malformed(state: FoldState, batch: Batch, deployment: Deployment) -> None:
    """A log of the market's own contracts must fit its event; others may share a topic and mean something else."""
    own = {
        deployment.addresses["addresses_provider"],
        state.pool,
        state.configurator,
        state.prices.oracle,
        *state.books,
    }
    for emitter, block, log_index, reason in batch.malformed:
        if emitter in own:
            raise DecodeError(
                f"block {block:,}, log {log_index} of 0x{emitter.hex()}: {reason}. Fetch these logs again."
            )


def _whole_blocks(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same logs in tables of about :data:`BATCH_ROWS` that end with the end of a block."""
    kept: pa.Table | None = None
    for table in tables:
        for start in range(0, table.num_rows, BATCH_ROWS):
            piece = table.slice(start, BATCH_ROWS)
            joined = piece if kept is None else pa.concat_tables([kept, piece])
            blocks = joined.column("block_number").to_numpy()
            cut = int(np.searchsorted(blocks, blocks[-1])) if (np.diff(blocks) >= 0).all() else -1
            if cut < 0:
                raise OrderError(f"block {int(blocks[0]):,} and after: logs are not in order of blocks")
            if cut:
                yield joined.slice(0, cut)
            kept = joined.slice(cut)
    if kept is not None and kept.num_rows:
        yield kept


def _clock_of(table: pa.Table, number: str) -> pa.Table:
    """Distinct blocks of a table and their times."""
    blocks = table.column(number).to_numpy()
    times = table.column("timestamp_s").to_numpy()
    distinct, first = np.unique(blocks, return_index=True)
    return pa.table([distinct, times[first]], schema=CLOCK)


def _merged_clock(pieces: list[pa.Table]) -> pa.Table:
    joined = pa.concat_tables(pieces).combine_chunks()
    clock = _clock_of(joined, "number")
    if pc.any(pc.less(pc.pairwise_diff(clock.column("timestamp_s").combine_chunks()), 0)).as_py():
        times = clock.column("timestamp_s").to_numpy()
        at = int(np.flatnonzero(np.diff(times) < 0)[0])
        block = clock.column("number")[at + 1].as_py()
        raise OrderError(f"block {block:,} is older than the block before it: the times of these logs cannot be right")
    return clock

"""Feed and oracle events: the price the market sees, and whether the sequencer runs (DOMAIN §1.8, §1.9, §6.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from l2liq.errors import InputError
from l2liq.events.log import block_of
from l2liq.market import PRICE, SEQUENCER_ANSWER, SEQUENCER_STARTED, SEQUENCER_UPDATED
from l2liq.protocols.aave_v3.fold_events import Batch
from l2liq.protocols.aave_v3.fold_rows import NO_ADDRESS, BatchRows
from l2liq.protocols.aave_v3.fold_state import FoldState
from l2liq.protocols.aave_v3.parameters import Sentinel
from l2liq.protocols.aave_v3.supplement import Supplement


class FeedFold:
    """Events of oracles, feeds and sentinels of one batch."""

    def __init__(self, state: FoldState, batch: Batch, rows: BatchRows, known: Supplement) -> None:
        self._state = state
        self._config = state.configuration
        self._batch = batch
        self._rows = rows
        self._known = known

    def oracle_changed(self, at: int, emitter: bytes, oracle: bytes) -> None:
        """``PriceOracleUpdated`` of the addresses provider."""
        self._state.prices.use_oracle(oracle, self._price(at))
        self._config.base_currency_unit = self._state.prices.units.get(oracle, self._config.base_currency_unit)

    def source(self, at: int, oracle: bytes, asset: bytes, source: bytes) -> None:
        """``AssetSourceUpdated``."""
        block = block_of(int(self._batch.keys[at]))
        self._state.prices.set_source(oracle, asset, source, block, self._known, self._price(at))

    def base_currency(self, at: int, oracle: bytes, unit: int) -> None:
        """``BaseCurrencySet``."""
        self._state.prices.units[oracle] = unit

    def _price(self, at: int) -> Callable[[bytes, int], None]:
        return lambda asset, price: self._rows.steps.extend((at, PRICE, asset, price))

    def answered(self, at: int, feed: bytes, answer: int, started_s: int) -> None:
        """``AnswerUpdated``."""
        self._state.feeds.hear(feed, answer, started_s, self._batch.seconds[at])
        self._state.prices.heard(feed, self._price(at))
        self._report_sequencer(at, feed)

    def renewed(self, at: int, feed: bytes, updated_s: int) -> None:
        """``RoundUpdated`` of an uptime feed."""
        self._state.feeds.renew(feed, updated_s)
        self._report_sequencer(at, feed)

    def confirmed(self, at: int, source: bytes, aggregator: bytes) -> None:
        """``AggregatorConfirmed``."""
        block = block_of(int(self._batch.keys[at]))
        self._state.prices.confirm(source, aggregator, block, self._known, self._price(at))

    def sentinel_changed(self, at: int, emitter: bytes, sentinel: bytes) -> None:
        """``PriceOracleSentinelUpdated`` of the addresses provider."""
        if sentinel == NO_ADDRESS:
            self._config.sentinel = None
            return
        block = block_of(int(self._batch.keys[at]))
        grace = self._state.graces.get(sentinel)
        if grace is None:
            grace = self._known.grace_period_s(sentinel, block)
        feed = self._state.sequencer_feeds.get(sentinel) or self._known.sequencer_oracle(sentinel, block)
        if grace is None or feed is None:
            raise InputError(
                f"block {block:,}: the sentinel 0x{sentinel.hex()} does not log its grace period and sequencer feed. "
                "Ingest over RPC, or give grace_period_s and sequencer_oracle in the market's YAML under "
                "supplement.sentinels."
            )
        self._state.graces[sentinel] = grace
        self._state.sequencer_feeds[sentinel] = feed
        aggregator = self._known.aggregator(feed, block)
        if aggregator is not None:
            self._state.feeds.aggregators.setdefault(feed, aggregator)
        self._config.sentinel = Sentinel(sentinel, grace)
        self._report_sequencer(at, self._state.feeds.answering(feed))

    def grace_period(self, at: int, sentinel: bytes, grace_s: int) -> None:
        """``GracePeriodUpdated``."""
        self._state.graces[sentinel] = grace_s
        present = self._config.sentinel
        if present is not None and present.address == sentinel:
            self._config.sentinel = replace(present, grace_s=grace_s)

    def sequencer_oracle(self, at: int, sentinel: bytes, feed: bytes) -> None:
        """``SequencerOracleUpdated``."""
        self._state.sequencer_feeds[sentinel] = feed
        self._report_sequencer(at, self._state.feeds.answering(feed))

    def _report_sequencer(self, at: int, contract: bytes) -> None:
        """Steps of the sequencer's status, where the contract answers for the sentinel in force."""
        sentinel = self._config.sentinel
        feed = self._state.sequencer_feeds.get(sentinel.address) if sentinel is not None else None
        if feed is None or self._state.feeds.answering(feed) != contract:
            return
        status = self._state.feeds.status(feed)
        if status is not None:
            kinds = (SEQUENCER_ANSWER, SEQUENCER_STARTED, SEQUENCER_UPDATED)
            values = (status.answer, status.started_s, status.updated_s)
            for kind, value in zip(kinds, values, strict=True):
                self._rows.steps.extend((at, kind, NO_ADDRESS, value))

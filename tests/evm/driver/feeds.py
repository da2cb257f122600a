"""Publishers: price feeds by deviation and heartbeat, and the sequencer's uptime feed around the outage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.evm import abi
from tests.evm.driver.prices import Paths
from tests.evm.driver.stage import Stage
from tests.evm.market import price_answer

PUBLISHER = "0x" + "fe" * 20


@dataclass(slots=True)
class _Feed:
    symbol: str
    aggregator: str
    published_s: int


class Feeds:
    """Looks at the paths every minute and publishes what is due."""

    def __init__(self, stage: Stage, paths: Paths, after_change: Callable[[], None]) -> None:
        self._stage, self._paths, self._after_change = stage, paths, after_change
        self._feeds = [_Feed(r.symbol, r.aggregator, stage.start_s) for r in stage.market.reserves]
        self._minute = 0

    def begin(self) -> None:
        """Start the minutes, and the uptime feed's reports about the outage."""
        stage = self._stage
        stage.at(stage.start_s, self._tick)
        begin, end = stage.outage_s
        if begin < end:
            stage.at(end, lambda: self._report(1, begin + 30))
            stage.at(end, lambda: self._report(0, end - 5))
            stage.at(end + 45 * 60, lambda: self._report(0, end + 45 * 60))

    def use_aggregator(self, symbol: str, aggregator: str) -> None:
        """Publish to another aggregator from now on."""
        feed = next(feed for feed in self._feeds if feed.symbol == symbol)
        feed.aggregator = aggregator

    def _tick(self) -> None:
        stage = self._stage
        published = False
        for feed in self._feeds:
            answer = price_answer(self._paths.at_minute(feed.symbol, (stage.now_s - stage.start_s) // 60))
            moved = abs(answer / stage.answers[feed.symbol] - 1) >= stage.plan.deviation
            if moved or stage.now_s - feed.published_s >= stage.plan.heartbeat_s:
                stage.submit(PUBLISHER, feed.aggregator, abi.call_data("publish(int256)", answer))
                stage.answers[feed.symbol] = answer
                feed.published_s = stage.now_s
                published = True
        if published:
            stage.at(stage.now_s + 1, self._after_change)
        self._next()

    def _next(self) -> None:
        """Queue the next minute, or the first second after the outage."""
        stage = self._stage
        begin, end = stage.outage_s
        self._minute += 1
        moment = stage.start_s + 60 * self._minute + stage.rng.randrange(12)
        if begin <= moment < end:
            self._minute = (end - stage.start_s) // 60 + 1
            moment = end + 2
        stage.at(moment, self._tick)

    def _report(self, status: int, timestamp_s: int) -> None:
        data = abi.call_data("report(int256,uint64)", status, timestamp_s)
        self._stage.submit(PUBLISHER, self._stage.market.uptime_feed, data)

"""Followers and sinks as services: they go on after failures, end on a signal, and tell how they are."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog

from l2liq.chains.markets import Listing
from l2liq.errors import LogError, SourceError
from l2liq.lake import Lake
from pipelines.sources.jsonrpc import JsonRpc, Manners
from pipelines.sources.node import Node
from pipelines.stream.broker import Outlet
from pipelines.stream.follower import Follower, Step
from pipelines.stream.metrics import Metrics
from pipelines.stream.sink import Sink, SinkState, SinkWish
from pipelines.stream.topic import ensure_topic, topic_of

_log = structlog.get_logger()

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0


class Stop:
    """Whether somebody wants the service to end."""

    def __init__(self) -> None:
        self._wanted = threading.Event()

    @property
    def wanted(self) -> bool:
        return self._wanted.is_set()

    def want(self) -> None:
        """End after the present step, or the cell that is being sealed."""
        self._wanted.set()

    def wait(self, seconds: float) -> None:
        """Sleep, unless the end comes first."""
        self._wanted.wait(seconds)


@contextmanager
def ending_on_signals() -> Iterator[Stop]:
    """The first SIGINT or SIGTERM asks for the end; the second SIGINT interrupts."""
    stop = Stop()

    def asked(number: int, frame: FrameType | None) -> None:
        if stop.wanted and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.want()

    former = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class FollowWish:
    """How to follow.

    Attributes
    ----------
    lake : what is sealed there need not be asked of the node again; None = there is none
    from_block : where to begin if the topic knows nothing of a market
    poll_s : pause between two looks at the head [s]
    once : end at the head instead of waiting for more
    checks : blocks per look that are compared with the node's list of all their logs
    """

    lake: Path | None = None
    from_block: int | None = None
    poll_s: float = 1.0
    once: bool = False
    checks: int = 16


def follow(
    url: str, manners: Manners, listings: Sequence[Listing], bootstrap: str, wish: FollowWish, metrics: Metrics,
    stop: Stop, watch: Callable[[str, Step], None] = lambda name, step: None,
) -> None:  # fmt: skip
    """Follow markets of one chain, each in turn, until the end is wanted.

    With ``once`` failures are raised; otherwise a market that fails is begun anew after a growing pause.
    """
    chain = listings[0].chain
    ensure_topic(bootstrap, topic_of(chain))
    lake = Lake.open(wish.lake) if wish.lake is not None else None

    def session(listing: Listing) -> Iterator[bool]:
        with Outlet(bootstrap) as outlet:
            follower = Follower(
                Node(JsonRpc(url, manners), chain), listing, outlet, bootstrap, lake=lake,
                from_block=wish.from_block, checks=wish.checks,
            )  # fmt: skip
            while True:
                step = follower.step()
                _count(metrics, listing, step)
                watch(listing.deployment.name, step)
                yield bool(step.blocks or step.retracted)

    _serve([_Service(listing.deployment.name, _sessions(session, listing)) for listing in listings],
           stop, pause_s=wish.poll_s, once=wish.once)  # fmt: skip


def sink(
    lake: Path, listings: Sequence[Listing], bootstrap: str, node_of: Callable[[Listing], Node | None], wish: SinkWish,
    metrics: Metrics, stop: Stop, *, once: bool = False, watch: Callable[[SinkState], None] = lambda state: None,
) -> list[SinkState]:  # fmt: skip
    """Seal markets from their streams, each in turn, until the end is wanted; with ``once`` what is there now."""
    states: dict[str, SinkState] = {}
    ensure_topic(bootstrap, topic_of(listings[0].chain))

    def session(listing: Listing) -> Iterator[bool]:
        with Sink(
            lake, listing, bootstrap, node=node_of(listing), wish=wish, metrics=metrics, ending=lambda: stop.wanted
        ) as one:
            states[listing.deployment.name] = one.state
            try:
                while True:
                    count = one.step(0.05 if len(listings) > 1 else 0.5)
                    watch(one.state)
                    yield count > 0 or not one.caught_up
            except GeneratorExit:
                one.finish()
                raise

    _serve([_Service(listing.deployment.name, _sessions(session, listing)) for listing in listings],
           stop, pause_s=0.0, once=once)  # fmt: skip
    return list(states.values())


def _sessions(session: Callable[[Listing], Iterator[bool]], listing: Listing) -> Callable[[], Iterator[bool]]:
    return lambda: session(listing)


class _Service:
    """One market's session, begun anew after a failure."""

    def __init__(self, name: str, begin: Callable[[], Iterator[bool]]) -> None:
        self._name, self._begin = name, begin
        self._session: Iterator[bool] | None = None
        self._pause_s, self._not_before = FIRST_PAUSE_S, 0.0

    def step(self, *, raising: bool) -> bool:
        """One step; whether anything was done."""
        if time.monotonic() < self._not_before:
            return False
        try:
            self._session = self._session or self._begin()
            done = next(self._session)
        except (SourceError, LogError) as error:
            self._session = None
            if raising:
                raise
            _log.error("stream.failed", market=self._name, why=str(error), again_in_s=self._pause_s)
            self._not_before = time.monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            return False
        self._pause_s = FIRST_PAUSE_S
        return done

    def end(self) -> None:
        """End the session in good order."""
        if self._session is not None:
            self._session.close()  # type: ignore[attr-defined]


def _serve(services: Sequence[_Service], stop: Stop, *, pause_s: float, once: bool) -> None:
    try:
        while not stop.wanted:
            done = [one.step(raising=once) for one in services]
            if any(done):
                continue
            if once:
                return
            stop.wait(pause_s if pause_s else 0.01)
    finally:
        for one in services:
            one.end()


def _count(metrics: Metrics, listing: Listing, step: Step) -> None:
    slug = listing.deployment.slug
    metrics.head_block.labels(slug).set(step.head)
    metrics.final_block.labels(slug).set(step.final)
    metrics.followed_block.labels(slug).set(step.followed)
    metrics.messages.labels(slug).inc(step.messages)
    metrics.followed_logs.labels(slug).inc(step.logs)
    metrics.retracted_blocks.labels(slug).inc(step.retracted)

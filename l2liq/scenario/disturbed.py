"""A scenario's sequencer, settlement and messages on a market: what it sees of them, and what they are in words."""

from __future__ import annotations

from collections.abc import Iterator

from l2liq.chains.outages import Outage, apart
from l2liq.chains.standstill import market_through
from l2liq.errors import InputError
from l2liq.market import Market
from l2liq.scenario import quantities as q
from l2liq.scenario.document import Place
from l2liq.scenario.load import Loaded
from l2liq.scenario.quantities import written_time
from l2liq.scenario.window import BlockWindow


def outages_of(loaded: Loaded) -> tuple[Outage, ...]:
    """Outages of the scenario, in order. Raises ScenarioError where two overlap."""
    spec = loaded.scenario.sequencer
    try:
        return apart([one.built() for one in spec.outages]) if spec is not None else ()
    except InputError as error:
        raise loaded.error(("sequencer", "outages"), str(error)) from None


def disturbed(loaded: Loaded, market: Market, window: BlockWindow) -> tuple[Market, tuple[str, ...]]:
    """The market as it sees its prices through outages of the sequencer, and everything that fails in words.

    ``market``: as the scenario's oracles show it. Raises ScenarioError for what lies outside the window or overlaps.
    """
    for place, timestamp_s in _times(loaded):
        if not window.first.timestamp_s <= timestamp_s <= window.last.timestamp_s:
            first, last = written_time(window.first.timestamp_s), written_time(window.last.timestamp_s)
            raise loaded.error(
                place, f"{written_time(timestamp_s)} is outside the window ({first} to {last}). Move one of them."
            )
    outages = outages_of(loaded)
    spec = loaded.scenario.sequencer
    seen = market if spec is None or not outages else market_through(market, outages, spec.oracle_after)
    return seen, tuple(_words(loaded, outages))


def _times(loaded: Loaded) -> Iterator[tuple[Place, int]]:
    """Every beginning that the scenario names, and where."""
    sequencer, settlement = loaded.scenario.sequencer, loaded.scenario.settlement
    for name in ("outages", "censored"):
        for number, one in enumerate(getattr(sequencer, name, ())):
            yield ("sequencer", name, number, "from"), one.start
    fees = loaded.scenario.fees
    if fees is not None and fees.spike is not None:
        yield ("fees", "spike", "from"), fees.spike.start
    for name in ("batch_poster_stopped", "prover_stopped", "reverted"):
        for number, one in enumerate(getattr(settlement, name, ())):
            yield ("settlement", name, number, "from"), one.start
    for number, one in enumerate(getattr(settlement, "reverted", ())):
        yield ("settlement", "reverted", number, "to"), one.stop
    for number, one in enumerate(getattr(settlement, "challenged", ())):
        yield ("settlement", "challenged", number, "at"), one.at


def _words(loaded: Loaded, outages: tuple[Outage, ...]) -> Iterator[str]:
    scenario = loaded.scenario
    if scenario.sequencer is not None:
        spec = scenario.sequencer
        for outage in outages:
            users = "are lost" if spec.users == "lost" else "wait"
            after = f", and come {_duration(spec.users_after)} after the restart" if spec.users_after else ""
            late = f"; prices come {_duration(spec.oracle_after)} after it" if spec.oracle_after else ""
            yield (
                f"sequencer: running → down {written_time(outage.from_s)} to {written_time(outage.to_s)}; transactions "
                f"of users {users}{after}{late}"
            )
        for censored in spec.censored:
            number = len(censored.accounts)
            yield (
                f"sequencer: lets everyone in → censors {number} account{'s' if number > 1 else ''} "
                f"{written_time(censored.start)} to {written_time(censored.stop)}"
            )
    if scenario.settlement is not None:
        settlement = scenario.settlement
        for span in settlement.batch_poster_stopped:
            yield f"batch poster: running → stopped {written_time(span.start)} to {written_time(span.stop)}"
        for span in settlement.prover_stopped:
            yield f"prover: running → stopped {written_time(span.start)} to {written_time(span.stop)}"
        for challenge in settlement.challenged:
            yield f"state root: accepted → challenged at {written_time(challenge.at)} for {_duration(challenge.lasts)}"
        for span in settlement.reverted:
            users = "lost" if span.users == "lost" else "executed again"
            yield (
                f"blocks since {written_time(span.start)}: kept → reverted at {written_time(span.stop)}; transactions "
                f"of users are {users}"
            )
    if scenario.messages is not None:
        messages = scenario.messages
        before, after = _duration(messages.recorded_median_s), _duration(messages.median_s)
        yield (
            f"margin from other layers: after {before} → after {after} ({messages.share / 100:g} % of what came below "
            f"health {messages.below_health:g})"
        )


def _duration(seconds: int) -> str:
    return q.written_seconds(seconds)

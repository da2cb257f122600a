"""From a scenario's sequencer, settlement and messages to what the replay engine is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from l2liq.chains.failures import Challenge, Failures, Stop
from l2liq.chains.rollup import Rollup
from l2liq.errors import ScenarioError
from l2liq.liquidators import Constant, Delays, Empirical, LogNormal
from l2liq.replay import Censorship, Disruption, Messages, Reversal, Standstill, Users
from l2liq.scenario.compose import Composition
from l2liq.scenario.messages import MessagesSpec
from l2liq.scenario.quantities import written_seconds
from l2liq.scenario.sequencer import SequencerSpec
from l2liq.scenario.settlement import SettlementSpec

WAD = 10**18


def disruption_of(composition: Composition, rollup: Rollup) -> Disruption | None:
    """What the alternative's rollup does that the recorded one did not; None where the scenario says nothing of it.

    Raises ScenarioError for an address that is none, and where the registry does not know what it is asked for.
    """
    scenario = composition.scenario
    if scenario.sequencer is None and scenario.settlement is None and scenario.messages is None:
        return None
    sequencer, settlement = scenario.sequencer, scenario.settlement
    return Disruption(
        standstill=_standstill(composition, sequencer),
        censorships=tuple(
            Censorship(frozenset(_address(scenario.name, account) for account in one.accounts), one.start, one.stop)
            for one in (sequencer.censored if sequencer else ())
        ),
        forced_after_s=_forced(scenario.name, sequencer, rollup),
        messages=None if scenario.messages is None else _messages(scenario.messages),
        reversals=tuple(
            Reversal(one.start, one.stop, Users(one.users)) for one in (settlement.reverted if settlement else ())
        ),
        failures=_failures(scenario.name, settlement, rollup),
    )


def _standstill(composition: Composition, spec: SequencerSpec | None) -> Standstill:
    return Standstill() if spec is None else Standstill(composition.outages, Users(spec.users), spec.users_after)


def _address(name: str, text: str) -> bytes:
    try:
        found = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != 20:
        raise ScenarioError(f"{name}: sequencer: censored: {text[:60]!r} is no address. Write 0x and 40 hex digits.")
    return found


def _forced(name: str, spec: SequencerSpec | None, rollup: Rollup) -> int | None:
    if spec is None or spec.forced_inclusion is None:
        return None
    if isinstance(spec.forced_inclusion, int):
        return spec.forced_inclusion
    if rollup.forced_inclusion_s is None:
        raise ScenarioError(
            f"{name}: sequencer: the chain of this market knows no forced inclusion. Write forced_inclusion as a "
            "duration such as 12h, or leave it out."
        )
    return rollup.forced_inclusion_s


def at_other_delays(composition: Composition, disruption: Disruption | None) -> Iterator[tuple[str, Disruption]]:
    """The same disruption with the other delays of messages that the scenario compares, each in words."""
    spec = composition.scenario.messages
    if spec is None or disruption is None or disruption.messages is None:
        return
    for median_s in spec.other_delays:
        messages = replace(disruption.messages, delay_s=_delays(median_s, spec.spread))
        yield written_seconds(median_s), replace(disruption, messages=messages)


def _messages(spec: MessagesSpec) -> Messages:
    return Messages(
        spec.share / 10_000,
        round(spec.below_health * WAD),
        _observed(spec.recorded_delays) or _delays(spec.recorded_delay, spec.recorded_spread),
        _observed(spec.delays) or _delays(spec.median_s, spec.spread),
    )


def _observed(seconds: Sequence[int]) -> Delays | None:
    """The distribution of observed delays; None without any."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    found = {float(one): (place + 1) / len(ordered) for place, one in enumerate(ordered)}
    return Empirical(tuple(found), tuple(found.values()))


def _delays(median_s: int, spread: float) -> Delays:
    return LogNormal(median_s, spread) if spread and median_s else Constant(median_s)


def _failures(name: str, spec: SettlementSpec | None, rollup: Rollup) -> Failures:
    if spec is None:
        return Failures()
    if not rollup.clocks.spans and (spec.batch_poster_stopped or spec.prover_stopped or spec.challenged):
        raise ScenarioError(
            f"{name}: settlement: the clocks of this market's chain are not known, so nothing is published or settled "
            "that could fail. Give them under `rollup: clocks:` of the market file."
        )
    return Failures(
        tuple(Stop(span.start, span.stop) for span in spec.batch_poster_stopped),
        tuple(Stop(span.start, span.stop) for span in spec.prover_stopped),
        tuple(Challenge(one.at, one.lasts) for one in spec.challenged),
    )

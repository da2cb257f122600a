"""A scenario composed with a market: whose parameters change when, and to what (DESIGN §11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from l2liq.chains.outages import Outage
from l2liq.market import Market, ParameterTimeline
from l2liq.protocols.interface import Moment
from l2liq.protocols.levers import Levers
from l2liq.scenario.disturbed import disturbed, outages_of
from l2liq.scenario.fees import spike_words
from l2liq.scenario.load import Loaded
from l2liq.scenario.model import ScenarioBase
from l2liq.scenario.quantities import When, written_shift, written_value
from l2liq.scenario.seeing import seen_through
from l2liq.scenario.selling import NOTHING_SAID, SoldBys, outlets_of, said_of
from l2liq.scenario.targets import Change, changes_of, with_canonical_names
from l2liq.scenario.window import BlockWindow, first_known_block, opening, window_of


@dataclass(frozen=True)
class Composition:
    """What a scenario means on one market.

    Attributes
    ----------
    scenario : as loaded
    effective : the whole scenario as plain data, every default and each target's canonical name in it
    window : blocks
    steps : moments from which the change holds, one without a ramp; the window's start, or a block's first log
    timeline : the alternative's parameters
    seen : the market as the alternative sees it, through its oracles and outages; the market itself where it sees what
        was recorded
    outages : of the alternative's sequencer, in order
    words : the change in words, one line per lever that moves
    idle : what the scenario asks for and is so already, in words
    not_deployable : what the protocol would refuse, where the scenario allows that
    outlets : what assets are sold by in control and in the alternative, by number; the others at the world's price
    """

    scenario: ScenarioBase
    effective: Mapping[str, Any]
    window: BlockWindow
    steps: tuple[Moment, ...]
    timeline: ParameterTimeline[Any] = field(repr=False)
    seen: Market = field(repr=False)
    words: tuple[str, ...]
    idle: tuple[str, ...]
    not_deployable: tuple[str, ...]
    outages: tuple[Outage, ...] = ()
    outlets: tuple[SoldBys, SoldBys] = (NOTHING_SAID, NOTHING_SAID)

    @property
    def changes_nothing(self) -> bool:
        return not self.words


def compose(loaded: Loaded, market: Market, levers: Levers) -> Composition:
    """Find targets, place window and change in time, and apply the change to every parameter set.

    Raises
    ------
    ScenarioError
        Unknown or ambiguous target, window or date outside the market, a result the protocol cannot hold, or one it
        would refuse unless ``allow_not_deployable``.
    """
    window = window_of(loaded, market)
    changes = changes_of(loaded, market, levers)
    _refuse_without_reexecution(loaded, changes)
    steps = _steps(loaded, market, window)
    changed = _Changed(loaded, market, levers, changes, steps)
    timeline = changed.timeline()
    objections = changed.objections(timeline, window)
    effective = with_canonical_names(loaded.scenario.effective(), changes)
    shown, said = seen_through(loaded, market, steps[0])
    seen, failing = disturbed(loaded, shown, window)
    outlets = outlets_of(loaded, market)
    return Composition(
        loaded.scenario,
        {**effective, "market": market.name},
        window,
        steps,
        timeline,
        seen,
        (
            *changed.words(window),
            *said,
            *failing,
            *said_of(loaded, *outlets, market),
            *spike_words(loaded.scenario.fees),
        ),
        tuple(changed.idle(window)),
        tuple(objections),
        outages_of(loaded),
        outlets,
    )


def _refuse_without_reexecution(loaded: Loaded, changes: Sequence[Change]) -> None:
    for change in changes:
        if change.lever.moves_interest and loaded.scenario.interest == "recorded":
            raise loaded.error(
                change.place,
                f"{change.lever.title} acts through rates or totals of the market, which recorded interest holds as "
                "they were. Write `interest: reexecuted`.",
            )


def _steps(loaded: Loaded, market: Market, window: BlockWindow) -> tuple[Moment, ...]:
    """Moments at which the change arrives, each the first log of a block; one from before the window comes with it."""
    scenario = loaded.scenario
    wanted = scenario.effective_from
    if _holds_at_start(wanted, window):
        first, since_s = window.first, window.first.timestamp_s
    else:
        block = first_known_block(market, wanted)
        if block is None or block >= window.stop:
            raise loaded.error(
                ("effective_from",),
                "the change would come after the window's end. No known block of the window is as late as that. "
                "Move the change, or the window.",
            )
        first = opening(market, block)
        since_s = first.timestamp_s if wanted.timestamp_s is None else wanted.timestamp_s
    steps = [first]
    for number in range(1, scenario.ramp.steps if scenario.ramp else 1):
        assert scenario.ramp is not None
        block = first_known_block(market, When(timestamp_s=since_s + number * scenario.ramp.every))
        if block is None or block >= window.stop:
            break
        steps.append(opening(market, block))
    return tuple(steps)


def _holds_at_start(wanted: When, window: BlockWindow) -> bool:
    """Whether a change is there when the window starts."""
    if wanted.timestamp_s is not None:
        return wanted.timestamp_s <= window.first.timestamp_s
    return wanted.block is None or wanted.block <= window.start


@dataclass(frozen=True)
class _Changed:
    """The changes applied to one market's parameters."""

    loaded: Loaded
    market: Market
    levers: Levers
    changes: Sequence[Change]
    steps: tuple[Moment, ...]

    @property
    def step_count(self) -> int:
        """Steps of the whole ramp, those after the window included."""
        ramp = self.loaded.scenario.ramp
        return ramp.steps if ramp else 1

    def timeline(self) -> ParameterTimeline[Any]:
        """The parameter timeline with every set from the first step on changed."""
        before = self.market.parameters
        if not self.changes:
            return before
        for step in self.steps:
            if step.key < before.keys[0]:
                continue
            before = before.changed(step.key, step.timestamp_s, lambda parameters: parameters)
        sets = [self._set(key, parameters) for key, parameters in zip(before.keys, before.sets, strict=True)]
        return ParameterTimeline(before.keys, before.timestamps_s, tuple(sets))

    def _set(self, key: int, parameters: Any) -> Any:
        done = sum(step.key <= key for step in self.steps)
        if not done:
            return parameters
        values = {}
        for change in self.changes:
            stored = self.levers.value(parameters, change.lever, change.target.key)
            if stored is not None:
                values[change.lever, change.target.key] = self._value(change, stored, done)
        return self.levers.replaced(parameters, values)

    def _value(self, change: Change, stored: int, done: int) -> int:
        lever = change.lever
        if stored == 0 and lever.zero_is_off and change.adjustment.shift is not None:
            return 0
        found = change.adjustment.applied(stored, done, self.step_count)
        if not lever.lower <= found <= lever.upper:
            was, becomes, low, high = (
                written_value(value, lever.scale) for value in (stored, found, lever.lower, lever.upper)
            )
            raise self.loaded.error(change.place, f"{was} would become {becomes}. It can be {low} to {high}.")
        return found

    def words(self, window: BlockWindow) -> Iterator[str]:
        """The change in words. Raises ScenarioError for a target that the window's parameters do not have."""
        for change in self.changes:
            scale, adjustment = change.lever.scale, change.adjustment
            stored = self._first_value(change, window)
            if stored is None:
                raise self.loaded.error(
                    change.place,
                    f"{change.target.title} has no {change.lever.title} between the change and the window's end "
                    "(it is not listed, or no collateral). Move the window, or leave it out.",
                )
            if self._is_idle(change, window):
                continue
            reached, whole = (self._value(change, stored, done) for done in (len(self.steps), self.step_count))
            by = written_shift(adjustment.shift, scale) if adjustment.shift is not None else ""
            if len(self.steps) < self.step_count:
                to = f"{by}, " if by else ""
                by = (
                    f"{to}only {len(self.steps)} of {self.step_count} steps fall into the window; "
                    f"the last one would reach {written_value(whole, scale)}"
                )
            after = written_value(reached, scale)
            yield f"{change.title}: {written_value(stored, scale)} → {after}{f' ({by})' if by else ''}"

    def idle(self, window: BlockWindow) -> Iterator[str]:
        """Changes that ask for what is so already, in words."""
        for change in self.changes:
            stored = self._first_value(change, window)
            if stored is not None and self._is_idle(change, window):
                yield f"{change.title} is {written_value(stored, change.lever.scale)} already"

    def _is_idle(self, change: Change, window: BlockWindow) -> bool:
        """Whether a change leaves every value that it meets in the window as it is."""
        stored = set(self._values(change, window))
        return all(self._value(change, one, self.step_count) == one for one in stored)

    def _first_value(self, change: Change, window: BlockWindow) -> int | None:
        """Stored value that the change meets first."""
        return next(self._values(change, window), None)

    def _values(self, change: Change, window: BlockWindow) -> Iterator[int]:
        """Stored values that the change meets in the window."""
        before, start = self.market.parameters, self.steps[0].key
        for number in range(max(before.regime_at(start), 0), len(before.keys)):
            stored = self.levers.value(before.sets[number], change.lever, change.target.key)
            if before.keys[number] <= window.last.key and stored is not None:
                yield stored

    def objections(self, timeline: ParameterTimeline[Any], window: BlockWindow) -> list[str]:
        """What the protocol would refuse of the changed sets in the window and did not refuse before."""
        found: dict[str, None] = {}
        for key, parameters in zip(timeline.keys, timeline.sets, strict=True):
            if self.steps[0].key <= key <= window.last.key and self.changes:
                before = set(self.levers.objections(self.market, self.market.parameters.at(key)))
                found.update(
                    dict.fromkeys(o for o in self.levers.objections(self.market, parameters) if o not in before)
                )
        if found and not self.loaded.scenario.allow_not_deployable:
            first = next(iter(found))
            raise self.loaded.error(
                self._blamed(first),
                f"not deployable: {first}. Choose other values, or allow them with `allow_not_deployable: true`.",
            )
        return list(found)

    def _blamed(self, objection: str) -> tuple[str, ...]:
        """Place of the first change of what an objection names."""
        named = objection.split(":")[0]
        targets = [(change.place, change.target, change.lever) for change in self.changes]
        near = [p for p, t, lever in targets if named in (t.label, t.name, f"{t.kind} {t.name}", lever.title)]
        return near[0] if near else self.changes[0].place

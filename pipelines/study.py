"""One scenario studied on one market: replay, metrics, effects, and what a report draws. No lake, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from l2liq.errors import InputError
from l2liq.liquidity import DEEP
from l2liq.market import Market
from l2liq.metrics.bootstrap import resample_days
from l2liq.metrics.compare import Effect, effects, metrics_table
from l2liq.metrics.events import events_of
from l2liq.metrics.measure import Measures, measure
from l2liq.metrics.validity import misplaced, mistaken, validity
from l2liq.numeric import BPS
from l2liq.outcome import ACCOUNTS, OUTCOMES, World
from l2liq.replay import (
    ALL_WORLDS,
    AtStart,
    Ground,
    Infeasible,
    Interest,
    Plan,
    Progress,
    Result,
    Rules,
    Script,
    reexecute,
    replay,
    script_of,
)
from l2liq.scenario.compose import Composition
from pipelines.disruption import at_other_delays
from pipelines.distance import Distance, distance
from pipelines.feedback import Rounds, settled
from pipelines.gaps import price_gaps
from pipelines.pictures import BASE_UNIT, health_before_worst_hour, price_paths
from pipelines.plan import NOTHING_KNOWN, plan_of, rules_of
from pipelines.surroundings import Surroundings

ABOUT_DISTANCE = "Its distance from re-execution "
"""How a note begins that says why there is no distance."""

_HISTORY = (World.ACTUAL, World.CONTROL)


@dataclass(frozen=True)
class Study:
    """What a scenario did to a market.

    Attributes
    ----------
    plan, result : as replayed; ``result`` joins the worlds
    tables : ``outcomes``, ``accounts``, ``metrics``, for pictures ``paths`` and ``health``, and for other
        oracles ``gaps``; all with their run_id
    effects : every metric compared
    policies : metric to policy to the alternative's value; empty where not asked for
    variants : model to its other setting to metric to the alternative's value under it
    validity : of the alternative
    distance : how far recorded interest is from re-executed interest, or why that was not measured
    rounds : of oracles that follow sales; None where they do not
    """

    plan: Plan
    result: Result
    tables: Mapping[str, pa.Table] = field(repr=False)
    effects: tuple[Effect, ...]
    policies: Mapping[str, Mapping[str, float]]
    variants: Mapping[str, Mapping[str, Mapping[str, float]]]
    validity: Mapping[str, float | None]
    distance: Distance | str
    rounds: Rounds | None = None


@dataclass(frozen=True)
class _View:
    """A market as the worlds of a scenario see it: with the recorded oracles, or with others."""

    market: Market
    rules: Rules
    ground: Ground


@dataclass(frozen=True)
class _Other:
    """The alternative with another setting of a model: a plan, and the market as it sees it."""

    model: str
    setting: str
    plan: Plan
    view: _View


class Studies:
    """Studies of one market. Scenarios that differ in parameters only share screen table and control world."""

    def __init__(self, market: Market, rules: Rules, around: Surroundings = NOTHING_KNOWN) -> None:
        self.market = market
        self._rules = rules
        self._around = around
        self._grounds: dict[object, Ground] = {}
        self._scripts: dict[object, Script] = {}
        self._measured: set[int] = set()
        self._histories: dict[object, Result] = {}

    def study(self, composition: Composition, run_id: str, progress: Progress | None = None) -> Study:
        """Replay all worlds and measure them."""
        plan = plan_of(composition, self.market, self._rules.venue, self._around)
        recorded = _View(self.market, self._rules, self._ground(plan))
        shown = self._changed(composition, plan, recorded)
        changed, rounds = self._followed(composition, plan, recorded, shown, progress)
        result = self._worlds(plan, recorded, changed, progress)
        outcomes, accounts = with_run_id(result.outcomes, run_id), with_run_id(result.accounts, run_id)
        events = {world: events_of(outcomes, world, BASE_UNIT) for world in World}
        measures = {world: measure(events[world], accounts, world, BASE_UNIT) for world in World}
        wanted = composition.scenario.uncertainty
        window_s = (plan.first.timestamp_s, plan.last.timestamp_s)
        days = resample_days(window_s, wanted.block, wanted.resamples, plan.seed)

        def anew(until: Plan) -> Result:
            return self._anew(until, changed)

        tables = {
            "outcomes": outcomes,
            "accounts": accounts,
            "metrics": metrics_table(run_id, measures, events, self.market.assets),
            "paths": price_paths(self.market, changed.market, outcomes, plan, run_id),
            "health": health_before_worst_hour(anew, self.market, plan, outcomes, run_id),
            "gaps": price_gaps(self.market, changed.market, plan, run_id),
        }
        compared = effects(measures, days)
        return Study(
            plan,
            result,
            tables,
            tuple(compared),
            self._policies(composition, plan, changed, measures[World.ALTERNATIVE], progress),
            self._variants(self._others(composition, plan, recorded, shown, changed, progress), progress),
            {
                **mistaken(outcomes),
                **misplaced(compared),
                **validity(result.counters[World.ALTERNATIVE], result.divergence[World.ALTERNATIVE]),
            },
            self._distance(composition, plan, changed, result, progress),
            rounds,
        )

    def _ground(self, plan: Plan) -> Ground:
        """The ground of the last plan, if it fits this one; only one is kept, as it is large."""
        key = (plan.first, plan.last, plan.heartbeat_s, plan.alternative.keys)
        if key not in self._grounds:
            self._grounds, self._histories = {key: Ground.of(self._rules.venue, self.market, plan)}, {}
            self._scripts, self._measured = {}, set()
        return self._grounds[key]

    def _changed(self, composition: Composition, plan: Plan, recorded: _View) -> _View:
        """The market as the alternative sees it."""
        seen = composition.seen
        if seen is self.market:
            return recorded
        return _view(seen, plan, recorded)

    def _followed(
        self, composition: Composition, plan: Plan, recorded: _View, shown: _View, progress: Progress | None
    ) -> tuple[_View, Rounds | None]:
        """The market as the alternative sees it where its oracles follow its liquidators' sales."""
        asked = composition.scenario.liquidity
        if asked is None or not asked.feedback or plan.liquidity is None:
            return shown, None
        views = {id(shown.market): shown}

        def replayed(market: Market) -> pa.Table:
            if id(market) not in views:
                views.clear()
                views[id(market)] = _view(market, plan, recorded)
            return self._replay(plan, (World.ALTERNATIVE,), views[id(market)], progress).outcomes

        market, rounds = settled(shown.market, plan.liquidity.alternative, asked.feedback / BPS, asked.rounds, replayed)
        return views[id(market)], rounds

    def _worlds(self, plan: Plan, recorded: _View, changed: _View, progress: Progress | None) -> Result:
        """All three worlds; the two that do not depend on the change are kept for the next scenario."""
        if plan.at_start is AtStart.EXCLUDE_UNDERWATER:
            return self._replay(plan, ALL_WORLDS, recorded, progress)
        key = (
            plan.interest,
            plan.calldata is None,
            plan.liquidator,
            plan.infeasible,
            plan.seed,
            plan.reject_unfunded,
            plan.reanchor_s,
            plan.costs,
            plan.liquidity and plan.liquidity.control,
        )
        if key not in self._histories:
            self._histories[key] = self._replay(plan, _HISTORY, recorded, progress)
        return joined(self._histories[key], self._replay(plan, (World.ALTERNATIVE,), changed, progress))

    def _replay(self, plan: Plan, worlds: Sequence[World], view: _View, progress: Progress | None) -> Result:
        """Worlds in the plan's mode."""
        if plan.interest is Interest.RECORDED:
            return replay(view.rules.venue, view.market, plan, worlds, ground=view.ground, progress=progress)
        script = self._script(plan, progress)
        return reexecute(view.rules, view.market, plan, worlds, ground=view.ground, script=script, progress=progress)

    def _script(self, plan: Plan, progress: Progress | None = None) -> Script:
        """What users asked for; only the last is kept, as it is large."""
        ground = self._ground(plan)
        key = id(ground), plan.calldata is None
        if key not in self._scripts:
            self._scripts = {key: script_of(self._rules, ground, plan, progress)}
        return self._scripts[key]

    def _anew(self, plan: Plan, changed: _View) -> Result:
        """All worlds of a plan with a window of its own."""
        if plan.at_start is AtStart.EXCLUDE_UNDERWATER:
            return replay(self._rules.venue, self.market, plan)
        if plan.interest is Interest.RECORDED:
            history = replay(self._rules.venue, self.market, plan, _HISTORY)
            return joined(history, replay(changed.rules.venue, changed.market, plan, (World.ALTERNATIVE,)))
        ground = Ground.of(self._rules.venue, self.market, plan)
        script = script_of(self._rules, ground, plan)
        history = reexecute(self._rules, self.market, plan, _HISTORY, ground=ground, script=script)
        return joined(history, reexecute(changed.rules, changed.market, plan, (World.ALTERNATIVE,), script=script))

    def _distance(
        self, composition: Composition, plan: Plan, changed: _View, result: Result, progress: Progress | None
    ) -> Distance | str:
        """How far this run is from re-execution, or why that was not measured."""
        wanted = composition.scenario.distance
        if plan.interest is Interest.REEXECUTED:
            return f"Every transaction was executed again{self._asked(plan)}; there is no distance to measure."
        if wanted == "off":
            return "Its distance from re-execution was not measured (`distance: off`)."
        if plan.at_start is not AtStart.AS_IS or plan.reanchor_s is not None:
            return (
                "Its distance from re-execution was not measured: re-execution knows neither other starts nor returns."
            )
        if changed.market is not self.market:
            return "Its distance from re-execution was not measured: its market has other oracles than history."
        if wanted == "sampled" and id(changed.ground) in self._measured:
            return "Its distance from re-execution was measured with the first scenario of the sweep."
        self._measured = {id(changed.ground)}
        whole = wanted == "whole"
        try:
            return distance(self._rules, self.market, plan, changed.ground, result, whole=whole, progress=progress)
        except InputError as error:
            return f"Its distance from re-execution could not be measured. {error}"

    def _asked(self, plan: Plan) -> str:
        """Where the calls come from, in words."""
        if plan.calldata is None:
            return ", as its logs show it"
        script = self._script(plan)
        return f", {script.decoded:,} of {len(script.transactions):,} as their calldata asks, the others as logs show"

    def _policies(
        self, composition: Composition, plan: Plan, changed: _View, measured: Measures, progress: Progress | None
    ) -> dict[str, dict[str, float]]:
        """The alternative under every policy for infeasible actions (DOMAIN §8.2)."""
        if not composition.scenario.policy_range or composition.changes_nothing:
            return {}
        found: dict[str, dict[str, float]] = {}
        for policy in Infeasible:
            values = measured.values() if policy is plan.infeasible else self._under(plan, policy, changed, progress)
            for metric, value in values.items():
                if value is not None:
                    found.setdefault(metric, {})[policy.value] = value
        return found

    def _variants(self, others: Iterable[_Other], progress: Progress | None) -> dict[str, dict[str, dict[str, float]]]:
        """The alternative under other settings of models whose setting nobody can know."""
        found: dict[str, dict[str, dict[str, float]]] = {}
        for other in others:
            values = self._measured_under(other.plan, other.view, progress)
            found.setdefault(other.model, {})[other.setting] = {n: v for n, v in values.items() if v is not None}
        return found

    def _others(
        self,
        composition: Composition,
        plan: Plan,
        recorded: _View,
        shown: _View,
        changed: _View,
        progress: Progress | None,
    ) -> Iterator[_Other]:
        """Other settings; ``shown`` is ``changed`` without what sales move."""
        for setting, disruption in at_other_delays(composition, plan.disruption):
            yield _Other("messages", setting, replace(plan, disruption=disruption), changed)
        if plan.liquidity is not None:
            deep, thin = DEEP, plan.liquidity.alternative.thinner(2)
            none, double = (replace(plan, liquidity=plan.liquidity.with_alternative(one)) for one in (deep, thin))
            yield _Other("liquidity", "none", none, shown)
            followed, _ = self._followed(composition, double, recorded, shown, progress)
            yield _Other("liquidity", "double", double, followed)

    def _under(
        self, plan: Plan, policy: Infeasible, changed: _View, progress: Progress | None
    ) -> dict[str, float | None]:
        return self._measured_under(replace(plan, infeasible=policy), changed, progress)

    def _measured_under(self, other: Plan, changed: _View, progress: Progress | None) -> dict[str, float | None]:
        result = self._replay(other, (World.ALTERNATIVE,), changed, progress)
        events = events_of(result.outcomes, World.ALTERNATIVE, BASE_UNIT)
        return measure(events, result.accounts, World.ALTERNATIVE, BASE_UNIT).values()


def _view(seen: Market, plan: Plan, recorded: _View) -> _View:
    """A market with other prices than the world's, on the ground of the recorded one."""
    rules = rules_of(seen)
    return _View(seen, rules, Ground.of(rules.venue, seen, plan, recorded.ground.actual))


def joined(one: Result, other: Result) -> Result:
    """Two results of different worlds as one."""
    by_world = [("world", "ascending"), ("sequence", "ascending")]
    return Result(
        outcomes=pa.concat_tables([one.outcomes, other.outcomes]).sort_by(by_world),
        accounts=pa.concat_tables([one.accounts, other.accounts]),
        counters={**one.counters, **other.counters},
        divergence={**one.divergence, **other.divergence},
        excluded=other.excluded,
        changed_itself=other.changed_itself,
        ticks=other.ticks,
        account_ticks=one.account_ticks + other.account_ticks,
    )


def with_run_id(table: pa.Table, run_id: str) -> pa.Table:
    """The table of a replay with the run's id in every row."""
    schema = OUTCOMES if "kind" in table.column_names else ACCOUNTS
    column = pa.array([run_id] * table.num_rows, pa.string())
    place = table.column_names.index("run_id")
    return table.set_column(place, schema.field("run_id"), column).combine_chunks()

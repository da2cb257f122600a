"""The main job: a scenario file and a lake in, published runs out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from l2liq.chains.chain import Chain
from l2liq.chains.described import described
from l2liq.chains.markets import Listing
from l2liq.events.commitment import table_root
from l2liq.lake import Lake
from l2liq.lake.runs import Run
from l2liq.liquidators import Competition
from l2liq.market import Market
from l2liq.protocols import protocol
from l2liq.replay import Plan, Progress
from l2liq.report.render import render
from l2liq.scenario.compose import Composition, compose
from l2liq.scenario.identity import run_id, series_id
from l2liq.scenario.load import Loaded
from pipelines.assumptions import assumptions, notes
from pipelines.bundle import bundle
from pipelines.distance import Distance
from pipelines.manifest import (
    AssetName,
    ClockSpan,
    Counts,
    DistanceOfModes,
    EffectOfMetric,
    LiquidatorOfRun,
    Manifest,
    NullTestOfData,
    RoundsOfFeedback,
    RunWindow,
    hexed,
    this_version,
)
from pipelines.market import load_market
from pipelines.pictures import sequencer_down
from pipelines.plan import rules_of
from pipelines.scenarios import prepare
from pipelines.study import Studies, Study
from pipelines.surroundings import surroundings_of

Told = Callable[[str], None]
"""Told which stage begins, or which scenario."""

Gate = Callable[[str, Mapping[str, pa.Table], tuple[int, int]], None]
"""Given a market's name, the tables of a run and the window [s]; raises where they must not be published."""


@dataclass(frozen=True, slots=True)
class Backtested:
    """A run that exists now; ``reused``: it existed before."""

    run: Run
    reused: bool


def backtest(
    lake: Lake, path: Path, market: str | None = None, *, told: Told | None = None, progress: Progress | None = None
) -> list[Backtested]:
    """Run every scenario of a file and publish each; a run that exists is returned, not repeated."""
    prepared = prepare(lake, path, market)
    say = told or (lambda stage: None)
    bench = Bench(lake, prepared.listing, say)
    compositions = [bench.composed(one) for one in prepared.scenarios]
    found = [bench.run(one, progress) for one in compositions]
    lake.rebuild_catalog()
    return found


class Bench:
    """A market that is loaded once for any number of scenarios."""

    def __init__(self, lake: Lake, listing: Listing, told: Told, gate: Gate | None = None) -> None:
        told(f"loading {listing.deployment.name}")
        self.market = load_market(lake, listing)
        self._lake, self._chain, self._told, self._gate = lake, listing.chain, told, gate
        self._roots = {self.market.name: lake.dataset_root(self.market.slug).hex()}
        self._studies = Studies(self.market, rules_of(self.market), surroundings_of(lake, listing))
        self._known = {run.run_id: run for run in lake.runs()}

    def composed(self, loaded: Loaded) -> Composition:
        """What a scenario means on this market. Raises ScenarioError."""
        return compose(loaded, self.market, protocol(self.market.protocol).levers)

    def run(self, composition: Composition, progress: Progress | None = None) -> Backtested:
        """Run a scenario and publish it; a run that exists is returned, not repeated."""
        identity = identity_of(composition, self._roots, self._chain)
        if identity in self._known:
            return Backtested(self._known[identity], True)
        self._told(composition.scenario.name)
        run = _publish(self._lake, self._studies, composition, identity, self._roots, self._chain, progress, self._gate)
        self._known[identity] = run
        return Backtested(run, False)


def identity_of(composition: Composition, roots: dict[str, str], chain: Chain) -> str:
    """The run's id under the code that runs now; what a market file says of its rollup counts like the scenario."""
    window = (composition.window.start, composition.window.stop)
    rollup = described(chain.rollup)
    known = {**composition.effective, **({"rollup": rollup} if rollup else {})}
    return run_id(known, window, roots, str(this_version()))


def _publish(
    lake: Lake,
    studies: Studies,
    composition: Composition,
    identity: str,
    roots: dict[str, str],
    chain: Chain,
    progress: Progress | None,
    gate: Gate | None,
) -> Run:
    clock = _Stopwatch()
    with clock.stage("replay"):
        study = studies.study(composition, identity, progress)
    if gate is not None:
        gate(
            studies.market.name,
            study.tables,
            (composition.window.first.timestamp_s, composition.window.last.timestamp_s),
        )
    with clock.stage("commit"):
        tables = {name: table_root(table).hex() for name, table in study.tables.items()}
    manifest = manifest_for(studies.market, composition, study, identity, roots, tables, chain, clock.seconds)
    page = render(bundle(manifest, study.tables))
    return lake.publish_run(identity, manifest.model_dump(mode="json"), study.tables, page)


def manifest_for(
    market: Market,
    composition: Composition,
    study: Study,
    identity: str,
    roots: dict[str, str],
    tables: dict[str, str],
    chain: Chain,
    seconds: dict[str, float],
) -> Manifest:
    """Everything about a run but its tables."""
    plan, result, window = study.plan, study.result, composition.window
    change = plan.change
    return Manifest(
        run_id=identity,
        series_id=series_id(composition.effective),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=seconds,
        version=this_version(),
        title=composition.scenario.name,
        description=composition.scenario.description,
        market=market.name,
        protocol=market.protocol,
        chain_id=market.chain_id,
        explorer=f"{chain.explorer}/tx/{{hash}}" if chain.explorer else None,
        scenario=dict(composition.effective),
        window=RunWindow(
            from_block=window.start,
            to_block=window.stop,
            from_s=window.first.timestamp_s,
            to_s=window.last.timestamp_s,
        ),
        roots=roots,
        tables=tables,
        changes=list(composition.words),
        change_s=None if change is None or change == window.first else change.timestamp_s,
        not_deployable=list(composition.not_deployable),
        assets=[AssetName(address=f"0x{a.address.hex()}", symbol=a.symbol, decimals=a.decimals) for a in market.assets],
        effects=[EffectOfMetric(**effect.as_dict()) for effect in study.effects],
        policies={metric: dict(values) for metric, values in study.policies.items()},
        variants={model: {name: dict(v) for name, v in found.items()} for model, found in study.variants.items()},
        validity=dict(study.validity),
        distance=_distance(study.distance),
        worlds={world.value: Counts(**asdict(counters)) for world, counters in result.counters.items()},
        changed_itself=hexed(result.changed_itself),
        excluded=hexed(result.excluded),
        ticks=result.ticks,
        account_ticks=result.account_ticks,
        heartbeat_s=plan.heartbeat_s,
        sequencer_down_s=sequencer_down(composition.seen, plan, composition.outages),
        clocks=_clocks(plan),
        liquidators=[
            LiquidatorOfRun(address=f"0x{address.hex()}", name=name)
            for address, name in Competition.of(plan.liquidator).addresses.items()
        ],
        assumptions=assumptions(composition, plan, market),
        notes=[*notes(composition, market), *([study.distance] if isinstance(study.distance, str) else [])],
        null_test=None if market.null_test is None else NullTestOfData(**asdict(market.null_test)),
        feedback=None if study.rounds is None else RoundsOfFeedback(**asdict(study.rounds)),
    )


def _clocks(plan: Plan) -> list[ClockSpan]:
    """The clocks that hold in the window."""
    return [
        ClockSpan(from_s=span.from_s, until_s=span.until_s, **asdict(span.value))
        for span in plan.clocks.within(plan.first.timestamp_s, plan.last.timestamp_s)
    ]


def _distance(found: Distance | str) -> DistanceOfModes | None:
    if isinstance(found, str):
        return None
    return DistanceOfModes(
        from_s=found.first_s,
        to_s=found.last_s,
        transactions=found.transactions,
        of=found.of,
        disagreeing=found.disagreeing,
        metrics=dict(found.metrics),
    )


class _Stopwatch:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)

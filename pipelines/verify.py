"""Whether a run is what it says: its tables and the data it read re-hashed, its scenario run again and compared."""

from __future__ import annotations

import json
from dataclasses import dataclass

from l2liq.chains.markets import find_market, market_names
from l2liq.errors import InputError
from l2liq.events.commitment import table_root
from l2liq.lake import Lake
from l2liq.lake.runs import Run
from l2liq.protocols import protocol
from l2liq.replay import Progress
from l2liq.scenario.compose import compose
from l2liq.scenario.load import load_scenarios
from pipelines.backtest import identity_of
from pipelines.bundle import TABLES, manifest_of
from pipelines.manifest import this_version
from pipelines.market import load_market
from pipelines.plan import rules_of
from pipelines.study import Studies


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found.

    Attributes
    ----------
    problems : one sentence each; none = the run is what it says
    comparable : False where other code made the run, so that running it again would prove nothing
    repeated : the scenario was run again
    """

    run_id: str
    problems: tuple[str, ...]
    comparable: bool
    repeated: bool


def verify(lake: Lake, name: str, market: str | None = None, progress: Progress | None = None) -> Verified:
    """Verify one run. ``market`` is needed for one that is not in the registry (its YAML file)."""
    run = lake.read_run(name)
    manifest = manifest_of(run)
    problems = [*_damaged_tables(run), *lake.verify(manifest.market)]
    root = lake.dataset_root(manifest.market).hex()
    data_is_same = root == manifest.roots.get(manifest.market)
    if not data_is_same:
        problems.append(
            f"the lake's data of {manifest.market} has the root {root}, the run was made from "
            f"{manifest.roots.get(manifest.market)}: more was ingested since, or it was changed."
        )
    comparable = manifest.version == this_version()
    repeated = comparable and data_is_same
    if repeated:
        problems.extend(_repeated(lake, run, market, progress))
    return Verified(run.run_id, tuple(problems), comparable, repeated)


def _damaged_tables(run: Run) -> list[str]:
    recorded = manifest_of(run).tables
    return [
        f"{run.path / name}.parquet does not have the root that its manifest records."
        for name in TABLES
        if table_root(run.table(name)).hex() != recorded.get(name)
    ]


def _repeated(lake: Lake, run: Run, market: str | None, progress: Progress | None) -> list[str]:
    """Differences between the run and the same scenario run again."""
    manifest = manifest_of(run)
    if market is None and manifest.market not in market_names():
        raise InputError(
            f"{manifest.market} is not in the registry: say where its market file is, "
            f"`l2liq verify {run.run_id} --market FILE.yaml`."
        )
    listing = find_market(market or manifest.market)
    found = protocol(listing.deployment.protocol)
    loaded_market = load_market(lake, listing)
    (loaded,) = load_scenarios(json.dumps(manifest.scenario, ensure_ascii=False), f"run {run.run_id}", found.levers)
    composition = compose(loaded, loaded_market, found.levers)
    identity = identity_of(composition, manifest.roots)
    if identity != run.run_id:
        return [f"its scenario, window and roots give the id {identity}, not {run.run_id}: the manifest was changed."]
    studies = Studies(loaded_market, rules_of(loaded_market))
    study = studies.study(composition, identity, progress)
    return [
        f"running it again gives another table of {name}."
        for name, table in study.tables.items()
        if table_root(table).hex() != manifest.tables.get(name)
    ]

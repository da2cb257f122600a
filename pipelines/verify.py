"""Whether a run is what it says: its tables and the data it read re-hashed, its scenario run again and compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2liq.events.commitment import table_root
from l2liq.lake import Lake
from l2liq.lake.runs import Run
from l2liq.protocols import protocol
from l2liq.replay import Progress
from l2liq.report.render import render
from l2liq.scenario.compose import compose
from l2liq.scenario.load import load_scenarios
from pipelines.backtest import identity_of, manifest_for
from pipelines.bundle import TABLES, bundle, manifest_of
from pipelines.listings import find_listing
from pipelines.manifest import Manifest, this_version
from pipelines.market import load_market
from pipelines.plan import rules_of
from pipelines.pools import with_files
from pipelines.study import ABOUT_DISTANCE, Studies, Study
from pipelines.surroundings import surroundings_of


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
    """Verify one run. ``market`` is needed where neither registry nor lake knows its market (its YAML file)."""
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
    listing = find_listing(market or manifest.market, lake)
    found = protocol(listing.deployment.protocol)
    loaded_market = load_market(lake, listing)
    (loaded,) = load_scenarios(json.dumps(manifest.scenario, ensure_ascii=False), f"run {run.run_id}", found.levers)
    composition = compose(with_files(loaded, Path()), loaded_market, found.levers)
    identity = identity_of(composition, manifest.roots, listing.chain)
    if identity != run.run_id:
        return [f"its scenario, window and roots give the id {identity}, not {run.run_id}: the manifest was changed."]
    studies = Studies(loaded_market, rules_of(loaded_market), surroundings_of(lake, listing))
    study = studies.study(composition, identity, progress)
    tables = {name: table_root(table).hex() for name, table in study.tables.items()}
    again = manifest_for(
        loaded_market, composition, study, identity, manifest.roots, tables, listing.chain, manifest.seconds
    )
    return [*_other_tables(tables, manifest), *_other_manifest(again, manifest), *_other_page(run, again, study)]


def _other_tables(tables: Mapping[str, str], manifest: Manifest) -> Iterator[str]:
    for name, root in tables.items():
        if root != manifest.tables.get(name):
            yield f"running it again gives another table of {name}."


def _other_manifest(again: Manifest, manifest: Manifest) -> Iterator[str]:
    """Parts of the manifest that are not what running the scenario again gives."""
    made, told = _comparable(again, manifest), _comparable(manifest, manifest)
    differing = [name for name in made if made[name] != told[name]]
    if differing:
        yield (
            f"manifest.json: {', '.join(differing)} {'is' if len(differing) == 1 else 'are'} not what running it again "
            "gives: the manifest was changed."
        )


_PASSING = ("created_at", "seconds", "tables")
"""Parts of a manifest that tell of the moment; tables are compared one by one."""


def _comparable(one: Manifest, recorded: Manifest) -> dict[str, Any]:
    """The parts that running again must give; a sweep measures its distance from re-execution only once."""
    parts = one.model_dump(mode="json", exclude=set(_PASSING))
    if recorded.distance is None:
        parts["distance"] = None
        parts["notes"] = [note for note in parts["notes"] if not note.startswith(ABOUT_DISTANCE)]
    return parts


def _other_page(run: Run, again: Manifest, study: Study) -> Iterator[str]:
    """The page is rendered from tables and manifest alone, so it can be rendered again."""
    if not run.report.is_file():
        return
    recorded = manifest_of(run)
    passing = recorded.model_dump(include={*_PASSING, "distance", "notes"})
    page = render(bundle(again.model_copy(update={**passing, "distance": recorded.distance}), study.tables))
    if run.report.read_bytes() != page.encode():
        yield (
            f"{run.report.name} is not what this l2liq renders of the run: it was edited, or other code rendered it. "
            f"Delete it; `l2liq report {run.run_id}` makes it anew."
        )

"""Runs: what a backtest left behind. A run exists once its manifest does, and never changes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from l2liq.errors import InputError, LakeError
from l2liq.lake.segments import write_parquet
from l2liq.lake.storage import Storage

FOLDER, MANIFEST = "runs", "manifest.json"
_RUN_ID = re.compile(r"[a-z0-9]([a-z0-9-]{2,78}[a-z0-9])")
REMEDY = "Delete the folder and run the scenario again."
_TABLE = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Run:
    """A published run. ``manifest`` is what was published, plus ``run_id``."""

    path: Path
    manifest: Mapping[str, Any] = field(repr=False)
    storage: Storage = field(repr=False, compare=False)

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def report(self) -> Path:
        """Where the report lies or would lie, on this machine."""
        return self.storage.local(f"{FOLDER}/{self.run_id}/report.html")

    def table(self, name: str) -> pa.Table:
        """``outcomes``, ``accounts`` or ``metrics``. LakeError where it is missing or damaged."""
        place = self.storage.local(f"{FOLDER}/{self.run_id}/{name}.parquet")
        try:
            return pq.read_table(place, partitioning=None)
        except (OSError, pa.ArrowException) as error:
            raise LakeError(
                f"{place}: cannot be read ({error}). Delete the run's folder and run the scenario again."
            ) from error


class Runs:
    """The runs of a lake."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._name = f"{storage.name}/{FOLDER}"

    def publish(
        self, run_id: str, manifest: Mapping[str, Any], tables: Mapping[str, pa.Table], report_html: str | None
    ) -> Run:
        """Make a run exist, all at once; an id that exists is that run."""
        target = f"{FOLDER}/{_checked(run_id)}"
        for name in tables:
            if not _TABLE.fullmatch(name):
                raise InputError(
                    f"{name[:80]!r} cannot name a table of a run: use lower-case letters, digits and underscores."
                )

        def fill(folder: Path) -> None:
            for name, table in tables.items():
                write_parquet(table, folder / f"{name}.parquet")
            if report_html is not None:
                (folder / "report.html").write_text(report_html, encoding="utf-8")
            (folder / MANIFEST).write_text(
                json.dumps({**manifest, "run_id": run_id}, indent=2) + "\n", encoding="utf-8"
            )

        self._storage.publish_group(target, fill, MANIFEST)
        return self._read(run_id)

    def write_report(self, run_id: str, report_html: str) -> Path:
        """Put a report in place of the run's former one; the run's data stays."""
        run = self.find(run_id)
        self._storage.put(f"{FOLDER}/{run.run_id}/report.html", report_html.encode())
        return run.report

    def write_index(self, page_html: str) -> Path:
        """Put the page that lists all runs in place of the former one."""
        self._storage.put(f"{FOLDER}/index.html", page_html.encode())
        self._storage.bring([key for key in self._storage.below(FOLDER) if key.endswith(".html")])
        return self._storage.local(f"{FOLDER}/index.html")

    def delete(self, run_id: str) -> None:
        """Delete a run, all at once. One that is gone is no error."""
        self._storage.delete_group(f"{FOLDER}/{_checked(run_id)}", MANIFEST)

    def all(self) -> list[Run]:
        """All runs that can be read, newest first."""
        return [found for found in map(self._try, self._names()) if isinstance(found, Run)]

    def broken(self) -> list[tuple[Path, str]]:
        """Folders of runs whose manifest cannot be read, and why."""
        found = ((self._place(name), self._try(name)) for name in self._names())
        return [(place, error) for place, error in found if isinstance(error, str)]

    def _names(self) -> list[str]:
        """Ids of whatever has a manifest, newest first."""
        manifests = {key.split("/")[1]: key for key in self._storage.below(FOLDER) if _is_manifest(key)}
        self._storage.bring(manifests.values())
        return sorted(manifests, key=lambda name: (self._storage.stamp(manifests[name])[1], name), reverse=True)

    def _place(self, run_id: str) -> Path:
        return self._storage.folder / FOLDER / run_id

    def _try(self, run_id: str) -> Run | str:
        """A run, or why its manifest cannot be read."""
        try:
            manifest = json.loads(self._storage.read(f"{FOLDER}/{run_id}/{MANIFEST}"))
        except (OSError, ValueError):
            return f"its manifest.json cannot be read. {REMEDY}"
        if not isinstance(manifest, dict):
            return f"its manifest.json is no manifest. {REMEDY}"
        return Run(self._place(run_id), manifest, self._storage)

    def find(self, name: str) -> Run:
        """A run by id, by a unique beginning of it, or ``latest``."""
        runs = self.all()
        for place, reason in self.broken():
            if name and place.name.startswith(name):
                raise LakeError(f"{place}: {reason}")
        if not runs:
            raise InputError(f"{self._name}: there are no runs yet. Make one with `l2liq backtest SCENARIO.yaml`.")
        if name == "latest":
            return runs[0]
        exact = [run for run in runs if run.run_id == name]
        matching = exact or [run for run in runs if name and run.run_id.startswith(name)]
        if len(matching) != 1:
            problem = "no run has this id" if not matching else f"{len(matching)} runs begin so"
            raise InputError(f"{self._name}: {name[:80]!r}: {problem}. `l2liq runs` lists them.")
        return matching[0]

    def _read(self, run_id: str) -> Run:
        found = self._try(run_id)
        if isinstance(found, str):
            raise LakeError(f"{self._place(run_id)}: {found}")
        return found


def _checked(run_id: str) -> str:
    if not _RUN_ID.fullmatch(run_id):
        raise InputError(
            f"{run_id[:80]!r} cannot name a run: use lower-case letters, digits and dashes, 4 to 80 of them."
        )
    return run_id


def _is_manifest(key: str) -> bool:
    parts = key.split("/")
    return len(parts) == 3 and parts[2] == MANIFEST and _RUN_ID.fullmatch(parts[1]) is not None

"""What nightly runs keep beside the runs themselves: a journal per market, alerts, pages, pins."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from l2liq.errors import LakeError
from l2liq.lake.locks import exclusive
from l2liq.lake.publish import beside, make_folder, naming_failures, publish_bytes, sweep

FOLDER = "_nightly"
"""Folder beside the runs; its name is none that a run can have."""


class Nights:
    """JSON documents and pages below ``runs``; each is replaced as a whole."""

    def __init__(self, lake: Path) -> None:
        self._lake = lake
        self._runs = lake / "runs"
        self._folder = self._runs / FOLDER

    @contextmanager
    def writing(self, slug: str) -> Iterator[None]:
        """The right to write a market's journal. LakeError naming the holder while another process has it."""
        with exclusive(self._lake / ".locks" / f"nightly-{slug}.lock", f"the nightly run of {slug}"):
            yield

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """The right to write alerts and pages; waits for whoever has it."""
        with exclusive(self._lake / ".locks" / "nightly.lock", "publishing nightly runs", wait=True):
            yield

    def journals(self) -> dict[str, dict[str, Any]]:
        """All journals by slug."""
        found = sorted(self._folder.glob("*.journal.json")) if self._folder.is_dir() else []
        return {path.name.removesuffix(".journal.json"): _read(path) for path in found}

    def journal(self, slug: str) -> dict[str, Any]:
        """A market's journal; empty before its first night."""
        return _read(self._folder / f"{slug}.journal.json")

    def write_journal(self, slug: str, content: Mapping[str, Any]) -> None:
        """Put a journal in place of the former one."""
        _write(self._folder / f"{slug}.journal.json", content)

    def alerts(self) -> dict[str, Any]:
        """``runs/alerts.json``; empty before the first."""
        return _read(self._runs / "alerts.json")

    def write_alerts(self, content: Mapping[str, Any]) -> None:
        """Put the alerts in place of the former ones."""
        _write(self._runs / "alerts.json", content)

    def write_page(self, name: str, page_html: str) -> str:
        """Put a page in place of its former one; its address relative to the index of runs."""
        publish_bytes(self._folder / f"{name}.html", page_html.encode())
        return f"{FOLDER}/{name}.html"

    def pins(self) -> dict[str, str]:
        """Runs that nothing deletes, with the reason."""
        return _read(self._folder / "pins.json")

    def pin(self, run_id: str, reason: str | None) -> None:
        """Keep a run whatever its age; without a reason it is kept no longer."""
        with self.publishing():
            pins = self.pins()
            if reason is None:
                pins.pop(run_id, None)
            else:
                pins[run_id] = reason
            _write(self._folder / "pins.json", pins)

    def delete_run(self, run_id: str) -> None:
        """Delete a run, all at once: it leaves by a rename before its files go. One that is gone is no error."""
        staging = self._lake / ".staging"
        place = self._runs / run_id
        with (
            exclusive(self._lake / ".locks" / "staging.lock", "putting a folder in place", wait=True),
            naming_failures(place),
        ):
            make_folder(staging)
            sweep(staging)
            if place.is_dir():
                leaving = beside(staging / run_id)
                place.rename(leaving)
                shutil.rmtree(leaving)


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise LakeError(f"{path}: cannot be read ({error}). Delete it; the next nightly run writes it anew.") from error
    return found


def _write(path: Path, content: Mapping[str, Any]) -> None:
    publish_bytes(path, json.dumps(content, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n")

"""What nightly runs keep beside the runs themselves: a journal per market, alerts, pages, pins."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from l2liq.errors import LakeError
from l2liq.lake.runs import FOLDER as RUNS
from l2liq.lake.runs import Runs
from l2liq.lake.storage import Storage

FOLDER = "_nightly"
"""Folder beside the runs; its name is none that a run can have."""


class Nights:
    """JSON documents and pages below ``runs``; each is replaced as a whole."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._folder = f"{RUNS}/{FOLDER}"

    @contextmanager
    def writing(self, slug: str) -> Iterator[None]:
        """The right to write a market's journal. LakeError naming the holder while another process has it."""
        with self._storage.exclusive(f"nightly-{slug}", f"the nightly run of {slug}"):
            yield

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """The right to write alerts and pages; waits for whoever has it."""
        with self._storage.exclusive("nightly", "publishing nightly runs", wait=True):
            yield

    def journals(self) -> dict[str, dict[str, Any]]:
        """All journals by slug."""
        found = [key for key in self._storage.keys(self._folder) if key.endswith(".journal.json")]
        return {key.rpartition("/")[2].removesuffix(".journal.json"): self._read(key) for key in found}

    def journal(self, slug: str) -> dict[str, Any]:
        """A market's journal; empty before its first night."""
        return self._read(f"{self._folder}/{slug}.journal.json")

    def write_journal(self, slug: str, content: Mapping[str, Any]) -> None:
        """Put a journal in place of the former one."""
        self._write(f"{self._folder}/{slug}.journal.json", content)

    def alerts(self) -> dict[str, Any]:
        """``runs/alerts.json``; empty before the first."""
        return self._read(f"{RUNS}/alerts.json")

    def write_alerts(self, content: Mapping[str, Any]) -> None:
        """Put the alerts in place of the former ones."""
        self._write(f"{RUNS}/alerts.json", content)

    def write_page(self, name: str, page_html: str) -> str:
        """Put a page in place of its former one; its address relative to the index of runs."""
        self._storage.put(f"{self._folder}/{name}.html", page_html.encode())
        return f"{FOLDER}/{name}.html"

    def pins(self) -> dict[str, str]:
        """Runs that nothing deletes, with the reason."""
        return self._read(f"{self._folder}/pins.json")

    def pin(self, run_id: str, reason: str | None) -> None:
        """Keep a run whatever its age; without a reason it is kept no longer."""
        with self.publishing():
            pins = self.pins()
            if reason is None:
                pins.pop(run_id, None)
            else:
                pins[run_id] = reason
            self._write(f"{self._folder}/pins.json", pins)

    def delete_run(self, run_id: str) -> None:
        """Delete a run, all at once. One that is gone is no error."""
        Runs(self._storage).delete(run_id)

    def _read(self, key: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._storage.read(key))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise LakeError(
                f"{self._storage.name}/{key}: cannot be read ({error}). Delete it; the next nightly run writes it anew."
            ) from error
        return found

    def _write(self, key: str, content: Mapping[str, Any]) -> None:
        text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
        self._storage.put(key, text.encode() + b"\n")

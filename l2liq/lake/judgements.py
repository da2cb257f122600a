"""What was judged of a lake's data: which segments by which expectations, with what result, and the pages about it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from l2liq.errors import LakeError
from l2liq.lake.storage import Storage

FOLDER = "quality"
_SUITES = f"{FOLDER}/expectations"
_UNCHANGING = "docs/static/"


class Judgements:
    """Verdicts and pages per market, and expectations of this lake that stand for those of the package."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @contextmanager
    def judging(self, slug: str) -> Iterator[None]:
        """The right to judge a market; waits for whoever has it."""
        with self._storage.exclusive(f"quality-{slug}", f"judging {slug}", wait=True):
            yield

    def read(self, slug: str) -> dict[str, Any]:
        """What was judged of a market; empty before the first time."""
        key = f"{FOLDER}/{slug}/judged.json"
        try:
            found: dict[str, Any] = json.loads(self._storage.read(key))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise LakeError(
                f"{self._storage.name}/{key}: cannot be read. Delete it; `l2liq quality` judges everything again."
            ) from error
        return found

    def write(self, slug: str, content: Mapping[str, Any]) -> None:
        """Put what was judged in place of what was."""
        text = json.dumps(content, indent=1, sort_keys=True)
        self._storage.put(f"{FOLDER}/{slug}/judged.json", text.encode() + b"\n")

    def suite(self, name: str) -> bytes | None:
        """Expectations that this lake has of its own, None where the package's hold."""
        try:
            return self._storage.read(f"{_SUITES}/{name}.json")
        except FileNotFoundError:
            return None

    def write_pages(self, slug: str, pages: Path) -> Path:
        """Put the pages of a folder in place of a market's former ones; where ``index.html`` can be opened."""
        target = f"{FOLDER}/{slug}/pages"
        before = set(self._storage.below(target))
        names = [path.relative_to(pages).as_posix() for path in sorted(pages.rglob("*")) if path.is_file()]
        for name in sorted(names, key=lambda one: one == "index.html"):
            key = f"{target}/{name}"
            if key not in before or not name.startswith(_UNCHANGING):
                self._storage.put(key, (pages / name).read_bytes())
        for key in before - {f"{target}/{name}" for name in names}:
            self._storage.remove(key)
        return self._storage.local(f"{target}/index.html")

    def pages(self) -> dict[str, str]:
        """Slug to the address of its pages, relative to the index of runs."""
        found = (
            slug for slug in self._storage.folders(FOLDER) if self._storage.exists(f"{FOLDER}/{slug}/pages/index.html")
        )
        return {slug: f"../{FOLDER}/{slug}/pages/index.html" for slug in found}

"""Beacons: what a long-running job last said of itself, one small document per market. Old news is no error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from l2liq.lake.storage import Storage

FOLDER = "stream"


class Beacons:
    """The beacons of a lake."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def show(self, slug: str, document: Mapping[str, Any]) -> None:
        """Put a document in place of the market's former one."""
        self._storage.put(f"{FOLDER}/{slug}.json", json.dumps(document, indent=2).encode())

    def all(self) -> dict[str, dict[str, Any]]:
        """Every market's document; one that cannot be read says so under ``problem``."""
        keys = [key for key in self._storage.keys(FOLDER) if key.endswith(".json")]
        return {key.rpartition("/")[2].removesuffix(".json"): self._read(key) for key in keys}

    def _read(self, key: str) -> dict[str, Any]:
        try:
            content = json.loads(self._storage.read(key))
        except (OSError, ValueError):
            content = None
        return content if isinstance(content, dict) else {"problem": f"{key} cannot be read"}

"""Folders that appear with all of their files at once: cache entries, runs, what goes to quarantine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from l2liq.lake.locks import exclusive
from l2liq.lake.publish import publish_folder, sweep


def publish_staged(lake: Path, target: Path, fill: Callable[[Path], None]) -> bool:
    """Fill a folder out of sight and rename it to ``target``; False where that was there already (then it is kept)."""
    staging = lake / ".staging"
    with exclusive(lake / ".locks" / "staging.lock", "putting a folder in place", wait=True):
        sweep(staging)
        return publish_folder(target, fill, staging)
